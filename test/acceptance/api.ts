/** Raw calls of the load balancing API in both dialects, as a user of the stack. */
import type { Stack } from './stack.ts'

/** `T` is what the caller expects of the body. */
export type Answer<T> = { status: number; body: T }

/** One user's session. */
export class Api {
  readonly #token: string
  readonly #octavia: string
  readonly #neutron: string

  private constructor(token: string, octavia: string, neutron: string) {
    this.#token = token
    this.#octavia = octavia
    this.#neutron = neutron
  }

  static async of(stack: Stack, user: 'admin' | 'demo'): Promise<Api> {
    const token = (await stack.client(user, 'openstack', 'token', 'issue', '-f', 'value', '-c', 'id')).trim()
    const { endpoints } = await stack.status()
    return new Api(token, endpoints.load_balancer, endpoints.network)
  }

  /** `path` below /v2.0/lbaas of the Octavia dialect. */
  octavia<T = Record<string, unknown>>(method: string, path: string, body?: unknown): Promise<Answer<T>> {
    return this.#send(`${this.#octavia}/v2.0/lbaas/${path}`, method, body)
  }

  /** `path` below /v2.0/lbaas of Neutron. */
  neutron<T = Record<string, unknown>>(method: string, path: string, body?: unknown): Promise<Answer<T>> {
    return this.#send(`${this.#neutron}/v2.0/lbaas/${path}`, method, body)
  }

  /** Any other path of Neutron. */
  network<T = Record<string, unknown>>(method: string, path: string, body?: unknown): Promise<Answer<T>> {
    return this.#send(`${this.#neutron}/v2.0/${path}`, method, body)
  }

  async #send<T>(url: string, method: string, body?: unknown): Promise<Answer<T>> {
    const response = await fetch(url, {
      method,
      headers: { 'x-auth-token': this.#token, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, body: (text === '' ? {} : JSON.parse(text)) as T }
  }
}
