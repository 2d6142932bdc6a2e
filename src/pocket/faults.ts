/** The cloud told to misbehave: rules by service, method and path that delay, lose, double or refuse what is asked. */
import { randomUUID } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'

export type FaultRule = {
  id: string
  service: 'identity' | 'image' | 'compute' | 'network'
  method: string
  /** Regular expression on the path. */
  path: string
  /** How many requests it meets; then it is over. */
  times: number
  /** hang_before: the effect comes after delay_ms. lose_answer: the effect, then a reset. late_effect: a reset now, the
   *  effect after delay_ms. status: no effect, this answer. reset: no effect, a reset. no_valid_host, dead_host: see Nova. */
  action: 'hang_before' | 'lose_answer' | 'late_effect' | 'status' | 'reset' | 'no_valid_host' | 'dead_host'
  status?: number
  body?: unknown
  delay_ms?: number
  /** For dead_host: the pretended host. */
  host?: string
  /** How many requests it has met. */
  met: number
}

/** All rules in force. A restart of the cloud forgets them. */
export class Faults {
  readonly #rules = new Map<string, FaultRule>()
  /** Marks a late request, which has met its rule already. Nobody else knows it. */
  readonly #late = randomUUID()
  #next = 1

  add(rule: Omit<FaultRule, 'id' | 'met' | 'times'> & { times?: number }): FaultRule {
    new RegExp(rule.path) // throws on a bad one, before anything is kept
    const made = { times: 1, ...rule, id: String(this.#next++), met: 0 }
    this.#rules.set(made.id, made)
    return made
  }

  list(): FaultRule[] {
    return [...this.#rules.values()]
  }

  clear(): void {
    this.#rules.clear()
  }

  /** Uses up a rule that no request carries, such as no_valid_host. */
  take(action: FaultRule['action']): FaultRule | null {
    const rule = this.list().find(r => r.action === action && r.met < r.times)
    if (rule) rule.met++
    return rule ?? null
  }

  /** Whether that pretended host is dead: nobody there answers, and nobody says so. */
  dead(host: string | null): boolean {
    return host !== null && this.list().some(rule => rule.action === 'dead_host' && rule.host === host)
  }

  /** Lets the first rule that fits act on a request. */
  async meet(service: FaultRule['service'], request: FastifyRequest, reply: FastifyReply): Promise<void> {
    if (request.headers['x-pocket-late'] === this.#late) return
    const path = request.url.split('?')[0]!
    const rule = this.list().find(
      r =>
        r.service === service &&
        r.method === request.method &&
        r.met < r.times &&
        r.action !== 'no_valid_host' &&
        r.action !== 'dead_host' &&
        new RegExp(r.path).test(path),
    )
    if (!rule) return
    rule.met++
    const pause = () => new Promise(resolve => setTimeout(resolve, rule.delay_ms ?? 1_000))
    switch (rule.action) {
      case 'hang_before':
        return void (await pause())
      case 'status':
        return void reply.status(rule.status ?? 500).send(rule.body ?? { error: 'a fault was asked for' })
      case 'reset':
        reply.hijack()
        return void request.raw.socket.destroy()
      case 'lose_answer':
        // the handler runs; what it sends goes to a socket that is gone
        reply.raw.once('close', () => {})
        reply.raw.write = () => true
        reply.raw.end = (() => {
          request.raw.socket.destroy()
          return reply.raw
        }) as typeof reply.raw.end
        return
      case 'late_effect': {
        // the body must be here before the connection goes
        const chunks: Buffer[] = []
        const push = (chunk: Buffer) => chunks.push(chunk)
        request.raw.on('data', push)
        await new Promise<void>(resolve => {
          if (request.raw.complete) resolve()
          else request.raw.once('end', () => resolve())
        })
        request.raw.off('data', push)
        reply.hijack()
        const { method, url, headers } = request
        request.raw.socket.destroy()
        await pause()
        const body = Buffer.concat(chunks)
        await request.server.inject({
          method: method as 'POST',
          url,
          headers: { ...headers, 'x-pocket-late': this.#late },
          ...(body.length > 0 ? { payload: body } : {}),
        })
        return
      }
    }
  }
}
