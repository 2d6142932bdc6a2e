/** Provisioning: what may happen when, what is pending after, and what settling makes of a tree. */
import { Rejected } from './errors.ts'
import type { LoadBalancer } from './load-balancer.ts'
import { memberWarning } from './member.ts'
import { settledOperating } from './operating.ts'
import type { ProvisioningStatus } from './resource.ts'
import { type Child, childrenOf, isMember, leaving, mapChildren, type Tree, type TreeObject } from './tree.ts'

/** `queue`: writes are accepted while earlier ones are applied. `conflict`: upstream's 409 until they are. */
export type Locking = 'queue' | 'conflict'

export type Verb = 'create' | 'update' | 'delete' | 'failover'

/** An object on the way from the load balancer to the target of a write, with its title for the message. */
export type Link = { title: string; object: TreeObject }

/** Refuses a write whose target, or anything that it belongs to, may not be written now. `links` starts with the load
 *  balancer and ends with the target (of a create: with the parent). */
export function refuseLocked(links: readonly Link[], verb: Verb, locking: Locking): void {
  // What may be asked for in ERROR as well, and is refused in words of its own.
  const of_root = (verb === 'delete' && links.length === 1) || verb === 'failover'
  for (const { title, object } of links) {
    const state = object.provisioning_status
    if (state === 'PENDING_DELETE')
      throw new Rejected(of_root ? 'pending' : 'immutable', { resource: title, id: object.id, state })
  }
  if (locking === 'queue') return
  const { title, object } = links[0]!
  const state = object.provisioning_status
  if (state === 'ACTIVE' || (of_root && state === 'ERROR')) return
  throw new Rejected(of_root ? 'pending' : 'immutable', { resource: title, id: object.id, state })
}

/** What a write makes of a status: what was never there stays to be created. */
export function pendingAfter(status: ProvisioningStatus): ProvisioningStatus {
  return status === 'PENDING_CREATE' || status === 'PENDING_DELETE' ? status : 'PENDING_UPDATE'
}

/** How a pass of the controller ended: the generation that it applied, and which objects it could not bring there,
 *  with the reason in plain words. */
export type Outcome = { generation: number; failed: ReadonlyMap<string, string> }

/** What the tree becomes when a pass has ended: objects that are not newer than what was applied become ACTIVE, failed
 *  ones ERROR with their reason, deleted ones go. What was written meanwhile stays pending, and with it the load
 *  balancer. A child whose deletion failed stays PENDING_DELETE, for its port or address may be another's by now; the
 *  load balancer shows the ERROR then. Null when the load balancer itself is gone. */
export function settle(tree: Tree, outcome: Outcome): Tree | null {
  const root_failed = outcome.failed.get(tree.load_balancer.id) ?? stuckDeletion(tree, outcome)
  const root = settledRoot(tree, outcome, root_failed)
  if (!root) return null
  return {
    ...tree,
    load_balancer: root,
    ...mapChildren(tree, child => settledChild(tree, child, outcome, root_failed)),
  }
}

function settledRoot(tree: Tree, outcome: Outcome, failed: string | undefined): LoadBalancer | null {
  const root = tree.load_balancer
  if (root.generation > outcome.generation) return root
  if (failed !== undefined) return { ...root, provisioning_status: 'ERROR', reason: failed }
  return leaving(root) ? null : active(tree, root)
}

function settledChild<T extends Child>(
  tree: Tree,
  child: T,
  outcome: Outcome,
  root_failed: string | undefined,
): T | null {
  if (child.generation > outcome.generation) return child
  const reason = outcome.failed.get(child.id)
  if (leaving(child)) {
    if (reason !== undefined) return { ...child, reason }
    return root_failed === undefined ? null : child
  }
  if (reason !== undefined) return { ...child, provisioning_status: 'ERROR', reason }
  if (root_failed === undefined) return active(tree, child)
  if (child.provisioning_status === 'ACTIVE') return child
  return { ...child, provisioning_status: 'ERROR', reason: `The load balancer is in ERROR: ${root_failed}` }
}

function active<T extends TreeObject>(tree: Tree, object: T): T {
  const reason = isMember(object) ? memberWarning(object) : null
  return { ...object, provisioning_status: 'ACTIVE', reason, operating_status: settledOperating(tree, object) }
}

/** Why a child that is to go could not be taken away, if there is one. */
function stuckDeletion(tree: Tree, { generation, failed }: Outcome): string | undefined {
  const stuck = childrenOf(tree).find(one => leaving(one) && one.generation <= generation && failed.has(one.id))
  return stuck && failed.get(stuck.id)
}

/** Is everything that was asked for applied? */
export function isSettled(tree: Tree): boolean {
  return ![tree.load_balancer, ...childrenOf(tree)].some(object => object.provisioning_status.startsWith('PENDING_'))
}
