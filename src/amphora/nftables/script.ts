/** What nft is told to bring a listener's rules into force, or out of it. Each text is one transaction of the kernel's. */
import { createHash } from 'node:crypto'
import type { Chain, Ruleset } from './ruleset.ts'

/** From what is in force, to what is wanted, by the smallest change: chains that are the same are not touched, nor counters,
 *  nor what is remembered of clients. Null is in force: the table is made anew, whatever is there; `born` tells it from
 *  those before it. Connection tracking does not notice any of it. Several texts only where one would be too long: members
 *  come before they are chosen, and everything is in force, and said to be, with the last. */
export function scriptsOf(wanted: Ruleset, inForce: Ruleset | null, born: string): string[] {
  const at = `${wanted.family} ${wanted.table}`
  if (inForce !== null && fingerprintOf(inForce) === fingerprintOf(wanted)) return []
  const former = new Set(inForce?.members)
  const present = new Set(wanted.members)
  const coming = chunks(wanted.members.filter(each => !former.has(each))).map(each => elements('add', each, at))
  const going = chunks([...former].filter(each => !present.has(each))).map(each => elements('delete', each, at))
  const first = inForce === null ? table(wanted, at, born) : []
  const last = inForce === null ? rules(wanted, at) : difference(wanted, inForce, at)
  // a member that goes takes its mark with it, which another may have had meanwhile
  const steps = [...going.slice(1), ...coming.slice(1)].map(each => [each])
  const ends = [...last, ...going.slice(0, 1), ...coming.slice(0, 1)]
  const all = inForce === null && steps.length > 0 ? [first, ...steps, ends] : [...steps, [...first, ...ends]]
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
    `add map ${at} members { type mark : ${wanted.family === 'ip' ? 'ipv4_addr' : 'ipv6_addr'} . inet_service; }`,
  ]
}

function rules(wanted: Ruleset, at: string): string[] {
  return [
    `add counter ${at} ${FORCE_PREFIX}${fingerprintOf(wanted)}`,
    ...clientsMap(wanted, at),
    ...wanted.chains.map(chain => added(chain, at)),
    ...wanted.chains.flatMap(chain => filled(chain, at)),
  ]
}

function difference(wanted: Ruleset, inForce: Ruleset, at: string): string[] {
  const remembersAnew = JSON.stringify(inForce.clients) !== JSON.stringify(wanted.clients)
  const old = new Map(inForce.chains.map(chain => [chain.name, chain]))
  const named = new Set(wanted.chains.map(chain => chain.name))
  const fresh = wanted.chains.filter(chain => !old.has(chain.name))
  const changed = wanted.chains.filter(chain => {
    const former = old.get(chain.name)
    if (former === undefined) return false
    const mentions = remembersAnew && [...chain.rules, ...former.rules].some(rule => rule.includes('@clients'))
    return mentions || former.rules.join('\n') !== chain.rules.join('\n')
  })
  const gone = inForce.chains.filter(chain => !named.has(chain.name))
  return [
    `delete counter ${at} ${FORCE_PREFIX}${fingerprintOf(inForce)}`,
    `add counter ${at} ${FORCE_PREFIX}${fingerprintOf(wanted)}`,
    ...[...changed, ...gone].map(chain => `flush chain ${at} ${chain.name}`),
    ...(remembersAnew && inForce.clients !== null ? [`delete map ${at} clients`] : []),
    ...(remembersAnew ? clientsMap(wanted, at) : []),
    ...fresh.map(chain => added(chain, at)),
    ...[...fresh, ...changed].flatMap(chain => filled(chain, at)),
    ...gone.map(chain => `delete chain ${at} ${chain.name}`),
  ]
}

function elements(verb: 'add' | 'delete', some: string[], at: string): string {
  return `${verb} element ${at} members { ${some.join(', ')} }`
}

function chunks(all: string[]): string[][] {
  return Array.from({ length: Math.ceil(all.length / CHUNK) }, (_, n) => all.slice(n * CHUNK, (n + 1) * CHUNK))
}

/** Elements in one transaction; one of them takes some 80 bytes of the 200 kB. */
const CHUNK = 500

function clientsMap({ clients, family }: Ruleset, at: string): string[] {
  if (clients === null) return []
  const key = family === 'ip' ? 'ipv4_addr' : 'ipv6_addr'
  const size = 'size 65536; flags dynamic,timeout;'
  return [`add map ${at} clients { type ${key} : mark; ${size} timeout ${clients.timeout_s}s; }`]
}

function added({ name, hook }: Chain, at: string): string {
  return `add chain ${at} ${name}${hook === null ? '' : ` { type ${hook}; policy accept; }`}`
}

function filled({ name, rules }: Chain, at: string): string[] {
  return rules.map(rule => `add rule ${at} ${name} ${rule}`)
}
