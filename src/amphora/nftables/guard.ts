/** What nftables does for a UDP listener whose members IPVS chooses: it keeps strangers out, counts, and brings answers back. */
import { isIP } from 'node:net'
import { type DatagramListener, vipsOf } from './datagram-listener.ts'
import { address, network, type Ruleset, tableOf, whole } from './ruleset.ts'

/** The chains are those of rulesetOf, without the choice of a member; `flows` counts first datagrams. IPVS' own counters
 *  begin anew with every start of keepalived, and are told by its own program only. */
export function guardOf(listener: DatagramListener): Ruleset {
  const port = whole(listener.protocol_port)
  const vips = vipsOf(listener).map(vip => ({ family: isIP(vip) === 6 ? 'ip6' : 'ip', vip: address(vip) }))
  const arriving = vips.map(({ family, vip }) => `${family} daddr ${vip} udp dport ${port}`)
  const flows = vips.map(
    ({ family, vip }) => `meta l4proto udp ct original ${family} daddr ${vip} ct original proto-dst ${port}`,
  )
  return {
    family: 'inet',
    table: tableOf(listener.id),
    counters: ['received', 'sent', 'flows'],
    clients: null,
    members: [],
    chains: [
      { name: 'admit', hook: null, rules: [...admission(listener), 'counter name received'] },
      { name: 'choose', hook: null, rules: ['counter name flows'] },
      {
        name: 'watch',
        hook: 'filter hook prerouting priority -150',
        rules: [
          ...arriving.map(each => `ct direction original ${each} goto admit`),
          ...flows.map(each => `ct direction reply ${each} counter name sent`),
        ],
      },
      { name: 'turn', hook: 'nat hook prerouting priority -100', rules: arriving.map(each => `${each} goto choose`) },
      // IPVS gives datagrams another destination and leaves the sender: answers would go past this machine
      { name: 'back', hook: 'nat hook postrouting priority 100', rules: flows.map(each => `${each} masquerade`) },
    ],
  }
}

/** Networks of one family let nobody of the other in. */
function admission({ allowed_cidrs }: DatagramListener): string[] {
  if (allowed_cidrs.length === 0) return []
  return (['ip', 'ip6'] as const).map(family => {
    const own = allowed_cidrs.filter(each => (isIP(each.split('/')[0]!) === 6) === (family === 'ip6')).map(network)
    if (own.length > 0) return `${family} saddr != { ${own.join(', ')} } drop`
    return `meta nfproto ${family === 'ip' ? 'ipv4' : 'ipv6'} drop`
  })
}
