/** The end of a flow: what was applied becomes ACTIVE, what was removed is forgotten. */
import { listenerInput } from '../../../amphora/haproxy/input.ts'
import { difference, treeStep } from '../../../controller/flow.ts'
import { settle as settled } from '../../../lbaas/provisioning.ts'
import { childrenOf, type Tree } from '../../../lbaas/tree.ts'
import type { Clients } from '../clients.ts'

/** Stamps not newer than what was applied become ACTIVE; rows whose removal was applied go. What is in ERROR because it
 *  was refused stays so until it is changed. */
export const settle = treeStep<Clients>({
  title: 'settle',
  upstream: 'MarkLBActiveInDB',
  deadline_s: 30,
  done: tree => Object.keys(difference(tree, after(tree))).length === 0,
  ensure: async tree => difference(tree, after(tree)),
})

/** Nothing of the load balancer is left in the cloud: its rows go. */
export const finish = treeStep<Clients>({
  title: 'forget load balancer',
  upstream: 'MarkLBDeletedInDB',
  deadline_s: 30,
  done: () => false, // as long as there are rows
  ensure: async () => ({ load_balancer: null }),
})

function after(tree: Tree): Tree | null {
  const refused = childrenOf(tree).filter(o => o.provisioning_status === 'ERROR')
  const failed = new Map(refused.map(object => [object.id, object.reason ?? 'it was refused']))
  const next = settled(tree, { generation: tree.load_balancer.generation, failed })
  if (!next) return null
  // what all amphorae have confirmed now: a later edit that is refused falls back to it
  const listeners = next.listeners.map(listener => {
    if (listener.provisioning_status !== 'ACTIVE') return listener
    return { ...listener, serving: listenerInput(next, listener) }
  })
  return { ...next, listeners }
}
