/** The cloud told to misbehave: rules that hang, lose, delay or refuse what is asked, and hosts that are dead. */
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteHandlerMethod } from 'fastify'
import { type ServiceName, serviceNames } from './service.ts'

export type FaultRule = {
  id: string
  /** Which requests it meets; what is not given is any. */
  service?: ServiceName
  method?: string
  /** Regular expression on the path. */
  path?: string
  /** Only requests about servers of this pretended host; for dead_host the host that is dead. */
  host?: string
  /** How many requests it meets; then it is over. Null is all. */
  times: number | null
  action: (typeof actions)[number]
  /** For status. */
  code?: number
  body?: unknown
  delay_ms?: number
  /** How many requests it has met. */
  met: number
  since_ms: number
}

const actions = [
  /** Nothing happens for delay_ms; then what was asked, whether or not the client still waits: servers do not notice. */
  'hang_before',
  /** What was asked happens, and the connection ends without an answer. */
  'lose_answer',
  /** The connection ends at once; what was asked happens delay_ms later. Not for uploads, whose bytes end with it. */
  'late_effect',
  /** No effect, and `code` with `body` as the answer. */
  'status',
  /** No effect, and a reset connection. */
  'reset',
  /** The next server that is built finds no host. */
  'no_valid_host',
  /** The host's servers are dead, and nobody says so: for delay_ms (a minute, as measured) the cloud believes in it. */
  'dead_host',
] as const

const minute_ms = 60_000

/** All rules in force. A restart of the cloud forgets them. */
export class Faults {
  readonly #rules = new Map<string, FaultRule>()
  readonly #hostOf: (server_id: string) => string | null
  #next = 1

  constructor(hostOf: (server_id: string) => string | null) {
    this.#hostOf = hostOf
  }

  /** Throws with the reason when it is not a rule. */
  add(wish: unknown): FaultRule {
    const rule = checked(wish)
    const made: FaultRule = { times: 1, ...rule, id: String(this.#next++), met: 0, since_ms: Date.now() }
    this.#rules.set(made.id, made)
    return made
  }

  list(): FaultRule[] {
    return [...this.#rules.values()]
  }

  clear(): void {
    this.#rules.clear()
  }

  takeNoValidHost(): boolean {
    const rule = this.list().find(r => r.action === 'no_valid_host' && left(r))
    if (rule) rule.met++
    return rule !== undefined
  }

  /** Nobody on that host answers. */
  dead(host: string | null): boolean {
    return this.#death(host) !== undefined
  }

  /** The host is dead and the cloud has not noticed yet. */
  believedAlive(host: string | null): boolean {
    const death = this.#death(host)
    return death !== undefined && Date.now() < death.since_ms + (death.delay_ms ?? minute_ms)
  }

  /** How long a call to a dead host blocks before it is given up. */
  async untilForgotten(host: string | null): Promise<void> {
    await pause(this.#death(host)?.delay_ms ?? minute_ms)
  }

  /** Lets the rules act on all requests to the service's routes that are added after this. */
  watch(app: FastifyInstance, service: ServiceName): void {
    const lost = new WeakSet<FastifyRequest>()
    const watched = new WeakSet<RouteHandlerMethod>()
    app.addHook('onRoute', route => {
      const { handler } = route
      if (watched.has(handler)) return
      const faults = this
      route.handler = async function (request, reply) {
        const rule = faults.#meeting(service, request)
        const go = () => handler.call(this, request, reply)
        if (rule === null) return go()
        if (rule.action === 'lose_answer') lost.add(request)
        return act(rule, request, reply, go)
      }
      watched.add(route.handler)
    })
    app.addHook('onSend', async request => {
      if (lost.has(request)) request.raw.socket.destroy()
    })
  }

  #death(host: string | null): FaultRule | undefined {
    return host === null ? undefined : this.list().find(rule => rule.action === 'dead_host' && rule.host === host)
  }

  #meeting(service: string, request: FastifyRequest): FaultRule | null {
    const path = request.url.split('?')[0]!
    if (path === '/pocket/faults') return null
    const host = () => this.#hostOf(/\/servers\/([0-9a-f-]{36})/.exec(path)?.[1] ?? '')
    const rule = this.list().find(
      r =>
        r.action !== 'no_valid_host' &&
        r.action !== 'dead_host' &&
        left(r) &&
        (r.service ?? service) === service &&
        (r.method ?? request.method) === request.method &&
        (r.path === undefined || new RegExp(r.path).test(path)) &&
        (r.host === undefined || r.host === host()),
    )
    if (rule) rule.met++
    return rule ?? null
  }
}

async function act(rule: FaultRule, request: FastifyRequest, reply: FastifyReply, go: () => unknown): Promise<unknown> {
  switch (rule.action) {
    case 'hang_before':
      await pause(rule.delay_ms ?? minute_ms)
      return go()
    case 'late_effect':
      request.raw.socket.destroy()
      await pause(rule.delay_ms ?? 1_000)
      return go()
    case 'status':
      return reply
        .status(rule.code ?? 500)
        .type('application/json')
        .send(JSON.stringify(rule.body ?? { error: 'a fault was asked for' }))
    case 'reset':
      request.raw.socket.resetAndDestroy()
      return reply.hijack()
    default:
      return go()
  }
}

function left(rule: FaultRule): boolean {
  return rule.times === null || rule.met < rule.times
}

function pause(wait_ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, wait_ms).unref())
}

function checked(wish: unknown): Omit<FaultRule, 'id' | 'met' | 'since_ms' | 'times'> & { times?: number | null } {
  if (typeof wish !== 'object' || wish === null) throw new Error('it is no object')
  const { service, method, path, host, times, action, code, body, delay_ms, ...rest } = wish as Record<string, unknown>
  const strange = Object.keys(rest)
  if (strange.length > 0) throw new Error(`it has no ${strange.join(', ')}`)
  if (!actions.includes(action as FaultRule['action'])) throw new Error(`action is one of ${actions.join(', ')}`)
  if (service !== undefined && !serviceNames.includes(service as ServiceName))
    throw new Error(`service is one of ${serviceNames.join(', ')}`)
  if (action === 'dead_host' && typeof host !== 'string') throw new Error('a dead_host needs its host')
  for (const [name, value] of Object.entries({ method, path, host }))
    if (value !== undefined && typeof value !== 'string') throw new Error(`${name} is a text`)
  for (const [name, value] of Object.entries({ times, code, delay_ms }))
    if (value !== undefined && !(name === 'times' && value === null) && !Number.isInteger(value))
      throw new Error(`${name} is a whole number`)
  if (path !== undefined) new RegExp(path as string) // throws on a bad one, before anything is kept
  const rule = { service, method, path, host, times, action, code, body, delay_ms }
  return Object.fromEntries(Object.entries(rule).filter(([, value]) => value !== undefined)) as ReturnType<
    typeof checked
  >
}
