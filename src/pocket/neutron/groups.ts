/** Security groups and their rules. */
import { Refusal } from '../service.ts'
import { keep, type Store } from '../store.ts'
import type { Wishes } from './desk.ts'
import { newGroup, newRule, type Rule, type SecurityGroup } from './documents.ts'

/** A project's group "default" is made when it is first needed: its members reach each other, and everyone outside. */
export async function ensureDefaultGroup(store: Store, project_id: string | null): Promise<string | null> {
  if (project_id === null) return null
  const known = store
    .all<SecurityGroup>('group')
    .find(group => group.project_id === project_id && group.name === 'default')
  if (known) return known.id
  const group = newGroup(project_id, { name: 'default', description: 'Default security group' })
  const rules = [
    ...egress(store, group),
    ...families.map((ethertype, index) =>
      newRule(project_id, {
        _number: nextNumber(store) + 2 + index,
        security_group_id: group.id,
        direction: 'ingress',
        ethertype,
        remote_group_id: group.id,
        description: null,
      }),
    ),
  ]
  await store.commit(keep('group', group), ...rules.map(rule => keep('rule', rule)))
  return group.id
}

/** A new group lets everything out and nothing in. */
export function createGroup(store: Store, { project_id, ...wishes }: Wishes) {
  const group = newGroup(project_id, wishes)
  return { group, rules: egress(store, group) }
}

/** Checks and completes a rule, whose groups exist. */
export function createRule(store: Store, wishes: Wishes): Rule {
  const { project_id } = wishes
  const protocol = checkedProtocol(wishes.protocol ?? null)
  const prefix = (wishes.remote_ip_prefix ?? null) as string | null
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
  const remote_group_id = (wishes.remote_group_id ?? null) as string | null
  if (prefix !== null && remote_group_id !== null)
    throw new Refusal(
      400,
      'SecurityGroupRemoteGroupAndRemoteIpPrefix',
      'Only remote_ip_prefix or remote_group_id or remote_address_group_id may be provided.',
    )
  const port_range_min = (wishes.port_range_min ?? null) as number | null
  const port_range_max = (wishes.port_range_max ?? null) as number | null
  checkRange(protocol, port_range_min, port_range_max)
  const rule = newRule(project_id, {
    security_group_id: String(wishes.security_group_id),
    direction: wishes.direction as Rule['direction'],
    ethertype,
    protocol,
    port_range_min,
    port_range_max,
    remote_ip_prefix: prefix,
    remote_group_id,
    normalized_cidr: prefix,
    description: String(wishes.description ?? ''),
    _number: nextNumber(store),
  })
  const twin = store.all<Rule>('rule').find(known => identity(known) === identity(rule))
  if (twin)
    throw new Refusal(409, 'SecurityGroupRuleExists', `Security group rule already exists. Rule id is ${twin.id}.`)
  return rule
}

const families = ['IPv4', 'IPv6'] as const

function egress(store: Store, group: SecurityGroup): Rule[] {
  return families.map((ethertype, index) =>
    newRule(group.project_id, {
      security_group_id: group.id,
      direction: 'egress',
      ethertype,
      description: null,
      _number: nextNumber(store) + index,
    }),
  )
}

/** Rules are numbered in the order of their making. */
function nextNumber(store: Store): number {
  return store.all<Rule>('rule').reduce((highest, rule) => Math.max(highest, rule._number), 0) + 1
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
  if (protocol === null || protocol === 'any' || protocol === '') return null
  const text = String(protocol).toLowerCase()
  if (protocols.includes(text) || (/^\d{1,3}$/.test(text) && Number(text) <= 255)) return text
  throw new Refusal(
    400,
    'SecurityGroupRuleInvalidProtocol',
    `Security group rule protocol ${protocol} not supported. Only protocol values [None, ${protocols.map(p => `'${p}'`).join(', ')}] and integer representations [0 to 255] are supported.`,
  )
}

/** Ports for what has ports, type and code for ICMP, nothing for the rest. */
function checkRange(protocol: string | null, min: unknown, max: unknown): void {
  if (min === null && max === null) return
  if (protocol === null)
    throw new Refusal(
      400,
      'SecurityGroupProtocolRequiredWithPorts',
      'Must also specify protocol if port range is given.',
    )
  const icmp = ['icmp', 'icmpv6', 'ipv6-icmp', '1', '58'].includes(protocol)
  const wrong = [min, max].find(
    value =>
      value !== null &&
      !(Number.isInteger(value) && (value as number) >= 0 && (value as number) <= (icmp ? 255 : 65_535)),
  )
  if (wrong !== undefined)
    throw icmp
      ? new Refusal(
          400,
          'SecurityGroupInvalidIcmpValue',
          `Invalid value for ICMP type or code: ${wrong}. It must be 0 to 255.`,
        )
      : new Refusal(400, 'SecurityGroupInvalidPortValue', `Invalid value for port ${wrong}`)
  if (icmp) {
    if (min === null)
      throw new Refusal(
        400,
        'SecurityGroupMissingIcmpType',
        `ICMP code (port-range-max) ${max} is provided but ICMP type (port-range-min) is missing.`,
      )
    return
  }
  if (!['tcp', 'udp', 'sctp', 'dccp', 'udplite', '6', '17', '33', '132', '136'].includes(protocol))
    throw new Refusal(
      400,
      'SecurityGroupInvalidProtocolForPort',
      `Ports can only be given with a protocol that has ports, which ${protocol} has not.`,
    )
  if (min === null || max === null || (min as number) > (max as number))
    throw new Refusal(
      400,
      'SecurityGroupInvalidPortRange',
      'For TCP/UDP protocols, port_range_min must be <= port_range_max',
    )
}
