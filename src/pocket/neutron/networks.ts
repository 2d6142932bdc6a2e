/** Networks and subnets: made and deleted. */
import type { Fabric } from '../fabric/fabric.ts'
import { Refusal } from '../service.ts'
import { type Document, drop, keep, type Store } from '../store.ts'
import { contains, inPool, type Pool, poolSize, poolsOf } from './addresses.ts'
import type { Wishes } from './desk.ts'
import { changed, type Network, newNetwork, newSubnet, type Port, type Subnet } from './documents.ts'
import type { Ports } from './ports.ts'
import { defaultPolicy } from './qos.ts'
import type { Quotas } from './quotas.ts'

type Parts = { store: Store; fabric: Fabric; ports: Ports; quotas: Quotas }

export async function createNetwork({ store, fabric, quotas }: Parts, wishes: Wishes): Promise<Network> {
  const { project_id, ...fields } = wishes
  quotas.check('network', project_id)
  const network = newNetwork(project_id, {
    ...fields,
    qos_policy_id: (fields.qos_policy_id as string | null | undefined) ?? defaultPolicy(store, project_id)?.id ?? null,
  })
  await store.commit(keep('network', network))
  await fabric.ensureNetwork(network.id)
  return network
}

export async function deleteNetwork({ store, fabric }: Parts, network: Document): Promise<void> {
  if (store.all<Port>('port').some(port => port.network_id === network.id))
    throw new Refusal(
      409,
      'NetworkInUse',
      `Unable to complete operation on network ${network.id}. There are one or more ports still in use on the network.`,
    )
  const subnets = store.all<Subnet>('subnet').filter(subnet => subnet.network_id === network.id)
  await store.commit(drop('network', network.id), ...subnets.map(subnet => drop('subnet', subnet.id)))
  await fabric.removeNetwork(network.id)
}

export async function createSubnet({ store, quotas }: Parts, network: Network, wishes: Wishes): Promise<Subnet> {
  const { project_id, ...fields } = wishes
  const cidr = String(fields.cidr)
  const ip_version = cidr.includes(':') ? 6 : 4
  if (fields.ip_version !== undefined && fields.ip_version !== ip_version)
    throw invalidInput(`cidr '${cidr}' does not match the ip_version '${fields.ip_version}'`)
  const automatic = fields.ipv6_address_mode === 'slaac' || fields.ipv6_address_mode === 'dhcpv6-stateless'
  if (automatic && !cidr.endsWith('/64'))
    throw invalidInput(
      `Invalid CIDR ${cidr} for IPv6 address mode. OpenStack uses the EUI-64 address format, which requires the prefix to be /64`,
    )
  const others = store.all<Subnet>('subnet').filter(subnet => subnet.network_id === network.id)
  const overlaps = (a: string, b: string) => contains(a, b.split('/')[0]!) || contains(b, a.split('/')[0]!)
  if (others.some(subnet => overlaps(subnet.cidr, cidr)))
    throw invalidInput(`Requested subnet with cidr: ${cidr} for network: ${network.id} overlaps with another subnet`)
  quotas.check('subnet', project_id)
  const gateway_ip =
    fields.gateway_ip === undefined ? (poolsOf(cidr, null)[0]?.start ?? null) : (fields.gateway_ip as string | null)
  const allocation_pools = (fields.allocation_pools as Pool[] | undefined) ?? poolsOf(cidr, gateway_ip)
  const network_id = network.id
  const subnet = newSubnet(project_id, { ...fields, cidr, ip_version, network_id, gateway_ip, allocation_pools })
  checkSubnetChange(store, subnet)
  const after = changed(network, { subnets: [...network.subnets, subnet.id] })
  await store.commit(keep('subnet', subnet), keep('network', after))
  return subnet
}

/** The gateway and the pools must lie in the subnet, the gateway not in a pool; nobody may have its address. */
export function checkSubnetChange(store: Store, subnet: Subnet): void {
  const { cidr, gateway_ip, allocation_pools } = subnet
  if (gateway_ip !== null && gateway_ip.includes(':') !== cidr.includes(':'))
    throw invalidInput(`gateway_ip '${gateway_ip}' does not match the ip_version '${subnet.ip_version}'`)
  for (const { start, end } of allocation_pools) {
    if (start === undefined || end === undefined || poolSize([{ start, end }]) <= 0n)
      throw new Refusal(400, 'InvalidAllocationPool', `The allocation pool ${start}-${end} is not valid.`)
    if (!contains(cidr, start) || !contains(cidr, end))
      throw new Refusal(
        400,
        'OutOfBoundsAllocationPool',
        `The allocation pool ${start}-${end} spans beyond the subnet cidr ${cidr}.`,
      )
  }
  if (gateway_ip === null) return
  const pool = allocation_pools.find(({ start, end }) => inPool(gateway_ip, start, end))
  if (pool)
    throw new Refusal(
      409,
      'GatewayConflictWithAllocationPools',
      `Gateway ip ${gateway_ip} conflicts with allocation pool ${pool.start}-${pool.end}.`,
    )
  const port = store
    .all<Port>('port')
    .find(p => p.fixed_ips.some(ip => ip.subnet_id === subnet.id && ip.ip_address === gateway_ip))
  if (port)
    throw new Refusal(
      409,
      'GatewayIpInUse',
      `Current gateway ip ${gateway_ip} already in use by port ${port.id}. Unable to update.`,
    )
}

function invalidInput(text: string): Refusal {
  return new Refusal(400, 'InvalidInput', `Invalid input for operation: ${text}.`)
}

export async function deleteSubnet({ store }: Parts, subnet: Document): Promise<void> {
  if (store.all<Port>('port').some(port => port.fixed_ips.some(ip => ip.subnet_id === subnet.id)))
    throw new Refusal(
      409,
      'SubnetInUse',
      `Unable to complete operation on subnet ${subnet.id}: One or more ports have an IP allocation from this subnet.`,
    )
  const network = store.get<Network>('network', String(subnet.network_id))!
  const after = changed(network, { subnets: network.subnets.filter(id => id !== subnet.id) })
  await store.commit(drop('subnet', subnet.id), keep('network', after))
}
