/** What nft is told to bring a listener's rules into force, or out of it. Each text is one transaction of the kernel's. */
import { createHash } from 'node:crypto'
import { alike, type Chain, mapsOf, type Ruleset } from './listener-table.ts'

/** From what is in force, to what is wanted, by the smallest change: chains that are the same are not touched, nor counters,
 *  nor what is remembered of clients. Null is in force: the table is made anew, whatever is there; `born` tells it from
 *  those before it. So it is where another kind of table is in force, which goes when the new one has its rules. Connection
 *  tracking does not notice any of it. Several texts only where one would be too long: members come before they are chosen,
 *  and everything is in force, and said to be, with the last. */
export function scriptsOf(wanted: Ruleset, inForce: Ruleset | null, born: string): string[] {
  const at = `${wanted.family} ${wanted.table}`
  if (inForce !== null && fingerprintOf(inForce) === fingerprintOf(wanted)) return []
  const former = inForce !== null && alike(inForce, wanted) ? inForce : null
  const coming = elements('add', wanted, former, at)
  const going = former === null ? [] : elements('delete', former, wanted, at)
  const first = former === null ? table(wanted, at, born) : []
  const last = former === null ? rules(wanted, at) : difference(wanted, former, at)
  // one of the same name and family has gone already
  const replaced = inForce !== null && inForce.family !== wanted.family ? [removal(inForce).trimEnd()] : []
  // a member that goes takes its mark with it, which another may have had meanwhile
  const steps = [...going.slice(1), ...coming.slice(1)]
  const ends = [...replaced, ...last, ...going.slice(0, 1).flat(), ...coming.slice(0, 1).flat()]
  const all = former === null && steps.length > 0 ? [first, ...steps, ends] : [...steps, [...first, ...ends]]
  return all.map(lines => lines.map(line => `${line}\n`).join(''))
}

/** What tells a ruleset from all others; the kernel keeps it as the name of a counter, so that an agent that starts anew
 *  knows what is in force. */
export function fingerprintOf(ruleset: Ruleset): string {
  return createHash('sha256').update(JSON.stringify(ruleset)).digest('hex').slice(0, 16)
}

/** Counters whose names say something. */
export const FORCE_PREFIX = 'force_'
export const BORN_PREFIX = 'born_'

export function removal({ family, table }: Pick<Ruleset, 'family' | 'table'>): string {
  return `add table ${family} ${table}\ndelete table ${family} ${table}\n`
}

/** What the machine needs beside listeners' own tables: it forwards datagrams of listeners and nothing else, and does not
 *  keep account of haproxy's connections. What belongs to a flow was let in with the flow's first datagram, by `dnat` or,
 *  before anything is forwarded, by IPVS. */
export const GROUND_TABLE = 'datagrams'
export const ground = [
  `add table inet ${GROUND_TABLE}`,
  `add chain inet ${GROUND_TABLE} untracked_in { type filter hook prerouting priority -300; policy accept; }`,
  `add chain inet ${GROUND_TABLE} untracked_out { type filter hook output priority -300; policy accept; }`,
  `add chain inet ${GROUND_TABLE} forwarded { type filter hook forward priority 0; policy drop; }`,
  ...['untracked_in', 'untracked_out', 'forwarded'].map(chain => `flush chain inet ${GROUND_TABLE} ${chain}`),
  `add rule inet ${GROUND_TABLE} untracked_in meta l4proto tcp notrack`,
  `add rule inet ${GROUND_TABLE} untracked_out meta l4proto tcp notrack`,
  `add rule inet ${GROUND_TABLE} forwarded ct status dnat accept`,
  `add rule inet ${GROUND_TABLE} forwarded ct state established,related accept`,
]
  .map(line => `${line}\n`)
  .join('')

function table(wanted: Ruleset, at: string, born: string): string[] {
  return [
    ...[`add table ${at}`, `delete table ${at}`, `add table ${at}`],
    ...[...wanted.counters, `${BORN_PREFIX}${born}`].map(each => `add counter ${at} ${each}`),
    ...mapsOf(wanted).map(({ suffix, family }) => {
      return `add map ${at} members${suffix} { type mark : ${kinds[family]} . inet_service; }`
    }),
  ]
}

function rules(wanted: Ruleset, at: string): string[] {
  return [
    `add counter ${at} ${FORCE_PREFIX}${fingerprintOf(wanted)}`,
    ...mapsOf(wanted).flatMap(each => clientsMap(each, at)),
    ...wanted.chains.map(chain => added(chain, at)),
    ...wanted.chains.flatMap(chain => filled(chain, at)),
  ]
}

function difference(wanted: Ruleset, inForce: Ruleset, at: string): string[] {
  const formerly = new Map(mapsOf(inForce).map(each => [each.suffix, each.clients]))
  const anew = mapsOf(wanted).filter(({ suffix, clients }) => {
    return JSON.stringify(clients) !== JSON.stringify(formerly.get(suffix))
  })
  const forgotten = anew.filter(({ suffix }) => formerly.get(suffix) !== null).map(({ suffix }) => `clients${suffix}`)
  const old = new Map(inForce.chains.map(chain => [chain.name, chain]))
  const named = new Set(wanted.chains.map(chain => chain.name))
  const fresh = wanted.chains.filter(chain => !old.has(chain.name))
  const changed = wanted.chains.filter(chain => {
    const former = old.get(chain.name)
    if (former === undefined) return false
    const mentions = forgotten.some(map => former.rules.some(rule => `${rule} `.includes(`@${map} `)))
    return mentions || former.rules.join('\n') !== chain.rules.join('\n')
  })
  const gone = inForce.chains.filter(chain => !named.has(chain.name))
  return [
    `delete counter ${at} ${FORCE_PREFIX}${fingerprintOf(inForce)}`,
    `add counter ${at} ${FORCE_PREFIX}${fingerprintOf(wanted)}`,
    ...[...changed, ...gone].map(chain => `flush chain ${at} ${chain.name}`),
    ...forgotten.map(map => `delete map ${at} ${map}`),
    ...anew.flatMap(each => clientsMap(each, at)),
    ...fresh.map(chain => added(chain, at)),
    ...[...fresh, ...changed].flatMap(chain => filled(chain, at)),
    ...gone.map(chain => `delete chain ${at} ${chain.name}`),
  ]
}

/** Lines for the members of one that the other does not have, as many at a time as go into one transaction. */
function elements(verb: 'add' | 'delete', those: Ruleset, others: Ruleset | null, at: string): string[][] {
  const there = new Map(others === null ? [] : mapsOf(others).map(each => [each.suffix, new Set(each.members)]))
  const some = mapsOf(those).flatMap(({ suffix, members }) => {
    return members.filter(each => !there.get(suffix)?.has(each)).map(element => ({ map: `members${suffix}`, element }))
  })
  return chunks(some).map(chunk => {
    return [...Map.groupBy(chunk, each => each.map)].map(([map, each]) => {
      return `${verb} element ${at} ${map} { ${each.map(({ element }) => element).join(', ')} }`
    })
  })
}

function chunks<T>(all: T[]): T[][] {
  return Array.from({ length: Math.ceil(all.length / CHUNK) }, (_, n) => all.slice(n * CHUNK, (n + 1) * CHUNK))
}

/** Elements in one transaction; one of them takes some 80 bytes of the 200 kB. */
const CHUNK = 500

function clientsMap({ clients, family, suffix }: ReturnType<typeof mapsOf>[number], at: string): string[] {
  if (clients === null) return []
  const size = 'size 65536; flags dynamic,timeout;'
  return [`add map ${at} clients${suffix} { type ${kinds[family]} : mark; ${size} timeout ${clients.timeout_s}s; }`]
}

const kinds = { ip: 'ipv4_addr', ip6: 'ipv6_addr' }

function added({ name, hook }: Chain, at: string): string {
  return `add chain ${at} ${name}${hook === null ? '' : ` { type ${hook}; policy accept; }`}`
}

function filled({ name, rules }: Chain, at: string): string[] {
  return rules.map(rule => `add rule ${at} ${name} ${rule}`)
}
