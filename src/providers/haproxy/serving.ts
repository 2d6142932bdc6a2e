/** Which amphorae of a load balancer count for what. At each time one serves; who is doomed is given up. */
import type { Amphora } from '../../lbaas/amphora.ts'
import type { Tree } from '../../lbaas/tree.ts'

export function serving(tree: Tree): Amphora[] {
  return tree.amphorae.filter(amphora => !isDoomed(amphora))
}

/** Its host fell silent, or is to be left. */
export function doomed(tree: Tree): Amphora[] {
  return tree.amphorae.filter(isDoomed)
}

/** A failover of it was asked for. */
export function leavingHost(tree: Tree): Amphora[] {
  return serving(tree).filter(amphora => amphora.replace)
}

export function all(tree: Tree): Amphora[] {
  return tree.amphorae
}

function isDoomed({ status }: Amphora): boolean {
  return status === 'PENDING_DELETE' || status === 'DELETED'
}
