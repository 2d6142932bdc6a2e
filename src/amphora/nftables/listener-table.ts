/** The nftables table of one UDP listener, and what is in it whoever chooses the members: rules of this file, or IPVS. */
import { isIPv6 } from 'node:net'
import { address, expected, network, whole } from '../checked.ts'
import { type DatagramListener, vipsOf } from './datagram-listener.ts'

/** A running agent tells what is in force by a digest of all this as JSON: a table of one family has to stay as it is, or
 *  the rules of every listener change with a new release. */
export type Ruleset = Maps & {
  /** Of a listener whose VIPs have one family, or (inet) of any. */
  family: Family | 'inet'
  table: string
  counters: string[]
  chains: Chain[]
  /** Where rules choose members in both families: what there is for IPv6, and the rest is for IPv4. */
  six?: Maps
}

export type Family = 'ip' | 'ip6'

/** What rules that choose members of one family look into. */
export type Maps = {
  /** The map from client to the mark of its member. */
  clients: { mask: string; timeout_s: number } | null
  /** The elements of the map from mark to member, of those who get new flows. */
  members: string[]
}

export type Chain = { name: string; hook: string | null; rules: string[] }

/** The maps by family; none where IPVS chooses. A suffix tells the names of one family from those of the other. */
export function mapsOf({ family, clients, members, six }: Ruleset): (Maps & { family: Family; suffix: string })[] {
  if (family !== 'inet') return [{ family, suffix: suffixOf(family, family), clients, members }]
  if (six === undefined) return []
  return [
    { family: 'ip', suffix: suffixOf('ip', family), clients, members },
    { family: 'ip6', suffix: suffixOf('ip6', family), ...six },
  ]
}

/** Of names that a table of both families has twice. */
export function suffixOf(family: Family, table: Ruleset['family']): string {
  if (table !== 'inet') return ''
  return family === 'ip' ? '4' : '6'
}

/** One can become the other by a difference; else a table takes the other's place. */
export function alike(one: Ruleset, other: Ruleset): boolean {
  return one.family === other.family && mapsOf(one).length === mapsOf(other).length
}

/** `watch` sees every datagram, counts it and, in `admit`, keeps out who is not to come in; `turn` sees the first one of each
 *  flow, which `choose` is for; `back` brings answers by way of this machine, for flows that `returning` is true of. */
export function chainsOf(listener: DatagramListener, family: Ruleset['family'], own: OwnRules): Chain[] {
  const port = whole(listener.protocol_port)
  const vips = vipsOf(listener).map(vip => `${familyOf(vip)} daddr ${address(vip)}`)
  const arriving = vips.map(vip => `${vip} udp dport ${port}`)
  const flows = vips.map(vip => `meta l4proto udp ct original ${vip} ct original proto-dst ${port}`)
  return [
    { name: 'admit', hook: null, rules: [...strangers(listener, family), ...own.admit] },
    { name: 'choose', hook: null, rules: ['counter name flows', ...own.choose] },
    ...(own.beside ?? []),
    {
      name: 'watch',
      // after connection tracking, before addresses change
      hook: 'filter hook prerouting priority -150',
      rules: [
        ...arriving.map(each => `ct direction original ${each} goto admit`),
        // a member's answer may go to the very port, where the client's was that too
        ...flows.map(each => `ct direction reply ${each} counter name sent`),
      ],
    },
    { name: 'turn', hook: 'nat hook prerouting priority -100', rules: arriving.map(each => `${each} goto choose`) },
    {
      name: 'back',
      hook: 'nat hook postrouting priority 100',
      rules: flows.map(each => `${own.returning}${each} masquerade`),
    },
  ]
}

export type OwnRules = {
  admit: string[]
  choose: string[]
  /** Chains that `choose` goes on to. */
  beside?: Chain[]
  /** Words that a rule begins with. */
  returning: string
}

export const counters = ['received', 'sent', 'flows']

export function tableOf(listener_id: string): string {
  return `${TABLE_PREFIX}${name(listener_id).replaceAll('-', '_')}`
}

export const TABLE_PREFIX = 'udp_'

/** Networks of one family let nobody of the other in. */
function strangers({ allowed_cidrs }: DatagramListener, table: Ruleset['family']): string[] {
  if (allowed_cidrs.length === 0) return []
  return (table === 'inet' ? (['ip', 'ip6'] as const) : [table]).map(family => {
    const own = allowed_cidrs.filter(each => familyOf(each.split('/')[0]!) === family).map(network)
    if (own.length > 0) return `${family} saddr != { ${own.join(', ')} } drop`
    return `${only(family, table)}drop`
  })
}

/** The words that keep a rule which names no address to one family. */
export function only(family: Family, table: Ruleset['family']): string {
  if (table !== 'inet') return ''
  return `meta nfproto ${family === 'ip' ? 'ipv4' : 'ipv6'} `
}

export function familyOf(value: string): Family {
  return isIPv6(value) ? 'ip6' : 'ip'
}

function name(value: string): string {
  return expected(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(value), value, 'an id')
}
