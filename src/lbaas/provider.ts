/** A provider: who serves load balancers, and which of the declared options it can serve. */
import { Rejected } from './errors.ts'
import type { HealthMonitor } from './health-monitor.ts'
import type { Listener } from './listener.ts'
import type { Topology } from './load-balancer.ts'
import type { Pool } from './pool.ts'
import type { Tree } from './tree.ts'

export type Provider = {
  name: string
  /** Further names that requests may use. */
  aliases: readonly string[]
  description: string
  listener_protocols: readonly Listener['protocol'][]
  pool_protocols: readonly Pool['protocol'][]
  lb_algorithms: readonly Pool['lb_algorithm'][]
  monitor_types: readonly HealthMonitor['type'][]
  /** Why what is not listed above is not, where there is more to say; by protocol. */
  reasons: Readonly<Record<string, string>>
  /** The first one is for those who want another, unless their flavor says so. */
  topologies: readonly [Topology, ...Topology[]]
  /** The keys that profiles of flavors may have, and those that profiles of availability zones may. */
  flavor_capabilities: readonly Capability[]
  availability_zone_capabilities: readonly Capability[]
}

/** A key of a profile. Its value is a string, one of `values` where not any will do, or a list of such; or a truth. */
export type Capability = {
  name: string
  description: string
  values?: readonly string[]
  several?: boolean
  truth?: boolean
}

/** Of both providers, which are haproxy. */
const unit: Capability = {
  name: 'unit',
  description:
    'What one haproxy serves. One of: listener - Each listener has its own. load_balancer - All listeners of the load balancer share one.',
  values: ['listener', 'load_balancer'],
}

/** The reference provider: haproxy in servers of the cloud. */
export const amphora_provider: Provider = {
  name: 'amphora',
  aliases: ['octavia'],
  description: 'The reference provider: haproxy in servers of the cloud, called amphorae.',
  listener_protocols: ['HTTP', 'HTTPS', 'TCP', 'TERMINATED_HTTPS', 'PROMETHEUS', 'UDP'],
  pool_protocols: ['HTTP', 'HTTPS', 'PROXY', 'PROXYV2', 'TCP', 'UDP'],
  lb_algorithms: ['ROUND_ROBIN', 'LEAST_CONNECTIONS', 'SOURCE_IP'],
  monitor_types: ['HTTP', 'HTTPS', 'PING', 'TCP', 'TLS-HELLO', 'UDP-CONNECT'],
  reasons: { SCTP: "the amphorae's kernel cannot carry it" },
  topologies: ['SINGLE', 'ACTIVE_STANDBY'],
  flavor_capabilities: [
    {
      name: 'loadbalancer_topology',
      description:
        'The load balancer topology. One of: SINGLE - One amphora per load balancer. ACTIVE_STANDBY - Two amphora per load balancer.',
      values: ['SINGLE', 'ACTIVE_STANDBY'],
    },
    { name: 'compute_flavor', description: 'The compute driver flavor ID.' },
    { name: 'amp_image_tag', description: 'The amphora image tag.' },
    {
      name: 'sriov_vip',
      description: 'When true, the VIP port will be created using an SR-IOV VF port.',
      truth: true,
    },
    {
      name: 'allow_member_sriov',
      description: 'When true, users can request a member port be SR-IOV enabled at member creation time.',
      truth: true,
    },
    unit,
  ],
  availability_zone_capabilities: [
    { name: 'compute_zone', description: 'The compute availability zone.' },
    { name: 'volume_zone', description: 'The volume availability zone.' },
    { name: 'management_network', description: 'The management network ID for the amphora.' },
    {
      name: 'valid_vip_networks',
      description:
        'List of network IDs that are allowed for VIP use. This overrides/replaces the list of allowed networks configured in `octavia.conf`.',
      several: true,
    },
  ],
}

/** The other reference provider: haproxy in namespaces of network hosts, without servers. */
export const haproxy_provider: Provider = {
  name: 'haproxy',
  aliases: [],
  description: 'haproxy in a namespace of a network host: no server of its own, and none that stands by.',
  listener_protocols: ['HTTP', 'HTTPS', 'TCP', 'TERMINATED_HTTPS', 'PROMETHEUS'],
  pool_protocols: ['HTTP', 'HTTPS', 'PROXY', 'PROXYV2', 'TCP'],
  lb_algorithms: ['ROUND_ROBIN', 'LEAST_CONNECTIONS', 'SOURCE_IP'],
  monitor_types: ['HTTP', 'HTTPS', 'PING', 'TCP', 'TLS-HELLO'],
  reasons: { SCTP: 'haproxy does not carry it', UDP: 'haproxy does not carry it; provider amphora does' },
  topologies: ['SINGLE'],
  flavor_capabilities: [unit],
  availability_zone_capabilities: [],
}

const all_providers: readonly Provider[] = [amphora_provider, haproxy_provider]

/** The providers of `amphora: what it is, octavia: …, haproxy: …`: each may have its own words, and is there under the
 *  names that are listed alone. Throws when there is none of a name. */
export function enabledProviders(drivers: string): Provider[] {
  const listed = drivers.split(',').flatMap((driver): [string, string][] => {
    const [name = '', ...words] = driver.split(':')
    return name.trim() === '' ? [] : [[name.trim(), words.join(':').trim()]]
  })
  const known = all_providers.flatMap(({ name, aliases }) => [name, ...aliases])
  const unknown = listed.find(([name]) => !known.includes(name))
  if (unknown) throw new Error(`there is no provider ${unknown[0]}; there are ${known.join(', ')}`)
  const words = new Map(listed)
  return all_providers.flatMap(provider => {
    const aliases = provider.aliases.filter(alias => words.has(alias))
    if (!words.has(provider.name) && aliases.length === 0) return []
    return [{ ...provider, aliases, description: words.get(provider.name) || provider.description }]
  })
}

/** The provider of that name or alias. */
export function providerNamed(providers: readonly Provider[], name: string): Provider {
  const found = providers.find(provider => provider.name === name || provider.aliases.includes(name))
  if (!found) throw new Rejected('provider_not_enabled', { provider: name })
  return found
}

/** Refuses what the provider cannot serve, before anything is written. */
export function refuseUnsupported(provider: Provider, tree: Tree): void {
  const refuse = (option: string, value: string) => {
    const reason = provider.reasons[value]
    const detail = `${option} ${value}${reason === undefined ? '' : `: ${reason}`}`
    return new Rejected('provider_unsupported', { provider: provider.name, detail })
  }
  const { vip_vnic_type, vip_sg_ids } = tree.load_balancer
  if (vip_vnic_type === 'direct' && vip_sg_ids.length > 0)
    throw refuse('vip_sg_ids', 'with a VIP port by SR-IOV, which security groups do not reach')
  for (const { protocol } of tree.listeners)
    if (!provider.listener_protocols.includes(protocol)) throw refuse('listener protocol', protocol)
  for (const { protocol, lb_algorithm } of tree.pools) {
    if (!provider.pool_protocols.includes(protocol)) throw refuse('pool protocol', protocol)
    if (!provider.lb_algorithms.includes(lb_algorithm)) throw refuse('lb_algorithm', lb_algorithm)
  }
  for (const { type } of tree.health_monitors)
    if (!provider.monitor_types.includes(type)) throw refuse('health monitor type', type)
}
