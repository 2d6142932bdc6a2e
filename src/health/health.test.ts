/** Heartbeats from a real socket into a real PostgreSQL: what is taken, what is refused, what becomes of it. */
import { createHmac } from 'node:crypto'
import { deflateSync } from 'node:zlib'
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  addLoadBalancer,
  beat,
  clear,
  eventually,
  ids,
  key,
  members,
  runHealth,
  Sender,
  statuses,
} from '../../test/fleet.ts'
import { testDatabase } from '../../test/postgres.ts'
import { encodeHeartbeat } from '../amphora/heartbeat.ts'
import { openLog } from '../service/log.ts'
import { openPool } from '../service/postgres.ts'
import { migrate } from '../store/migrations.ts'
import * as statistics from '../store/statistics.ts'
import { transaction } from '../store/transaction.ts'
import * as trees from '../store/trees.ts'
import type { Reason } from './counts.ts'
import type { Health } from './health.ts'

const database = testDatabase()
let pool: pg.Pool
let health: Health
let sender: Sender
const { lb, listener, member, other, amphora } = ids(1)

beforeAll(async () => {
  pool = openPool(database.url, openLog('test'))
  await migrate(pool)
})
afterAll(() => pool.end())
beforeEach(async () => {
  await clear(pool)
  health = await runHealth(pool)
  sender = new Sender()
})
afterEach(async () => {
  sender.close()
  await health.close()
})

const written = (n: number) => eventually(`${n} written`, () => health.counts.written >= n)
const dropped = (why: Reason, n = 1) => eventually(`${why} ${n}`, () => health.counts.dropped[why] >= n)
const row = async (id = amphora) =>
  (await pool.query('select * from lbaas.amphora_health where amphora_id = $1', [id])).rows[0]
const age = (id: string, s: number) =>
  pool.query('update lbaas.amphora_health set last_update = now() - make_interval(secs => $2) where amphora_id = $1', [
    id,
    s,
  ])
const until = (id: string, status: string) =>
  eventually(`${id} ${status}`, async () => (await statuses(pool))[id] === status)

describe('a heartbeat', () => {
  test('moves the sign of life, the statuses and the statistics', async () => {
    await addLoadBalancer(pool, 1)
    await age(amphora, 1_000)
    await sender.send(health, beat(1, 0, members(1, { member: 'DOWN' })))
    await written(1)
    await until(lb, 'DEGRADED')
    expect(await statuses(pool)).toMatchObject({ [listener]: 'ONLINE', [member]: 'ERROR', [other]: 'ONLINE' })
    expect(await statistics.ofLoadBalancer(pool, lb)).toEqual({
      bytes_in: 20,
      bytes_out: 10,
      total_connections: 40,
      request_errors: 50,
      active_connections: 3,
    })
    const { last_update, start_number, seq, boot_id } = await row()
    expect({ start_number, seq, boot_id }).toEqual({ start_number: '1', seq: '0', boot_id: 'boot-1' })
    expect(Date.now() - last_update).toBeLessThan(100_000)
  })

  test.each(['0.5', '1.0'] as const)('of a genuine agent (%s) is understood', async form => {
    await addLoadBalancer(pool, 1)
    const { ottavia: _, ver, pools, ...rest } = beat(1, 7, members(1, { member: 'DOWN' }))
    const reported = Object.values(pools!)[0]!
    const old = {
      ...rest,
      listeners: { [listener]: { ...rest.listeners[listener]!, pools: { [ids(1).pool]: reported } } },
    }
    await sender.send(health, form === '0.5' ? old : { ...rest, ver: ver!, pools: pools! }, form)
    await until(lb, 'DEGRADED')
    await sender.send(health, { ...(form === '0.5' ? old : { ...rest, ver: ver!, pools: pools! }), seq: 8 }, form)
    await written(2)
    // in 1.0 the counters are what was added, in 0.5 they are the same as before
    expect((await statistics.ofListener(pool, listener)).bytes_in).toBe(form === '1.0' ? 4 : 2)
    await sender.send(health, { ...rest, seq: 3, ver: ver!, pools: pools! }) // it has started anew
    await written(3)
    await sender.send(health, { ...rest, seq: 3, ver: ver!, pools: pools! })
    await dropped('replayed')
  })

  test('that says nothing new loads no tree', async () => {
    await addLoadBalancer(pool, 1)
    await sender.send(health, beat(1, 0))
    await eventually('folded', () => health.counts.folded === 1)
    for (let seq = 1; seq < 5; seq++) {
      await sender.send(health, beat(1, seq))
      await written(seq + 1)
    }
    await sender.send(health, beat(1, 5, members(1, { member: 'DOWN' })))
    await until(member, 'ERROR')
    expect(health.counts.folded).toBe(2)
  })

  test('is folded again when the tree has changed, whatever it says', async () => {
    await addLoadBalancer(pool, 1)
    await sender.send(health, beat(1, 0))
    await until(member, 'ONLINE')
    await transaction(pool, async tx => {
      const tree = (await trees.loadForUpdate(tx, lb))!
      const load_balancer = { ...tree.load_balancer, generation: 50 }
      await trees.save(tx, tree, { ...tree, load_balancer, health_monitors: [] })
    })
    await sender.send(health, beat(1, 1))
    await until(member, 'NO_MONITOR')
  })

  test('of a spare is a sign of life and no more', async () => {
    await addLoadBalancer(pool, 1)
    await pool.query(`update lbaas.amphora set load_balancer_id = null, status = 'READY'`)
    await age(amphora, 1_000)
    await sender.send(health, { ...beat(1, 0), listeners: {}, pools: {} })
    await written(1)
    expect(Date.now() - (await row()).last_update).toBeLessThan(100_000)
    expect(health.counts.folded).toBe(0)
  })
})

describe('refused', () => {
  beforeEach(async () => {
    await addLoadBalancer(pool, 1)
    await age(amphora, 1_000)
  })
  /** Nothing was written, and the process goes on. */
  const untouched = async () => {
    expect(health.counts.written).toBe(0)
    expect(Date.now() - (await row()).last_update).toBeGreaterThan(900_000)
    await sender.send(health, beat(1, 1_000_000))
    await written(1)
  }
  const signed = (text: Buffer) => Buffer.concat([text, createHmac('sha256', key).update(text).digest()])

  test('is what is forged, truncated, oversized or unreadable', async () => {
    const frame = encodeHeartbeat(beat(1, 0), key, '1.0')
    await sender.send(health, encodeHeartbeat(beat(1, 0), 'another key', '1.0'))
    await sender.send(health, frame.subarray(0, -1))
    await sender.send(health, frame.subarray(0, 20))
    await sender.send(health, Buffer.alloc(0))
    await sender.send(health, signed(deflateSync(Buffer.alloc(8 << 20))))
    await sender.send(health, signed(deflateSync('{}')))
    await dropped('unreadable')
    expect(health.counts.dropped).toMatchObject({ forged: 2, truncated: 2, oversized: 1, unreadable: 1 })
    await untouched()
  })

  test('is what comes from another address than its amphora has, before and after that is known', async () => {
    const foreigner = new Sender('127.0.0.2')
    await foreigner.send(health, beat(1, 500))
    await dropped('foreign')
    await untouched()
    await foreigner.send(health, beat(1, 2_000_000))
    await dropped('foreign', 2)
    await sender.send(health, beat(1, 1_000_001)) // not displaced by the higher sequence
    await written(2)
    foreigner.close()
  })

  test('is what no amphora says', async () => {
    await sender.send(health, { ...beat(1, 0), id: ids(9).amphora })
    await dropped('unknown')
    await untouched()
  })

  test('is what an amphora says that is deleted, and was known before', async () => {
    await sender.send(health, beat(1, 0))
    await written(1)
    await pool.query(`update lbaas.amphora set status = 'DELETED'`)
    for (const seq of [1, 2]) {
      await sender.send(health, beat(1, seq))
      await dropped('unknown', seq)
    }
    expect(health.counts.written).toBe(1)
  })

  test('is what was heard before, here or by another process', async () => {
    await sender.send(health, beat(1, 5, { own: { start: 2 } }))
    await written(1)
    const ways = [
      beat(1, 5, { own: { start: 2 } }),
      beat(1, 4, { own: { start: 2 } }),
      beat(1, 900, { own: { start: 1 } }),
    ]
    for (const again of ways) await sender.send(health, again)
    await dropped('replayed', 3)
    const second = await runHealth(pool)
    for (const again of ways) await sender.send(second, again)
    await eventually('refused there', () => second.counts.dropped.replayed === 3)
    expect([health.counts.written, second.counts.written]).toEqual([1, 0])
    await sender.send(second, beat(1, 0, { own: { start: 3 } }))
    await eventually('accepted there', () => second.counts.written === 1)
    await sender.send(health, beat(1, 6, { own: { start: 2 } }))
    await dropped('replayed', 4)
    await second.close()
  })

  test('a beat before the amphora is ready is neither written nor held against it', async () => {
    await pool.query('delete from lbaas.amphora_health')
    await sender.send(health, beat(1, 0))
    await eventually('received', () => health.counts.received === 1 && health.counts.waiting === 0)
    await pool.query('insert into lbaas.amphora_health (amphora_id) values ($1)', [amphora])
    await sender.send(health, beat(1, 1))
    await written(1)
    expect(Object.values(health.counts.dropped).every(n => n === 0)).toBe(true)
  })

  test('what an amphora says of others is left out, and fails nobody', async () => {
    await addLoadBalancer(pool, 2)
    const theirs = ids(2)
    const lie = beat(1, 0, {
      listeners: { [theirs.listener]: { status: 'FULL', stats: { tx: 9, rx: 9, conns: 9, totconns: 9 } } },
      pools: { [`${theirs.pool}:${theirs.listener}`]: { status: 'DOWN', members: { [theirs.member]: 'DOWN' } } },
      own: { counters: { [theirs.listener]: { tx: 9, rx: 9, totconns: 9, ereq: 9 } } },
    })
    await sender.send(health, lie)
    await sender.send(health, beat(2, 0))
    await until(theirs.member, 'ONLINE')
    await until(listener, 'ERROR')
    expect((await statistics.ofLoadBalancer(pool, theirs.lb)).bytes_in).toBe(20)
  })
})

test('closing writes what has come in', async () => {
  await addLoadBalancer(pool, 1)
  const own = await runHealth(pool)
  await sender.send(own, beat(1, 0))
  await eventually('received', () => own.counts.received === 1)
  await own.close()
  expect((await row()).seq).toBe('0')
})
