/** Trees and reports for tests of folding. */
import { type Amphora, newAmphora } from './amphora.ts'
import { fold, seenIn, type Witness } from './fold.ts'
import { settle } from './provisioning.ts'
import type { OperatingStatus } from './resource.ts'
import { applied, creates, sampleId, sampleTree } from './sample.ts'
import { mapChildren, type Tree } from './tree.ts'

export const [lb, listener, pool, member, other] = [1, 2, 3, 4, 5].map(sampleId) as [
  string,
  string,
  string,
  string,
  string,
]
export const [amphora, standby] = [50, 51].map(sampleId) as [string, string]

/** The five commands and a monitor, settled, with one amphora (or two). */
export function tree(changed: { pair?: boolean; monitor?: boolean } = {}): Tree {
  const monitored = changed.monitor === false ? sampleTree() : applied([creates.monitor(pool)], sampleTree(), 6)
  const settled = settle(monitored, { generation: monitored.load_balancer.generation, failed: new Map() })!
  const row = (id: string): Amphora => ({
    ...newAmphora({ id, load_balancer_id: lb, role: 'STANDALONE', created_at: '2026-01-01T00:00:00Z' }),
    status: 'ALLOCATED',
  })
  return {
    ...settled,
    load_balancer: { ...settled.load_balancer, topology: changed.pair ? 'ACTIVE_STANDBY' : 'SINGLE' },
    amphorae: changed.pair ? [row(amphora), row(standby)] : [row(amphora)],
  }
}

export type Words = { listener?: string | null; pool?: string | null; members?: Record<string, string> }

/** A report in the form of 1.0; null leaves the object out. */
export function report({
  listener: l = 'OPEN',
  pool: p = 'UP',
  members = { [member]: 'UP', [other]: 'UP' },
}: Words = {}) {
  return seenIn({
    listeners: l === null ? {} : { [listener]: { status: l } },
    pools: p === null ? {} : { [`${pool}:${listener}`]: { status: p, members } },
  })
}

export function heard(words: Words = {}, more: Partial<Witness> = {}): Witness {
  return { amphora_id: amphora, alive: true, role: null, seen: report(words), ...more }
}

/** All statuses after folding. */
export function folded(of: Tree, ...witnesses: Witness[]): Record<string, OperatingStatus> {
  const changes = fold(of, witnesses)
  const objects = [of.load_balancer, ...of.listeners, ...of.pools, ...of.members]
  return Object.fromEntries(objects.map(one => [one.id, changes.get(one.id) ?? one.operating_status]))
}

export function having(of: Tree, id: string, fields: object): Tree {
  return {
    ...of,
    ...mapChildren(of, child => (child.id === id ? { ...child, ...fields } : child)),
    load_balancer: id === lb ? { ...of.load_balancer, ...fields } : of.load_balancer,
    amphorae: of.amphorae.map(row => (row.id === id ? { ...row, ...fields } : row)),
  }
}

export function withStatuses(of: Tree, statuses: ReadonlyMap<string, OperatingStatus>): Tree {
  return [...statuses].reduce((so_far, [id, operating_status]) => having(so_far, id, { operating_status }), of)
}
