/** Which listeners run, what each is rendered from, and what becomes of a tree whose listeners all run. */
import type { Amphora } from '../../lbaas/amphora.ts'
import { settle } from '../../lbaas/provisioning.ts'
import { childrenOf, type Tree } from '../../lbaas/tree.ts'
import { digestOf } from '../digest.ts'
import { listenerInput } from './input.ts'
import type { ListenerInput } from './listener.ts'

type Listener = Tree['listeners'][number]

/** The listeners that run, each with the input that it is rendered from: what is in ERROR keeps the last good one, so that
 *  a refused edit never turns a failover into an outage. */
export function renderedListeners(tree: Tree): { listener: Listener; input: ListenerInput }[] {
  if (!tree.load_balancer.admin_state_up) return []
  return tree.listeners
    .filter(listener => listener.provisioning_status !== 'PENDING_DELETE' && listener.admin_state_up)
    .flatMap(listener => {
      if (listener.provisioning_status !== 'ERROR') return [{ listener, input: listenerInput(tree, listener) }]
      return listener.serving === null ? [] : [{ listener, input: listener.serving as ListenerInput }]
    })
}

export function isApplied(amphora: Amphora, listener: Listener, input: ListenerInput): boolean {
  return amphora.applied[listener.id]?.input === digestOf(input)
}

/** The tree when all of it has been applied: what was refused stays in ERROR until it is changed; what listeners run with
 *  now is what a later edit that is refused falls back to. Null when the load balancer itself goes. */
export function settledTree(tree: Tree): Tree | null {
  const refused = childrenOf(tree).filter(object => object.provisioning_status === 'ERROR')
  const failed = new Map(refused.map(object => [object.id, object.reason ?? 'it was refused']))
  const next = settle(tree, { generation: tree.load_balancer.generation, failed })
  if (!next) return null
  const listeners = next.listeners.map(listener => {
    if (listener.provisioning_status !== 'ACTIVE') return listener
    return { ...listener, serving: listenerInput(next, listener) }
  })
  return { ...next, listeners }
}
