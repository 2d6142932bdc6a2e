/** nftables text of a switch and of its ports: anti-spoofing, then stateful security groups. Pure. */
import { Address4, Address6 } from 'ip-address'
import type { FabricPort, FabricRule } from './fabric.ts'

/** What every switch starts with. Connections are tracked in family inet, through the bridge's netfilter hooks (family
 *  bridge has no conntrack in many kernels); a mark carries "established" over to family bridge. Only what answers has it:
 *  whoever began is judged by the rules all along, so that a rule that goes cuts what it had let in, as a real Neutron does.
 *  Of protocols without connections (VRRP) nobody answers. */
export const switchTables = `table inet state {
  chain forward {
    type filter hook forward priority 0; policy accept;
    ct state related meta mark set 0x10000
    ct state established ct direction reply meta l4proto { tcp, udp, sctp, icmp, ipv6-icmp } meta mark set 0x10000
  }
}
table bridge groups {
  map inward { type ifname : verdict; }
  map outward { type ifname : verdict; }
  chain forward {
    type filter hook forward priority 200; policy drop;
    iifname vmap @inward
  }
  chain receive {
    oifname vmap @outward
    drop
  }
}
`

/** The name of a port's link at the switch, Neutron's form; interface names end at 15 characters. */
export function tapName(port_id: string): string {
  return `tap${port_id.slice(0, 11)}`
}

/** (Re)writes a port's two chains: what it may send, and what it may receive. Loading it twice changes nothing. */
export function portChains(port: FabricPort): string {
  const [sends, receives] = chainNames(port.id)
  const tap = tapName(port.id)
  const lines = [
    `add chain bridge groups ${sends}`,
    `add chain bridge groups ${receives}`,
    `flush chain bridge groups ${sends}`,
    `flush chain bridge groups ${receives}`,
    ...sending(port).map(rule => `add rule bridge groups ${sends} ${rule}`),
    ...receiving(port).map(rule => `add rule bridge groups ${receives} ${rule}`),
    `add element bridge groups inward { "${tap}" : goto ${sends} }`,
    `add element bridge groups outward { "${tap}" : goto ${receives} }`,
  ]
  return `${lines.join('\n')}\n`
}

/** Takes a port's chains away; the port must have some. */
export function portChainsGone(port_id: string): string {
  const [sends, receives] = chainNames(port_id)
  const tap = tapName(port_id)
  return `delete element bridge groups inward { "${tap}" }
delete element bridge groups outward { "${tap}" }
delete chain bridge groups ${sends}
delete chain bridge groups ${receives}
`
}

function chainNames(port_id: string): [sends: string, receives: string] {
  const key = port_id.replace(/-/g, '_')
  return [`sends_${key}`, `receives_${key}`]
}

function sending(port: FabricPort): string[] {
  if (!port.port_security_enabled) return ['goto receive']
  const own = port.fixed_ips.map(ip => ({ ip_address: ip.ip_address, mac_address: port.mac_address }))
  const allowed = [...own, ...port.allowed_address_pairs]
  const macs = unique([port.mac_address, ...allowed.map(pair => pair.mac_address)])
  const v4 = unique(allowed.map(pair => pair.ip_address).filter(ip => !ip.includes(':')))
  const v6 = unique(allowed.map(pair => pair.ip_address).filter(ip => ip.includes(':')))
  return [
    `ether saddr != { ${macs.join(', ')} } drop`,
    ...onlyFrom('ether type arp', 'arp saddr ip', v4),
    ...onlyFrom('ether type ip', 'ip saddr', v4),
    // Link-local addresses and, for duplicate address detection, none at all are every host's own.
    ...onlyFrom('ether type ip6', 'ip6 saddr', [...v6, 'fe80::/64', '::']),
    'ether type arp accept',
    neighbourDiscovery,
    established,
    ...port.rules
      .filter(rule => rule.direction === 'egress')
      .flatMap(rule => matches(rule).map(m => `${m} goto receive`)),
    'drop',
  ]
}

function receiving(port: FabricPort): string[] {
  if (!port.port_security_enabled) return ['accept']
  return [
    ...port.rules.filter(rule => rule.direction === 'ingress').flatMap(rule => matches(rule).map(m => `${m} accept`)),
    'drop',
  ]
}

const neighbourDiscovery =
  'meta l4proto ipv6-icmp icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } accept'
const established = 'meta mark & 0x10000 == 0x10000 accept'

/** Drops what matches and has any other source. */
function onlyFrom(match: string, field: string, sources: string[]): string[] {
  if (sources.length === 0) return [`${match} drop`]
  return [`${match} ${field} != { ${outermost(sources).join(', ')} } drop`]
}

/** The rule's matches: one for each remote prefix. */
function matches(rule: FabricRule): string[] {
  const family = rule.ethertype === 'IPv4' ? 'ip' : 'ip6'
  const side = rule.direction === 'ingress' ? 'saddr' : 'daddr'
  const head = `ether type ${family}`
  const tail = protocolMatch(rule)
  if (rule.remote_ip_prefixes === null) return [`${head}${tail}`]
  return rule.remote_ip_prefixes
    .filter(prefix => prefix.includes(':') === (family === 'ip6'))
    .map(prefix => `${head} ${family} ${side} ${prefix}${tail}`)
}

function protocolMatch(rule: FabricRule): string {
  const { protocol, port_range_min: min, port_range_max: max } = rule
  if (protocol === null) return ''
  const name = protocolNames[protocol] ?? protocol
  const match = ` meta l4proto ${name}`
  if (min === null) return match
  if (name === 'icmp' || name === 'ipv6-icmp') {
    const field = name === 'icmp' ? 'icmp' : 'icmpv6'
    return `${match} ${field} type ${min}${max === null ? '' : ` ${field} code ${max}`}`
  }
  return `${match} th dport ${min}${max === null || max === min ? '' : `-${max}`}`
}

const protocolNames: Record<string, string> = {
  '1': 'icmp',
  '6': 'tcp',
  '17': 'udp',
  '58': 'ipv6-icmp',
  '132': 'sctp',
  icmpv6: 'ipv6-icmp',
}

function unique(values: string[]): string[] {
  return [...new Set(values)]
}

/** Without those that lie in a prefix of the same list: nft refuses overlapping intervals in one set. */
function outermost(addresses: string[]): string[] {
  return addresses.filter(a => !addresses.some(b => b !== a && b.includes('/') && inside(a, b)))
}

function inside(a: string, b: string): boolean {
  if (a.includes(':') !== b.includes(':')) return false
  return a.includes(':') ? new Address6(a).isInSubnet(new Address6(b)) : new Address4(a).isInSubnet(new Address4(b))
}
