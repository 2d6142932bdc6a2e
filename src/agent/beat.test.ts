/** What a heartbeat says, and that nothing counted is told twice or never. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeHeartbeat, encodeHeartbeat } from '../amphora/heartbeat.ts'
import { heartbeatOf, type SeenListener } from './beat.ts'
import { type Counters, none, parseStatistics } from './statistics.ts'
import { Totals } from './totals.ts'

const id = (n: number) => `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`
const counters: fc.Arbitrary<Counters> = fc.record({
  tx: fc.nat(1_000),
  rx: fc.nat(1_000),
  totconns: fc.nat(9),
  ereq: fc.nat(9),
})
const own = { start: 3, boot_id: 'b-1', role: 'MASTER', keepalived: null } as const
const answer: SeenListener['answer'] = {
  status: 'OPEN',
  sessions: 2,
  pools: {
    [id(3)]: { status: 'UP', members: { [id(4)]: 'UP', [id(5)]: 'DRAIN', [id(6)]: 'MAINT', [id(7)]: 'UP 1/2' } },
  },
}
const totals = { tx: 10, rx: 20, totconns: 3, ereq: 1 }
const told = { tx: 4, rx: 5, totconns: 1, ereq: 1 }
const digest = '0123456789abcdef0123456789abcdef'
const listeners: SeenListener[] = [
  { id: id(1), answer, totals, told, digest },
  { id: id(2), answer: null, totals, told, digest: null },
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
      ottavia: { ...own, counters: { [id(1)]: totals, [id(2)]: totals }, digests: { [id(1)]: digest } },
    })
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
  expect(parseStatistics(text, 'l1', new Set(['p1/m3']))).toEqual({
    worker: '12:34',
    stopping: true,
    status: 'OPEN',
    sessions: 2,
    requests: 1,
    counters: { tx: 200, rx: 100, totconns: 9, ereq: 1 },
    pools: { p1: { status: 'UP', members: { m1: 'UP', m2: 'DRAIN' } } },
  })
  expect(parseStatistics('', 'l1', new Set())).toMatchObject({ status: null, pools: {} })
})
