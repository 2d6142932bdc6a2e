/** What Neutron's objects look like when new, and what each list may be filtered by. */
import { randomBytes, randomUUID } from 'node:crypto'
import { timestamp } from '../service.ts'
import type { Document } from '../store.ts'

export type Network = Document & {
  name: string
  project_id: string
  shared: boolean
  subnets: string[]
  mtu: number
  admin_state_up: boolean
  qos_policy_id: string | null
}
export type Subnet = Document & {
  name: string
  project_id: string
  network_id: string
  cidr: string
  ip_version: 4 | 6
  gateway_ip: string | null
  ipv6_address_mode: string | null
  allocation_pools: { start: string; end: string }[]
}
export type FixedIp = { subnet_id: string; ip_address: string }
export type Port = Document & {
  name: string
  project_id: string
  network_id: string
  mac_address: string
  admin_state_up: boolean
  status: string
  device_id: string
  device_owner: string
  fixed_ips: FixedIp[]
  security_groups: string[]
  allowed_address_pairs: { ip_address: string; mac_address: string }[]
  port_security_enabled: boolean
  qos_policy_id: string | null
  'binding:host_id': string
  'binding:profile': Record<string, string>
  /** The server that Nova has plugged it into: what anybody may write into device_id says nothing. */
  _server_id: string | null
  /** Whether Nova made it: then it goes with the server. */
  _made_by_nova: boolean
  /** Whether Nova made it for the server's first boot: then it has a place among the configured interfaces. */
  _at_boot: boolean
}
export type SecurityGroup = Document & { name: string; project_id: string; description: string }
export type Rule = Document & {
  project_id: string
  security_group_id: string
  direction: 'ingress' | 'egress'
  ethertype: 'IPv4' | 'IPv6'
  protocol: string | null
  port_range_min: number | null
  port_range_max: number | null
  remote_ip_prefix: string | null
  remote_group_id: string | null
  _number: number
}

export type QosPolicy = Document & {
  name: string
  project_id: string
  shared: boolean
  /** New networks of its project get it. */
  is_default: boolean
  rules: QosRule[]
}
export type QosRule = {
  id: string
  qos_policy_id: string
  type: 'bandwidth_limit' | 'dscp_marking' | 'minimum_bandwidth'
  direction?: 'egress' | 'ingress'
  max_kbps?: number
  max_burst_kbps?: number
  min_kbps?: number
  dscp_mark?: number
}

export function newNetwork(project_id: string, given: Partial<Network>): Network {
  return {
    id: randomUUID(),
    name: '',
    tenant_id: project_id,
    admin_state_up: true,
    mtu: 1450,
    status: 'ACTIVE',
    subnets: [],
    shared: false,
    availability_zone_hints: [],
    availability_zones: [],
    ipv4_address_scope: null,
    ipv6_address_scope: null,
    'router:external': false,
    description: '',
    port_security_enabled: true,
    qos_policy_id: null,
    tags: [],
    ...times(),
    revision_number: 1,
    project_id,
    'provider:network_type': 'vxlan',
    'provider:physical_network': null,
    'provider:segmentation_id': 1 + (randomBytes(2).readUInt16BE() % 4000),
    ...given,
  }
}

export function newSubnet(
  project_id: string,
  given: Partial<Subnet> & { network_id: string; cidr: string; ip_version: 4 | 6 },
): Subnet {
  return {
    id: randomUUID(),
    name: '',
    tenant_id: project_id,
    subnetpool_id: null,
    enable_dhcp: true,
    ipv6_ra_mode: null,
    ipv6_address_mode: null,
    gateway_ip: null,
    allocation_pools: [],
    host_routes: [],
    dns_nameservers: [],
    description: '',
    service_types: [],
    tags: [],
    ...times(),
    revision_number: 0,
    project_id,
    ...given,
  }
}

export function newPort(project_id: string, given: Partial<Port> & { network_id: string }): Port {
  return {
    id: randomUUID(),
    name: '',
    tenant_id: project_id,
    mac_address: '',
    admin_state_up: true,
    status: 'DOWN',
    device_id: '',
    device_owner: '',
    fixed_ips: [],
    project_id,
    port_security_enabled: true,
    qos_policy_id: null,
    security_groups: [],
    'binding:vnic_type': 'normal',
    'binding:profile': {},
    'binding:host_id': '',
    'binding:vif_type': 'unbound',
    'binding:vif_details': {},
    allowed_address_pairs: [],
    extra_dhcp_opts: [],
    description: '',
    qos_network_policy_id: null,
    resource_request: null,
    tags: [],
    ...times(),
    revision_number: 1,
    _server_id: null,
    _made_by_nova: false,
    _at_boot: false,
    ...given,
  }
}

export function newGroup(project_id: string, given: Partial<SecurityGroup>): SecurityGroup {
  return {
    id: randomUUID(),
    name: '',
    stateful: true,
    tenant_id: project_id,
    description: '',
    shared: false,
    tags: [],
    ...times(),
    revision_number: 1,
    project_id,
    ...given,
  }
}

export function newRule(
  project_id: string,
  given: Partial<Rule> & Pick<Rule, 'security_group_id' | 'direction' | 'ethertype'>,
): Rule {
  return {
    id: randomUUID(),
    tenant_id: project_id,
    protocol: null,
    port_range_min: null,
    port_range_max: null,
    remote_ip_prefix: null,
    remote_address_group_id: null,
    normalized_cidr: given.remote_ip_prefix ?? null,
    remote_group_id: null,
    description: '',
    ...times(),
    revision_number: 0,
    project_id,
    _number: 0,
    ...given,
  }
}

export function newPolicy(project_id: string, given: Partial<QosPolicy>): QosPolicy {
  return {
    id: randomUUID(),
    project_id,
    name: '',
    shared: false,
    rules: [],
    is_default: false,
    revision_number: 0,
    description: '',
    ...times(),
    tenant_id: project_id,
    tags: [],
    ...given,
  }
}

/** A changed copy, with its time and its revision. */
export function changed<D extends Document>(document: D, fields: Partial<D>): D {
  return { ...document, ...fields, updated_at: timestamp(), revision_number: Number(document.revision_number) + 1 }
}

/** What the outside sees. */
export function shown(document: Document): Record<string, unknown> {
  return Object.fromEntries(Object.entries(document).filter(([key]) => !key.startsWith('_')))
}

function times() {
  const now = timestamp()
  return { created_at: now, updated_at: now }
}

/** The collections that Neutron names at its root. */
export function selfLinks(url: string) {
  return ['network', 'subnet', 'subnetpool', 'port'].map(name => ({
    name,
    collection: `${name}s`,
    links: [{ rel: 'self', href: `${url}/v2.0/${name}s` }],
  }))
}
