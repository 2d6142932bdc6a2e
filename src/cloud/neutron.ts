/** Neutron: networks, subnets, ports and security groups, in its own words. */
import { CloudError, type CloudRequest, type OpenStack } from './openstack.ts'

export type Network = {
  id: string
  name: string
  project_id: string
  shared: boolean
  mtu: number
  subnets: string[]
}

export type Subnet = {
  id: string
  name: string
  project_id: string
  network_id: string
  cidr: string
  ip_version: 4 | 6
  gateway_ip: string | null
  host_routes: { destination: string; nexthop: string }[]
}

export type Port = {
  id: string
  name: string
  project_id: string
  network_id: string
  mac_address: string
  fixed_ips: { subnet_id: string; ip_address: string }[]
  device_id: string
  device_owner: string
  security_groups: string[]
  allowed_address_pairs: { ip_address: string; mac_address?: string }[]
  admin_state_up: boolean
  status: string
  /** How it is wired: `direct` is by SR-IOV. */
  'binding:vnic_type'?: string
  /** Where it is bound; for administrators. */
  'binding:host_id'?: string
}

/** What a POST or PUT of a port may carry. */
export type PortBody = Partial<Omit<Port, 'id' | 'status' | 'fixed_ips'>> & {
  fixed_ips?: { subnet_id?: string; ip_address?: string }[]
  'binding:profile'?: Record<string, string>
}

export type SecurityGroup = { id: string; name: string; project_id: string; security_group_rules: SecurityGroupRule[] }

export type SecurityGroupRule = {
  id: string
  security_group_id: string
  direction: 'ingress' | 'egress'
  ethertype: 'IPv4' | 'IPv6'
  protocol: string | null
  port_range_min: number | null
  port_range_max: number | null
  remote_ip_prefix: string | null
  remote_group_id: string | null
}

type Filter = Record<string, string | string[]>

/** Neutron's calls that load balancing needs. What is not there is null, never an error; deletes of it succeed. */
export class Neutron {
  readonly #os: OpenStack
  readonly #signal: AbortSignal | undefined

  constructor(os: OpenStack, signal?: AbortSignal) {
    this.#os = os
    this.#signal = signal
  }

  network(id: string): Promise<Network | null> {
    return this.#show('network', 'networks', id)
  }

  networks(filter: Filter): Promise<Network[]> {
    return this.#list('networks', filter)
  }

  subnet(id: string): Promise<Subnet | null> {
    return this.#show('subnet', 'subnets', id)
  }

  subnets(filter: Filter): Promise<Subnet[]> {
    return this.#list('subnets', filter)
  }

  port(id: string): Promise<Port | null> {
    return this.#show('port', 'ports', id)
  }

  ports(filter: Filter): Promise<Port[]> {
    return this.#list('ports', filter)
  }

  createPort(body: PortBody): Promise<Port> {
    return this.#write('POST', 'port', '/ports', body)
  }

  updatePort(id: string, body: PortBody): Promise<Port> {
    return this.#write('PUT', 'port', `/ports/${encodeURIComponent(id)}`, body)
  }

  deletePort(id: string): Promise<void> {
    return this.#delete(`/ports/${encodeURIComponent(id)}`)
  }

  securityGroup(id: string): Promise<SecurityGroup | null> {
    return this.#show('security_group', 'security-groups', id)
  }

  /** Null also where the cloud knows nothing of QoS. */
  qosPolicy(id: string): Promise<{ id: string; project_id: string; shared: boolean } | null> {
    return this.#show('policy', 'qos/policies', id)
  }

  securityGroups(filter: Filter): Promise<SecurityGroup[]> {
    return this.#list('security-groups', filter)
  }

  createSecurityGroup(body: { name: string; description?: string }): Promise<SecurityGroup> {
    return this.#write('POST', 'security_group', '/security-groups', body)
  }

  deleteSecurityGroup(id: string): Promise<void> {
    return this.#delete(`/security-groups/${encodeURIComponent(id)}`)
  }

  createSecurityGroupRule(body: Partial<SecurityGroupRule>): Promise<SecurityGroupRule> {
    return this.#write('POST', 'security_group_rule', '/security-group-rules', body)
  }

  deleteSecurityGroupRule(id: string): Promise<void> {
    return this.#delete(`/security-group-rules/${encodeURIComponent(id)}`)
  }

  async #show<T>(singular: string, plural: string, id: string): Promise<T | null> {
    try {
      const { body } = await this.#request('GET', `/${plural}/${encodeURIComponent(id)}`)
      return (body as Record<string, T>)[singular]!
    } catch (error) {
      if (error instanceof CloudError && error.kind === 'not_found') return null
      throw error
    }
  }

  async #list<T>(plural: string, query: Filter): Promise<T[]> {
    const { body } = await this.#request('GET', `/${plural}`, { query })
    return (body as Record<string, T[]>)[plural.replace(/-/g, '_')]!
  }

  async #write<T>(method: string, singular: string, path: string, body: object): Promise<T> {
    const answer = await this.#request(method, path, { body: { [singular]: body } })
    return (answer.body as Record<string, T>)[singular]!
  }

  async #delete(path: string): Promise<void> {
    try {
      await this.#request('DELETE', path)
    } catch (error) {
      if (!(error instanceof CloudError && error.kind === 'not_found')) throw error
    }
  }

  #request(method: string, path: string, options: CloudRequest = {}) {
    return this.#os.request('network', method, path, { signal: this.#signal, ...options })
  }
}
