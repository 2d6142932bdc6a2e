/** Look-ups: what a request names in the cloud is asked for before the change; the VIP's port is made. */
import type { Network, Neutron, Port, PortBody, Subnet } from '../cloud/neutron.ts'
import { CloudError } from '../cloud/openstack.ts'
import { canonicalAddress, contains, family } from '../lbaas/address.ts'
import { refuseForeignNetwork, type ZoneData } from '../lbaas/availability-zone.ts'
import { Rejected } from '../lbaas/errors.ts'
import type { FlavorData } from '../lbaas/flavor.ts'
import type { LoadBalancerPost, Vip } from '../lbaas/load-balancer.ts'
import type { MemberSubnet } from '../lbaas/member.ts'
import * as reservations from '../store/reservations.ts'
import type { Context } from './context.ts'

/** For whom something is looked up: objects of the project and shared ones may be used, by an admin all. */
export type Tenant = { project_id: string; is_admin: boolean }

/** The VIP of a load balancer to be made: a port that the tenant has, or a new one, whose reservation is committed
 *  first. Whoever does not save the load balancer then must abandon the reservation. */
export async function settleVip(
  context: Context,
  tenant: Tenant,
  load_balancer_id: string,
  fields: LoadBalancerPost,
  zone: ZoneData,
): Promise<Vip> {
  const { neutron } = context
  if (fields.vip_port_id !== null) {
    const vip = await vipOfPort(neutron, tenant, load_balancer_id, fields.vip_port_id, fields)
    refuseForeignNetwork(zone, vip.network_id)
    return vip
  }
  const candidates = await vipSubnets(neutron, tenant, fields)
  refuseForeignNetwork(zone, candidates[0]!.network_id)
  await reservations.reserve(context.pool, { load_balancer_id, project_id: tenant.project_id })
  for (const [i, subnet] of candidates.entries()) {
    try {
      const port = await neutron.createPort(vipPort(tenant, load_balancer_id, subnet, fields.vip_address))
      return vipOn(port, subnet, true)
    } catch (error) {
      const exhausted = error instanceof CloudError && error.code === 'IpAddressGenerationFailure'
      if (exhausted && i < candidates.length - 1) continue // the network's next subnet may have an address left
      // a port that may still come is left to the reservation's age: the sweeper must not be faster than it
      if (!(error instanceof CloudError && error.unsure)) await reservations.abandon(context.pool, load_balancer_id)
      throw error instanceof CloudError ? refusedPort(context, error, subnet, fields) : error
    }
  }
  throw new Error('a VIP without a subnet')
}

/** The subnet of a member, if the tenant may use it. */
export async function memberSubnet(neutron: Neutron, tenant: Tenant, subnet_id: string): Promise<MemberSubnet> {
  const { network_id, cidr } = await usableSubnet(neutron, tenant, subnet_id)
  return { network_id, cidr }
}

/** Refuses what a profile of flavors names and the cloud does not have. What cannot be asked now is not refused: who
 *  makes the servers will see. */
export async function refuseUnknownFlavorParts(context: Context, said: FlavorData): Promise<void> {
  const { compute_flavor, amp_image_tag: tag } = said
  await answered(context, async () => {
    if (compute_flavor !== undefined && !(await context.nova.flavor(compute_flavor)))
      throw unknown('Nova flavor', compute_flavor)
    if (tag !== undefined && !(await context.glance.imageTagged(tag, context.options.amp_image_owner_id)))
      throw new Rejected('image_not_found', { tag })
  })
}

/** Refuses what a profile of availability zones names and the cloud does not have. */
export async function refuseUnknownZoneParts(context: Context, said: ZoneData): Promise<void> {
  const { compute_zone, management_network, valid_vip_networks = [] } = said
  await answered(context, async () => {
    if (compute_zone !== undefined && !(await context.nova.zones()).includes(compute_zone))
      throw unknown('Nova availability zone', compute_zone)
    for (const id of [...valid_vip_networks, ...(management_network === undefined ? [] : [management_network])])
      if (!(await context.neutron.network(id))) throw unknown('Network', id)
  })
}

/** A cloud that does not answer refuses nothing. */
async function answered({ log }: Context, look: () => Promise<void>): Promise<void> {
  try {
    await look()
  } catch (error) {
    if (!(error instanceof CloudError) || error.kind !== 'unavailable') throw error
    log.warn({ err: error }, 'a profile is taken unseen')
  }
}

async function vipOfPort(
  neutron: Neutron,
  tenant: Tenant,
  load_balancer_id: string,
  port_id: string,
  fields: LoadBalancerPost,
): Promise<Vip> {
  const port = await neutron.port(port_id)
  if (!port || !(tenant.is_admin || port.project_id === tenant.project_id)) throw unknown('Port', port_id)
  if (port.device_id !== '' && port.device_id !== `lb-${load_balancer_id}`)
    throw refused(`Port ${port_id} is already used by device ${port.device_id}.`)
  if (fields.vip_network_id !== null && fields.vip_network_id !== port.network_id)
    throw refused(`Port ${port_id} is not on network ${fields.vip_network_id}.`)
  const fixed = port.fixed_ips.find(
    one =>
      (fields.vip_subnet_id === null || one.subnet_id === fields.vip_subnet_id) &&
      (fields.vip_address === null || canonicalAddress(one.ip_address) === fields.vip_address),
  )
  if (!fixed) throw refused(`Port ${port_id} has no address as specified.`)
  const subnet = await neutron.subnet(fixed.subnet_id)
  if (!subnet) throw unknown('Subnet', fixed.subnet_id)
  return vipOn({ ...port, fixed_ips: [fixed] }, subnet, false)
}

/** The subnets that the VIP may be on, the best first. */
async function vipSubnets(neutron: Neutron, tenant: Tenant, fields: LoadBalancerPost): Promise<Subnet[]> {
  const { vip_subnet_id, vip_network_id, vip_address } = fields
  if (vip_subnet_id !== null) {
    const subnet = await usableSubnet(neutron, tenant, vip_subnet_id)
    if (vip_network_id !== null && subnet.network_id !== vip_network_id) throw unknown('Subnet', vip_subnet_id)
    if (vip_address !== null && !contains(subnet.cidr, vip_address))
      throw refused(`IP address ${vip_address} is not a valid IP for the specified subnet.`)
    return [subnet]
  }
  const network = await usableNetwork(neutron, tenant, vip_network_id!)
  const found = await Promise.all(network.subnets.map(id => neutron.subnet(id)))
  const subnets = found.filter(subnet => subnet !== null)
  if (vip_address !== null) {
    const home = subnets.find(subnet => contains(subnet.cidr, vip_address))
    if (!home) throw refused(`Supplied VIP address ${vip_address} is in no subnet of network ${vip_network_id}.`)
    return [home]
  }
  if (!subnets.length) throw refused(`Supplied network ${vip_network_id} does not contain a subnet.`)
  return subnets.sort((a, b) => family(a.cidr) - family(b.cidr))
}

async function usableSubnet(neutron: Neutron, tenant: Tenant, id: string): Promise<Subnet> {
  const subnet = await neutron.subnet(id)
  if (!subnet) throw unknown('Subnet', id)
  if (tenant.is_admin || subnet.project_id === tenant.project_id) return subnet
  const network = await neutron.network(subnet.network_id)
  if (!network?.shared) throw unknown('Subnet', id)
  return subnet
}

async function usableNetwork(neutron: Neutron, tenant: Tenant, id: string): Promise<Network> {
  const network = await neutron.network(id)
  if (!network || !(tenant.is_admin || network.shared || network.project_id === tenant.project_id))
    throw unknown('Network', id)
  return network
}

/** The tenant's own: it counts in his quota and he sees it. Down, because the address lives on the amphorae's ports. */
function vipPort({ project_id }: Tenant, load_balancer_id: string, subnet: Subnet, address: string | null): PortBody {
  return {
    name: `octavia-lb-${load_balancer_id}`,
    network_id: subnet.network_id,
    project_id,
    device_id: `lb-${load_balancer_id}`,
    device_owner: 'Octavia',
    admin_state_up: false,
    fixed_ips: [{ subnet_id: subnet.id, ...(address === null ? {} : { ip_address: address }) }],
  }
}

function vipOn(port: Port, subnet: Subnet, owned: boolean): Vip {
  const fixed = port.fixed_ips.find(one => one.subnet_id === subnet.id) ?? port.fixed_ips[0]!
  return {
    address: canonicalAddress(fixed.ip_address)!,
    port_id: port.id,
    subnet_id: subnet.id,
    network_id: port.network_id,
    subnet_cidr: subnet.cidr,
    gateway: subnet.gateway_ip,
    additional: [],
    owned,
  }
}

/** What the network service's refusal of the port means to the tenant. */
function refusedPort(context: Context, error: CloudError, subnet: Subnet, fields: LoadBalancerPost): Error {
  const { network_id } = subnet
  if (error.kind === 'over_quota') return new Rejected('port_quota', {})
  if (error.code === 'IpAddressGenerationFailure') return new Rejected('no_addresses', { network_id })
  if (error.kind === 'conflict' && fields.vip_address !== null)
    return new Rejected('vip_in_use', { address: fields.vip_address, network_id, subnet_id: subnet.id })
  if (error.kind === 'unavailable') return error
  context.log.warn({ code: error.code, request_id: error.request_id }, `the VIP port was refused: ${error.message}`)
  return refused(`The network service refused the port of the VIP (${error.code || error.status}).`)
}

function refused(detail: string): Rejected {
  return new Rejected('vip', { detail })
}

function unknown(
  resource: 'Subnet' | 'Network' | 'Port' | 'Nova flavor' | 'Nova availability zone',
  id: string,
): Rejected {
  return new Rejected('cloud_object_not_found', { resource, id })
}
