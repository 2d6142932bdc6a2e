/** The end of a flow: what was applied becomes ACTIVE, what was removed is forgotten. */
import { settledTree } from '../../../amphora/haproxy/settled.ts'
import { difference, treeStep } from '../../../controller/flow.ts'
import type { Clients } from '../clients.ts'
import { leavingHost, serving } from '../serving.ts'

/** While a move that was asked for is under way the load balancer stays pending. */
export const settle = treeStep<Clients>({
  title: 'settle',
  deadline_s: 30,
  done: tree =>
    serving(tree).length === 0 ||
    leavingHost(tree).length > 0 ||
    Object.keys(difference(tree, settledTree(tree))).length === 0,
  ensure: async tree => difference(tree, settledTree(tree)),
})
