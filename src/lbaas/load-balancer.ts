/** The load balancer: its declaration and its rules. */
import { family } from './address.ts'
import { Rejected } from './errors.ts'
import {
  admin_state_up,
  boolean,
  cidr,
  description,
  enumeration,
  fact,
  identity,
  ip,
  lifecycle,
  type Post,
  type Put,
  type Row,
  resource,
  string,
  time,
  uuid,
} from './resource.ts'

export const loadBalancer = resource({
  name: 'load_balancer',
  title: 'Load Balancer',
  singular: 'loadbalancer',
  plural: 'loadbalancers',
  path: 'loadbalancers',
  nested: { pools: { of: 'pool', many: true }, listeners: { of: 'listener', many: true } },
  fields: {
    ...identity,
    description,
    admin_state_up,
    provider: string({
      default: '',
      max_length: 64,
      doc: "Who serves it; the deployment's default where none is named.",
    }),
    vip_address: ip({ null: true, doc: 'The address that it serves on; chosen by the network service if not given.' }),
    vip_port_id: uuid({
      null: true,
      of: 'port',
      doc: 'The port that holds the address; made unless an own one is given.',
    }),
    vip_subnet_id: uuid({ null: true, of: 'subnet', doc: 'The subnet of the address.' }),
    vip_network_id: uuid({
      null: true,
      of: 'network',
      neutron: false,
      since: '2.0',
      doc: 'The network of the address.',
    }),
    flavor_id: uuid({ null: true, of: 'flavor', doc: 'What the administrators offer, and was chosen.' }),
    availability_zone: string({
      null: true,
      max_length: 255,
      neutron: false,
      since: '2.14',
      doc: 'Where it is to be, of what the administrators offer.',
    }),
    topology: enumeration({
      state: 'bookkeeping',
      values: ['SINGLE', 'ACTIVE_STANDBY'],
      shown: false,
      doc: 'One amphora, or two of which one stands by.',
    }),
    compute_flavor: string({
      state: 'bookkeeping',
      null: true,
      shown: false,
      doc: "The size of its servers, where its flavor says one; else the deployment's.",
    }),
    amp_image_tag: string({
      state: 'bookkeeping',
      null: true,
      shown: false,
      doc: "The tag of its servers' image, where its flavor says one; else the deployment's.",
    }),
    compute_zone: string({
      state: 'bookkeeping',
      null: true,
      shown: false,
      doc: "Nova's zone of its servers, where its availability zone says one.",
    }),
    management_network: string({
      state: 'bookkeeping',
      null: true,
      shown: false,
      doc: "The network on which its servers are reached, where its availability zone says one; else the deployment's.",
    }),
    vip_port_owned: boolean({
      state: 'bookkeeping',
      shown: false,
      doc: 'Whether the VIP port was made here, and so goes with the load balancer.',
    }),
    vip_subnet_cidr: cidr({ null: true, state: 'fact', doc: "The VIP subnet's range." }),
    vip_gateway: ip({ null: true, state: 'fact', doc: "The VIP subnet's gateway." }),
    security_group_id: uuid({
      null: true,
      state: 'fact',
      doc: 'The group on the VIP and VRRP ports.',
    }),
    security_group_rules: fact<SecurityGroupRules | null>()({
      null: true,
      state: 'fact',
      doc: 'The rules that the group was last seen to have.',
    }),
    server_group_id: uuid({
      null: true,
      state: 'fact',
      doc: 'The anti-affinity group of its servers.',
    }),
    vrrp_group: fact<VrrpGroup | null>()({
      null: true,
      state: 'fact',
      shown: false,
      doc: 'What the pair of its amphorae has in common.',
    }),
    late_effects_until: time({
      null: true,
      state: 'fact',
      shown: false,
      doc: 'Until when a call whose answer was lost may still have its effect; null when none is out.',
    }),
    gone: fact<string[]>()({ state: 'fact', doc: 'What its removal has already taken out of the cloud.' }),
    ...lifecycle,
  },
})

export type LoadBalancer = Row<typeof loadBalancer>
export type LoadBalancerPost = Post<typeof loadBalancer>
export type LoadBalancerPut = Put<typeof loadBalancer>
export type Topology = LoadBalancer['topology']

/** The described `vrrp_group` row. `advert_int` is in seconds. */
export type VrrpGroup = { vrrp_group_name: string; advert_int: number }

/** One ingress rule, as the controller compares them. */
export type SecurityGroupRules = {
  protocol: string
  port: number | null
  ethertype: 'IPv4' | 'IPv6'
  remote_ip_prefix: string | null
}[]

/** The VIP as it was settled with the network service before the change. */
export type Vip = {
  address: string
  port_id: string
  subnet_id: string
  network_id: string
  subnet_cidr: string
  gateway: string | null
  /** Whether the port was made here. */
  owned: boolean
}

/** Refuses a POST that leaves open where the VIP is to be. */
export function refuseWithoutVip(
  fields: Pick<LoadBalancerPost, 'vip_port_id' | 'vip_subnet_id'> & { vip_network_id: string | null },
): void {
  if (fields.vip_port_id === null && fields.vip_subnet_id === null && fields.vip_network_id === null)
    throw new Rejected('no_vip', {})
}

/** Refuses CIDRs of the family that the VIP is not of. */
export function refuseForeignCidrs(load_balancer: LoadBalancer, allowed_cidrs: string[] | null): void {
  if (load_balancer.vip_address === null) return
  for (const cidr of allowed_cidrs ?? [])
    if (family(cidr) !== family(load_balancer.vip_address))
      throw new Rejected('cidr_family', { cidr, vip_address: load_balancer.vip_address })
}
