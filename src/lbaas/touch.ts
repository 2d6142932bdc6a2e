/** Touching: what is written anew with a change is stamped with its generation, and pending. */
import { Rejected } from './errors.ts'
import { loadBalancer } from './load-balancer.ts'
import { memberWarning } from './member.ts'
import { type Link, pendingAfter } from './provisioning.ts'
import { isMember, leaving, listenersUsing, type Tree, type TreeObject } from './tree.ts'

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

export function touch<T extends TreeObject>(object: T, generation: number): T {
  if (leaving(object)) return object
  const reason = isMember(object) ? memberWarning(object) : null
  return { ...object, generation, reason, provisioning_status: pendingAfter(object.provisioning_status) }
}

export function root(tree: Tree): Link {
  return { title: loadBalancer.title, object: tree.load_balancer }
}

export function link(title: string, object: TreeObject): Link {
  return { title, object }
}

export function found<T>(object: T | null, resource: string, id: string): T {
  if (object === null) throw new Rejected('not_found', { resource, id })
  return object
}

export function replaced<T extends { id: string }>(objects: T[], object: T): T[] {
  return objects.map(one => (one.id === object.id ? object : one))
}
