/** Who of a load balancer's amphorae is to go. */
import type { Amphora } from '../../lbaas/amphora.ts'
import type { Tree } from '../../lbaas/tree.ts'

/** An amphora is doomed if and only if it is to go: it fell silent, or its turn to be replaced has come. */
export function isDoomed({ status }: Amphora): boolean {
  return status === 'PENDING_DELETE' || status === 'DELETED'
}

export function doomed(tree: Tree): Amphora[] {
  return tree.amphorae.filter(isDoomed)
}
