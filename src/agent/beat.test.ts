/** What a heartbeat says, and that nothing counted is told twice or never. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeHeartbeat, encodeHeartbeat } from '../amphora/heartbeat.ts'
import { heartbeatOf, type SeenListener } from './beat.ts'
import { type Counters, none, parseStatistics, poolsOfListener } from './statistics.ts'
import { Totals } from './totals.ts'

const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`
const counters: fc.Arbitrary<Counters> = fc.record({
  tx: fc.nat(1_000),
  rx: fc.nat(1_000),
  totconns: fc.nat(9),
  ereq: fc.nat(9),
})
const answer: SeenListener['answer'] = {
  status: 'OPEN',
  sessions: 2,
  pools: {
    [id(3)]: { status: 'UP', members: { [id(4)]: 'UP', [id(5)]: 'DRAIN', [id(6)]: 'MAINT', [id(7)]: 'UP 1/2' } },
  },
}
const totals = { tx: 10, rx: 20, totconns: 3, ereq: 1 }
const told = { tx: 4, rx: 5, totconns: 1, ereq: 1 }
const digests = { [id(1)]: '0123456789abcdef0123456789abcdef' }
const own = { start: 3, boot_id: 'b-1', role: 'MASTER', keepalived: null, digests } as const
const listeners: SeenListener[] = [
  { id: id(1), answer, totals, told },
  { id: id(2), answer: null, totals, told },
]
const seen = { id: id(9), seq: 4, listeners, own }

describe('a heartbeat', () => {
  test('of today has what was added, haproxy’s own words, and what only ours say', () => {
    const message = heartbeatOf('1.0', seen)
    expect(message).toEqual({
      id: id(9),
      seq: 4,
      ver: 3,
      listeners: { [id(1)]: { status: 'OPEN', stats: { tx: 6, rx: 15, conns: 2, totconns: 2, ereq: 0 } } },
      pools: { [`${id(3)}:${id(1)}`]: answer!.pools[id(3)] },
      ottavia: { ...own, counters: { [id(1)]: totals, [id(2)]: totals } },
    })
    expect(decodeHeartbeat(encodeHeartbeat(message, 'k', '1.0'), 'k')).toEqual({ ok: true, message })
  })

  test('of counters that have begun anew has what they are now', () => {
    const again = { ...seen, listeners: [{ id: id(1), answer, totals: told, told: totals }] }
    const message = heartbeatOf('1.0', again)
    expect(message.listeners[id(1)]!.stats).toEqual({ tx: 4, rx: 5, conns: 2, totconns: 1, ereq: 0 })
    expect(decodeHeartbeat(encodeHeartbeat(message, 'k', '1.0'), 'k')).toEqual({ ok: true, message })
  })

  test('of 2016 has absolute counters, and members that are up or down', () => {
    const message = heartbeatOf('0.5', seen)
    expect(message).toEqual({
      id: id(9),
      seq: 4,
      listeners: {
        [id(1)]: {
          status: 'OPEN',
          stats: { tx: 10, rx: 20, conns: 2, totconns: 3 },
          pools: {
            [id(3)]: { status: 'UP', members: { [id(4)]: 'UP', [id(5)]: 'UP', [id(6)]: 'DOWN', [id(7)]: 'UP' } },
          },
        },
        [id(2)]: { status: 'DOWN', stats: { tx: 10, rx: 20, conns: 0, totconns: 3 } },
      },
    })
    expect(decodeHeartbeat(encodeHeartbeat(message, 'k', '0.5'), 'k')).toEqual({ ok: true, message })
  })
})

test('the sum over all workers neither forgets nor repeats, whenever they end', () => {
  const step = fc.record({ worker: fc.nat(3), added: counters, ends: fc.boolean() })
  fc.assert(
    fc.property(fc.array(step), steps => {
      const kept = new Totals('/nowhere', () => {})
      const now = new Map<string, Counters>()
      let life = 0
      let [tx, totconns] = [0, 0]
      for (const { worker, added, ends } of steps) {
        const name = `${worker}:${life}`
        const before = now.get(name) ?? none
        const after = {
          tx: before.tx + added.tx,
          rx: before.rx + added.rx,
          totconns: before.totconns + added.totconns,
          ereq: before.ereq + added.ereq,
        }
        now.set(name, after)
        kept.note('l', name, after)
        kept.note('l', name, before)
        tx += added.tx
        totconns += added.totconns
        if (ends) {
          life++
          kept.settle('l', each => each === name)
        }
        expect(kept.of('l')).toMatchObject({ tx, totconns })
      }
    }),
  )
})

test('haproxy’s statistics are read', () => {
  const text = [
    'Name: HAProxy\nPid: 12\nStart_time_sec: 34\nStopping: 1\n',
    '# pxname,svname,scur,stot,bin,bout,ereq,status,weight,',
    'l1,FRONTEND,2,9,100,200,1,OPEN,,',
    'p1,m1,0,4,1,2,,UP,1,',
    'p1,m2,0,4,1,2,,UP,0,',
    'p1,m3,0,4,1,2,,MAINT,1,',
    'p1,BACKEND,1,4,1,2,,UP,1,',
  ].join('\n')
  const pool = { status: 'UP', members: { m1: 'UP', m2: 'DRAIN' } }
  const found = parseStatistics(text, new Set(['p1/m3']))
  const counters = { tx: 200, rx: 100, totconns: 9, ereq: 1 }
  expect(found).toEqual({
    worker: '12:34',
    stopping: true,
    requests: 1,
    frontends: { l1: { status: 'OPEN', sessions: 2, counters } },
    pools: { p1: pool },
  })
  expect(poolsOfListener(found, 'l1')).toEqual({ p1: pool })
  expect(parseStatistics('', new Set())).toMatchObject({ frontends: {}, pools: {} })
})

test('of listeners that share a haproxy each has its own pools', () => {
  const text = [
    '# pxname,svname,scur,stot,bin,bout,ereq,status,weight,',
    'l1,FRONTEND,2,9,100,200,1,OPEN,,',
    'l2,FRONTEND,0,0,0,0,0,FULL,,',
    'prometheus-exporter:l2,BACKEND,0,0,0,0,,UP,1,',
    'p1:l1,m1,0,4,1,2,,DOWN,1,',
    'p1:l1,BACKEND,1,4,1,2,,DOWN,1,',
    'p1:l2,m1,0,4,1,2,,UP,1,',
    'p1:l2,BACKEND,1,4,1,2,,UP,1,',
  ].join('\n')
  const found = parseStatistics(text, new Set())
  expect(Object.keys(found.frontends)).toEqual(['l1', 'l2'])
  expect(poolsOfListener(found, 'l1')).toEqual({ p1: { status: 'DOWN', members: { m1: 'DOWN' } } })
  expect(poolsOfListener(found, 'l2')).toEqual({ p1: { status: 'UP', members: { m1: 'UP' } } })
})
