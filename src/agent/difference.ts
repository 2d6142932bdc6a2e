/** What has to be done to a running haproxy so that it does what another configuration says. */
import type { Configuration, Section, Server } from './configuration.ts'

/** Pure. `runtime`: these operations, in this order, are the whole difference; `reload`: haproxy's socket cannot express
 *  it. Servers may come, go and change; the limits on connections may change; everything else is a reload. */
export function difference(running: Configuration, wanted: Configuration): Difference {
  if (running.sections.length !== wanted.sections.length) return { kind: 'reload', reason: 'sections come or go' }
  const operations: Operation[] = []
  for (const [i, section] of wanted.sections.entries()) {
    const found = ofSection(running.sections[i]!, section)
    if (typeof found === 'string') return { kind: 'reload', reason: found }
    operations.push(...found)
  }
  if (operations.length === 0) return { kind: 'none' }
  if (operations.length > MOST_OPERATIONS) return { kind: 'reload', reason: 'more changes than a reload takes time' }
  const order: Operation['kind'][] = [
    'global_maxconn',
    'frontend_maxconn',
    'add',
    'address',
    'check_place',
    'weight',
    'state',
    'replace',
    'remove',
  ]
  operations.sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind))
  return { kind: 'runtime', operations }
}

export type Difference =
  | { kind: 'none' }
  | { kind: 'reload'; reason: string }
  | { kind: 'runtime'; operations: Operation[] }

export type Operation =
  | { kind: 'add'; backend: string; server: Server }
  | { kind: 'remove'; backend: string; name: string }
  /** Removed and added under its name, because something has no setter. */
  | { kind: 'replace'; backend: string; server: Server }
  | { kind: 'address'; backend: string; name: string; address: string; port: string }
  /** Where its health is asked for; null: as it was. */
  | { kind: 'check_place'; backend: string; name: string; address: string | null; port: string | null }
  | { kind: 'weight'; backend: string; name: string; weight: number }
  | { kind: 'state'; backend: string; name: string; disabled: boolean }
  | { kind: 'frontend_maxconn'; frontend: string; maxconn: number }
  | { kind: 'global_maxconn'; maxconn: number }

/** An operation takes up to 2 ms, a reload about 60 ms and every kept-alive connection. */
const MOST_OPERATIONS = 200

/** The operations, or why there are none. */
function ofSection(running: Section, wanted: Section): Operation[] | string {
  const title = `${wanted.kind} ${wanted.name}`
  if (running.kind !== wanted.kind || running.name !== wanted.name) return `${title} comes or goes`
  const limits = ofLimits(running, wanted)
  if (typeof limits === 'string') return limits
  const before = new Map(running.servers.map(each => [each.name, each]))
  const after = new Map(wanted.servers.map(each => [each.name, each]))
  if (before.size < running.servers.length || after.size < wanted.servers.length) return `${title} has servers twice`
  const operations: Operation[] = [...limits]
  // haproxy 2.6 dies (SIGSEGV) soon after a server with such a check has come or gone on the socket.
  const external = wanted.lines.some(line => line[0] === 'option' && line[1] === 'external-check')
  const moves = ({ kind }: Operation) => kind === 'add' || kind === 'replace' || kind === 'remove'
  for (const server of wanted.servers) {
    const found = ofServer(wanted.name, before.get(server.name), server)
    if (typeof found === 'string') return found
    operations.push(...found)
  }
  for (const { name } of running.servers) {
    if (after.has(name)) continue
    if (!plain(wanted.name, name)) return `a name in ${title} cannot be written on the socket`
    operations.push({ kind: 'remove', backend: wanted.name, name })
  }
  if (external && operations.some(moves)) return `servers of ${title}, which is checked by a program, come or go`
  return operations
}

/** All lines but the servers'. */
function ofLimits(running: Section, wanted: Section): Operation[] | string {
  const title = `${wanted.kind} ${wanted.name}`.trim()
  const operations: Operation[] = []
  if (running.lines.length !== wanted.lines.length) return `lines of ${title} come or go`
  for (const [i, line] of wanted.lines.entries()) {
    const former = running.lines[i]!
    if (JSON.stringify(former) === JSON.stringify(line)) continue
    const maxconn = line[0] === 'maxconn' && former[0] === 'maxconn' && line.length === 2 ? Number(line[1]) : 0
    if (maxconn > 0 && wanted.kind === 'frontend' && plain(wanted.name)) {
      operations.push({ kind: 'frontend_maxconn', frontend: wanted.name, maxconn })
    } else if (maxconn > 0 && wanted.kind === 'global') operations.push({ kind: 'global_maxconn', maxconn })
    else return `"${line[0]}" of ${title} changes`
  }
  return operations
}

function ofServer(backend: string, before: Server | undefined, server: Server): Operation[] | string {
  const { name, address, port, weight, disabled, rest } = server
  if (!plain(backend, name, address, port, ...rest)) return `server ${name} cannot be written on the socket`
  if (before === undefined || !alike(before.rest, rest)) {
    // haproxy refuses this keyword for servers that are added at run time.
    if (rest.includes('cookie')) return `server ${name} has a cookie of its own`
    return [{ kind: before === undefined ? 'add' : 'replace', backend, server }]
  }
  const operations: Operation[] = []
  const moved = (word: string) => {
    const [former, latter] = [argumentOf(before.rest, word), argumentOf(rest, word)]
    return former === latter ? null : latter
  }
  const [check_address, check_port] = [moved('addr'), moved('port')]
  if (check_address !== null || check_port !== null) {
    operations.push({ kind: 'check_place', backend, name, address: check_address, port: check_port })
  }
  if (before.address !== address || before.port !== port) {
    operations.push({ kind: 'address', backend, name, address, port })
  }
  if (before.weight !== weight) operations.push({ kind: 'weight', backend, name, weight })
  if (before.disabled !== disabled) operations.push({ kind: 'state', backend, name, disabled })
  return operations
}

/** Whether there is nothing between the two but the arguments of keywords that have a setter. */
function alike(before: string[], rest: string[]): boolean {
  const shape = (words: string[]) => words.map((word, i) => (setters.has(words[i - 1] ?? '') ? '' : word)).join('\0')
  return shape(before) === shape(rest)
}

const setters = new Set(['addr', 'port'])

function argumentOf(rest: string[], word: string): string | null {
  const at = rest.indexOf(word)
  return at < 0 ? null : (rest[at + 1] ?? null)
}

/** Whether the words mean themselves on haproxy's command line, where blanks, `;` and backslashes do not. */
function plain(...texts: string[]): boolean {
  return texts.every(text => /^[A-Za-z0-9._:/@,=+[\]-]+$/.test(text))
}
