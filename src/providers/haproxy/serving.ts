/** Which amphorae of a load balancer count for what. At each time one serves; who is doomed is given up. */
import type { Amphora } from '../../lbaas/amphora.ts'
import type { Tree } from '../../lbaas/tree.ts'
import { isDoomed } from '../shared/doomed.ts'

export function serving(tree: Tree): Amphora[] {
  return tree.amphorae.filter(amphora => !isDoomed(amphora))
}

/** A failover of it was asked for. */
export function leavingHost(tree: Tree): Amphora[] {
  return serving(tree).filter(amphora => amphora.replace)
}

export function all(tree: Tree): Amphora[] {
  return tree.amphorae
}
