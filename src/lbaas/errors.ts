/** Every refusal once: its status and text in both dialects, and the rule behind it for the operator. */

/** A request that is refused. The tenant sees the dialect's text; `rule` is for the operator's log. */
export class Rejected extends Error {
  readonly code: ErrorCode
  readonly values: Values
  constructor(code: ErrorCode, values: Values) {
    super(errors[code].octavia[1](values))
    this.name = 'Rejected'
    this.code = code
    this.values = values
  }

  get rule(): string {
    return errors[this.code].rule
  }

  octavia(): { status: number; faultstring: string } {
    const [status, text] = errors[this.code].octavia
    return { status, faultstring: text(this.values) }
  }

  neutron(): { status: number; type: string; message: string } {
    const [status, type, text] = errors[this.code].neutron
    return { status, type: typeof type === 'string' ? type : type(this.values), message: text(this.values) }
  }
}

export type ErrorCode = keyof typeof errors
type Values = Readonly<Record<string, string | number>>
type Text = (values: Values) => string
type Entry = {
  /** What was violated and, where it is not plain, what to do about it. */
  rule: string
  octavia: readonly [status: number, text: Text]
  /** The type is a Text where it depends on the values. */
  neutron: readonly [status: number, type: string | Text, text: Text]
}

/** How the dialects call a resource in a sentence. */
const neutron_names: Readonly<Record<string, string>> = {
  'Load Balancer': 'loadbalancer',
  Listener: 'listener',
  Pool: 'pool',
  Member: 'member',
  Amphora: 'amphora',
}
const inNeutron = (title: unknown) => neutron_names[String(title)] ?? String(title)
const bad = (text: Text) => [400, 'HTTPBadRequest', text] as const
const alike = (type: string, text: Text) => ({ octavia: invalid(text), neutron: [400, type, text] }) as const
const comeAgain = (text: Text) => ({ octavia: [503, text], neutron: [503, 'ServiceUnavailable', text] }) as const
const invalid = (text: Text) => [400, (v: Values) => `Validation failure: ${text(v)}`] as const

const errors = {
  not_found: {
    rule: 'There is no such object, or not for this project.',
    octavia: [404, v => `${v.resource} ${v.id} not found.`],
    neutron: [404, 'EntityNotFound', v => `${inNeutron(v.resource)} ${v.id} could not be found`],
  },
  member_not_found: {
    rule: 'The pool has no such member.',
    octavia: [404, v => `Member ${v.id} not found.`],
    neutron: [404, 'MemberNotFoundForPool', v => `Member ${v.id} could not be found in pool ${v.pool_id}`],
  },
  path_not_found: {
    rule: 'There is nothing at this path.',
    octavia: [404, () => 'The resource could not be found.'],
    neutron: [404, 'HTTPNotFound', () => 'The resource could not be found.'],
  },
  cloud_object_not_found: {
    rule: 'The cloud has no such subnet, network or port, or the project may not use it.',
    octavia: [400, v => `${v.resource} ${v.id} not found.`],
    neutron: [404, v => `${v.resource}NotFound`, v => `${v.resource} ${v.id} could not be found.`],
  },
  unauthenticated: {
    rule: 'Keystone does not know the token; get a new one.',
    octavia: [401, () => 'The request you have made requires authentication.'],
    neutron: [401, 'Unauthorized', () => 'The request you have made requires authentication.'],
  },
  forbidden: {
    rule: "The policy gives none of the token's roles this right.",
    octavia: [403, () => 'Policy does not allow this request to be performed.'],
    neutron: [403, 'PolicyNotAuthorized', v => `(rule:${v.action}) is disallowed by policy`],
  },
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
  prometheus_pool: {
    rule: 'A PROMETHEUS listener serves metrics and has no pools.',
    ...alike('HTTPBadRequest', () => 'Listeners of type PROMETHEUS can not have child objects.'),
  },
  no_certificate: {
    rule: 'TERMINATED_HTTPS needs a certificate.',
    octavia: invalid(() => 'An SNI or default container reference must be provided to use TERMINATED_HTTPS protocol.'),
    neutron: [400, 'TLSDefaultContainerNotSpecified', () => 'Default TLS container was not specified'],
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
    ...alike('HTTPBadRequest', v => `CIDR ${v.cidr} IP version incompatible with VIP ${v.vip_address}.`),
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
  missing_project: {
    rule: 'Without authentication the request must name its project.',
    octavia: [400, () => 'Missing project ID in request where one is required.'],
    neutron: bad(() => 'Running without keystone AuthN requires that tenant_id is specified'),
  },
  foreign_project: {
    rule: 'Only an admin may name a project that is not his own.',
    octavia: [403, () => 'Policy does not allow this request to be performed.'],
    neutron: bad(
      () =>
        "Specifying 'project_id' or 'tenant_id' other than the authenticated project in request requires admin privileges",
    ),
  },
  unknown_attributes: {
    rule: 'The body names fields that do not exist, or may not be set so.',
    octavia: [
      400,
      v => `Unknown attribute${String(v.names).includes(', ') ? 's' : ''} for argument ${v.root}: ${v.names}`,
    ],
    neutron: bad(v => `Unrecognized attribute(s) '${v.names}'`),
  },
  read_only_attribute: {
    rule: 'The field is set at creation or never.',
    octavia: [400, v => `Unknown attribute for argument ${v.root}: ${v.name}`],
    neutron: bad(v =>
      v.method === 'POST' ? `Attribute '${v.name}' not allowed in POST` : `Cannot update read-only attribute ${v.name}`,
    ),
  },
  required_attribute: {
    rule: 'The body lacks a required field.',
    octavia: [400, v => `Invalid input for field/attribute ${v.name}. Value: 'None'. Mandatory field missing.`],
    neutron: bad(v => `Failed to parse request. Required attribute '${v.name}' not specified`),
  },
  bad_value: {
    rule: 'A value is not of its kind or outside its limits.',
    octavia: [400, v => `Invalid input for field/attribute ${v.name}. Value: '${v.value}'. ${v.octavia}`],
    neutron: bad(v => `Invalid input for ${v.name}. Reason: ${v.neutron}.`),
  },
  bad_body: {
    rule: 'The body is no JSON object with the right root.',
    octavia: [400, v => `Invalid input for field/attribute ${v.root}. Value: '${v.value}'. ${v.detail}`],
    neutron: bad(() => 'Body contains invalid data'),
  },
  bad_json: {
    rule: 'The body is no JSON.',
    octavia: [400, () => 'Request must be in JSON format: the body could not be parsed.'],
    neutron: bad(() => 'Body contains invalid data'),
  },
  wrong_root: {
    rule: "The body's one key is the resource's name.",
    octavia: [400, v => `Unknown argument: "${v.given}"`],
    neutron: bad(v => `Unable to find '${v.root}' in request body`),
  },
  missing_root: {
    rule: 'There is no body, or no JSON object.',
    octavia: [400, v => `Missing argument: "${v.root}"`],
    neutron: bad(() => 'Resource body required'),
  },
  wrong_content_type: {
    rule: 'Bodies are application/json.',
    octavia: [415, v => `Unknown mimetype: ${v.given}`],
    neutron: [415, 'HTTPUnsupportedMediaType', v => `The content type ${v.given} is not supported.`],
  },
  too_large: {
    rule: 'The body is larger than any request needs.',
    octavia: [413, () => 'Request is too large.'],
    neutron: [413, 'HTTPRequestEntityTooLarge', () => 'Request is too large.'],
  },
  bad_filter: {
    rule: 'There is no such field to filter by.',
    octavia: [400, v => `Unknown argument: "${v.name}"`],
    neutron: bad(v => `['${v.name}'] is invalid attribute for filtering`),
  },
  bad_list_option: {
    rule: 'A list cannot be sorted or cut so.',
    octavia: [400, v => `Supplied ${v.option} '${v.value}' is not valid.`],
    neutron: bad(v => `Supplied ${v.option} '${v.value}' is not valid.`),
  },
  busy: {
    rule: 'Other writes of the project or the load balancer did not let this one through in time; try again.',
    ...comeAgain(() => 'Project busy.  Unable to lock the project.  Please try again.'),
  },
  reservation_gone: {
    rule: 'The address was taken back because accepting took too long; try again.',
    ...comeAgain(() => 'The VIP reservation has expired. Please try again.'),
  },
  unavailable: {
    rule: 'The cloud or the database did not answer; try again.',
    ...comeAgain(v => `The ${v.service} service is not available at the moment. Please try again.`),
  },
  defect: {
    rule: 'An error of ours; the log has the rest under this id.',
    octavia: [500, v => `internal error ${v.id}`],
    neutron: [500, 'HTTPInternalServerError', v => `internal error ${v.id}`],
  },
} as const satisfies Record<string, Entry>
