/** Raw calls of the load balancing API in both dialects, as a user of the stack. */
import type { Status } from '../../src/cli/world/status.ts'
import { eventually, type Stack } from './stack.ts'

/** `T` is what the caller expects of the body. */
export type Answer<T> = { status: number; body: T }

/** An object as the API shows it: what the tests read of it. */
export type Made = {
  id: string
  name: string
  provisioning_status: string
  operating_status: string
  vip_address: string
  vip_port_id: string
  project_id: string
}

/** One user's session. */
export class Api {
  readonly #token: string
  readonly #octavia: string
  readonly #neutron: string
  readonly #nova: string
  readonly #barbican: string

  private constructor(token: string, endpoints: Status['endpoints']) {
    this.#token = token
    this.#octavia = endpoints.load_balancer
    this.#neutron = endpoints.network
    this.#barbican = endpoints.key_manager
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

  /** `path` below /v2.0/octavia/amphorae. */
  amphorae<T = Record<string, unknown>>(method: string, path = ''): Promise<Answer<T>> {
    return this.#send(`${this.#octavia}/v2.0/octavia/amphorae${path}`, method)
  }

  /** `path` below /v2.0/lbaas of Neutron. */
  neutron<T = Record<string, unknown>>(method: string, path: string, body?: unknown): Promise<Answer<T>> {
    return this.#send(`${this.#neutron}/v2.0/lbaas/${path}`, method, body)
  }

  /** Any other path of Neutron. */
  network<T = Record<string, unknown>>(method: string, path: string, body?: unknown): Promise<Answer<T>> {
    return this.#send(`${this.#neutron}/v2.0/${path}`, method, body)
  }

  /** `path` of Nova, with its version; or of the pocket cloud's faults. */
  compute<T = Record<string, unknown>>(method: string, path: string, body?: unknown): Promise<Answer<T>> {
    return this.#send(`${this.#nova}/${path}`, method, body)
  }

  /** `path` below /v1 of Barbican, or a whole ref. */
  secrets<T = Record<string, unknown>>(method: string, path: string, body?: unknown): Promise<Answer<T>> {
    return this.#send(path.startsWith('http') ? path : `${this.#barbican}/v1/${path}`, method, body)
  }

  /** Keeps a secret in Barbican, bytes as base64; its ref. */
  async secret(payload: string | Buffer): Promise<string> {
    const encoded = Buffer.isBuffer(payload)
      ? { payload_content_type: 'application/octet-stream', payload_content_encoding: 'base64' }
      : { payload_content_type: 'text/plain' }
    const text = Buffer.isBuffer(payload) ? payload.toString('base64') : payload
    const { status, body } = await this.secrets<{ secret_ref: string }>('POST', 'secrets', {
      payload: text,
      ...encoded,
    })
    if (status !== 201) throw new Error(`a secret: ${status} ${JSON.stringify(body)}`)
    return body.secret_ref
  }

  /** Keeps a certificate with its key in a container; its ref. */
  async certificate({ certificate, key }: { certificate: string; key: string }): Promise<string> {
    const secret_refs = [
      { name: 'certificate', secret_ref: await this.secret(certificate) },
      { name: 'private_key', secret_ref: await this.secret(key) },
    ]
    const body = { type: 'certificate', name: 'tls', secret_refs }
    return (await this.secrets<{ container_ref: string }>('POST', 'containers', body)).body.container_ref
  }

  /** The flavor whose load balancers have one amphora, where pairs are the rule. Only administrators may ask. */
  singleAmphora(): Promise<string> {
    return this.flavor('single-amphora', { loadbalancer_topology: 'SINGLE' })
  }

  /** The flavor of that name, made if there is none. Only administrators may ask. */
  async flavor(name: string, flavor_data: Record<string, string>, provider_name = 'amphora'): Promise<string> {
    const { body } = await this.octavia<{ flavors: { id: string }[] }>('GET', `flavors?name=${name}`)
    if (body.flavors[0]) return body.flavors[0].id
    const described = { name, provider_name, flavor_data: JSON.stringify(flavor_data) }
    const profile = await this.made('flavorprofiles', 'flavorprofile', described)
    const flavor = { name, flavor_profile_id: profile.id, enabled: true }
    return (await this.made('flavors', 'flavor', flavor)).id
  }

  /** Creates an object of the Octavia dialect and answers with it; rejects when it is refused. */
  async made(path: string, singular: string, fields: Record<string, unknown>): Promise<Made> {
    const { status, body } = await this.octavia('POST', path, { [singular]: fields })
    if (status !== 201) throw new Error(`POST ${path}: ${status} ${JSON.stringify(body)}`)
    return body[singular] as Made
  }

  /** Waits until the load balancer is ACTIVE; gives up at once when it is in ERROR. */
  async settled(id: string): Promise<Made> {
    const lb = await eventually(`load balancer ${id} settled`, async () => {
      const { body } = await this.octavia<{ loadbalancer: Made }>('GET', `loadbalancers/${id}`)
      return body.loadbalancer.provisioning_status.startsWith('PENDING') ? null : body.loadbalancer
    })
    if (lb.provisioning_status !== 'ACTIVE') throw new Error(`load balancer ${id} is ${JSON.stringify(lb)}`)
    return lb
  }

  /** Deletes the load balancer with all it has and waits until it is gone. */
  async removed(id: string): Promise<void> {
    const { status, body } = await this.octavia('DELETE', `loadbalancers/${id}?cascade=true`)
    if (status !== 204 && status !== 404) throw new Error(`DELETE ${id}: ${status} ${JSON.stringify(body)}`)
    await this.gone(id)
  }

  /** Waits until the load balancer, whose deletion was asked for, is gone. */
  async gone(id: string): Promise<void> {
    const asked = async () => (await this.octavia('GET', `loadbalancers/${id}`)).status === 404
    await eventually(`load balancer ${id} gone`, asked)
  }

  /** The id of the subnet of that name. */
  async subnet(name: string): Promise<string> {
    const { body } = await this.network<{ subnets: { id: string }[] }>('GET', `subnets?name=${name}`)
    return body.subnets[0]!.id
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
