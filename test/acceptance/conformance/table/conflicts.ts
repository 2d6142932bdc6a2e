/** The cells of what is there already, is not there, or would not fit: the body that is refused, and the words of both
 *  dialects. */
import { type Bed, type Dialect, unknown_id } from './bed.ts'
import type { Cell, Fields, Refusal } from './cell.ts'
import type { declaredIn } from './tree.ts'
import { type Declared, paths } from './usual-cells.ts'

type Row = {
  of: keyof ReturnType<typeof declaredIn>
  does: string
  /** What is said besides what a good body says. */
  but: Fields | ((bed: Bed) => Fields)
  octavia: [status: number, text: Text]
  /** Null where Neutron's API has no such field or value. */
  neutron: [status: number, type: string, text: Text] | null
}
type Text = Refusal['octavia'] | ((bed: Bed) => string)

const rows: Row[] = [
  {
    ...{
      of: 'loadbalancer',
      does: 'is refused a provider that there is not',
      but: { provider: 'nobody', flavor_id: null },
    },
    octavia: [400, "Provider 'nobody' is not enabled."],
    neutron: [
      404,
      'ServiceProviderNotFound',
      "Service provider 'nobody' could not be found for service type LOADBALANCERV2",
    ],
  },
  {
    ...{ of: 'loadbalancer', does: 'is refused a subnet that there is not', but: { vip_subnet_id: unknown_id } },
    octavia: [400, `Subnet ${unknown_id} not found.`],
    neutron: [404, 'SubnetNotFound', `Subnet ${unknown_id} could not be found.`],
  },
  {
    ...{ of: 'loadbalancer', does: 'is refused an address of elsewhere', but: { vip_address: '192.0.2.1' } },
    octavia: [400, /^Validation failure: .*192\.0\.2\.1/],
    neutron: [400, 'HTTPBadRequest', /192\.0\.2\.1/],
  },
  {
    ...{ of: 'loadbalancer', does: 'is refused a flavor that there is not', but: { flavor_id: unknown_id } },
    octavia: [400, 'Validation failure: Invalid flavor_id.'],
    neutron: [404, 'FlavorNotFound', `Flavor ${unknown_id} could not be found.`],
  },
  {
    ...{ of: 'listener', does: 'is refused a port that is taken', but: {} },
    octavia: [409, 'Another Listener on this Load Balancer is already using protocol HTTP and protocol_port 80'],
    neutron: [
      ...([409, 'LoadBalancerListenerProtocolPortExists'] as const),
      bed => `Load Balancer ${bed.ids.loadbalancers} already has a listener with protocol_port of 80`,
    ],
  },
  {
    ...{ of: 'listener', does: 'is refused TLS without a certificate' },
    but: { protocol: 'TERMINATED_HTTPS', protocol_port: 443 },
    octavia: [
      400,
      'Validation failure: An SNI or default certificate container reference must be provided for TERMINATED_HTTPS protocol listeners.',
    ],
    neutron: [400, 'TLSDefaultContainerNotSpecified', 'Default TLS container was not specified'],
  },
  {
    ...{ of: 'listener', does: 'is refused a pool that there is not' },
    but: { protocol_port: 82, default_pool_id: unknown_id },
    octavia: [404, `Pool ${unknown_id} not found.`],
    neutron: [404, 'EntityNotFound', `pool ${unknown_id} could not be found`],
  },
  {
    ...{ of: 'listener', does: 'is refused a family that the VIP is not of' },
    but: { protocol_port: 82, allowed_cidrs: ['fd00::/64'] },
    octavia: [400, /^Validation failure: CIDR fd00::\/64 IP version incompatible with all VIPs/],
    neutron: null,
  },
  {
    ...{ of: 'pool', does: 'is refused by a listener that has one', but: {} },
    octavia: [409, 'This listener already has a default pool'],
    neutron: [
      ...([409, 'ListenerDefaultPoolAlreadySet'] as const),
      bed => `Listener ${bed.ids.listeners} is already using default pool ${bed.ids.pools}.`,
    ],
  },
  {
    ...{
      of: 'pool',
      does: 'is refused by a listener of another protocol',
      but: bed => ({ ...onSecond(bed), protocol: 'UDP' }),
    },
    octavia: [400, "Validation failure: The pool protocol 'UDP' is invalid while the listener protocol is 'TCP'."],
    neutron: null,
  },
  {
    ...{
      of: 'pool',
      does: 'is refused a cookie without a name',
      but: bed => ({ ...onSecond(bed), session_persistence: { type: 'APP_COOKIE' } }),
    },
    octavia: [400, /^Validation failure: Invalid session_persistence provided: /],
    neutron: [400, 'SessionPersistenceConfigurationInvalid', /^Session Persistence Invalid: /],
  },
  {
    ...{
      of: 'pool',
      does: 'is refused what amphorae cannot do',
      but: bed => ({ ...onSecond(bed), lb_algorithm: 'SOURCE_IP_PORT' }),
    },
    octavia: [501, /^Provider 'amphora' does not support a requested option: /],
    neutron: null,
  },
  {
    ...{ of: 'member', does: 'is refused a port by SR-IOV that its flavor does not allow' },
    but: { request_sriov: true },
    octavia: [400, 'The load balancer flavor does not allow SR-IOV member ports.'],
    neutron: null,
  },
  {
    ...{ of: 'member', does: 'is refused an address that is taken', but: {} },
    octavia: [
      409,
      bed => `Another member on this pool is already using ip ${bed.ground.servers.address} on protocol_port 8201`,
    ],
    neutron: [
      ...([409, 'MemberExists'] as const),
      bed =>
        `Member with address ${bed.ground.servers.address} and protocol_port 8201 already present in pool ${bed.ids.pools}`,
    ],
  },
  {
    ...{ of: 'member', does: 'is refused an address of the cloud’s own', but: { address: '169.254.169.254' } },
    octavia: [400, '169.254.169.254 is not a valid option for member address'],
    neutron: [400, 'HTTPBadRequest', /169\.254\.169\.254 is not a valid option for member address/],
  },
  {
    ...{
      of: 'member',
      does: 'is refused a subnet that there is not',
      but: { protocol_port: 8204, subnet_id: unknown_id },
    },
    octavia: [400, `Subnet ${unknown_id} not found.`],
    neutron: [404, 'SubnetNotFound', `Subnet ${unknown_id} could not be found.`],
  },
  {
    ...{ of: 'healthmonitor', does: 'is refused by a pool that has one', but: {} },
    octavia: [409, 'This pool already has a health monitor'],
    neutron: [
      ...([409, 'OneHealthMonitorPerPool'] as const),
      bed =>
        `Only one health monitor per pool allowed.  Pool ${bed.ids.pools} is already using Health Monitor ${bed.ids.healthmonitors}.`,
    ],
  },
  {
    ...{ of: 'healthmonitor', does: 'is refused by a pool that is not of datagrams' },
    but: bed => ({ pool_id: bed.ids['second pool'], type: 'UDP-CONNECT', delay: 5 }),
    octavia: [400, 'Validation failure: The UDP-CONNECT type is only supported for pools of type UDP/SCTP.'],
    neutron: null,
  },
  {
    ...{ of: 'l7policy', does: 'is refused a redirect without a URL', but: { action: 'REDIRECT_TO_URL' } },
    octavia: [400, 'Invalid L7 Policy arguments: redirect_url must not be None'],
    neutron: [409, 'L7PolicyRedirectUrlMissing', 'Redirect URL is missing for L7 Policy with URL redirect action.'],
  },
  {
    ...{ of: 'l7policy', does: 'is refused a redirect without a pool', but: { action: 'REDIRECT_TO_POOL' } },
    octavia: [400, 'Invalid L7 Policy arguments: redirect_pool_id or redirect_pool must not be None'],
    neutron: [
      409,
      'L7PolicyRedirectPoolIdMissing',
      'Redirect pool id is missing for L7 Policy with pool redirect action.',
    ],
  },
  {
    ...{ of: 'l7policy', does: 'is refused by a listener that knows no HTTP' },
    but: bed => ({ listener_id: bed.ids['second listener'] }),
    octavia: [400, /^Validation failure: L7 policies are only for listeners of protocol HTTP/],
    neutron: [400, 'HTTPBadRequest', /^L7 policies are only for listeners of protocol HTTP/],
  },
  {
    ...{ of: 'rule', does: 'is refused an expression that is none', but: { compare_type: 'REGEX', value: '(' } },
    octavia: [400, /^Validation failure: Unable to parse regular expression: /],
    neutron: [400, 'L7RuleInvalidRegex', /^Unable to parse regular expression: /],
  },
  {
    ...{ of: 'rule', does: 'needs a key for a header', but: { type: 'HEADER' } },
    octavia: [400, 'Validation failure: Invalid L7 Rule: L7 rule type requires a key'],
    neutron: [
      404,
      'L7RuleKeyMissing',
      'Rule key is missing. Key should be specified for rules of HEADER and COOKIE types.',
    ],
  },
  {
    ...{ of: 'rule', does: 'is refused a comparison that its type does not know', but: { type: 'FILE_TYPE' } },
    octavia: [400, 'Validation failure: Invalid L7 Rule: invalid comparison type for rule type'],
    neutron: [400, 'L7RuleUnsupportedCompareType', 'Unsupported compare type for rule of FILE_TYPE type.'],
  },
]

const onSecond = ({ ids }: Bed): Fields => ({ listener_id: ids['second listener'] })

export function conflicts(of: Record<Row['of'], Declared>, dialect: Dialect): Cell[] {
  return rows.flatMap(row => {
    const said = row[dialect]
    if (said === null) return []
    const { singular, create } = of[row.of]
    const text = said.at(-1) as Text
    const but = (bed: Bed) => (typeof row.but === 'function' ? row.but(bed) : row.but)
    const refusal = (bed: Bed): Refusal => {
      const words = typeof text === 'function' ? text(bed) : text!
      return dialect === 'octavia' ? { octavia: words } : { neutron: [String(said[1]), words] }
    }
    const body = (bed: Bed) => ({ [singular]: { ...create.body(bed), ...but(bed) } })
    return [{ route: `POST ${paths(of[row.of]).all}`, does: row.does, status: said[0], body, refusal }]
  })
}
