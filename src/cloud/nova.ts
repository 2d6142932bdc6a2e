/** Nova at microversion 2.15 (Octavia's): servers, their interfaces and server groups, in its own words. */
import { CloudError, type CloudRequest, type OpenStack } from './openstack.ts'

export type Server = {
  id: string
  name: string
  status: string
  'OS-EXT-STS:task_state': string | null
  'OS-EXT-AZ:availability_zone'?: string
  /** Tells hosts apart, within one project; empty until the server is placed. */
  hostId?: string
  fault?: { code: number; message: string }
  addresses: Record<string, { addr: string; version: number }[]>
  flavor: { id: string }
  image: { id: string } | ''
}

export type ServerBody = {
  name: string
  imageRef: string
  flavorRef: string
  networks: ({ uuid: string } | { port: string })[]
  /** Names or ids. */
  security_groups?: { name: string }[]
  key_name?: string
  availability_zone?: string
  /** Contents are base64, 10240 bytes each decoded, 5 files at most. */
  personality?: { path: string; contents: string }[]
  user_data?: string
  config_drive?: boolean
}

export type ServerInterface = {
  port_id: string
  net_id: string
  mac_addr: string
  port_state: string
  fixed_ips: { subnet_id: string; ip_address: string }[]
}

export type ServerGroup = { id: string; name: string; policies: string[]; members: string[] }

/** A real Nova blocks an attach for 60 s when the host is dead, and then says 500 (measured): wait longer than that. */
const attach_timeout_ms = 90_000

/** Nova's calls that load balancing needs. What is not there is null, never an error; deletes of it succeed. */
export class Nova {
  readonly #os: OpenStack
  readonly #signal: AbortSignal | undefined

  constructor(os: OpenStack, signal?: AbortSignal) {
    this.#os = os
    this.#signal = signal
  }

  async server(id: string): Promise<Server | null> {
    return this.#orNull(async () => {
      const { body } = await this.#request('GET', `/servers/${encodeURIComponent(id)}`)
      return (body as { server: Server }).server
    })
  }

  /** The servers of our project with exactly this name (Nova itself reads it as a regular expression). */
  async serversNamed(name: string): Promise<Server[]> {
    const { body } = await this.#request('GET', '/servers/detail', { query: { name: `^${name}$` } })
    return (body as { servers: Server[] }).servers.filter(server => server.name === name)
  }

  /** Answers with the id: Nova tells nothing else yet. Not repeatable: look for the name before asking again. */
  async createServer(body: ServerBody, hints: { group?: string } = {}): Promise<string> {
    const extra = hints.group ? { 'os:scheduler_hints': { group: hints.group } } : {}
    const answer = await this.#request('POST', '/servers', {
      body: { server: { min_count: 1, max_count: 1, ...body }, ...extra },
    })
    return (answer.body as { server: { id: string } }).server.id
  }

  /** A 204 is a promise only: with a dead host the server stays for ever. Look, and ask again. */
  async deleteServer(id: string): Promise<void> {
    await this.#orNull(() => this.#request('DELETE', `/servers/${encodeURIComponent(id)}`))
  }

  /** The flavor of that id; null when there is none. */
  async flavor(id: string): Promise<{ id: string; name: string } | null> {
    return this.#orNull(async () => {
      const { body } = await this.#request('GET', `/flavors/${encodeURIComponent(id)}`)
      return (body as { flavor: { id: string; name: string } }).flavor
    })
  }

  /** The names of the availability zones. */
  async zones(): Promise<string[]> {
    const { body } = await this.#request('GET', '/os-availability-zone')
    return (body as { availabilityZoneInfo: { zoneName: string }[] }).availabilityZoneInfo.map(zone => zone.zoneName)
  }

  async interfaces(server_id: string): Promise<ServerInterface[] | null> {
    return this.#orNull(async () => {
      const { body } = await this.#request('GET', `/servers/${encodeURIComponent(server_id)}/os-interface`)
      return (body as { interfaceAttachments: ServerInterface[] }).interfaceAttachments
    })
  }

  /** Attaches a port; 409 when it is attached already, here or elsewhere. */
  async attach(server_id: string, port_id: string): Promise<void> {
    await this.#request('POST', `/servers/${encodeURIComponent(server_id)}/os-interface`, {
      body: { interfaceAttachment: { port_id } },
      timeout_ms: attach_timeout_ms,
    })
  }

  /** Accepted at once, also when nothing is attached: wait until the port's device_id is empty. */
  async detach(server_id: string, port_id: string): Promise<void> {
    const path = `/servers/${encodeURIComponent(server_id)}/os-interface/${encodeURIComponent(port_id)}`
    await this.#orNull(() => this.#request('DELETE', path))
  }

  async serverGroup(id: string): Promise<ServerGroup | null> {
    return this.#orNull(async () => {
      const { body } = await this.#request('GET', `/os-server-groups/${encodeURIComponent(id)}`)
      return (body as { server_group: ServerGroup }).server_group
    })
  }

  /** The groups of our project with this name. */
  async serverGroupsNamed(name: string): Promise<ServerGroup[]> {
    const { body } = await this.#request('GET', '/os-server-groups')
    return (body as { server_groups: ServerGroup[] }).server_groups.filter(group => group.name === name)
  }

  async createServerGroup(name: string, policy: string): Promise<string> {
    const { body } = await this.#request('POST', '/os-server-groups', {
      body: { server_group: { name, policies: [policy] } },
    })
    return (body as { server_group: ServerGroup }).server_group.id
  }

  async deleteServerGroup(id: string): Promise<void> {
    await this.#orNull(() => this.#request('DELETE', `/os-server-groups/${encodeURIComponent(id)}`))
  }

  async #orNull<T>(call: () => Promise<T>): Promise<T | null> {
    try {
      return await call()
    } catch (error) {
      if (error instanceof CloudError && error.kind === 'not_found') return null
      throw error
    }
  }

  #request(method: string, path: string, options: CloudRequest = {}) {
    const headers = { 'x-openstack-nova-api-version': '2.15' }
    return this.#os.request('compute', method, path, { signal: this.#signal, headers, ...options })
  }
}
