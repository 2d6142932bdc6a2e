/** Raw calls of the load balancing API in both dialects, as a user of the stack. */
import type { Status } from '../../src/cli/world/status.ts'
import type { Stack } from './stack.ts'

/** `T` is what the caller expects of the body. */
export type Answer<T> = { status: number; body: T }

/** One user's session. */
export class Api {
  readonly #token: string
  readonly #octavia: string
  readonly #neutron: string
  readonly #nova: string

  private constructor(token: string, endpoints: Status['endpoints']) {
    this.#token = token
    this.#octavia = endpoints.load_balancer
    this.#neutron = endpoints.network
    this.#nova = endpoints.compute.replace('/v2.1', '')
  }

  static async of(stack: Stack, user: 'admin' | 'demo'): Promise<Api> {
    const token = (await stack.client(user, 'openstack', 'token', 'issue', '-f', 'value', '-c', 'id')).trim()
    const { endpoints } = await stack.status()
    return new Api(token, endpoints)
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

  /** `path` of Nova, with its version. */
  compute<T = Record<string, unknown>>(method: string, path: string, body?: unknown): Promise<Answer<T>> {
    return this.#send(`${this.#nova}/${path}`, method, body)
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
