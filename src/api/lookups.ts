/** Look-ups: what a request names in the cloud is asked for before the change. */
import type { Network, Neutron, Subnet } from '../cloud/neutron.ts'
import { CloudError } from '../cloud/openstack.ts'
import type { ZoneData } from '../lbaas/availability-zone.ts'
import { Rejected } from '../lbaas/errors.ts'
import type { FlavorData } from '../lbaas/flavor.ts'
import type { MemberSubnet } from '../lbaas/member.ts'
import type { Context } from './context.ts'

/** For whom something is looked up: objects of the project and shared ones may be used, by an admin all. */
export type Tenant = { project_id: string; is_admin: boolean }

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

/** Refuses a QoS policy or security groups that the tenant may not use on the ports of the VIP. */
export async function refuseUnknownPortParts(
  { neutron }: Context,
  tenant: Tenant,
  { vip_qos_policy_id, vip_sg_ids = [] }: { vip_qos_policy_id?: string | null; vip_sg_ids?: string[] },
): Promise<void> {
  const usable = (found: { project_id: string; shared?: boolean } | null) =>
    found !== null && (tenant.is_admin || found.shared === true || found.project_id === tenant.project_id)
  for (const id of vip_sg_ids) if (!usable(await neutron.securityGroup(id))) throw unknown('Security group', id)
  if (vip_qos_policy_id && !usable(await neutron.qosPolicy(vip_qos_policy_id)))
    throw unknown('qos_policy', vip_qos_policy_id)
}

export async function usableSubnet(neutron: Neutron, tenant: Tenant, id: string): Promise<Subnet> {
  const subnet = await neutron.subnet(id)
  if (!subnet) throw unknown('Subnet', id)
  if (tenant.is_admin || subnet.project_id === tenant.project_id) return subnet
  const network = await neutron.network(subnet.network_id)
  if (!network?.shared) throw unknown('Subnet', id)
  return subnet
}

export async function usableNetwork(neutron: Neutron, tenant: Tenant, id: string): Promise<Network> {
  const network = await neutron.network(id)
  if (!network || !(tenant.is_admin || network.shared || network.project_id === tenant.project_id))
    throw unknown('Network', id)
  return network
}

export function unknown(
  resource: 'Subnet' | 'Network' | 'Port' | 'Security group' | 'qos_policy' | 'Nova flavor' | 'Nova availability zone',
  id: string,
): Rejected {
  return new Rejected('cloud_object_not_found', { resource, id })
}
