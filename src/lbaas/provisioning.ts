/** Provisioning: what may happen when, what is pending after, and what settling makes of a tree. */
import { Rejected } from './errors.ts'
import { memberWarning } from './member.ts'
import { settledOperating } from './operating.ts'
import type { ProvisioningStatus } from './resource.ts'
import type { Tree, TreeObject } from './tree.ts'

/** `queue`: writes are accepted while earlier ones are applied. `conflict`: upstream's 409 until they are. */
export type Locking = 'queue' | 'conflict'

/** An object on the way from the load balancer to the target of a write, with its title for the message. */
export type Link = { title: string; object: TreeObject }

/** Refuses a write whose target, or anything that it belongs to, may not be written now. `links` starts with the load
 *  balancer and ends with the target (of a create: with the parent). */
export function refuseLocked(links: readonly Link[], verb: 'create' | 'update' | 'delete', locking: Locking): void {
  const deletes_root = verb === 'delete' && links.length === 1
  for (const { title, object } of links) {
    const state = object.provisioning_status
    if (state === 'PENDING_DELETE')
      throw new Rejected(deletes_root ? 'pending' : 'immutable', { resource: title, id: object.id, state })
  }
  if (locking === 'queue') return
  const { title, object } = links[0]!
  const state = object.provisioning_status
  if (state === 'ACTIVE' || (deletes_root && state === 'ERROR')) return
  throw new Rejected(deletes_root ? 'pending' : 'immutable', { resource: title, id: object.id, state })
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
 *  balancer. Null when the load balancer itself is gone. */
export function settle(tree: Tree, outcome: Outcome): Tree | null {
  const { load_balancer } = tree
  const root_failed = outcome.failed.get(load_balancer.id)
  const settled = <T extends TreeObject>(object: T): T | null => {
    if (object.generation > outcome.generation) return object
    const reason = outcome.failed.get(object.id)
    if (reason !== undefined) return { ...object, provisioning_status: 'ERROR', reason }
    if (object.provisioning_status === 'PENDING_DELETE') return root_failed === undefined ? null : object
    if (root_failed !== undefined) {
      if (object.provisioning_status === 'ACTIVE') return object
      return { ...object, provisioning_status: 'ERROR', reason: `The load balancer is in ERROR: ${root_failed}` }
    }
    const warning = 'pool_id' in object ? memberWarning(object) : null
    const active: T = { ...object, provisioning_status: 'ACTIVE', reason: warning }
    return { ...active, operating_status: settledOperating(active) }
  }
  const root = settled(load_balancer)
  if (!root) return null
  const all = <T extends TreeObject>(objects: T[]): T[] => objects.map(settled).filter(object => object !== null)
  const pools = all(tree.pools)
  const kept = new Set(pools.map(pool => pool.id))
  return {
    ...tree,
    load_balancer: root,
    listeners: all(tree.listeners),
    pools,
    members: all(tree.members).filter(member => kept.has(member.pool_id)),
  }
}

/** Is everything that was asked for applied? */
export function isSettled(tree: Tree): boolean {
  return ![tree.load_balancer, ...tree.listeners, ...tree.pools, ...tree.members].some(object =>
    object.provisioning_status.startsWith('PENDING_'),
  )
}
