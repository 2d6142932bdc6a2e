/** Networks and subnets: made and deleted. */
import type { Fabric } from '../fabric/fabric.ts'
import type { Identity } from '../keystone/tokens.ts'
import { Refusal } from '../service.ts'
import { type Document, drop, keep, type Store } from '../store.ts'
import { canonicalPrefix, contains, isPrefix, poolsOf } from './addresses.ts'
import { changed, type Network, newNetwork, newSubnet, type Port, type Subnet } from './documents.ts'
import type { Ports } from './ports.ts'
import type { Quotas } from './quotas.ts'

type Parts = { store: Store; fabric: Fabric; ports: Ports; quotas: Quotas }

export async function createNetwork(
  { store, fabric, quotas }: Parts,
  identity: Identity,
  project_id: string,
  wishes: Record<string, unknown>,
): Promise<Network> {
  if (wishes.shared === true && !identity.admin)
    throw new Refusal(
      403,
      'PolicyNotAuthorized',
      '(rule:create_network and rule:create_network:shared) is disallowed by policy',
    )
  quotas.check('network', project_id)
  const { name, description, admin_state_up, shared, port_security_enabled, mtu } = wishes
  const fields = Object.entries({ name, description, admin_state_up, shared, port_security_enabled, mtu }).filter(
    ([, v]) => v !== undefined,
  )
  const network = newNetwork(project_id, Object.fromEntries(fields))
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

export async function createSubnet(
  { store, quotas }: Parts,
  network: Document,
  project_id: string,
  wishes: Partial<Subnet>,
): Promise<Subnet> {
  const { cidr, ip_version = 4 } = wishes
  if (typeof cidr !== 'string' || !cidr.includes('/') || !isPrefix(cidr) || cidr.includes(':') !== (ip_version === 6))
    throw new Refusal(400, 'HTTPBadRequest', `Invalid input for cidr. Reason: '${cidr}' is not a valid IP subnet.`)
  const prefix = canonicalPrefix(cidr)
  const others = store.all<Subnet>('subnet').filter(subnet => subnet.network_id === network.id)
  const overlaps = (a: string, b: string) => contains(a, b.split('/')[0]!) || contains(b, a.split('/')[0]!)
  if (others.some(subnet => overlaps(subnet.cidr, prefix)))
    throw new Refusal(
      400,
      'InvalidInput',
      `Invalid input for operation: Requested subnet with cidr: ${prefix} for network: ${network.id} overlaps with another subnet.`,
    )
  quotas.check('subnet', project_id)
  const first = poolsOf(prefix, null)[0]?.start ?? null
  const gateway_ip = wishes.gateway_ip === undefined ? first : wishes.gateway_ip
  const { id: _, ...fields } = wishes
  const subnet = newSubnet(project_id, {
    ...fields,
    cidr: prefix,
    ip_version,
    network_id: network.id,
    gateway_ip,
    allocation_pools: wishes.allocation_pools ?? poolsOf(prefix, gateway_ip),
  })
  const after = changed(network as Network, { subnets: [...(network as Network).subnets, subnet.id] })
  await store.commit(keep('subnet', subnet), keep('network', after))
  return subnet
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
