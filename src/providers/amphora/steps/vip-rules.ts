/** Who may reach the VIP, where its port is by SR-IOV: the cloud's firewall does not see what comes, so the amphora's does. */
import { digest } from '../../../amphora/digest.ts'
import type { InterfaceRule } from '../../../amphora/rest.ts'
import { amphoraStep } from '../../../controller/flow.ts'
import type { Amphora } from '../../../lbaas/amphora.ts'
import type { Tree } from '../../../lbaas/tree.ts'
import { openings } from '../../shared/security-group.ts'
import type { Clients } from '../clients.ts'

export const vipRules = amphoraStep<Clients>({
  title: 'rules of the VIP',
  upstream: 'SetAmphoraFirewallRules',
  deadline_s: 60,
  done: (amphora, tree) => amphora.vip_rules === digest(rulesOf(amphora, tree)),
  // an agent does not tell them: they are said again
  look: async amphora => (amphora.vip_rules === null ? {} : { vip_rules: null }),
  ensure: async (amphora, tree, { clients }) => {
    const rules = rulesOf(amphora, tree)
    await clients.agent(amphora).interfaceRules(amphora.vrrp_ip!, rules)
    return { vip_rules: digest(rules) }
  },
})

/** The same that the security group lets in; but what the two of a pair say to each other comes from the other one alone. */
function rulesOf(amphora: Amphora, tree: Tree): InterfaceRule[] {
  const partners = tree.amphorae.flatMap(one => (one.id === amphora.id || one.vrrp_ip === null ? [] : [one.vrrp_ip]))
  const hosts = [...new Set(partners)].sort().map(ip => `${ip}/${ip.includes(':') ? 128 : 32}`)
  const listened = new Set(tree.listeners.map(listener => listener.protocol_port))
  const rules = openings(tree).flatMap(({ protocol, port, remote_ip_prefix }): InterfaceRule[] => {
    if (protocol === '112') return hosts.map(cidr => ({ protocol: 'VRRP', cidr, port: 112 }))
    const named = ({ tcp: 'TCP', udp: 'UDP', sctp: 'SCTP' } as const)[protocol]
    if (named === undefined || port === null) return []
    if (listened.has(port)) return [{ protocol: named, cidr: remote_ip_prefix, port }]
    return hosts.map(cidr => ({ protocol: named, cidr, port }))
  })
  // an opening to everybody is one of each family
  return [...new Map(rules.map(rule => [JSON.stringify(rule), rule])).values()]
}
