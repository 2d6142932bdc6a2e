/** What becomes of a tree whose listeners all run as they are meant to. */
import { settle } from '../../lbaas/provisioning.ts'
import { childrenOf, type Tree } from '../../lbaas/tree.ts'
import { listenerInput } from './input.ts'

/** What was refused stays in ERROR until it is changed; what listeners run with now is what a later edit that is refused
 *  falls back to. Null when the load balancer itself goes. */
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
