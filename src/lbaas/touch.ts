/** Touching: what is written anew with a change is stamped with its generation, and pending. */
import { declarations } from './declarations.ts'
import { Rejected } from './errors.ts'
import { type L7Policy, policiesOf } from './l7-policy.ts'
import { loadBalancer } from './load-balancer.ts'
import { memberWarning } from './member.ts'
import { type Link, pendingAfter } from './provisioning.ts'
import type { ChildResource, TreeResource } from './resource.ts'
import { childOf, isMember, leaving, listenersUsing, policyOf, type Tree, type TreeObject } from './tree.ts'

/** The pool, and the listeners that use it, are written anew with the tree. */
export function touchPool(next: Tree, pool_id: string): Tree {
  const generation = next.load_balancer.generation
  const using = new Set(listenersUsing(next, pool_id).map(one => one.id))
  return {
    ...next,
    pools: next.pools.map(one => (one.id === pool_id ? touch(one, generation) : one)),
    listeners: next.listeners.map(one => (using.has(one.id) ? touch(one, generation) : one)),
  }
}

/** The listener is written anew with the tree. */
export function touchListener(next: Tree, listener_id: string): Tree {
  const generation = next.load_balancer.generation
  return { ...next, listeners: next.listeners.map(one => (one.id === listener_id ? touch(one, generation) : one)) }
}

/** The tree with the policy, new or changed, at the position that it asks for (or on its way out), and the others of its
 *  listener closing up around it: their positions are always 1, 2, 3 … Those that move, and the listener, are written
 *  anew. */
export function placePolicy(next: Tree, placed: L7Policy): Tree {
  const others = policiesOf(next, { id: placed.listener_id }).filter(policy => policy.id !== placed.id)
  const order = leaving(placed) ? others : others.toSpliced(placed.position - 1, 0, placed)
  const places = new Map(order.map((policy, i) => [policy.id, i + 1]))
  const positioned = (policy: L7Policy): L7Policy => {
    const position = places.get(policy.id) ?? policy.position
    if (position === policy.position) return policy
    return { ...touch(policy, next.load_balancer.generation), position }
  }
  const known = next.l7policies.some(policy => policy.id === placed.id)
  const all = known ? replaced(next.l7policies, placed) : [...next.l7policies, placed]
  return touchListener({ ...next, l7policies: all.map(positioned) }, placed.listener_id)
}

/** The policy, and its listener, are written anew with the tree. */
export function touchPolicy(next: Tree, l7policy_id: string): Tree {
  const generation = next.load_balancer.generation
  const touched = next.l7policies.map(one => (one.id === l7policy_id ? touch(one, generation) : one))
  const listener_id = policyOf(next, l7policy_id)?.listener_id
  return listener_id === undefined ? next : touchListener({ ...next, l7policies: touched }, listener_id)
}

export function touch<T extends TreeObject>(object: T, generation: number): T {
  if (leaving(object)) return object
  const reason = isMember(object) ? memberWarning(object) : null
  return { ...object, generation, reason, provisioning_status: pendingAfter(object.provisioning_status) }
}

export function root(tree: Tree): Link {
  return { title: loadBalancer.title, object: tree.load_balancer }
}

/** The way from the load balancer down to an object. Rejected when it is not there, or (of those whose path lies below
 *  their parent's) not of that parent. */
export function linksTo(tree: Tree, resource: ChildResource, id: string, parent_id?: string): Link[] {
  const { title, parent } = declarations[resource]
  const object = childOf(tree, resource, id)
  const of = object && (object as Record<string, unknown>)[parent!.field]
  if (!object || (parent_id !== undefined && of !== parent_id)) throw notFound(resource, id, parent_id)
  const above = parent!.of === 'load_balancer' ? [root(tree)] : linksTo(tree, parent!.of, String(of))
  return [...above, { title, object }]
}

/** The refusal of what is not there, in its own words where it has a parent in its path. */
export function notFound(resource: TreeResource, id: string, parent_id = ''): Rejected {
  if (resource === 'member') return new Rejected('member_not_found', { id, pool_id: parent_id })
  if (resource === 'l7rule') return new Rejected('rule_not_found', { id, l7policy_id: parent_id })
  return new Rejected('not_found', { resource: declarations[resource].title, id })
}

export function replaced<T extends { id: string }>(objects: T[], object: T): T[] {
  return objects.map(one => (one.id === object.id ? object : one))
}
