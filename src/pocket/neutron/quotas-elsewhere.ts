/** Quotas that a service behind Neutron keeps: asked for with the caller's token, shown among Neutron's own. */
import type { FastifyRequest } from 'fastify'
import { request as send } from 'undici'
import { Refusal } from '../service.ts'

type Limits = Record<string, unknown>

export class QuotasElsewhere {
  readonly #target: string | null

  /** `target`: null when there is no such service. */
  constructor(target: string | null) {
    this.#target = target
  }

  /** What it says of a project, at Neutron's own path. Nothing, when it does not answer: Neutron's own are shown then. */
  async shown(request: FastifyRequest, path: string): Promise<Limits> {
    const answer = await this.#ask(request, 'GET', path).catch(() => null)
    return answer?.status === 200 ? ((answer.body as { quota?: Limits }).quota ?? {}) : {}
  }

  /** The projects that have limits of their own there. */
  async overridden(request: FastifyRequest): Promise<Limits[]> {
    const answer = await this.#ask(request, 'GET', '/v2.0/quotas').catch(() => null)
    return answer?.status === 200 ? ((answer.body as { quotas?: Limits[] }).quotas ?? []) : []
  }

  /** Sets what Neutron itself does not know. Refuses as the service does. */
  async set(request: FastifyRequest, project_id: string, quota: Limits): Promise<void> {
    if (Object.keys(quota).length === 0) return
    this.#refuse(await this.#ask(request, 'PUT', `/v2.0/quotas/${encodeURIComponent(project_id)}`, { quota }))
  }

  async reset(request: FastifyRequest, project_id: string): Promise<void> {
    if (this.#target === null) return
    this.#refuse(await this.#ask(request, 'DELETE', `/v2.0/quotas/${encodeURIComponent(project_id)}`))
  }

  #refuse({ status, body }: { status: number; body: unknown }): void {
    if (status < 300) return
    const { type, message } = (body as { NeutronError?: { type: string; message: string } } | null)?.NeutronError ?? {
      type: 'ServiceUnavailable',
      message: `The service that keeps these quotas answered ${status}`,
    }
    throw new Refusal(status, type, message)
  }

  async #ask(request: FastifyRequest, method: 'GET' | 'PUT' | 'DELETE', path: string, body?: unknown) {
    if (this.#target === null)
      throw new Refusal(503, 'ServiceUnavailable', 'There is no service that keeps more quotas.')
    const answer = await send(`${this.#target}${path}`, {
      method,
      headers: { 'x-auth-token': String(request.headers['x-auth-token']), 'content-type': 'application/json' },
      body: body === undefined ? null : JSON.stringify(body),
      headersTimeout: 10_000,
    }).catch((error: Error) => {
      throw new Refusal(503, 'ServiceUnavailable', `The load balancing service does not answer: ${error.message}`)
    })
    const text = await answer.body.text()
    try {
      return { status: answer.statusCode, body: text === '' ? null : JSON.parse(text) }
    } catch {
      return { status: answer.statusCode, body: null }
    }
  }
}
