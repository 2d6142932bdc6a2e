/** Security groups and their rules. */
import { Refusal } from '../service.ts'
import { type Change, keep, type Store } from '../store.ts'
import { canonicalPrefix, isPrefix } from './addresses.ts'
import { newGroup, newRule, type Rule, type SecurityGroup } from './documents.ts'

/** A project's group "default" is made when it is first needed: its members reach each other, and everyone outside. */
export function ensureDefaultGroup(store: Store, project_id: string, changes: Change[]): SecurityGroup {
  const known = store
    .all<SecurityGroup>('group')
    .find(group => group.project_id === project_id && group.name === 'default')
  if (known) return known
  const group = newGroup(project_id, { name: 'default', description: 'Default security group' })
  const rules = [
    ...egress(group),
    ...families.map(ethertype =>
      newRule(project_id, {
        security_group_id: group.id,
        direction: 'ingress',
        ethertype,
        remote_group_id: group.id,
        description: null,
      }),
    ),
  ]
  changes.push(keep('group', group), ...rules.map(rule => keep('rule', rule)))
  return group
}

/** A new group lets everything out and nothing in. */
export function createGroup(project_id: string, wishes: { name?: string; description?: string }) {
  const group = newGroup(project_id, { name: wishes.name ?? '', description: wishes.description ?? '' })
  return { group, rules: egress(group) }
}

/** Checks and completes a rule. */
export function createRule(store: Store, project_id: string, wishes: Partial<Rule>): Rule {
  const group = store.get<SecurityGroup>('group', String(wishes.security_group_id))
  if (!group)
    throw new Refusal(404, 'SecurityGroupNotFound', `Security group ${wishes.security_group_id} does not exist`)
  const protocol = checkedProtocol(wishes.protocol ?? null)
  const prefix = wishes.remote_ip_prefix ?? null
  if (prefix !== null && !isPrefix(prefix))
    throw new Refusal(
      400,
      'HTTPBadRequest',
      `Invalid input for remote_ip_prefix. Reason: '${prefix}' is not a valid IP subnet.`,
    )
  if (wishes.direction !== 'ingress' && wishes.direction !== 'egress')
    throw new Refusal(
      400,
      'HTTPBadRequest',
      `Invalid input for direction. Reason: '${wishes.direction}' is not in ['ingress', 'egress'].`,
    )
  const ethertype = wishes.ethertype ?? 'IPv4'
  if (ethertype !== 'IPv4' && ethertype !== 'IPv6')
    throw new Refusal(
      400,
      'SecurityGroupRuleInvalidEtherType',
      `Security group rule for ethertype '${ethertype}' not supported. Allowed values are ['IPv4', 'IPv6'].`,
    )
  if (prefix !== null && prefix.includes(':') !== (ethertype === 'IPv6'))
    throw new Refusal(
      400,
      'SecurityGroupRuleParameterConflict',
      `Conflicting value ethertype ${ethertype} for CIDR ${prefix}`,
    )
  const { port_range_min = null, port_range_max = null, remote_group_id = null } = wishes
  checkRange(protocol, port_range_min, port_range_max)
  if (remote_group_id !== null && !store.get('group', remote_group_id))
    throw new Refusal(404, 'SecurityGroupNotFound', `Security group ${remote_group_id} does not exist`)
  const normal = prefix === null ? null : canonicalPrefix(prefix)
  const rule = newRule(project_id, {
    security_group_id: group.id,
    direction: wishes.direction,
    ethertype,
    protocol,
    port_range_min,
    port_range_max,
    remote_ip_prefix: normal,
    remote_group_id,
    normalized_cidr: normal,
    description: String(wishes.description ?? ''),
  })
  const twin = store.all<Rule>('rule').find(known => identity(known) === identity(rule))
  if (twin)
    throw new Refusal(409, 'SecurityGroupRuleExists', `Security group rule already exists. Rule id is ${twin.id}.`)
  return rule
}

const families = ['IPv4', 'IPv6'] as const

function egress(group: SecurityGroup): Rule[] {
  return families.map(ethertype =>
    newRule(group.project_id, {
      security_group_id: group.id,
      direction: 'egress',
      ethertype,
      description: null,
      standard_attr_id: 1,
      tags: [],
    }),
  )
}

function identity(rule: Rule): string {
  return JSON.stringify([
    rule.security_group_id,
    rule.direction,
    rule.ethertype,
    rule.protocol,
    rule.port_range_min,
    rule.port_range_max,
    rule.remote_ip_prefix,
    rule.remote_group_id,
  ])
}

const protocols = [
  'ah',
  'dccp',
  'egp',
  'esp',
  'gre',
  'hopopt',
  'icmp',
  'igmp',
  'ip',
  'ipip',
  'ipv6-encap',
  'ipv6-frag',
  'ipv6-icmp',
  'icmpv6',
  'ipv6-nonxt',
  'ipv6-opts',
  'ipv6-route',
  'ospf',
  'pgm',
  'rsvp',
  'sctp',
  'tcp',
  'udp',
  'udplite',
  'vrrp',
]

function checkedProtocol(protocol: unknown): string | null {
  if (protocol === null || protocol === 'any') return null
  const text = String(protocol).toLowerCase()
  if (protocols.includes(text) || (/^\d{1,3}$/.test(text) && Number(text) <= 255)) return text
  throw new Refusal(
    400,
    'SecurityGroupRuleInvalidProtocol',
    `Security group rule protocol ${protocol} not supported. Only protocol values [None, ${protocols.map(p => `'${p}'`).join(', ')}] and integer representations [0 to 255] are supported.`,
  )
}

function checkRange(protocol: string | null, min: unknown, max: unknown): void {
  const numbers = [min, max].filter(value => value !== null)
  if (numbers.some(value => !Number.isInteger(value) || (value as number) < 0 || (value as number) > 65_535))
    throw new Refusal(400, 'SecurityGroupInvalidPortValue', `Invalid value for port ${numbers.join(', ')}`)
  if (numbers.length === 2 && !/icmp/.test(protocol ?? '') && (min as number) > (max as number))
    throw new Refusal(
      400,
      'SecurityGroupInvalidPortRange',
      'For TCP/UDP protocols, port_range_min must be <= port_range_max',
    )
}
