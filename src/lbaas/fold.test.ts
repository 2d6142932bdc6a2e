/** Operating statuses from what amphorae report: every row of the table, both forms, pairs, and laws of all of it. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Amphora, newAmphora } from './amphora.ts'
import { change } from './change.ts'
import { fold, seenIn, type Witness } from './fold.ts'
import { settle } from './provisioning.ts'
import type { OperatingStatus } from './resource.ts'
import { applied, creates, sampleId, sampleTerms, sampleTree } from './sample.ts'
import type { Tree } from './tree.ts'

const [lb, listener, pool, member, other] = [1, 2, 3, 4, 5].map(sampleId) as [string, string, string, string, string]
const [amphora, standby] = [50, 51].map(sampleId) as [string, string]

/** The five commands and a monitor, settled, with one amphora (or two). */
function tree(changed: { pair?: boolean; monitor?: boolean } = {}): Tree {
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

type Words = { listener?: string | null; pool?: string | null; members?: Record<string, string> }

/** A report in the form of 1.0; null leaves the object out. */
function report({ listener: l = 'OPEN', pool: p = 'UP', members = { [member]: 'UP', [other]: 'UP' } }: Words = {}) {
  return seenIn({
    listeners: l === null ? {} : { [listener]: { status: l } },
    pools: p === null ? {} : { [`${pool}:${listener}`]: { status: p, members } },
  })
}

function heard(words: Words = {}, more: Partial<Witness> = {}): Witness {
  return { amphora_id: amphora, alive: true, role: null, seen: report(words), ...more }
}

/** All statuses after folding. */
function folded(of: Tree, ...witnesses: Witness[]): Record<string, OperatingStatus> {
  const changes = fold(of, witnesses)
  const objects = [of.load_balancer, ...of.listeners, ...of.pools, ...of.members]
  for (const id of changes.keys()) expect(objects.map(one => one.id)).toContain(id)
  return Object.fromEntries(objects.map(one => [one.id, changes.get(one.id) ?? one.operating_status]))
}

function having(of: Tree, id: string, fields: object): Tree {
  const all = <T extends { id: string }>(rows: T[]) => rows.map(row => (row.id === id ? { ...row, ...fields } : row))
  return {
    ...of,
    load_balancer: id === lb ? { ...of.load_balancer, ...fields } : of.load_balancer,
    listeners: all(of.listeners),
    pools: all(of.pools),
    members: all(of.members),
    amphorae: all(of.amphorae),
    health_monitors: all(of.health_monitors),
  }
}

describe('a member', () => {
  test.each([
    ['UP', 'ONLINE'],
    ['UP 1/2', 'ONLINE'],
    ['DOWN', 'ERROR'],
    ['DOWN 1/2', 'ERROR'],
    ['DRAIN', 'DRAINING'],
    ['MAINT', 'OFFLINE'],
    ['no check', 'NO_MONITOR'],
  ] as const)('that is %s is %s', (word, status) => {
    expect(folded(tree(), heard({ members: { [member]: word } }))[member]).toBe(status)
  })

  test.each(['RESTARTING', 'constructor', '__proto__', ''])('keeps its status when an agent says %j', word => {
    const before = having(tree(), member, { operating_status: 'ERROR' })
    expect(folded(before, heard({ members: { [member]: word } }))[member]).toBe('ERROR')
  })

  test('that is absent is OFFLINE, unless nobody ever asked it', () => {
    const before = having(tree(), member, { operating_status: 'ONLINE' })
    expect(folded(before, heard({ members: {} }))).toMatchObject({ [member]: 'OFFLINE', [other]: 'NO_MONITOR' })
  })

  test('that is down by will is OFFLINE, whatever is said', () => {
    const before = having(tree(), member, { admin_state_up: false })
    expect(folded(before, heard())[member]).toBe('OFFLINE')
  })

  test.each(['UP', 'DOWN', 'MAINT', 'no check'])('without a monitor reads NO_MONITOR though an agent says %s', word => {
    const before = having(tree({ monitor: false }), member, { operating_status: 'ERROR' })
    expect(folded(before, heard({ members: { [member]: word } }))[member]).toBe('NO_MONITOR')
  })

  test.each([{ admin_state_up: false }, { provisioning_status: 'PENDING_DELETE' }])(
    'nor with a monitor that is %o',
    gone => {
      const before = having(tree(), sampleId(6), gone)
      expect(folded(before, heard({ members: { [member]: 'DOWN' } }))[member]).toBe('NO_MONITOR')
    },
  )

  test('drains without a monitor as well', () => {
    expect(folded(tree({ monitor: false }), heard({ members: { [member]: 'DRAIN' } }))[member]).toBe('DRAINING')
  })
})

describe('a pool', () => {
  test.each([
    ['UP', 'UP', 'ONLINE'],
    ['UP', 'DOWN', 'DEGRADED'],
    ['UP', 'MAINT', 'ONLINE'],
    ['DOWN', 'DOWN', 'ERROR'],
    ['DOWN', 'UP', 'ERROR'],
    ['RESTARTING', 'UP', 'ONLINE'],
    [null, 'UP', 'OFFLINE'],
  ] as const)('that is %s with a member that is %s is %s', (word, of_member, status) => {
    const words = { pool: word, members: { [member]: of_member, [other]: 'UP' } }
    expect(folded(tree(), heard(words))[pool]).toBe(status)
  })

  test('that is down by will is OFFLINE', () => {
    expect(folded(having(tree(), pool, { admin_state_up: false }), heard())[pool]).toBe('OFFLINE')
  })

  test('that several listeners use has the worst that they say', () => {
    const seen = seenIn({
      listeners: { [listener]: { status: 'OPEN' } },
      pools: {
        [`${pool}:${listener}`]: { status: 'UP', members: { [member]: 'UP', [other]: 'RESTARTING' } },
        [`${pool}:${sampleId(9)}`]: { status: 'UP', members: { [member]: 'DOWN', [other]: 'UP' } },
      },
    })
    expect(folded(tree(), heard({}, { seen }))).toMatchObject({
      [pool]: 'DEGRADED',
      [member]: 'ERROR',
      [other]: 'ONLINE',
    })
  })
})

describe('a listener', () => {
  test.each([
    ['OPEN', 'ONLINE'],
    ['FULL', 'DEGRADED'],
    ['DOWN', 'ERROR'],
    ['STOP', 'ONLINE'],
    [null, 'ERROR'],
  ] as const)('that is %s is %s', (word, status) => {
    expect(folded(tree(), heard({ listener: word }))[listener]).toBe(status)
  })

  test.each([
    ['ACTIVE', 'ERROR'],
    ['ERROR', 'OFFLINE'],
    ['PENDING_UPDATE', 'ONLINE'],
  ])('that is absent while the load balancer is %s is %s', (provisioning_status, status) => {
    expect(folded(having(tree(), lb, { provisioning_status }), heard({ listener: null }))[listener]).toBe(status)
  })

  test.each([listener, lb])('is OFFLINE when it, or its load balancer, is down by will (%s)', id => {
    expect(folded(having(tree(), id, { admin_state_up: false }), heard({ listener: null }))[listener]).toBe('OFFLINE')
  })
})

describe('the load balancer', () => {
  test.each([
    [{}, 'ONLINE'],
    [{ listener: 'FULL' }, 'DEGRADED'],
    [{ members: { [member]: 'DOWN', [other]: 'UP' } }, 'DEGRADED'],
    [{ pool: 'DOWN' }, 'ERROR'],
    [{ listener: null }, 'ERROR'],
  ] as [Words, string][])('of %o is %s', (words, status) => {
    expect(folded(tree(), heard(words))[lb]).toBe(status)
  })

  test('that is down by will is OFFLINE', () => {
    expect(folded(having(tree(), lb, { admin_state_up: false }), heard())[lb]).toBe('OFFLINE')
  })

  test('without a living amphora is in ERROR, and what it knew of the rest stays', () => {
    const silent = heard({ pool: 'DOWN' }, { alive: false })
    expect(folded(tree(), silent)).toMatchObject({ [lb]: 'ERROR', [listener]: 'ONLINE', [pool]: 'ONLINE' })
    expect(folded(tree())[lb]).toBe('ERROR')
  })

  test.each(['PENDING_CREATE', 'PENDING_DELETE'])('that is %s is not judged', provisioning_status => {
    const before = having(tree(), lb, { provisioning_status, operating_status: 'OFFLINE' })
    expect(folded(before)[lb]).toBe('OFFLINE')
  })
})

describe('a pair', () => {
  const both = (a: Partial<Witness>, b: Partial<Witness>, of = tree({ pair: true })) =>
    folded(of, heard({}, a), heard({}, { amphora_id: standby, ...b }))

  test('is ONLINE while both beat, DEGRADED with one, in ERROR without any', () => {
    expect(both({}, {})[lb]).toBe('ONLINE')
    expect(both({}, { alive: false })[lb]).toBe('DEGRADED')
    expect(both({ alive: false }, { alive: false })[lb]).toBe('ERROR')
  })

  test('believes its MASTER', () => {
    const bad = { role: 'BACKUP', seen: report({ pool: 'DOWN' }) } as const
    expect(both({ role: 'MASTER' }, bad)[pool]).toBe('ONLINE')
    expect(both({ role: 'BACKUP' }, { ...bad, role: 'MASTER' })[pool]).toBe('ERROR')
  })

  test('a dead MASTER is not believed', () => {
    expect(both({ role: 'MASTER', alive: false, seen: report({ pool: 'DOWN' }) }, { role: 'BACKUP' })[pool]).toBe(
      'ONLINE',
    )
  })

  test.each([
    [null, null],
    ['BACKUP', 'BACKUP'],
    ['MASTER', 'MASTER'],
  ] as const)('has the worst that %s and %s say, where it is not known who serves', (a, b) => {
    expect(both({ role: a }, { role: b, seen: report({ pool: 'DOWN' }) })[pool]).toBe('ERROR')
    expect(both({ role: a, seen: report({ pool: 'DOWN' }) }, { role: b })[pool]).toBe('ERROR')
  })

  test('counts neither the doomed nor those that are still to take a place', () => {
    for (const fields of [{ status: 'PENDING_DELETE' }, { replaces: amphora }, { status: 'BOOTING' }]) {
      const before = having(tree({ pair: true }), standby, fields)
      expect(both({}, { seen: report({ listener: null, pool: null }) }, before)).toMatchObject({
        [lb]: 'DEGRADED',
        [listener]: 'ONLINE',
        [pool]: 'ONLINE',
      })
    }
  })

  test('says nothing new of what its living amphorae have not spoken of yet', () => {
    expect(both({ seen: null }, { seen: null })).toMatchObject({ [lb]: 'ONLINE', [listener]: 'ONLINE' })
  })
})

test('the form of 0.5 says the same', () => {
  const pools = { [pool]: { status: 'UP', members: { [member]: 'UP', [other]: 'DOWN' } } }
  const old = seenIn({ listeners: { [listener]: { status: 'OPEN', pools } } })
  expect(old).toEqual(report({ members: { [member]: 'UP', [other]: 'DOWN' } }))
  const dead = seenIn({ listeners: { [listener]: { status: 'DOWN', pools: {} } } })
  expect(folded(tree(), heard({}, { seen: dead }))).toMatchObject({
    [lb]: 'ERROR',
    [listener]: 'ERROR',
    [pool]: 'OFFLINE',
  })
})

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

function withStatuses(of: Tree, statuses: ReadonlyMap<string, OperatingStatus>): Tree {
  return [...statuses].reduce((so_far, [id, operating_status]) => having(so_far, id, { operating_status }), of)
}
