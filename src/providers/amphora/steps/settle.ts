/** The end of a flow: what was applied becomes ACTIVE, what was removed is forgotten. */
import { settledTree } from '../../../amphora/haproxy/settled.ts'
import { difference, treeStep } from '../../../controller/flow.ts'
import type { Tree } from '../../../lbaas/tree.ts'
import type { Clients } from '../clients.ts'
import { fresh, serving } from '../serving.ts'

/** Stamps not newer than what was applied become ACTIVE; rows whose removal was applied go. What is in ERROR because it
 *  was refused stays so until it is changed. */
export const settle = treeStep<Clients>({
  title: 'settle',
  upstream: 'MarkLBActiveInDB',
  deadline_s: 30,
  done: tree => !canSettle(tree) || Object.keys(difference(tree, after(tree))).length === 0,
  ensure: async tree => difference(tree, after(tree)),
})

/** One that serves has it all. While a failover that was asked for is under way the load balancer stays pending, unless
 *  that is stuck: its survivors are not locked for it. */
function canSettle(tree: Tree): boolean {
  const asked_for = tree.amphorae.some(amphora => amphora.replace)
  return serving(tree).length > 0 && (!asked_for || stuck(tree))
}

function stuck(tree: Tree): boolean {
  return fresh(tree).some(amphora => amphora.status === 'ERROR')
}

function after(tree: Tree): Tree | null {
  const next = settledTree(tree)
  // why an amphora cannot be replaced is worth knowing until it has been
  if (!next || !stuck(tree)) return next
  return { ...next, load_balancer: { ...next.load_balancer, reason: tree.load_balancer.reason } }
}
