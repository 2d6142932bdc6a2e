/** Protocols of security group rules, as the machine calls what Neutron has names for. */
import type { Rule } from './documents.ts'

/** The machine knows the common names; all others go by their numbers. Null is any. */
export function machineProtocol(protocol: string | null, ethertype: Rule['ethertype']): string | null {
  if (protocol === null || protocol === 'ip') return null
  if (protocol === 'icmpv6' || (protocol === 'icmp' && ethertype === 'IPv6')) return 'ipv6-icmp'
  return numbers[protocol] ?? protocol
}

/** IANA's protocol numbers of the names that Neutron takes. */
const numbers: Record<string, string> = {
  hopopt: '0',
  igmp: '2',
  ipip: '4',
  egp: '8',
  dccp: '33',
  'ipv6-encap': '41',
  'ipv6-route': '43',
  'ipv6-frag': '44',
  rsvp: '46',
  gre: '47',
  esp: '50',
  ah: '51',
  'ipv6-nonxt': '59',
  'ipv6-opts': '60',
  ospf: '89',
  vrrp: '112',
  pgm: '113',
  udplite: '136',
}
