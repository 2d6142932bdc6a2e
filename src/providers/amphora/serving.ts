/** Which amphorae of a load balancer count for what. */
import type { Amphora } from '../../lbaas/amphora.ts'
import type { Tree } from '../../lbaas/tree.ts'
import { doomed, isDoomed } from '../shared/doomed.ts'

export type Role = NonNullable<Amphora['role']>

/** Does a pair serve it, of which one stands by? */
export function pair(tree: Tree): boolean {
  return tree.load_balancer.topology === 'ACTIVE_STANDBY'
}

/** Does the port of its VIP bypass the cloud's firewall? */
export function bypassing(tree: Tree): boolean {
  return tree.load_balancer.vip_vnic_type === 'direct'
}

/** The places that its amphorae have to fill. */
export function places(tree: Tree): Role[] {
  return pair(tree) ? ['MASTER', 'BACKUP'] : ['STANDALONE']
}

/** The amphorae that carry traffic, or are to, in places of their own. */
export function serving(tree: Tree): Amphora[] {
  return tree.amphorae.filter(amphora => !isDoomed(amphora) && amphora.replaces === null)
}

/** The amphorae that are about to take the place of others. */
export function fresh(tree: Tree): Amphora[] {
  return tree.amphorae.filter(amphora => !isDoomed(amphora) && amphora.replaces !== null)
}

/** Those that serve, and whose failover was asked for: one at a time, the one that stands by first. */
export function inTurn(tree: Tree): Amphora[] {
  const order: (Role | null)[] = ['BACKUP', 'STANDALONE', 'MASTER']
  return serving(tree)
    .filter(amphora => amphora.replace)
    .sort((a, b) => order.indexOf(a.role) - order.indexOf(b.role))
}

/** Places that nobody fills or is about to. */
export function openPlaces(tree: Tree): Role[] {
  const filled = [...serving(tree), ...fresh(tree)].map(amphora => amphora.role)
  return places(tree).filter(role => !filled.includes(role))
}

/** Who had the place last: of several the one that still has its addresses. Null: nobody has had it. */
export function lastOf(tree: Tree, role: Role): Amphora | null {
  const former = doomed(tree).filter(amphora => amphora.role === role)
  return former.find(amphora => amphora.vrrp_ip !== null) ?? former[0] ?? null
}
