/** The load balancer's security group lb-<id>: what may reach the ports that its listeners listen on. */
import type { SecurityGroup, SecurityGroupRule } from '../../cloud/neutron.ts'
import { CloudError } from '../../cloud/openstack.ts'
import { type StepContext, treeStep } from '../../controller/flow.ts'
import { FIRST_PEER_PORT } from '../../lbaas/listener.ts'
import { type SecurityGroupRules, vipAddresses } from '../../lbaas/load-balancer.ts'
import type { Tree } from '../../lbaas/tree.ts'
import type { SharedClients } from './clients.ts'

export const securityGroup = treeStep<SharedClients>({
  title: 'security group',
  upstream: 'UpdateVIPSecurityGroup',
  deadline_s: 60,
  done: tree => {
    const { security_group_id, security_group_rules } = tree.load_balancer
    return security_group_id !== null && sameOpenings(security_group_rules, openings(tree))
  },
  look: async (tree, { clients }) => {
    const group = await clients.neutron.securityGroup(tree.load_balancer.security_group_id!)
    if (!group) return { load_balancer: { security_group_id: null, security_group_rules: null } }
    const missing = openings(tree).some(opening => !group.security_group_rules.some(rule => opens(rule, opening)))
    return missing ? { load_balancer: { security_group_rules: null } } : {}
  },
  ensure: async (tree, { clients }) => {
    const { neutron } = clients
    const name = groupName(tree.load_balancer.id)
    const known = await neutron.securityGroups({ name })
    const group =
      known.find(g => g.id === tree.load_balancer.security_group_id) ??
      known[0] ??
      (await neutron.createSecurityGroup({ name, description: 'what may reach a load balancer' }))
    const wanted = openings(tree)
    await openUp(clients, group, wanted)
    for (const rule of group.security_group_rules)
      if (isListenerRule(rule) && !wanted.some(opening => opens(rule, opening)))
        await neutron.deleteSecurityGroupRule(rule.id)
    await deleteTwinGroups(clients, name, group.id)
    // on the VIP port it keeps nothing in or out; it keeps the group in use, so that nobody deletes it
    const { vip_port_id, vip_port_owned } = tree.load_balancer
    if (vip_port_id && vip_port_owned && tree.load_balancer.security_group_id !== group.id)
      await neutron.updatePort(vip_port_id, { security_groups: [group.id, ...tree.load_balancer.vip_sg_ids] })
    return { load_balancer: { security_group_id: group.id, security_group_rules: wanted } }
  },
})

/** The group goes, once no port uses it any more. */
export const releaseSecurityGroup = treeStep<SharedClients>({
  title: 'delete security group',
  upstream: 'DeleteVIPSecurityGroup',
  deadline_s: 120,
  done: tree => tree.load_balancer.gone.includes('security_group'),
  ensure: async (tree, context) => {
    for (const group of await context.clients.neutron.securityGroups({ name: groupName(tree.load_balancer.id) }))
      await deleteGroup(context, group.id)
    return { load_balancer: { gone: [...tree.load_balancer.gone, 'security_group'] } }
  },
})

export type Opening = SecurityGroupRules[number]

/** What is to be let in, in the families of the VIPs: the listeners' ports from their allowed networks; between the two of a
 *  pair VRRP and the ports of haproxy's peers. */
export function openings(tree: Tree): Opening[] {
  const familyOf = (text: string) => (text.includes(':') ? 'IPv6' : 'IPv4')
  const family = familyOf(tree.load_balancer.vip_address ?? '')
  const families = [...new Set(vipAddresses(tree.load_balancer).map(familyOf))]
  const guarded = tree.load_balancer.vip_sg_ids.length > 0 // the tenant's own groups let in whom they let in
  const pair = tree.load_balancer.topology === 'ACTIVE_STANDBY'
  const between = (protocol: string, port: number | null): Opening[] =>
    pair ? [{ protocol, port, ethertype: family, remote_ip_prefix: null }] : []
  const listened = tree.listeners
    .filter(listener => listener.provisioning_status !== 'PENDING_DELETE')
    .flatMap((listener): Opening[] => {
      const protocol = { UDP: 'udp', SCTP: 'sctp' }[listener.protocol as string] ?? 'tcp'
      const peers = between('tcp', listener.peer_port)
      if (guarded) return peers
      const opening = { protocol, port: listener.protocol_port }
      const cidrs = listener.allowed_cidrs ?? []
      const everybody = families.map((ethertype): Opening => ({ ...opening, ethertype, remote_ip_prefix: null }))
      const named = cidrs.map((cidr): Opening => ({ ...opening, ethertype: familyOf(cidr), remote_ip_prefix: cidr }))
      return [...(cidrs.length === 0 ? everybody : named), ...peers]
    })
  const shared = tree.amphorae.some(amphora => amphora.unit === 'load_balancer')
  const meeting = shared && listened.length > 0 ? between('tcp', FIRST_PEER_PORT) : []
  // VRRP, and the protocol that authenticated VRRP of before: Neutron has no names for them
  const vrrp = ['112', '51'].flatMap(protocol => between(protocol, null))
  return [...unique([...listened, ...meeting]), ...vrrp].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
}

function unique(all: Opening[]): Opening[] {
  return [...new Map(all.map(opening => [keyOf(opening), opening])).values()]
}

function sameOpenings(recorded: Opening[] | null, wanted: Opening[]): boolean {
  return recorded !== null && recorded.map(keyOf).join() === wanted.map(keyOf).join()
}

function keyOf({ protocol, port, ethertype, remote_ip_prefix }: Opening): string {
  return `${protocol} ${port} ${ethertype} ${remote_ip_prefix}`
}

function opens(rule: SecurityGroupRule, opening: Opening): boolean {
  return (
    rule.direction === 'ingress' &&
    rule.protocol === opening.protocol &&
    rule.ethertype === opening.ethertype &&
    rule.port_range_min === opening.port &&
    rule.port_range_max === opening.port &&
    rule.remote_ip_prefix === opening.remote_ip_prefix
  )
}

/** Of the kind that we make: egress, VRRP and whatever an operator added otherwise are left alone. */
function isListenerRule(rule: SecurityGroupRule): boolean {
  return rule.direction === 'ingress' && ['tcp', 'udp', 'sctp'].includes(rule.protocol ?? '')
}

async function openUp({ neutron }: SharedClients, group: SecurityGroup, wanted: Opening[]): Promise<void> {
  for (const opening of wanted) {
    if (group.security_group_rules.some(rule => opens(rule, opening))) continue
    try {
      await neutron.createSecurityGroupRule({
        security_group_id: group.id,
        direction: 'ingress',
        protocol: opening.protocol,
        ethertype: opening.ethertype,
        port_range_min: opening.port,
        port_range_max: opening.port,
        remote_ip_prefix: opening.remote_ip_prefix,
      })
    } catch (error) {
      if (!(error instanceof CloudError && error.kind === 'conflict')) throw error // 409: the rule is there
    }
  }
}

async function deleteTwinGroups({ neutron }: SharedClients, name: string, keep_id: string): Promise<void> {
  for (const twin of await neutron.securityGroups({ name }))
    if (twin.id !== keep_id) await neutron.deleteSecurityGroup(twin.id).catch(() => {}) // in use: the removal gets it
}

/** Ports leave a group slowly in a real Neutron: in use is worth waiting for. */
export async function deleteGroup({ clients, pause }: StepContext<SharedClients>, id: string): Promise<void> {
  for (let failures = 0; ; failures++) {
    try {
      return await clients.neutron.deleteSecurityGroup(id)
    } catch (error) {
      if (!(error instanceof CloudError && error.kind === 'conflict') || failures >= 15) throw error
      await pause(Math.min(50 * 2 ** failures, 2_000))
    }
  }
}

export function groupName(load_balancer_id: string): string {
  return `lb-${load_balancer_id}`
}
