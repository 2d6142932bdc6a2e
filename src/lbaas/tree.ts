/** The tree: one load balancer with all that is its own, and the finders on it. */
import type { Amphora } from './amphora.ts'
import type { HealthMonitor } from './health-monitor.ts'
import type { L7Policy } from './l7-policy.ts'
import type { L7Rule } from './l7-rule.ts'
import type { Listener } from './listener.ts'
import type { LoadBalancer } from './load-balancer.ts'
import type { Member } from './member.ts'
import type { Pool } from './pool.ts'
import type { ChildResource } from './resource.ts'

export type Tree = {
  load_balancer: LoadBalancer
  listeners: Listener[]
  pools: Pool[]
  members: Member[]
  health_monitors: HealthMonitor[]
  l7policies: L7Policy[]
  l7rules: L7Rule[]
  amphorae: Amphora[]
}

/** An object of a tree that a tenant made. */
export type TreeObject = LoadBalancer | Child
export type Child = Children[Collection][number]
export type Children = Omit<Tree, 'load_balancer' | 'amphorae'>
export type Collection = keyof Children

/** Where a tree keeps the objects of a resource: parents before what belongs to them. */
export const collections = {
  pool: 'pools',
  listener: 'listeners',
  member: 'members',
  health_monitor: 'health_monitors',
  l7policy: 'l7policies',
  l7rule: 'l7rules',
} as const satisfies Record<ChildResource, Collection>

/** What the load balancer's tenant has made below it. */
export function childrenOf(tree: Tree): Child[] {
  return Object.values(collections).flatMap((name): Child[] => tree[name])
}

/** The tree's children, each put through `change`; null leaves it out. */
export function mapChildren(
  tree: Tree,
  change: <T extends Child>(child: T, resource: ChildResource) => T | null,
): Children {
  const all = <T extends Child>(rows: T[], resource: ChildResource): T[] =>
    rows.map(row => change(row, resource)).filter(row => row !== null)
  return {
    pools: all(tree.pools, 'pool'),
    listeners: all(tree.listeners, 'listener'),
    members: all(tree.members, 'member'),
    health_monitors: all(tree.health_monitors, 'health_monitor'),
    l7policies: all(tree.l7policies, 'l7policy'),
    l7rules: all(tree.l7rules, 'l7rule'),
  }
}

export function childOf(tree: Tree, resource: ChildResource, id: string): Child | null {
  const rows: Child[] = tree[collections[resource]]
  return rows.find(row => row.id === id) ?? null
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

export function policyOf(tree: Tree, id: string | null): L7Policy | null {
  return tree.l7policies.find(policy => policy.id === id) ?? null
}

export function ruleOf(tree: Tree, id: string | null): L7Rule | null {
  return tree.l7rules.find(rule => rule.id === id) ?? null
}

export function membersOf(tree: Tree, pool_id: string): Member[] {
  return tree.members.filter(member => member.pool_id === pool_id)
}

/** The listeners that send requests to the pool, by default or by a policy. */
export function listenersUsing(tree: Tree, pool_id: string): Listener[] {
  return tree.listeners.filter(
    listener =>
      listener.default_pool_id === pool_id ||
      tree.l7policies.some(policy => policy.listener_id === listener.id && policy.redirect_pool_id === pool_id),
  )
}

/** The pools that the listener sends requests to: its default one first, then those of its policies. */
export function poolsUsed(tree: Tree, listener: Listener): Pool[] {
  const redirects = tree.l7policies.filter(policy => policy.listener_id === listener.id)
  const ids = new Set([listener.default_pool_id, ...redirects.map(policy => policy.redirect_pool_id)])
  return [...ids].map(id => poolOf(tree, id)).filter(pool => pool !== null)
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

/** How a port on that network is wired: by SR-IOV where a member there asked for it. */
export function vnicType({ members }: Tree, network_id: string): 'normal' | 'direct' {
  const direct = members.some(one => one.network_id === network_id && one.vnic_type === 'direct' && !leaving(one))
  return direct ? 'direct' : 'normal'
}
