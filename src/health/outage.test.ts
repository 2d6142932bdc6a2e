/** While PostgreSQL is away: nothing is lost, nothing grows, and nobody is judged until it has been back for a while. */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import type pg from 'pg'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import {
  addLoadBalancer,
  beat,
  clear,
  eventually,
  ids,
  members,
  runHealth,
  Sender,
  statuses,
} from '../../test/fleet.ts'
import { type EmbeddedPostgres, startPostgres } from '../cli/embedded-postgres.ts'
import { openLog } from '../service/log.ts'
import { openPool } from '../service/postgres.ts'
import { migrate } from '../store/migrations.ts'
import * as statistics from '../store/statistics.ts'

const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'ottavia-outage-'))
let server: EmbeddedPostgres
let pool: pg.Pool
const start = () => startPostgres(path.join(dir, 'cluster'), path.join(dir, 's'))
const log = openLog('test')
log.level = 'silent'

beforeAll(async () => {
  server = await start()
  pool = openPool(server.url, log)
  await migrate(pool)
})
beforeEach(() => clear(pool))
afterAll(async () => {
  await pool.end()
  await server.stop()
  fs.rmSync(dir, { recursive: true, force: true })
})

const status = async (id: string) =>
  (await pool.query('select status from lbaas.amphora where id = $1', [id])).rows[0]?.status

test('beats wait, one for each amphora, and are written when it is back; what was added is summed', async () => {
  for (const n of [1, 2]) await addLoadBalancer(pool, n)
  const health = await runHealth(pool)
  const sender = new Sender()
  const { ottavia: _, ...genuine } = beat(2, 0)
  await sender.send(health, beat(1, 0))
  await sender.send(health, genuine)
  await eventually('written', () => health.counts.written === 2)

  await server.stop()
  for (let seq = 1; seq <= 20; seq++) {
    await sender.send(health, beat(1, seq, members(1, { member: seq === 20 ? 'DOWN' : 'UP' })))
    await sender.send(health, { ...genuine, seq })
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  await eventually('failed', () => health.counts.failed_batches > 0 && health.counts.received === 42)
  await eventually('waiting', () => health.counts.waiting === 2)
  expect(health.counts.written).toBe(2)

  server = await start()
  await eventually('caught up', () => health.counts.written === 4)
  await eventually('folded', async () => (await statuses(pool))[ids(1).member] === 'ERROR')
  expect((await statistics.ofListener(pool, ids(2).listener)).bytes_in).toBe(21 * 2)
  expect((await statistics.ofListener(pool, ids(1).listener)).bytes_in).toBe(20)
  await sender.send(health, beat(1, 21))
  await eventually('going on', () => health.counts.written === 5)
  sender.close()
  await health.close()
})

test('sessions that are cut cost nothing', async () => {
  await addLoadBalancer(pool, 1)
  const health = await runHealth(pool)
  const sender = new Sender()
  for (let seq = 0; seq < 10; seq++) {
    await sender.send(health, beat(1, seq))
    const cut = `select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and datname = current_database()`
    await pool.query(cut).catch(() => {})
    await new Promise(resolve => setTimeout(resolve, 100))
  }
  await eventually('the newest is written', async () => {
    const { rows } = await pool.query('select seq from lbaas.amphora_health').catch(() => ({ rows: [] }))
    return rows[0]?.seq === '9'
  })
  sender.close()
  await health.close()
})

test('nobody is judged until it has been back for a whole time-out', async () => {
  await addLoadBalancer(pool, 1)
  const health = await runHealth(pool, { heartbeat_timeout_s: 3 })
  const sender = new Sender()
  let seq = 0
  const beating = setInterval(() => void sender.send(health, beat(1, seq++)), 200)
  await eventually('judging', () => health.counts.judging === 1)
  await server.stop()
  clearInterval(beating)
  await new Promise(resolve => setTimeout(resolve, 4_000)) // longer than the time-out
  const back_ms = Date.now()
  server = await start()
  await eventually('answers', async () => (await status(ids(1).amphora).catch(() => null)) !== null)
  // its last beat may have waited; then it is silent from now on, else it has been so for long
  await eventually('given up', async () => (await status(ids(1).amphora)) === 'PENDING_DELETE')
  expect(Date.now() - back_ms).toBeGreaterThanOrEqual(3_000)
  sender.close()
  await health.close()
})

test('a socket that cannot be bound yet is tried again, and nobody is judged meanwhile', async () => {
  const holder = await runHealth(pool)
  const port = holder.port()!
  await addLoadBalancer(pool, 1)
  await pool.query(`update lbaas.amphora_health set last_update = now() - interval '1 hour'`)
  const { startHealth } = await import('./health.ts')
  const second = startHealth({
    pool,
    bind_ip: '127.0.0.1',
    bind_port: port,
    heartbeat_key: 'secret',
    heartbeat_timeout_s: 1,
    health_check_interval_s: 0.1,
    failover_threshold: 0,
    log,
  })
  await new Promise(resolve => setTimeout(resolve, 2_500))
  expect(second.port()).toBeNull()
  expect(await status(ids(1).amphora)).toBe('ALLOCATED')
  await holder.close()
  await eventually('bound', () => second.port() === port)
  await eventually('given up', async () => (await status(ids(1).amphora)) === 'PENDING_DELETE')
  await second.close()
})
