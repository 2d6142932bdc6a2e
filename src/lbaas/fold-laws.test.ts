/** Laws of folding, for any tree and any report; and how it and settling leave each other alone. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { change } from './change.ts'
import { fold, type Witness } from './fold.ts'
import { settle } from './provisioning.ts'
import { applied, creates, sampleId, sampleTerms } from './sample.ts'
import {
  amphora,
  folded,
  having,
  heard,
  lb,
  listener,
  member,
  other,
  report,
  standby,
  tree,
  type Words,
  withStatuses,
} from './sample-reports.ts'
import type { Tree } from './tree.ts'

describe('folding and settling', () => {
  const settled = (of: Tree) => settle(of, { generation: of.load_balancer.generation, failed: new Map() })!

  test('do not write in turns: settling a settled tree changes nothing that was folded', () => {
    for (const words of [{ listener: null }, { pool: null }, { pool: 'DOWN' }, { members: {} }] as Words[]) {
      const before = withStatuses(tree(), fold(tree(), [heard(words)]))
      expect(settled(before)).toEqual(before)
    }
  })

  test('a pool that no listener uses is OFFLINE for both', () => {
    const with_pool = applied([creates.pool({ loadbalancer_id: lb, listener_id: null })], tree(), 7)
    const before = settled(with_pool)
    expect(before.pools[1]!.operating_status).toBe('OFFLINE')
    expect(folded(before, heard())[before.pools[1]!.id]).toBe('OFFLINE')
  })

  test('what is pending is left to settling', () => {
    const before = change(
      tree(),
      { verb: 'update', resource: 'listener', id: listener, fields: { admin_state_up: false } },
      sampleTerms(8),
    )
    expect(fold(before, [heard({ listener: null })]).has(listener)).toBe(false)
    expect(folded(settled(before), heard({ listener: null }))[listener]).toBe('OFFLINE')
  })
})

describe('for any report', () => {
  const word = fc.constantFrom('OPEN', 'FULL', 'UP', 'DOWN', 'UP 1/3', 'DRAIN', 'MAINT', 'no check', 'RESTARTING', 'x')
  const words: fc.Arbitrary<Words> = fc.record({
    listener: fc.option(word),
    pool: fc.option(word),
    members: fc.dictionary(fc.constantFrom(member, other, sampleId(77)), word),
  })
  const status = fc.constantFrom('ONLINE', 'OFFLINE', 'DEGRADED', 'ERROR', 'DRAINING', 'NO_MONITOR')
  const provisioning_status = fc.constantFrom('ACTIVE', 'ERROR', 'PENDING_CREATE', 'PENDING_UPDATE', 'PENDING_DELETE')
  const anyTree = fc
    .tuple(
      fc.boolean(),
      fc.boolean(),
      fc.array(fc.record({ operating_status: status, provisioning_status, admin_state_up: fc.boolean() }), {
        minLength: 5,
        maxLength: 5,
      }),
    )
    .map(([pair, monitor, fields]) =>
      fields.reduce((of, more, i) => having(of, sampleId(i + 1), more), tree({ pair, monitor })),
    )
  const witness = (amphora_id: string) =>
    fc.record({
      amphora_id: fc.constant(amphora_id),
      alive: fc.boolean(),
      role: fc.constantFrom('MASTER' as const, 'BACKUP' as const, null),
      seen: fc.option(words.map(report)),
    })
  const witnesses = fc.tuple(witness(amphora), witness(standby)).map(both => both as Witness[])

  test('folding twice is folding once, and the order of witnesses is nothing', () => {
    fc.assert(
      fc.property(anyTree, witnesses, (of, heard) => {
        const once = fold(of, heard)
        expect(fold(withStatuses(of, once), heard)).toEqual(new Map())
        expect(fold(of, heard.toReversed())).toEqual(once)
      }),
    )
  })

  test('pending children are never touched, and what is down by will is never up', () => {
    fc.assert(
      fc.property(anyTree, witnesses, (of, heard) => {
        const changes = fold(of, heard)
        for (const one of [...of.listeners, ...of.pools, ...of.members]) {
          if (one.provisioning_status.startsWith('PENDING_')) expect(changes.has(one.id)).toBe(false)
          else if (!one.admin_state_up && changes.has(one.id)) expect(changes.get(one.id)).toBe('OFFLINE')
        }
      }),
    )
  })

  test('settling what was folded writes nothing else, unless something was pending', () => {
    fc.assert(
      fc.property(anyTree, witnesses, (any, heard) => {
        const active = [any.load_balancer, ...any.listeners, ...any.pools, ...any.members].reduce(
          (of, { id }) => having(of, id, { provisioning_status: 'ACTIVE' }),
          any,
        )
        fc.pre(heard.some(one => one.alive) && heard.every(one => one.seen !== null) && heard[0]!.alive)
        const after = withStatuses(active, fold(active, heard))
        const statuses = (of: Tree) => of.members.map(m => m.operating_status)
        expect(statuses(settled(after))).toEqual(statuses(after))
        expect(settled(after).listeners.map(l => l.operating_status)).toEqual(
          after.listeners.map(l => l.operating_status),
        )
        expect(settled(after).pools.map(p => p.operating_status)).toEqual(after.pools.map(p => p.operating_status))
      }),
    )
  })

  function settled(of: Tree): Tree {
    return settle(of, { generation: of.load_balancer.generation, failed: new Map() })!
  }
})
