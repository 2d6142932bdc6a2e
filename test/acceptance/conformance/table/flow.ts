/** The whole table of a dialect, in the order in which its cells are tried on one load balancer. */
import type { Bed, Dialect } from './bed.ts'
import type { Cell } from './cell.ts'
import { conflicts } from './conflicts.ts'
import { inUse, offering, providers, withdrawn } from './offers.ts'
import { reports } from './reports.ts'
import { agents, amphorae, discovery, quotas, usedUp } from './service.ts'
import { batches, ends, poolInUse, restored, second, whole } from './special-cells.ts'
import { declaredIn } from './tree.ts'
import { creation, nextPage, order, reads, refused, removal, update } from './usual-cells.ts'

export function cellsOf(dialect: Dialect): Cell[] {
  const of = declaredIn(dialect)
  const { loadbalancer, listener, pool, member, healthmonitor, l7policy, rule } = of
  const all = Object.values(of)
  const octavia = (cells: () => Cell[]) => (dialect === 'octavia' ? cells() : [])
  const neutron = (cells: () => Cell[]) => (dialect === 'neutron' ? cells() : [])
  const both = (bed: Bed) => bed.answeredBy('a', 'b')
  const ok = (bed: Bed) => bed.tells(200)
  return [
    ...octavia(() => [...discovery(), ...offering(), ...providers()]),
    ...quotas(dialect),

    ...[creation(loadbalancer)],
    ...[creation(listener), second(listener)],
    ...[creation(pool), second(pool)],
    ...[creation(member), second(member)],
    ...[creation(healthmonitor), creation(l7policy), creation(rule)],

    ...all.flatMap(declared => reads(declared, dialect)),
    ...[nextPage(listener, 'second listener'), nextPage(pool, 'second pool'), nextPage(member, 'second member')],
    ...order(listener),
    ...reports(dialect),
    ...octavia(inUse),

    ...all.flatMap(declared => refused(declared, dialect)),
    ...conflicts(of, dialect),
    ...usedUp(dialect),

    ...[update(rule), update(l7policy), ...poolInUse(of, dialect)],
    ...[update(healthmonitor), restored(healthmonitor, { expected_codes: '200' }, ok)],
    ...[update(member), restored(member, { admin_state_up: true, weight: 1 }, both)],
    ...[update(pool), restored(pool, { lb_algorithm: 'ROUND_ROBIN', session_persistence: null }, both)],
    ...[update(listener), restored(listener, { admin_state_up: true }, ok)],
    ...[update(loadbalancer), restored(loadbalancer, { admin_state_up: true }, ok)],
    ...octavia(() => [...batches(), ...whole(of)]),

    ...octavia(amphorae),
    ...neutron(agents),

    ...[rule, l7policy, healthmonitor, member, pool, listener].flatMap(removal),
    ...ends(of, dialect),
    ...octavia(withdrawn),
  ]
}
