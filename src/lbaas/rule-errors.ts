/** Refusals by a rule of the domain: what does not fit into its tree, or may not be now. */
import { alike, bad, type Entry, inNeutron, invalid } from './error-text.ts'

export const rule_errors = {
  immutable: {
    rule: 'The object, or one that it belongs to, is being deleted (or, with locking: conflict, changed).',
    octavia: [409, v => `${v.resource} ${v.id} is immutable and cannot be updated.`],
    neutron: [409, 'StateInvalid', v => `Invalid state ${v.state} of loadbalancer resource ${v.id}`],
  },
  pending: {
    rule: 'The load balancer cannot be deleted in this state.',
    octavia: [409, v => `Invalid state ${v.state} of loadbalancer resource ${v.id}`],
    neutron: [409, 'StateInvalid', v => `Invalid state ${v.state} of loadbalancer resource ${v.id}`],
  },
  has_children: {
    rule: 'A load balancer with children is deleted with cascade=true, or its children first.',
    octavia: invalid(v => `Cannot delete Load Balancer ${v.id} - it has children`),
    neutron: [409, 'EntityInUse', v => `${inNeutron(v.using)} ${v.using_id} is using this loadbalancer`],
  },
  duplicate_listener: {
    rule: 'Listeners of one load balancer need different ports, per transport.',
    octavia: [
      409,
      v =>
        `Another Listener on this Load Balancer is already using protocol ${v.protocol} and protocol_port ${v.protocol_port}`,
    ],
    neutron: [
      409,
      'LoadBalancerListenerProtocolPortExists',
      v => `Load Balancer ${v.load_balancer_id} already has a listener with protocol_port of ${v.protocol_port}`,
    ],
  },
  duplicate_member: {
    rule: 'Members of one pool need different addresses or ports.',
    octavia: [
      409,
      v => `Another member on this pool is already using ip ${v.address} on protocol_port ${v.protocol_port}`,
    ],
    neutron: [
      409,
      'MemberExists',
      v => `Member with address ${v.address} and protocol_port ${v.protocol_port} already present in pool ${v.pool_id}`,
    ],
  },
  duplicate_monitor: {
    rule: 'A pool has one health monitor.',
    octavia: [409, () => 'This pool already has a health monitor'],
    neutron: [
      409,
      'OneHealthMonitorPerPool',
      v => `Only one health monitor per pool allowed.  Pool ${v.pool_id} is already using Health Monitor ${v.id}.`,
    ],
  },
  monitor: {
    rule: 'The parts of a health monitor do not fit together, or not to its pool.',
    octavia: invalid(v => String(v.detail)),
    neutron: bad(v => `Invalid input for ${v.field}. Reason: ${v.detail}`),
  },
  unnamed_pool: {
    rule: 'In a whole load balancer pools are referred to by their names.',
    ...alike('HTTPBadRequest', () => 'Pools must be named when creating a fully populated loadbalancer.'),
  },
  pool_name_twice: {
    rule: 'In a whole load balancer pools are referred to by their names.',
    ...alike('HTTPBadRequest', () => 'Pool names must be unique when creating a fully populated loadbalancer.'),
  },
  pool_undefined: {
    rule: 'In a whole load balancer every pool that is referred to by its name is defined in it.',
    ...alike('HTTPBadRequest', v => `Pool '${v.name}' was referenced but no full definition was found.`),
  },
  flavor_unknown: {
    rule: 'There is no such flavor.',
    octavia: invalid(() => 'Invalid flavor_id.'),
    neutron: [404, 'FlavorNotFound', v => `Flavor ${v.id} could not be found.`],
  },
  flavor_provider: {
    rule: 'The flavor is of another provider than the one that the request names.',
    octavia: [400, v => `Flavor '${v.flavor}' is not compatible with provider '${v.provider}'`],
    neutron: [409, 'ProviderFlavorConflict', () => 'Cannot specify both a flavor and a provider'],
  },
  zone_unknown: {
    rule: 'There is no such availability zone.',
    ...alike('AvailabilityZoneNotFound', () => 'Invalid availability zone.'),
  },
  zone_provider: {
    rule: "The availability zone is of another provider than the load balancer's.",
    octavia: [400, v => `Availability zone '${v.zone}' is not compatible with provider '${v.provider}'`],
    neutron: bad(v => `Availability zone '${v.zone}' is not compatible with provider '${v.provider}'`),
  },
  vip_network_not_allowed: {
    rule: 'The chosen availability zone does not have the network of the VIP; its profile says which it has.',
    ...alike('BadRequest', () => 'Supplied VIP network_id is not allowed by the configuration of this deployment.'),
  },
  image_not_found: {
    rule: 'No active image carries the tag; upload one, or correct the profile.',
    octavia: [400, v => `Failed to find an image with tag ${v.tag}.`],
    neutron: bad(v => `Failed to find an image with tag ${v.tag}.`),
  },
  name_taken: {
    rule: 'Names of these are unique.',
    octavia: [409, v => `A ${v.resource} of ${v.name} already exists.`],
    neutron: [409, 'NameInUse', v => `A ${v.resource} of ${v.name} already exists.`],
  },
  in_use: {
    rule: 'Others depend on it; take it from them first.',
    octavia: [409, v => `${v.resource} ${v.id} is in use and cannot be modified.`],
    neutron: [409, 'InUse', v => `${v.resource} ${v.id} is in use and cannot be modified.`],
  },
  disabled_option: {
    rule: 'The operator does not offer it.',
    octavia: [400, v => `The selected ${v.option} is not allowed in this deployment: ${v.value}`],
    neutron: bad(v => `The selected ${v.option} is not allowed in this deployment: ${v.value}`),
  },
  listener_has_pool: {
    rule: 'A listener has one default pool.',
    octavia: [409, () => 'This listener already has a default pool'],
    neutron: [
      409,
      'ListenerDefaultPoolAlreadySet',
      v => `Listener ${v.listener_id} is already using default pool ${v.pool_id}.`,
    ],
  },
  listener_without_parent: {
    rule: 'A listener is made on a load balancer.',
    octavia: [400, () => "Invalid input for field/attribute loadbalancer_id. Value: 'None'. Mandatory field missing."],
    neutron: [400, 'ListenerMustHaveLoadbalancer', () => 'Listener must be created with a loadbalancer or pool.'],
  },
  pool_without_parent: {
    rule: 'A pool is made on a load balancer or on a listener.',
    octavia: invalid(() => 'Must provide at least one of: loadbalancer_id, listener_id'),
    neutron: [400, 'PoolMustHaveLoadbalancer', () => 'Pool must be created with a loadbalancer or listener.'],
  },
  parents_differ: {
    rule: 'A listener and its pool belong to one load balancer.',
    ...alike('ListenerAndPoolMustBeOnSameLoadbalancer', () => 'Listener and pool must be on the same loadbalancer.'),
  },
  pool_elsewhere: {
    rule: 'A listener uses pools of its own load balancer.',
    octavia: [404, v => `Pool ${v.pool_id} not found.`],
    neutron: [
      400,
      'ListenerPoolLoadbalancerMismatch',
      v => `Pool ${v.pool_id} is on loadbalancer ${v.load_balancer_id}.`,
    ],
  },
  protocol_mismatch: {
    rule: 'The pool cannot speak the protocol that the listener takes.',
    octavia: invalid(v => `The pool protocol '${v.pool}' is invalid while the listener protocol is '${v.listener}'.`),
    neutron: [
      409,
      'ListenerPoolProtocolMismatch',
      v => `Listener protocol ${v.listener} and pool protocol ${v.pool} are not compatible.`,
    ],
  },
  member_sriov: {
    rule: 'A flavor has to allow ports of members by SR-IOV.',
    octavia: [400, () => 'The load balancer flavor does not allow SR-IOV member ports.'],
    neutron: bad(() => 'The load balancer flavor does not allow SR-IOV member ports.'),
  },
  prometheus_children: {
    rule: 'A PROMETHEUS listener serves metrics and has no pools or policies.',
    ...alike('HTTPBadRequest', () => 'Listeners of type PROMETHEUS can not have child objects.'),
  },
  no_certificate: {
    rule: 'TERMINATED_HTTPS needs a certificate.',
    octavia: invalid(
      v => `An SNI or default certificate container reference must be provided for ${v.protocol} protocol listeners.`,
    ),
    neutron: [400, 'TLSDefaultContainerNotSpecified', () => 'Default TLS container was not specified'],
  },
  tls: {
    rule: 'The parts of TLS do not fit together, or not to the deployment.',
    ...alike('HTTPBadRequest', v => String(v.detail)),
  },
  certificate: {
    rule: 'The certificate store has no such certificate, or not for the project, or it is none.',
    octavia: [400, v => `Could not retrieve certificate: ['${v.ref}']`],
    neutron: [404, 'TLSContainerNotFound', v => `TLS container ${v.ref} could not be found`],
  },
  certificate_invalid: {
    rule: 'What the reference names is not what it has to be.',
    octavia: invalid(v => `The container or secret ${v.ref} cannot be used: ${v.reason}`),
    neutron: [400, 'TLSContainerInvalid', v => `TLS container ${v.ref} is invalid. ${v.reason}`],
  },
  persistence: {
    rule: 'The parts of session persistence do not fit together.',
    octavia: invalid(v => `Invalid session_persistence provided: ${v.detail}`),
    neutron: [400, 'SessionPersistenceConfigurationInvalid', v => `Session Persistence Invalid: ${v.detail}`],
  },
  invalid_option: {
    rule: 'The value is reserved or makes no sense here.',
    octavia: [400, v => `${v.value} is not a valid option for ${v.option}`],
    neutron: bad(v => `Invalid input for ${v.field}. Reason: ${v.value} is not a valid option for ${v.option}.`),
  },
  family_mismatch: {
    rule: 'An address of one family cannot be reached through a subnet of the other.',
    ...alike(
      'MemberAddressTypeSubnetTypeMismatch',
      v => `Member with address ${v.address} and subnet ${v.subnet_id} have mismatched IP versions`,
    ),
  },
  not_allowed_with: {
    rule: 'The field goes with other values of another field only.',
    octavia: invalid(v => `${v.field} is not allowed with ${v.other} ${v.value}.`),
    neutron: bad(v => `Invalid input for ${v.field}. Reason: it is not allowed with ${v.other} ${v.value}.`),
  },
  cidr_family: {
    rule: "allowed_cidrs must be of the VIP's family.",
    ...alike('HTTPBadRequest', v => `CIDR ${v.cidr} IP version incompatible with all VIPs [${v.vips}] IP version.`),
  },
  cidrs_and_groups: {
    rule: "A tenant's own security groups say who may reach the VIP; allowed_cidrs would say it too.",
    ...alike('HTTPBadRequest', () => 'Allowed CIDRs are not allowed when using custom VIP Security Groups.'),
  },
  twin_subnets: {
    rule: 'A load balancer has one address of each subnet.',
    ...alike('HTTPBadRequest', () => 'Duplicate VIP subnet(s) specified. Only one IP can be bound per subnet.'),
  },
  vip_networks: {
    rule: 'All addresses of a load balancer are on one network.',
    ...alike('HTTPBadRequest', () => 'All VIP subnets must belong to the same network.'),
  },
  no_vip: {
    rule: 'A load balancer needs to be told where its VIP is to be.',
    octavia: invalid(() => 'VIP must contain one of: vip_port_id, vip_network_id, vip_subnet_id.'),
    neutron: bad(() => "Failed to parse request. Required attribute 'vip_subnet_id' not specified"),
  },
  vip: {
    rule: 'The VIP cannot be had as it was asked for.',
    octavia: invalid(v => String(v.detail)),
    neutron: bad(v => `Invalid input for operation: ${v.detail}`),
  },
  vip_in_use: {
    rule: 'The address of the VIP is taken by another port.',
    octavia: [409, v => `The VIP address ${v.address} is already in use on network ${v.network_id}.`],
    neutron: [
      409,
      'IpAddressAlreadyAllocated',
      v => `IP address ${v.address} already allocated in subnet ${v.subnet_id}`,
    ],
  },
  no_addresses: {
    rule: 'The subnet of the VIP has no address left.',
    octavia: [409, v => `No more IP addresses available on network ${v.network_id}.`],
    neutron: [409, 'IpAddressGenerationFailure', v => `No more IP addresses available on network ${v.network_id}.`],
  },
  port_quota: {
    rule: "The project's quota of the network service leaves no port for the VIP.",
    octavia: [403, () => 'Quota has been met for resources: port'],
    neutron: [409, 'OverQuota', () => "Quota exceeded for resources: ['port']."],
  },
  quota: {
    rule: "The project's quota is used up.",
    octavia: [403, v => `Quota has been met for resources: ${v.resource}`],
    neutron: [409, 'OverQuota', v => `Quota exceeded for resources: ['${inNeutron(v.resource)}'].`],
  },
  provider_not_enabled: {
    rule: 'No such provider is configured.',
    octavia: [400, v => `Provider '${v.provider}' is not enabled.`],
    neutron: [
      404,
      'ServiceProviderNotFound',
      v => `Service provider '${v.provider}' could not be found for service type LOADBALANCERV2`,
    ],
  },
  provider_unsupported: {
    rule: 'The provider cannot do what was asked for.',
    octavia: [501, v => `Provider '${v.provider}' does not support a requested option: ${v.detail}`],
    neutron: [
      501,
      'UnsupportedOption',
      v => `Provider '${v.provider}' does not support a requested option: ${v.detail}`,
    ],
  },
} as const satisfies Record<string, Entry>
