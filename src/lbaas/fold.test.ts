/** Operating statuses from what amphorae report: every row of the table, both forms, pairs. */
import { describe, expect, test } from 'vitest'
import { seenIn, type Witness } from './fold.ts'
import { sampleId } from './sample.ts'
import {
  amphora,
  folded,
  having,
  heard,
  lb,
  listener,
  member,
  other,
  pool,
  report,
  standby,
  tree,
  type Words,
} from './sample-reports.ts'

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
