/** A session with an OpenStack cloud: token, catalogue, one request function, and the one place that classifies its errors. */
import { Agent, request } from 'undici'

export type CloudCredentials = {
  /** Keystone's v3 URL, e.g. http://controller:5000/v3. */
  auth_url: string
  username: string
  password: string
  project_name: string
  user_domain_name: string
  project_domain_name: string
  region_name: string | null
  /** Which of the catalogue's URLs to use. */
  interface: 'public' | 'internal' | 'admin'
}

/** How a cloud's refusal is to be understood; decided here, by status and code, and nowhere else. */
export type CloudErrorKind = 'not_found' | 'conflict' | 'rejected' | 'forbidden' | 'over_quota' | 'unavailable'

/** A cloud's answer that is not a success. `unavailable` is worth trying again, the other kinds are answers. */
export class CloudError extends Error {
  readonly service: string
  /** HTTP status; 0 when there was no answer: the request may have had its effect nevertheless. */
  readonly status: number
  /** The service's own name of the error, e.g. IpAddressAlreadyAllocated; '' where it has none. */
  readonly code: string
  readonly request_id: string | null
  readonly kind: CloudErrorKind
  /** Whether something may have been made nevertheless, or may still be: a POST that nobody answered, or a server's error. */
  readonly unsure: boolean

  constructor(
    service: string,
    status: number,
    code: string,
    message: string,
    request_id: string | null,
    method: string | null = null,
  ) {
    super(`${service}: ${message}${request_id ? ` (${request_id})` : ''}`)
    this.name = 'CloudError'
    this.service = service
    this.status = status
    this.code = code
    this.request_id = request_id
    this.kind = kindOf(status, code)
    this.unsure = method === 'POST' && (status === 0 || status >= 500)
  }
}

export type ServiceType = 'identity' | 'network' | 'compute' | 'image' | 'load-balancer' | 'key-manager'

export type CloudRequest = {
  query?: Record<string, string | string[]>
  body?: unknown
  headers?: Record<string, string>
  signal?: AbortSignal
  /** Of the whole exchange. An attach blocks a real Nova for 60 s when the host is dead, so it asks for more. */
  timeout_ms?: number
  /** A tenant's own token instead of the session's: what he may not do is refused, whatever the session's user may. */
  token?: string
  /** The body of the answer as its bytes, whatever its type; errors are read as ever. */
  bytes?: boolean
}

export type CloudAnswer = { status: number; body: unknown; headers: Record<string, string | string[] | undefined> }

/** One user's session. Requests share a pool of connections and one token, which is renewed before it ends and when the
 *  cloud says that it has. */
export class OpenStack {
  readonly #credentials: CloudCredentials
  readonly #agent = new Agent({ connections: 16, keepAliveTimeout: 10_000, connect: { timeout: 10_000 } })
  #session: Promise<Session> | null = null

  constructor(credentials: CloudCredentials) {
    this.#credentials = credentials
  }

  /** Sends a request to a service of the catalogue. Rejects with CloudError unless the answer is a success. */
  async request(service: ServiceType, method: string, path: string, options: CloudRequest = {}): Promise<CloudAnswer> {
    for (let attempt = 1; ; attempt++) {
      const session = await this.#open(options.signal)
      const { token = session.token } = options
      const answer = await this.#send(service, method, session.url(service) + path, token, options)
      if (answer.status === 401 && attempt === 1 && token === session.token) {
        this.#session = null // revoked or expired before its time
        continue
      }
      if (answer.status >= 400) throw errorOf(service, method, answer)
      return answer
    }
  }

  /** The id of the session's own user. */
  async userId(signal?: AbortSignal): Promise<string> {
    return (await this.#open(signal)).user_id
  }

  async close(): Promise<void> {
    await this.#agent.close()
  }

  async #open(signal?: AbortSignal): Promise<Session> {
    const opened = this.#session && (await this.#session.catch(() => null))
    if (opened && opened.expires_ms - Date.now() > 60_000) return opened
    this.#session = this.#authenticate(signal)
    return this.#session
  }

  async #authenticate(signal?: AbortSignal): Promise<Session> {
    const c = this.#credentials
    const body = {
      auth: {
        identity: {
          methods: ['password'],
          password: { user: { name: c.username, domain: { name: c.user_domain_name }, password: c.password } },
        },
        scope: { project: { name: c.project_name, domain: { name: c.project_domain_name } } },
      },
    }
    const answer = await this.#send('identity', 'POST', `${c.auth_url}/auth/tokens`, null, { body, signal })
    if (answer.status >= 400) throw errorOf('identity', 'GET', answer)
    const { token } = answer.body as { token: TokenBody }
    return new Session(String(answer.headers['x-subject-token']), token, c)
  }

  /** One exchange; a connection that was closed under a kept-alive request is tried once more where that cannot make
   *  anything twice (many deployments close connections without saying so). */
  async #send(
    service: ServiceType,
    method: string,
    url: string,
    token: string | null,
    options: CloudRequest,
  ): Promise<CloudAnswer> {
    const headers: Record<string, string> = { accept: 'application/json', ...options.headers }
    if (token !== null) headers['x-auth-token'] = token
    let body: string | Uint8Array | undefined
    if (options.body instanceof Uint8Array) body = options.body
    else if (options.body !== undefined) {
      body = JSON.stringify(options.body)
      headers['content-type'] ??= 'application/json'
    }
    const repeatable = method === 'GET' || method === 'PUT' || method === 'DELETE' || url.endsWith('/auth/tokens')
    const timeout = AbortSignal.timeout(options.timeout_ms ?? 60_000)
    const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout
    for (let attempt = 1; ; attempt++) {
      try {
        const target = new URL(url)
        for (const [key, value] of Object.entries(options.query ?? {}))
          for (const one of Array.isArray(value) ? value : [value]) target.searchParams.append(key, one)
        const answer = await request(target, {
          method: method as 'GET',
          headers,
          body,
          signal,
          dispatcher: this.#agent,
        })
        const { statusCode: status, headers: answered } = answer
        if (options.bytes && status < 400)
          return { status, headers: answered, body: Buffer.from(await answer.body.arrayBuffer()) }
        const text = await answer.body.text()
        return { status, headers: answered, body: parse(text, answered['content-type']) }
      } catch (error) {
        if (options.signal?.aborted) throw options.signal.reason
        const code = (error as { code?: string }).code ?? ''
        if (attempt === 1 && repeatable && (code === 'ECONNRESET' || code === 'UND_ERR_SOCKET')) continue
        const what = timeout.aborted
          ? `no answer in ${(options.timeout_ms ?? 60_000) / 1000} s`
          : (error as Error).message
        throw new CloudError(service, 0, code, `${method} ${new URL(url).pathname}: ${what}`, null, method)
      }
    }
  }
}

type TokenBody = {
  expires_at: string
  user: { id: string }
  catalog: { type: string; endpoints: { interface: string; region: string; url: string }[] }[]
}

class Session {
  readonly token: string
  readonly expires_ms: number
  readonly user_id: string
  readonly #catalog: TokenBody['catalog']
  readonly #credentials: CloudCredentials

  constructor(token: string, body: TokenBody, credentials: CloudCredentials) {
    this.token = token
    this.expires_ms = Date.parse(body.expires_at)
    this.user_id = body.user.id
    this.#catalog = body.catalog
    this.#credentials = credentials
  }

  /** The service's URL of the catalogue, with the version that we speak at its end. */
  url(service: ServiceType): string {
    const { region_name, interface: wanted } = this.#credentials
    const endpoints = this.#catalog.filter(s => s.type === service).flatMap(s => s.endpoints)
    const found = endpoints.find(e => e.interface === wanted && (region_name === null || e.region === region_name))
    if (!found)
      throw new CloudError(service, 404, 'EndpointNotFound', `the catalogue has no ${wanted} endpoint of it`, null)
    const url = found.url.replace(/\/+$/, '')
    const version = versions[service]
    return version && !url.endsWith(version) ? url + version : url
  }
}

const versions: Record<ServiceType, string> = {
  identity: '/v3',
  network: '/v2.0',
  image: '/v2',
  compute: '',
  'load-balancer': '/v2.0',
  'key-manager': '/v1',
}

function kindOf(status: number, code: string): CloudErrorKind {
  if (code === 'OverQuota' || status === 413) return 'over_quota'
  if (status === 404) return 'not_found'
  if (status === 409) return 'conflict'
  if (status === 401 || status === 403) return 'forbidden'
  if (status === 0 || status === 429 || status >= 500) return 'unavailable'
  return 'rejected'
}

/** The services' error bodies differ: Keystone and Nova wrap by kind, Neutron by NeutronError, Barbican does not
 *  wrap, Glance answers HTML. */
function errorOf(service: ServiceType, method: string, answer: CloudAnswer): CloudError {
  const header = answer.headers['x-openstack-request-id'] ?? answer.headers['x-compute-request-id']
  const request_id = typeof header === 'string' ? header : null
  const { status, body } = answer
  if (typeof body === 'object' && body !== null) {
    const [key, inner] = Object.entries(body)[0] ?? ['', null]
    if (typeof inner === 'object' && inner !== null) {
      const { type, message } = inner as { type?: unknown; message?: unknown }
      const code = typeof type === 'string' ? type : key === 'error' ? '' : key
      if (typeof message === 'string') return new CloudError(service, status, code, message, request_id, method)
    }
    const { title, description } = body as { title?: unknown; description?: unknown }
    if (typeof title === 'string')
      return new CloudError(
        service,
        status,
        '',
        typeof description === 'string' ? description : title,
        request_id,
        method,
      )
  }
  const text =
    typeof body === 'string'
      ? body
          .replace(/<[^>]*>/g, ' ')
          .replace(/\s+/g, ' ')
          .trim()
      : ''
  return new CloudError(service, status, '', text.slice(0, 300) || `HTTP status ${status}`, request_id, method)
}

function parse(text: string, type: string | string[] | undefined): unknown {
  if (text === '') return null
  if (!String(type).includes('json')) return text
  try {
    return JSON.parse(text)
  } catch {
    return text // a proxy's page under a wrong type
  }
}
