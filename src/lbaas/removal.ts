/** Removals: the tree with an object, and all that belongs to it, on its way out. */
import { Rejected } from './errors.ts'
import type { TreeResource } from './resource.ts'
import { placePolicy, touchPolicy, touchPool } from './touch.ts'
import { leaving, mapChildren, memberOf, monitorOf, policyOf, ruleOf, type Tree, type TreeObject } from './tree.ts'

/** `next` is the tree with its root touched; the object is in it. */
export function removed(next: Tree, resource: TreeResource, id: string): Tree {
  switch (resource) {
    case 'load_balancer': {
      const all = { ...next, ...mapChildren(next, child => gone(next, child)) }
      const listeners = all.listeners.map(one => ({ ...one, default_pool_id: null }))
      return { ...all, load_balancer: gone(next, next.load_balancer), listeners }
    }
    case 'listener': {
      const policies = next.l7policies.filter(one => one.listener_id === id).map(one => one.id)
      return going(next, new Set([id, ...policies]))
    }
    case 'pool':
      return withoutPool(next, id)
    case 'member':
      return touchPool(going(next, new Set([id])), memberOf(next, id)!.pool_id)
    case 'health_monitor':
      return touchPool(going(next, new Set([id])), monitorOf(next, id)!.pool_id)
    case 'l7policy': {
      const left = going(next, new Set([id]))
      return placePolicy(left, policyOf(left, id)!)
    }
    case 'l7rule':
      return touchPolicy(going(next, new Set([id])), ruleOf(next, id)!.l7policy_id)
  }
}

function withoutPool(next: Tree, id: string): Tree {
  const user = next.l7policies.find(one => one.redirect_pool_id === id && !leaving(one))
  if (user) throw new Rejected('pool_in_use', { id, l7policy_id: user.id })
  const touched = going(touchPool(next, id), new Set([id]))
  return {
    ...touched,
    // The listeners let go of it at once, so that they can be given another one before it is gone.
    listeners: touched.listeners.map(one => (one.default_pool_id === id ? { ...one, default_pool_id: null } : one)),
    l7policies: touched.l7policies.map(one => (one.redirect_pool_id === id ? { ...one, redirect_pool_id: null } : one)),
  }
}

/** Those objects, and what is directly below one of them, are on their way out. */
function going(tree: Tree, ids: ReadonlySet<string>): Tree {
  return {
    ...tree,
    ...mapChildren(tree, child => {
      const parents = child as { pool_id?: string; listener_id?: string; l7policy_id?: string }
      const of = parents.pool_id ?? parents.listener_id ?? parents.l7policy_id
      return ids.has(child.id) || (of !== undefined && ids.has(of)) ? gone(tree, child) : child
    }),
  }
}

function gone<T extends TreeObject>(tree: Tree, object: T): T {
  return { ...object, generation: tree.load_balancer.generation, provisioning_status: 'PENDING_DELETE' }
}
