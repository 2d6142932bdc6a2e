/** The nftables rules of one UDP listener, as a pure function of its document and of which members are down. */
import { createHash } from 'node:crypto'
import { address, whole } from '../checked.ts'
import { type DatagramListener, type DatagramMember, type DatagramPool, vipsOf } from './datagram-listener.ts'
import {
  type Chain,
  chainsOf,
  counters,
  type Family,
  familyOf,
  type Maps,
  only,
  type Ruleset,
  suffixOf,
  tableOf,
} from './listener-table.ts'
import { hashSlots, type Share, turns } from './shares.ts'

/** One table per listener. Its chain `choose` gives the first datagram of a flow the mark of a member of its own family, by
 *  what is remembered of the client or by the pool's rule, and the member's address; the kernel remembers both for the rest
 *  of the flow. Members are elements of a map, not rules: a transaction has room for some 200 kB where the machine is in a
 *  user namespace (measured: 1,000 members with a chain each were refused). VIPs of both families share a table, because a
 *  limit of the listener's has to be counted in one place.
 *  Throws RangeError for a value that is no address, so that nothing can end a word or a rule. */
export function rulesetOf(listener: DatagramListener, down: ReadonlySet<string>): Ruleset {
  const families = (['ip', 'ip6'] as const).filter(family => vipsOf(listener).some(vip => familyOf(vip) === family))
  const table = families.length === 1 ? families[0]! : 'inet'
  const sides = families.map(family => sideOf(listener.default_pool, family, table, down))
  const [first, six] = sides
  return {
    family: table,
    table: tableOf(listener.id),
    counters,
    clients: first!.clients,
    members: first!.members,
    chains: chainsOf(listener, table, {
      admit: admission(listener, table, sides),
      choose: six === undefined ? first!.choosing : sides.map(each => `${only(each.family, table)}goto ${each.chain}`),
      beside:
        six === undefined ? [] : sides.map((each): Chain => ({ name: each.chain, hook: null, rules: each.choosing })),
      returning: 'ct status dnat ',
    }),
    ...(six === undefined ? {} : { six: { clients: six.clients, members: six.members } }),
  }
}

/** What one family has of a table. */
type Side = Maps & {
  family: Family
  chain: string
  choosing: string[]
  /** Notes the client's member, or notes it again. */
  remember: string[]
}

function sideOf(pool: DatagramPool | null, family: Family, table: Ruleset['family'], down: ReadonlySet<string>): Side {
  const suffix = suffixOf(family, table)
  const own = pool === null ? [] : numbered(pool.members.filter(each => familyOf(each.address) === family))
  const chosen = usable(own, down)
  const clients = pool === null ? null : clientsOf(pool, family)
  const client = clients === null ? '' : `${family} saddr & ${clients.mask}`
  const remember = clients === null ? [] : [`update @clients${suffix} { ${client} : ct mark }`]
  const recall = clients === null ? [] : [`ct mark set ${client} map @clients${suffix}`]
  const send = `meta l4proto udp dnat ${table === 'inet' ? `${family} ` : ''}to ct mark map @members${suffix}`
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
  const members = chosen.map(each => `${mark(each.number)} : ${address(each.address)} . ${whole(each.protocol_port)}`)
  return { family, chain: `choose${suffix}`, choosing, remember, clients, members }
}

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
function admission({ connection_limit }: DatagramListener, table: Ruleset['family'], sides: Side[]): string[] {
  const closed = sides.filter(each => each.members.length === 0)
  return [
    ...closed.map(({ family }) => `${only(family, table)}ct state new ${rejecting(family)}`),
    ...(connection_limit > 0 ? [`ct state new ct count over ${whole(connection_limit)} ${rejecting(table)}`] : []),
    'counter name received',
    ...sides.flatMap(each => each.remember.map(known)),
  ]
}

function rejecting(family: Ruleset['family']): string {
  return `reject with ${{ ip: 'icmp', ip6: 'icmpv6', inet: 'icmpx' }[family]} port-unreachable`
}

/** Which mark. The seed is fixed: two amphorae of a pair, and one after a change, choose alike. LEAST_CONNECTIONS takes turns
 *  too: the kernel cannot compare how many flows members have. */
function choice(pool: DatagramPool, family: Family, chosen: Numbered[]): string {
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
function clientsOf(pool: DatagramPool, family: Family): Maps['clients'] {
  if (pool.session_persistence === null) return null
  const { persistence_timeout, persistence_granularity } = pool.session_persistence
  const everyone = family === 'ip' ? '255.255.255.255' : 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'
  const mask = persistence_granularity !== null && familyOf(persistence_granularity) === family
  return {
    mask: mask ? address(persistence_granularity) : everyone,
    timeout_s: Math.max(1, whole(persistence_timeout)),
  }
}

function mark(number: number): string {
  return `0x${number.toString(16)}`
}
