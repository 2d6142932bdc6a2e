/** A pocket cloud for tests: on free ports of the loopback, on a still fabric, on a database of its own. */
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { request } from 'undici'
import { startPocket } from '../../src/pocket/pocket.ts'
import { type ServiceName, serviceNames } from '../../src/pocket/service.ts'
import { StillFabric } from './still-fabric.ts'

export type Answer = { status: number; headers: Record<string, string>; body: unknown; text: string }

export const passwords = { admin: 'admin-secret', demo: 'demo', service: 'octavia' }

/** Starts and, on the same state, starts again; knows the users' tokens. */
export class PocketStack {
  readonly fabric = new StillFabric()
  readonly endpoints: Record<ServiceName, string>
  readonly log: string[] = []
  readonly #database_url: string
  readonly #state_dir: string
  readonly #lbaas_url: string | null
  readonly #ports: Record<ServiceName, number>
  readonly #tokens = new Map<string, string>()
  #close: () => Promise<void> = async () => {}

  private constructor(database_url: string, lbaas_url: string | null, ports: number[]) {
    this.#database_url = database_url
    this.#lbaas_url = lbaas_url
    this.#state_dir = fs.mkdtempSync(path.join(os.tmpdir(), 'pocket-'))
    this.#ports = Object.fromEntries(serviceNames.map((name, index) => [name, ports[index]])) as Record<
      ServiceName,
      number
    >
    const entries = Object.entries(this.#ports).map(([name, port]) => [name, `http://127.0.0.1:${port}`])
    this.endpoints = Object.fromEntries(entries)
  }

  static async start(database_url: string, lbaas_url: string | null = null): Promise<PocketStack> {
    const stack = new PocketStack(database_url, lbaas_url, await freePorts(serviceNames.length))
    await stack.start()
    return stack
  }

  async start(): Promise<void> {
    const listen = Object.fromEntries(
      Object.entries(this.#ports).map(([name, port]) => [name, [{ host: '127.0.0.1', port }]]),
    ) as Record<ServiceName, { host: string; port: number }[]>
    const pocket = await startPocket({
      database_url: this.#database_url,
      fabric: this.fabric,
      state_dir: this.#state_dir,
      endpoints: { ...this.endpoints, load_balancer: 'http://127.0.0.1:9876' },
      listen,
      lbaas_url: this.#lbaas_url,
      passwords,
      log: (text, fields) => this.log.push(`${text} ${JSON.stringify(fields)}`),
    })
    this.#close = pocket.close
  }

  async stop(): Promise<void> {
    this.fabric.release()
    await this.#close()
  }

  async end(): Promise<void> {
    await this.stop()
    fs.rmSync(this.#state_dir, { recursive: true, force: true })
  }

  /** A token of the user for the project; asked for once. */
  async token(user: 'admin' | 'demo' | 'octavia'): Promise<string> {
    const known = this.#tokens.get(user)
    if (known) return known
    const [password, project] = {
      admin: [passwords.admin, 'admin'],
      demo: [passwords.demo, 'demo'],
      octavia: [passwords.service, 'service'],
    }[user] as [string, string]
    const domain = { name: 'Default' }
    const body = {
      auth: {
        identity: { methods: ['password'], password: { user: { name: user, domain, password } } },
        scope: { project: { name: project, domain } },
      },
    }
    const answer = await this.send('identity', 'POST', '/v3/auth/tokens', { body })
    if (answer.status !== 201) throw new Error(`no token for ${user}: ${answer.text}`)
    this.#tokens.set(user, answer.headers['x-subject-token']!)
    return answer.headers['x-subject-token']!
  }

  /** One exchange as that user; nothing is retried. Rejects when the connection ends without an answer. */
  async as(user: 'admin' | 'demo' | 'octavia', service: ServiceName, method: string, url: string, body?: unknown) {
    const headers: Record<string, string> = { 'x-auth-token': await this.token(user) }
    if (service === 'compute') headers['x-openstack-nova-api-version'] = '2.15'
    return this.send(service, method, url, { headers, body })
  }

  async send(
    service: ServiceName,
    method: string,
    url: string,
    options: { headers?: Record<string, string>; body?: unknown } = {},
  ): Promise<Answer> {
    const raw = typeof options.body === 'string' || options.body instanceof Uint8Array
    const json: Record<string, string> = options.body === undefined || raw ? {} : { 'content-type': 'application/json' }
    const answer = await request(this.endpoints[service] + url, {
      method: method as 'GET',
      headers: { ...json, ...options.headers },
      body: options.body === undefined ? null : raw ? (options.body as string) : JSON.stringify(options.body),
    })
    const text = await answer.body.text()
    const headers = Object.fromEntries(Object.entries(answer.headers).map(([name, value]) => [name, String(value)]))
    const type = headers['content-type'] ?? ''
    return {
      status: answer.statusCode,
      headers,
      text,
      body: text === '' ? null : type.includes('json') ? JSON.parse(text) : text,
    }
  }
}

/** Asks again until the answer fits; rejects with the last answer after 15 s. */
export async function until<T>(ask: () => Promise<T>, fits: (answer: T) => boolean): Promise<T> {
  for (const deadline = Date.now() + 15_000; ; ) {
    const answer = await ask()
    if (fits(answer)) return answer
    if (Date.now() > deadline) throw new Error(`it did not come: ${JSON.stringify(answer)}`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<net.Server>(resolve => {
          const server = net.createServer().listen(0, '127.0.0.1', () => resolve(server))
        }),
    ),
  )
  const ports = servers.map(server => (server.address() as net.AddressInfo).port)
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))))
  return ports
}
