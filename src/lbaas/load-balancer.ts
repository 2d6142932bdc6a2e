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
  list,
  type Post,
  type Put,
  type Row,
  record,
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
    additional_vips: list({
      default: [],
      neutron: false,
      since: '2.26',
      each: record({
        record: {
          subnet_id: uuid({ of: 'subnet', doc: 'The subnet, on the network of the VIP; one address of each.' }),
          ip_address: ip({ null: true, doc: 'The address; chosen by the network service if not given.' }),
          port_id: uuid({ null: true, of: 'port', doc: 'The port that holds it: that of the VIP.' }),
        },
        doc: 'A further address.',
      }),
      doc: 'Further addresses that it serves on, on other subnets of the same network.',
    }),
    vip_qos_policy_id: uuid({
      null: true,
      change: true,
      neutron: false,
      since: '2.1',
      of: 'qos_policy',
      doc: "The network service's QoS policy for the ports of the VIP.",
    }),
    vip_sg_ids: list({
      default: [],
      change: true,
      neutron: false,
      since: '2.29',
      each: uuid({ of: 'security_group', doc: 'A security group.' }),
      doc: 'Security groups that say who may reach the VIP, in place of the listeners’ allowed_cidrs and ports.',
    }),
    vip_vnic_type: enumeration({
      state: 'bookkeeping',
      default: 'normal',
      values: ['normal', 'direct'],
      neutron: false,
      since: '2.28',
      doc: 'How the port of the VIP is wired.',
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
    allow_member_sriov: boolean({
      state: 'bookkeeping',
      default: false,
      shown: false,
      doc: 'Whether its flavor lets members ask for ports by SR-IOV.',
    }),
    unit: enumeration({
      state: 'bookkeeping',
      null: true,
      values: ['listener', 'load_balancer'],
      shown: false,
      doc: "What one haproxy of its amphorae serves, where its flavor says; else the deployment's.",
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
    vip_subnets: fact<VipSubnets>()({
      state: 'fact',
      doc: 'The ranges and gateways of the further addresses, by subnet.',
    }),
    vip_port_settings: fact<VipPortSettings | null>()({
      null: true,
      state: 'fact',
      shown: false,
      doc: 'What the ports of the VIP were last given of what the tenant wants of them.',
    }),
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

/** Null stands for nothing wanted. */
export type VipPortSettings = { security_groups: string[]; qos_policy_id: string | null }

export type VipSubnets = Readonly<Record<string, { cidr: string; gateway: string | null }>>

/** The VIP as it was settled with the network service before the change. */
export type Vip = {
  address: string
  port_id: string
  subnet_id: string
  network_id: string
  subnet_cidr: string
  gateway: string | null
  additional: { subnet_id: string; address: string; cidr: string; gateway: string | null }[]
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

/** All the addresses that it serves on, the VIP first. */
export function vipAddresses({ vip_address, additional_vips }: LoadBalancer): string[] {
  return [vip_address, ...additional_vips.map(one => one.ip_address)].filter(address => address !== null)
}

/** Refuses CIDRs of a family that none of the VIPs is of, or that the tenant's own security groups make void. */
export function refuseForeignCidrs(load_balancer: LoadBalancer, allowed_cidrs: string[] | null): void {
  if (allowed_cidrs?.length && load_balancer.vip_sg_ids.length) throw new Rejected('cidrs_and_groups', {})
  const vips = vipAddresses(load_balancer)
  if (vips.length === 0) return
  for (const cidr of allowed_cidrs ?? [])
    if (!vips.some(vip => family(vip) === family(cidr)))
      throw new Rejected('cidr_family', { cidr, vips: vips.map(vip => `'${vip}'`).join(', ') })
}

/** Refuses two addresses of one subnet; the VIP's own is null as long as it is not known. */
export function refuseTwinSubnets(
  vip_subnet_id: string | null,
  additional_vips: LoadBalancer['additional_vips'],
): void {
  const ids = [vip_subnet_id, ...additional_vips.map(one => one.subnet_id)].filter(id => id !== null)
  if (new Set(ids).size < ids.length) throw new Rejected('twin_subnets', {})
}
