/** The controller's client of one agent: its REST over mutual TLS. */
import { createHash } from 'node:crypto'
import { isIPv6 } from 'node:net'
import { Client } from 'undici'
import { AgentError, errorIn } from './agent-error.ts'
import { connectorWithoutClock } from './connector-without-clock.ts'
import {
  APPLIED_HEADER,
  type Applied,
  type Details,
  type Info,
  type InterfaceRule,
  type ListenerDetails,
  type ListenerEntry,
  type Message,
  type PlugNetwork,
  type PlugVip,
  pathsOf,
  type Rest,
  TOKEN_HEADER,
  type UnitAction,
  WARNING_HEADER,
} from './rest.ts'

/** Every method rejects with AgentError. A call is made once; who calls decides about another try. */
export class AmphoraClient {
  readonly #amphora_id: string
  readonly #connection: Client
  readonly #options: AmphoraClientOptions
  readonly #host: string
  readonly #paths: ReturnType<typeof pathsOf>

  /** The server's certificate must be signed by `ca_pem` and carry the amphora's id as its name, wherever it answers. */
  constructor(options: AmphoraClientOptions) {
    this.#amphora_id = options.amphora_id
    this.#options = options
    this.#paths = pathsOf(options.rest ?? '0.5')
    this.#host = `${isIPv6(options.host.split('%')[0]!) ? `[${options.host}]` : options.host}:${options.port}`
    this.#connection = new Client(`https://${this.#host}`, {
      pipelining: 1,
      headersTimeout: options.request_timeout_ms ?? 60_000,
      bodyTimeout: options.request_timeout_ms ?? 60_000,
      connect: {
        ca: options.ca_pem,
        cert: options.client_cert_pem,
        key: options.client_key_pem,
        servername: options.server_name ?? options.amphora_id,
        timeout: options.connect_timeout_ms ?? 10_000,
      },
    })
  }

  info(call: Call = {}): Promise<Info> {
    return this.#json('GET', this.#paths.info, call)
  }

  details(call: Call = {}): Promise<Details> {
    return this.#json('GET', this.#paths.details, call)
  }

  /** The name of the interface that has the address, for `vrrp_interface`. */
  interface(ip: string, call: Call = {}): Promise<Message & { interface: string }> {
    return this.#json('GET', this.#paths.interface(ip), call)
  }

  /** Who may reach the interface that has the address; in place of what was said before. */
  interfaceRules(ip: string, rules: readonly InterfaceRule[], call: Call = {}): Promise<Message> {
    return this.#json('PUT', this.#paths.interfaceRules(ip), call, rules)
  }

  listeners(call: Call = {}): Promise<ListenerEntry[]> {
    return this.#json('GET', this.#paths.listeners, call)
  }

  /** Of 0.5 alone. */
  listener(listener_id: string, call: Call = {}): Promise<ListenerDetails> {
    return this.#json('GET', this.#paths.listener(listener_id), call)
  }

  /** The agent checks the configuration (`refused`, with haproxy's words, when it is not valid) and keeps it; it comes
   *  into force by start or reload. `warning`: what this machine cannot give. */
  async uploadUnit(unit_id: string, cfg: string, call: Call = {}): Promise<Uploaded> {
    const path = this.#paths.unitUpload(this.#amphora_id, unit_id)
    const { headers } = await this.#request('PUT', path, call, Buffer.from(cfg, 'utf8'), 'text/plain')
    return { etag: unquoted(headers.etag), warning: text(headers[WARNING_HEADER]) }
  }

  async unitConfig(unit_id: string, call: Call = {}): Promise<{ cfg: string; etag: string | null }> {
    const { body, headers } = await this.#request('GET', this.#paths.unitConfig(unit_id), call)
    return { cfg: body, etag: unquoted(headers.etag) }
  }

  /** The same for the document of a UDP listener. `not_found`: the agent cannot carry any. */
  async uploadDatagrams(listener_id: string, document: string, call: Call = {}): Promise<Uploaded> {
    const path = this.#paths.datagramUpload(this.#amphora_id, listener_id)
    const { headers } = await this.#request('PUT', path, call, Buffer.from(document), 'application/json')
    return { etag: unquoted(headers.etag), warning: text(headers[WARNING_HEADER]) }
  }

  async datagramConfig(listener_id: string, call: Call = {}): Promise<{ document: string; etag: string | null }> {
    const { body, headers } = await this.#request('GET', this.#paths.datagramConfig(listener_id), call)
    return { document: body, etag: unquoted(headers.etag) }
  }

  /** A file that the unit's configuration names. It is asked for first: keys travel only where they are not. */
  async uploadTlsFile(unit_id: string, name: string, pem: Buffer, call: Call = {}): Promise<void> {
    const path = this.#paths.tlsFile(unit_id, name)
    const md5 = createHash('md5').update(pem).digest('hex')
    const known = await this.#json<{ md5sum: string }>('GET', path, call).catch(error => {
      if (error instanceof AgentError && error.kind === 'not_found') return null
      throw error
    })
    if (known?.md5sum !== md5) await this.#request('PUT', path, call, pem, 'application/x-pem-file')
  }

  startUnit(unit_id: string, call: Call = {}): Promise<ActionResult> {
    return this.#action(unit_id, 'start', call)
  }

  reloadUnit(unit_id: string, call: Call = {}): Promise<ActionResult> {
    return this.#action(unit_id, 'reload', call)
  }

  stopUnit(unit_id: string, call: Call = {}): Promise<ActionResult> {
    return this.#action(unit_id, 'stop', call)
  }

  deleteUnit(unit_id: string, call: Call = {}): Promise<Message> {
    return this.#json('DELETE', this.#paths.listener(unit_id), call)
  }

  /** Rejects with `conflict` when it is plugged already, and with `not_ready` while the interface is not there yet. */
  plugVip(vip: string, body: PlugVip, call: Call = {}): Promise<Message> {
    return this.#json('POST', this.#paths.plugVip(vip), call, body)
  }

  plugNetwork(body: PlugNetwork, call: Call = {}): Promise<Message> {
    return this.#json('POST', this.#paths.plugNetwork, call, body)
  }

  /** A new certificate and key of the agent itself; connections from now on see it. The one that it has may have ended. */
  async renewCertificate(pem: string, call: Call = {}): Promise<void> {
    const lenient = new Client(`https://${this.#host}`, { connect: connectorWithoutClock(this.#options) })
    try {
      await this.#request('PUT', this.#paths.certificate, call, Buffer.from(pem), 'application/x-pem-file', lenient)
    } finally {
      await lenient.destroy()
    }
  }

  /** The agent's own configuration, whole; what can change while it runs does at once. */
  async configure(conf: string, call: Call = {}): Promise<void> {
    await this.#request('PUT', this.#paths.config, call, Buffer.from(conf), 'text/plain')
  }

  async uploadVrrp(keepalived_conf: string, call: Call = {}): Promise<Uploaded> {
    const { headers } = await this.#request(
      'PUT',
      this.#paths.vrrpUpload,
      call,
      Buffer.from(keepalived_conf),
      'text/plain',
    )
    return { etag: unquoted(headers.etag), warning: text(headers[WARNING_HEADER]) }
  }

  startVrrp(call: Call = {}): Promise<Message> {
    return this.#json('PUT', this.#paths.vrrpAction('start'), call)
  }

  stopVrrp(call: Call = {}): Promise<Message> {
    return this.#json('PUT', this.#paths.vrrpAction('stop'), call)
  }

  reloadVrrp(call: Call = {}): Promise<Message> {
    return this.#json('PUT', this.#paths.vrrpAction('reload'), call)
  }

  /** A call of ours beside those of the described agent. */
  own<T>(method: 'GET' | 'PUT' | 'DELETE', path: string, call: Call = {}, body?: unknown): Promise<T> {
    return this.#json(method, path, call, body)
  }

  /** Cuts the connection; calls in flight reject. */
  async close(): Promise<void> {
    await this.#connection.destroy()
  }

  async #action(unit_id: string, action: UnitAction, call: Call): Promise<ActionResult> {
    const { body, headers } = await this.#request('PUT', this.#paths.unitAction(unit_id, action), call)
    const applied = text(headers[APPLIED_HEADER]) as Applied | null
    return { ...(JSON.parse(body) as Message), applied, warning: text(headers[WARNING_HEADER]) }
  }

  async #json<T>(method: 'GET' | 'PUT' | 'POST' | 'DELETE', path: string, call: Call, body?: unknown): Promise<T> {
    const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body))
    const answer = await this.#request(method, path, call, bytes, 'application/json')
    try {
      return JSON.parse(answer.body) as T
    } catch {
      throw new AgentError(answer.status, 'unavailable', `the agent's answer to ${method} ${path} is not JSON`)
    }
  }

  async #request(
    method: 'GET' | 'PUT' | 'POST' | 'DELETE',
    path: string,
    { signal, token }: Call,
    body?: Buffer,
    content_type?: string,
    connection = this.#connection,
  ): Promise<Answer> {
    const headers: Record<string, string> = {
      'user-agent': `Octavia HaProxy Rest Client/${this.#options.rest ?? '0.5'} (ottavia)`,
    }
    if (body !== undefined && content_type !== undefined) headers['content-type'] = content_type
    if (token !== undefined) headers[TOKEN_HEADER] = `${token.load_balancer_id}:${token.value}`
    let answer: Answer
    try {
      const whole = `${this.#options.path_prefix ?? ''}${path}`
      const response = await connection.request({ method, path: whole, headers, body, signal })
      answer = { status: response.statusCode, headers: response.headers, body: await response.body.text() }
    } catch (cause) {
      if (signal?.aborted) throw signal.reason
      throw silence(cause, `${method} ${path}`)
    }
    const error = errorIn(answer.status, answer.body)
    if (error !== null) throw error
    return answer
  }
}

export type AmphoraClientOptions = {
  /** Its address on the management network, IPv6 without brackets. */
  host: string
  port: number
  amphora_id: string
  /** 0.5 where it is not said. */
  rest?: Rest
  /** The name in the certificate, where it is not the amphora's: a network host's. */
  server_name?: string
  /** What the paths are below, where several agents are behind one address. */
  path_prefix?: string
  /** The CA that signed the amphorae's certificates. */
  ca_pem: string
  client_cert_pem: string
  client_key_pem: string
  connect_timeout_ms?: number
  request_timeout_ms?: number
}

export type Call = {
  signal?: AbortSignal
  /** Of the claim under which the call is made. */
  token?: { load_balancer_id: string; value: bigint }
}

export type Uploaded = { etag: string | null; warning: string | null }

/** `applied` is null when the agent is not ours. */
export type ActionResult = Message & { applied: Applied | null; warning: string | null }

type Headers = Record<string, string | string[] | undefined>
type Answer = { status: number; headers: Headers; body: string }

/** No answer came. A certificate that is not the amphora's will not become so by asking again. */
function silence(cause: unknown, what: string): AgentError {
  const { code = '', message = String(cause) } = cause as { code?: string; message?: string }
  const untrusted = /^(ERR_TLS_CERT|CERT_|UNABLE_TO|DEPTH_ZERO|SELF_SIGNED|ERR_SSL)/.test(code)
  return new AgentError(0, untrusted ? 'refused' : 'unavailable', `${what}: ${message}`, code)
}

function text(header: string | string[] | undefined): string | null {
  return header === undefined ? null : String(header)
}

function unquoted(header: string | string[] | undefined): string | null {
  return header === undefined ? null : String(header).replace(/^"|"$/g, '')
}
