/** What nft is told to bring a listener's rules into force, or out of it; each text is one transaction of the kernel's. */
import { createHash } from 'node:crypto'
import type { Chain, Ruleset } from './ruleset.ts'

/** From what is in force, to what is wanted, by the smallest change: chains that are the same are not touched, nor counters,
 *  nor what is remembered of clients. Null is in force: the table is made anew, whatever is there; `born` tells it from
 *  those before it. Connection tracking does not notice any of it. */
export function scriptOf(wanted: Ruleset, inForce: Ruleset | null, born: string): string {
  const at = `${wanted.family} ${wanted.table}`
  const lines = inForce === null ? whole(wanted, at, born) : difference(wanted, inForce, at)
  return lines.map(line => `${line}\n`).join('')
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
 *  keep account of haproxy's connections. */
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
]
  .map(line => `${line}\n`)
  .join('')

function whole(wanted: Ruleset, at: string, born: string): string[] {
  return [
    ...[`add table ${at}`, `delete table ${at}`, `add table ${at}`],
    ...[...wanted.counters, `${BORN_PREFIX}${born}`, `${FORCE_PREFIX}${fingerprintOf(wanted)}`].map(each => {
      return `add counter ${at} ${each}`
    }),
    ...clientsMap(wanted, at),
    ...wanted.chains.map(chain => added(chain, at)),
    ...wanted.chains.flatMap(chain => filled(chain, at)),
  ]
}

function difference(wanted: Ruleset, inForce: Ruleset, at: string): string[] {
  const [before, after] = [fingerprintOf(inForce), fingerprintOf(wanted)]
  if (before === after) return []
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
    `delete counter ${at} ${FORCE_PREFIX}${before}`,
    `add counter ${at} ${FORCE_PREFIX}${after}`,
    ...[...changed, ...gone].map(chain => `flush chain ${at} ${chain.name}`),
    ...(remembersAnew && inForce.clients !== null ? [`delete map ${at} clients`] : []),
    ...(remembersAnew ? clientsMap(wanted, at) : []),
    ...fresh.map(chain => added(chain, at)),
    ...[...fresh, ...changed].flatMap(chain => filled(chain, at)),
    ...gone.map(chain => `delete chain ${at} ${chain.name}`),
  ]
}

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
