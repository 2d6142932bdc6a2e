/** The VIP: its addresses are settled with the network service before the change, and its port is made. */
import type { Neutron, Port, PortBody, Subnet } from '../cloud/neutron.ts'
import { CloudError } from '../cloud/openstack.ts'
import { canonicalAddress, contains, family } from '../lbaas/address.ts'
import { refuseForeignNetwork, type ZoneData } from '../lbaas/availability-zone.ts'
import { Rejected } from '../lbaas/errors.ts'
import type { FlavorData } from '../lbaas/flavor.ts'
import { type LoadBalancerPost, refuseTwinSubnets, type Vip } from '../lbaas/load-balancer.ts'
import * as reservations from '../store/reservations.ts'
import type { Context } from './context.ts'
import { type Tenant, unknown, usableNetwork, usableSubnet } from './lookups.ts'

/** The VIP of a load balancer to be made: a port that the tenant has, or a new one, whose reservation is committed
 *  first. Whoever does not save the load balancer then must abandon the reservation. */
export async function settleVip(
  context: Context,
  tenant: Tenant,
  load_balancer_id: string,
  fields: LoadBalancerPost,
  { zone, flavor }: { zone: ZoneData; flavor: FlavorData },
): Promise<Vip> {
  const { neutron } = context
  const further = await furtherAddresses(neutron, tenant, fields)
  if (fields.vip_port_id !== null) {
    const vip = await vipOfPort(neutron, tenant, load_balancer_id, fields.vip_port_id, fields, further)
    refuseForeignNetwork(zone, vip.network_id)
    return vip
  }
  const candidates = await vipSubnets(neutron, tenant, fields, further)
  refuseForeignNetwork(zone, candidates[0]!.network_id)
  await reservations.reserve(context.pool, { load_balancer_id, project_id: tenant.project_id })
  for (const [i, subnet] of candidates.entries()) {
    try {
      const port = await neutron.createPort(
        vipPort(tenant, load_balancer_id, flavor, [{ subnet, address: fields.vip_address }, ...further]),
      )
      return vipOn(port, subnet, further, true)
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

async function vipOfPort(
  neutron: Neutron,
  tenant: Tenant,
  load_balancer_id: string,
  port_id: string,
  fields: LoadBalancerPost,
  further: Further[],
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
  refuseTwinSubnets(subnet.id, fields.additional_vips)
  const missing = further.find(other => !onPort(port, other))
  if (missing) throw refused(`Port ${port_id} has no address on subnet ${missing.subnet.id} as specified.`)
  const others = port.fixed_ips.filter(one => further.some(other => other.subnet.id === one.subnet_id))
  return vipOn({ ...port, fixed_ips: [fixed, ...others] }, subnet, further, false)
}

/** The subnets that the VIP may be on, the best first. */
async function vipSubnets(
  neutron: Neutron,
  tenant: Tenant,
  fields: LoadBalancerPost,
  further: Further[],
): Promise<Subnet[]> {
  const { vip_subnet_id, vip_network_id, vip_address } = fields
  if (vip_subnet_id !== null) {
    const subnet = await usableSubnet(neutron, tenant, vip_subnet_id)
    if (vip_network_id !== null && subnet.network_id !== vip_network_id) throw unknown('Subnet', vip_subnet_id)
    if (vip_address !== null && !contains(subnet.cidr, vip_address))
      throw refused(`IP address ${vip_address} is not a valid IP for the specified subnet.`)
    refuseTwinSubnets(subnet.id, fields.additional_vips)
    refuseOtherNetworks(subnet.network_id, further)
    return [subnet]
  }
  const network = await usableNetwork(neutron, tenant, vip_network_id!)
  refuseOtherNetworks(network.id, further)
  const found = await Promise.all(network.subnets.map(id => neutron.subnet(id)))
  const subnets = found.filter(subnet => subnet !== null)
  if (vip_address !== null) {
    const home = subnets.find(subnet => contains(subnet.cidr, vip_address))
    if (!home) throw refused(`Supplied VIP address ${vip_address} is in no subnet of network ${vip_network_id}.`)
    refuseTwinSubnets(home.id, fields.additional_vips)
    return [home]
  }
  const free = subnets.filter(subnet => !further.some(other => other.subnet.id === subnet.id))
  if (!free.length) throw refused(`Supplied network ${vip_network_id} does not contain a subnet.`)
  return free.sort((a, b) => family(a.cidr) - family(b.cidr))
}

/** The tenant's own: it counts in his quota and he sees it. Down, because the address lives on the amphorae's ports. */
function vipPort({ project_id }: Tenant, load_balancer_id: string, flavor: FlavorData, addresses: Further[]): PortBody {
  return {
    name: `octavia-lb-${load_balancer_id}`,
    network_id: addresses[0]!.subnet.network_id,
    project_id,
    device_id: `lb-${load_balancer_id}`,
    device_owner: 'Octavia',
    admin_state_up: false,
    ...(flavor.sriov_vip ? { 'binding:vnic_type': 'direct' } : {}),
    fixed_ips: addresses.map(({ subnet, address }) => {
      return { subnet_id: subnet.id, ...(address === null ? {} : { ip_address: address }) }
    }),
  }
}

function vipOn(port: Port, subnet: Subnet, further: Further[], owned: boolean): Vip {
  const fixed = port.fixed_ips.find(one => one.subnet_id === subnet.id) ?? port.fixed_ips[0]!
  return {
    address: canonicalAddress(fixed.ip_address)!,
    port_id: port.id,
    subnet_id: subnet.id,
    network_id: port.network_id,
    subnet_cidr: subnet.cidr,
    gateway: subnet.gateway_ip,
    additional: further.map(other => {
      const { cidr, gateway_ip, id } = other.subnet
      const address = canonicalAddress(onPort(port, other)!.ip_address)!
      return { subnet_id: id, address, cidr, gateway: gateway_ip }
    }),
    owned,
  }
}

/** An address that is asked for besides the VIP; null: whichever the network service chooses. */
type Further = { subnet: Subnet; address: string | null }

async function furtherAddresses(neutron: Neutron, tenant: Tenant, fields: LoadBalancerPost): Promise<Further[]> {
  refuseTwinSubnets(fields.vip_subnet_id, fields.additional_vips)
  return Promise.all(
    fields.additional_vips.map(async ({ subnet_id, ip_address: address }) => {
      const subnet = await usableSubnet(neutron, tenant, subnet_id)
      if (address !== null && !contains(subnet.cidr, address))
        throw refused(`IP address ${address} is not a valid IP for the specified subnet.`)
      return { subnet, address }
    }),
  )
}

function refuseOtherNetworks(network_id: string, further: Further[]): void {
  if (further.some(({ subnet }) => subnet.network_id !== network_id)) throw new Rejected('vip_networks', {})
}

function onPort(port: Port, { subnet, address }: Further): Port['fixed_ips'][number] | undefined {
  return port.fixed_ips.find(
    one => one.subnet_id === subnet.id && (address === null || canonicalAddress(one.ip_address) === address),
  )
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
