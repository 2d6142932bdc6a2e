/** Facts that a step learnt, put into the tree as it is by now. Pure. */
import type { Tree } from '../lbaas/tree.ts'
import type { Facts } from './flow.ts'

/** The tree with the facts in it. Facts were learnt on `before`; rows that the API has written since keep their statuses
 *  and stay, because their newer intention is still to be applied. */
export function withFacts(current: Tree, before: Tree, facts: Facts): Tree | null {
  if (facts.load_balancer === null) {
    if (current.load_balancer.provisioning_status !== 'PENDING_DELETE') throw new Error('it is not to be deleted')
    return null
  }
  const merged = <R extends Row>(rows: R[], known: R[], changes: Record<string, Partial<R> | null> = {}): R[] => {
    const kept = rows.flatMap(row => {
      const change = changes[row.id]
      if (change === undefined) return [row]
      const untouched = row.generation === known.find(one => one.id === row.id)?.generation
      if (change === null) return untouched ? [] : [row]
      return [{ ...row, ...(untouched ? change : withoutStatus(change)) }]
    })
    const added = Object.entries(changes).filter(([id, row]) => row && !known.some(one => one.id === id))
    return [...kept, ...added.map(([, row]) => row as R)]
  }
  const [load_balancer] = merged([current.load_balancer], [before.load_balancer], {
    [before.load_balancer.id]: facts.load_balancer ?? {},
  })
  return {
    load_balancer: load_balancer!,
    listeners: merged(current.listeners, before.listeners, facts.listeners),
    pools: merged(current.pools, before.pools, facts.pools),
    members: merged(current.members, before.members, facts.members),
    health_monitors: merged(current.health_monitors, before.health_monitors, facts.health_monitors),
    l7policies: merged(current.l7policies, before.l7policies, facts.l7policies),
    l7rules: merged(current.l7rules, before.l7rules, facts.l7rules),
    amphorae: merged(current.amphorae, before.amphorae, facts.amphorae),
  }
}

type Row = { id: string; generation?: number }

function withoutStatus<R>(fields: Partial<R>): Partial<R> {
  const { provisioning_status: _, operating_status: __, reason: ___, ...rest } = fields as Record<string, unknown>
  return rest as Partial<R>
}
