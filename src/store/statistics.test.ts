/** Statistics on a real PostgreSQL: totals over amphorae, restarts and failovers. */
import type pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { testDatabase } from '../../test/postgres.ts'
import { newAmphora } from '../lbaas/amphora.ts'
import { applied, creates, sampleId, sampleTree } from '../lbaas/sample.ts'
import { openLog } from '../service/log.ts'
import { openPool } from '../service/postgres.ts'
import { migrate } from './migrations.ts'
import * as statistics from './statistics.ts'
import { transaction } from './transaction.ts'
import * as trees from './trees.ts'

const database = testDatabase()
let pool: pg.Pool
const [lb, listener, amphora, standby] = [1, 2, 50, 51].map(sampleId) as [string, string, string, string]
const other_lb = sampleId(21)

beforeAll(async () => {
  pool = openPool(database.url, openLog('test'))
  await migrate(pool)
})
afterAll(() => pool.end())
beforeEach(async () => {
  await pool.query(
    'truncate lbaas.load_balancer, lbaas.listener, lbaas.pool, lbaas.amphora, lbaas.listener_statistics cascade',
  )
  const row = (id: string) => ({
    ...newAmphora({ id, load_balancer_id: lb, role: 'STANDALONE', created_at: '2026-01-01T00:00:00Z' }),
    status: 'ALLOCATED' as const,
  })
  const tree = { ...sampleTree(), amphorae: [row(amphora), row(standby)] }
  await transaction(pool, tx => trees.save(tx, null, tree))
  const other = applied([creates.loadBalancer()], null, 21)
  other.load_balancer.vip_port_id = sampleId(22)
  await transaction(pool, tx => trees.save(tx, null, other))
})

type Given = Partial<statistics.Counted> & { n?: number }

/** All counters are n, n + 1, n + 2 and n + 3, so that none is taken for another. */
function counted({ n = 0, ...more }: Given): statistics.Counted {
  return {
    listener_id: listener,
    amphora_id: amphora,
    counts: 'total',
    bytes_in: n,
    bytes_out: n + 1,
    total_connections: n + 2,
    request_errors: n + 3,
    active_connections: 7,
    ...more,
  }
}
const count = (...given: Given[]) => transaction(pool, tx => statistics.count(tx, given.map(counted)))
const now = () => statistics.ofListener(pool, listener)
const sums = (n: number, rows: number, active: number) => ({
  bytes_in: n,
  bytes_out: n + rows,
  total_connections: n + 2 * rows,
  request_errors: n + 3 * rows,
  active_connections: active,
})

describe('what is counted', () => {
  test('since the listener was made replaces what was counted before, if it is more', async () => {
    await count({ n: 100 })
    await count({ n: 300 })
    await count({ n: 200 }) // written late by another process
    expect(await now()).toEqual(sums(300, 1, 7))
  })

  test('since the last time is added', async () => {
    await count({ n: 100, counts: 'added' })
    await count({ n: 20, counts: 'added', active_connections: 3 })
    expect(await now()).toEqual(sums(120, 2, 3))
  })

  test('since haproxy started goes on after a restart, once any counter is less', async () => {
    await count({ n: 100, counts: 'since_start' })
    await count({ n: 150, counts: 'since_start' })
    await count({ n: 150, counts: 'since_start' })
    expect(await now()).toEqual(sums(150, 1, 7))
    await count({ n: 10, counts: 'since_start' })
    expect(await now()).toEqual(sums(160, 2, 7))
    await count({ n: 30, counts: 'since_start' })
    expect(await now()).toEqual(sums(180, 2, 7))
    // a busy minute: one counter is already beyond what it was, the others tell
    await count({ n: 5, bytes_in: 1_000, counts: 'since_start' })
    expect(await now()).toEqual({ ...sums(185, 3, 7), bytes_in: 1_180 })
  })

  test('beyond what the database can hold stays at the most', async () => {
    const most = 2 ** 63 - 1024
    for (let i = 0; i < 3; i++) await count({ n: 0, bytes_in: most, counts: 'added' })
    const { rows } = await pool.query('select bytes_in from lbaas.listener_statistics')
    expect(rows).toEqual([{ bytes_in: String(2n ** 63n - 1n) }])
  })

  test('is summed over amphorae, and stays when one goes', async () => {
    await count({ n: 100 }, { n: 1_000, amphora_id: standby, active_connections: 5 })
    expect(await now()).toEqual(sums(1_100, 2, 12))
    expect(await statistics.ofLoadBalancer(pool, lb)).toEqual(sums(1_100, 2, 12))
    await pool.query('delete from lbaas.amphora where id = $1', [amphora])
    expect(await now()).toEqual(sums(1_100, 2, 5))
  })

  test('is shown by amphora', async () => {
    await count({ n: 100 }, { n: 1_000, amphora_id: standby })
    expect(await statistics.ofAmphora(pool, amphora)).toEqual([
      { listener_id: listener, load_balancer_id: lb, ...sums(100, 1, 7) },
    ])
    expect(await statistics.ofAmphora(pool, sampleId(99))).toEqual([])
  })
})

test('only amphorae that live have connections', async () => {
  await count({ n: 1 }, { n: 1, amphora_id: standby, active_connections: 5 })
  await pool.query('update lbaas.amphora_health set silent_since = now() where amphora_id = $1', [amphora])
  expect((await now()).active_connections).toBe(5)
  await pool.query(`update lbaas.amphora set status = 'PENDING_DELETE' where id = $1`, [standby])
  expect((await now()).active_connections).toBe(0)
})

test('what an amphora says of listeners that are gone, or of others, is left out', async () => {
  const foreign = sampleId(23)
  await pool.query(
    `insert into lbaas.listener select (jsonb_populate_record(l, jsonb_build_object('id', $1::text, 'load_balancer_id', $2::text))).*
       from lbaas.listener l where id = $3`,
    [foreign, other_lb, listener],
  )
  await count(
    { n: 1 },
    { n: 1, listener_id: foreign },
    { n: 1, listener_id: sampleId(98) },
    { n: 1, amphora_id: sampleId(99) },
  )
  const { rows } = await pool.query('select listener_id, amphora_id from lbaas.listener_statistics')
  expect(rows).toEqual([{ listener_id: listener, amphora_id: amphora }])
})
