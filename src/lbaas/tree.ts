/** The tree: one load balancer with all that is its own, and the finders on it. */
import type { Amphora } from './amphora.ts'
import type { HealthMonitor } from './health-monitor.ts'
import type { Listener } from './listener.ts'
import type { LoadBalancer } from './load-balancer.ts'
import type { Member } from './member.ts'
import type { Pool } from './pool.ts'

export type Tree = {
  load_balancer: LoadBalancer
  listeners: Listener[]
  pools: Pool[]
  members: Member[]
  health_monitors: HealthMonitor[]
  amphorae: Amphora[]
}

/** An object of a tree that a tenant made. */
export type TreeObject = LoadBalancer | Child
export type Child = Listener | Pool | Member | HealthMonitor

/** What the load balancer's tenant has made below it. */
export function childrenOf(tree: Tree): Child[] {
  return [...tree.listeners, ...tree.pools, ...tree.members, ...tree.health_monitors]
}

/** Of the objects below pools, members have an address. */
export function isMember(object: object): object is Member {
  return 'address' in object && 'pool_id' in object
}

export function poolOf(tree: Tree, id: string | null): Pool | null {
  return tree.pools.find(pool => pool.id === id) ?? null
}

export function listenerOf(tree: Tree, id: string | null): Listener | null {
  return tree.listeners.find(listener => listener.id === id) ?? null
}

export function memberOf(tree: Tree, id: string | null): Member | null {
  return tree.members.find(member => member.id === id) ?? null
}

export function monitorOf(tree: Tree, id: string | null): HealthMonitor | null {
  return tree.health_monitors.find(monitor => monitor.id === id) ?? null
}

export function membersOf(tree: Tree, pool_id: string): Member[] {
  return tree.members.filter(member => member.pool_id === pool_id)
}

/** The listeners that send requests to the pool. */
export function listenersUsing(tree: Tree, pool_id: string): Listener[] {
  return tree.listeners.filter(listener => listener.default_pool_id === pool_id)
}

/** The pools that the listener sends requests to. */
export function poolsUsed(tree: Tree, listener: Listener): Pool[] {
  const pool = poolOf(tree, listener.default_pool_id)
  return pool ? [pool] : []
}

/** Is the object on its way out? What renders or serves leaves it away. */
export function leaving(object: { provisioning_status: string }): boolean {
  return object.provisioning_status === 'PENDING_DELETE'
}

/** The networks that every amphora needs a port on for members, besides the VIP's, which it has anyway: network id to
 *  the subnets that its port needs addresses of. */
export function memberNetworks(tree: Tree): Map<string, string[]> {
  const networks = new Map<string, string[]>()
  for (const { network_id, subnet_id, provisioning_status } of tree.members) {
    if (network_id === null || subnet_id === null || provisioning_status === 'PENDING_DELETE') continue
    if (network_id === tree.load_balancer.vip_network_id) continue
    const subnets = networks.get(network_id) ?? []
    if (!subnets.includes(subnet_id)) networks.set(network_id, [...subnets, subnet_id])
  }
  return networks
}
