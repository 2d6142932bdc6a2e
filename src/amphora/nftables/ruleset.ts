/** The nftables rules of one UDP listener, as a pure function of its document and of which members are down. */
import { createHash } from 'node:crypto'
import { isIP, isIPv6 } from 'node:net'
import type { DatagramListener, DatagramMember, DatagramPool } from './datagram-listener.ts'
import { hashSlots, type Share, turns } from './shares.ts'

/** One table per listener. Its chains: `watch` sees every datagram, counts it and, in `admit`, keeps out who is not to come
 *  in; `turn` sees the first one of each flow, and `choose` gives it the mark of a member, by what is remembered of the
 *  client or by the pool's rule, and the member's address; the kernel remembers both for the rest of the flow. `back` makes
 *  members answer by way of this machine. Members are elements of a map, not rules: a transaction has room for some 200 kB
 *  where the machine is in a user namespace (measured: 1,000 members with a chain each were refused).
 *  Throws RangeError for a value that is no address, so that nothing can end a word or a rule. */
export function rulesetOf(listener: DatagramListener, down: ReadonlySet<string>): Ruleset {
  const family = isIPv6(listener.vip_address) ? 'ip6' : 'ip'
  const pool = listener.default_pool
  const members = pool === null ? [] : numbered(pool.members.filter(each => sameFamily(each.address, family)))
  const chosen = usable(members, down)
  const clients = pool === null ? null : clientsOf(pool, family)
  const remember = clients === null ? [] : [`update @clients { ${family} saddr & ${clients.mask} : ct mark }`]
  const recall = clients === null ? [] : [`ct mark set ${family} saddr & ${clients.mask} map @clients`]
  const send = `meta l4proto udp dnat to ct mark map @members`
  const vip = address(listener.vip_address)
  const port = whole(listener.protocol_port)
  const flow = `meta l4proto udp ct original ${family} daddr ${vip} ct original proto-dst ${port}`
  const arriving = `${family} daddr ${vip} udp dport ${port}`
  const choosing =
    pool === null || chosen.length === 0
      ? []
      : [
          // one whose member is not there any more goes on to the next rule
          ...(clients === null ? [] : [...recall, ...remember.map(known), send]),
          `ct mark set ${choice(pool, family, chosen)}`,
          ...remember,
          send,
        ]
  const chains: Chain[] = [
    { name: 'admit', hook: null, rules: admission(listener, family, remember, chosen.length > 0) },
    { name: 'choose', hook: null, rules: ['counter name flows', ...choosing] },
    {
      name: 'watch',
      // after connection tracking, before addresses change
      hook: 'filter hook prerouting priority -150',
      // a member's answer may go to the very port, where the client's was that too
      rules: [`ct direction original ${arriving} goto admit`, `ct direction reply ${flow} counter name sent`],
    },
    { name: 'turn', hook: 'nat hook prerouting priority -100', rules: [`${arriving} goto choose`] },
    { name: 'back', hook: 'nat hook postrouting priority 100', rules: [`ct status dnat ${flow} masquerade`] },
  ]
  return {
    family,
    table: tableOf(listener.id),
    counters: ['received', 'sent', 'flows'],
    clients,
    members: chosen.map(each => `${mark(each.number)} : ${address(each.address)} . ${whole(each.protocol_port)}`),
    chains,
  }
}

export type Ruleset = {
  /** Of a listener of one family, or (inet) of any. */
  family: 'ip' | 'ip6' | 'inet'
  table: string
  counters: string[]
  /** The map from client to the mark of its member. */
  clients: { mask: string; timeout_s: number } | null
  /** The elements of the map from mark to member, of those who get new flows. */
  members: string[]
  chains: Chain[]
}

export type Chain = { name: string; hook: string | null; rules: string[] }

export function tableOf(listener_id: string): string {
  return `${TABLE_PREFIX}${name(listener_id).replaceAll('-', '_')}`
}

export const TABLE_PREFIX = 'udp_'

/** Members that keep the flows that they have: all that are enabled and not down; a weight of 0 gives nothing new. */
export function keeping({ default_pool }: DatagramListener, down: ReadonlySet<string>): DatagramMember[] {
  return (default_pool?.members ?? []).filter(each => each.admin_state_up && !down.has(each.id))
}

type Numbered = DatagramMember & Share

/** Who gets new flows: backups only while nobody else can. */
function usable(members: Numbered[], down: ReadonlySet<string>): Numbered[] {
  const able = members.filter(each => each.admin_state_up && each.weight > 0 && !down.has(each.id))
  const first = able.filter(each => !each.backup)
  return first.length > 0 ? first : able
}

/** A member's number comes from its id alone, so that what is remembered of clients outlives changes of the others. Of two
 *  with the same (one in a million pools of 90) the second takes the next. */
function numbered(members: DatagramMember[]): Numbered[] {
  const taken = new Set<number>()
  return members
    .toSorted((a, b) => (a.id < b.id ? -1 : 1))
    .map(member => {
      let number = createHash('sha256').update(member.id).digest().readUInt32BE(0) || 1
      while (taken.has(number)) number = number === 0xffff_ffff ? 1 : number + 1
      taken.add(number)
      return { ...member, number }
    })
}

function known(rule: string): string {
  return `ct mark != 0 ${rule}`
}

/** Where no member can serve, senders are told: nothing listens there. Their datagram leaves no trace in connection
 *  tracking, so that the next one finds a member that has come meanwhile. */
function admission(
  { allowed_cidrs, connection_limit }: DatagramListener,
  family: Ruleset['family'],
  remember: string[],
  open: boolean,
): string[] {
  const cidrs = allowed_cidrs.filter(each => sameFamily(each.split('/')[0]!, family)).map(network)
  const reject = `reject with ${family === 'ip' ? 'icmp' : 'icmpv6'} port-unreachable`
  const outsiders = cidrs.length > 0 ? [`${family} saddr != { ${cidrs.join(', ')} } drop`] : ['drop']
  return [
    ...(allowed_cidrs.length > 0 ? outsiders : []),
    ...(open ? [] : [`ct state new ${reject}`]),
    ...(connection_limit > 0 ? [`ct state new ct count over ${whole(connection_limit)} ${reject}`] : []),
    'counter name received',
    ...remember.map(known),
  ]
}

/** Which mark. The seed is fixed: two amphorae of a pair, and one after a change, choose alike. LEAST_CONNECTIONS takes turns
 *  too: the kernel cannot compare how many flows members have. */
function choice(pool: DatagramPool, family: Ruleset['family'], chosen: Numbered[]): string {
  const map = (slots: number[]) =>
    `map { ${slots.map((n, slot) => `${slot} : ${mark(chosen[n]!.number)}`).join(', ')} }`
  if (pool.lb_algorithm === 'SOURCE_IP') {
    const slots = hashSlots(chosen)
    return `jhash ${family} saddr mod ${slots.length} seed ${SEED} ${map(slots)}`
  }
  const slots = turns(chosen)
  if (slots !== null) return `numgen inc mod ${slots.length} ${map(slots)}`
  let sum = 0
  const ranges = chosen.map(({ number, weight }) => {
    const first = sum
    sum += weight
    return `${first}-${sum - 1} : ${mark(number)}`
  })
  return `numgen random mod ${sum} map { ${ranges.join(', ')} }`
}

const SEED = '0x0da7a6a1'

/** A netmask of the other family says nothing here. */
function clientsOf(pool: DatagramPool, family: Ruleset['family']): Ruleset['clients'] {
  if (pool.session_persistence === null) return null
  const { persistence_timeout, persistence_granularity } = pool.session_persistence
  const everyone = family === 'ip' ? '255.255.255.255' : 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'
  const mask = persistence_granularity !== null && sameFamily(persistence_granularity, family)
  return {
    mask: mask ? address(persistence_granularity) : everyone,
    timeout_s: Math.max(1, whole(persistence_timeout)),
  }
}

function mark(number: number): string {
  return `0x${number.toString(16)}`
}

function sameFamily(value: string, family: Ruleset['family']): boolean {
  return isIPv6(value) === (family === 'ip6')
}

export function address(value: string): string {
  return expected(isIP(value) !== 0 && !value.includes('%'), value, 'an address')
}

export function network(value: string): string {
  const [where = '', length = '', ...more] = value.split('/')
  const fits = /^\d{1,3}$/.test(length) && Number(length) <= (isIPv6(where) ? 128 : 32)
  address(where)
  return expected(fits && more.length === 0, value, 'a network')
}

function name(value: string): string {
  return expected(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(value), value, 'an id')
}

export function whole(value: number): number {
  expected(Number.isSafeInteger(value) && value >= 0, String(value), 'a whole number')
  return value
}

function expected(fits: boolean, text: string, what: string): string {
  if (!fits) throw new RangeError(`${JSON.stringify(text)} is not ${what}`)
  return text
}
