/** Which amphorae count. */
import type { Tree } from '../../lbaas/tree.ts'

/** The amphorae that carry traffic, or are to. */
export function serving(tree: Tree): Tree['amphorae'] {
  return tree.amphorae.filter(amphora => amphora.status !== 'PENDING_DELETE' && amphora.status !== 'DELETED')
}
