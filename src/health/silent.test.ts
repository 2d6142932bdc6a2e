/** Silence on a real PostgreSQL: who is given up, by whom, when not, and the breaker. */
import type pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { addLoadBalancer, beat, clear, eventually, ids, runHealth, Sender, statuses } from '../../test/fleet.ts'
import { testDatabase } from '../../test/postgres.ts'
import { openLog } from '../service/log.ts'
import { openPool } from '../service/postgres.ts'
import * as journal from '../store/journal.ts'
import { migrate } from '../store/migrations.ts'
import { readBreaker, silent_sql } from '../store/silences.ts'
import { transaction } from '../store/transaction.ts'
import * as trees from '../store/trees.ts'
import { Counts } from './counts.ts'
import { judge } from './silent.ts'

const database = testDatabase()
let pool: pg.Pool
const { lb, amphora, standby } = ids(1)
const log = openLog('test')
log.level = 'silent'

beforeAll(async () => {
  pool = openPool(database.url, openLog('test'))
  await migrate(pool)
})
afterAll(() => pool.end())
beforeEach(() => clear(pool))

const silence = (...amphorae: string[]) =>
  pool.query(`update lbaas.amphora_health set last_update = now() - interval '61 s' where amphora_id = any($1)`, [
    amphorae,
  ])
const round = (changed: { failover_threshold?: number; mayJudge?: () => boolean; counts?: Counts } = {}) =>
  judge({ pool, timeout_s: 60, failover_threshold: 0, mayJudge: () => true, counts: new Counts(), log, ...changed })
const given_up = async (changed = {}) => (await round(changed)).given_up.map(one => one.amphora_id).sort()
const status = async (id: string) =>
  (await pool.query('select status from lbaas.amphora where id = $1', [id])).rows[0]?.status
/** Few enough have been silent for a whole time-out. */
const calm = () => pool.query(`update lbaas.breaker set calm_since = calm_since - interval '60 s'`)
const claim = async (of = lb) =>
  (await pool.query('select look, wakes::int from lbaas.claims where load_balancer_id = $1', [of])).rows[0]

describe('a silent amphora', () => {
  test('is given up once: doomed, its load balancer woken, a line in the journal', async () => {
    await addLoadBalancer(pool, 1, { pair: true })
    expect(await given_up()).toEqual([])
    await silence(amphora)
    expect(await given_up()).toEqual([amphora])
    expect([await status(amphora), await status(standby)]).toEqual(['PENDING_DELETE', 'ALLOCATED'])
    expect(await claim()).toEqual({ look: true, wakes: 1 })
    expect(await journal.of(pool, lb, 5)).toMatchObject([
      { actor: 'health', title: 'silent amphora', text: 'silent for 61 s: it is given up', object_id: amphora },
    ])
    expect(await given_up()).toEqual([])
  })

  test('that never beat is missed as well', async () => {
    await addLoadBalancer(pool, 1)
    const { rows } = await pool.query(
      "select seq, last_update > now() - interval '20 s' as fresh from lbaas.amphora_health",
    )
    expect(rows).toEqual([{ seq: null, fresh: true }])
    await silence(amphora)
    expect(await given_up()).toEqual([amphora])
  })

  test('is a spare as well, which wakes nobody', async () => {
    await addLoadBalancer(pool, 1)
    await pool.query(`update lbaas.amphora set load_balancer_id = null, status = 'READY'`)
    await silence(amphora)
    expect(await given_up()).toEqual([amphora])
    expect(await claim()).toEqual({ look: false, wakes: 0 })
  })

  test.each([
    ['is doomed already', `update lbaas.amphora set status = 'PENDING_DELETE'`],
    ['is still being made', `update lbaas.amphora set status = 'BOOTING'`],
    ['belongs to what goes anyway', `update lbaas.load_balancer set provisioning_status = 'PENDING_DELETE'`],
  ])('is none that %s', async (_, statement) => {
    await addLoadBalancer(pool, 1)
    await silence(amphora)
    await pool.query(statement)
    expect(await given_up()).toEqual([])
  })

  test('is watched anew when it is made ready again', async () => {
    await addLoadBalancer(pool, 1)
    await silence(amphora)
    await round()
    const save = (to: 'BOOTING' | 'ALLOCATED') =>
      transaction(pool, async tx => {
        const tree = (await trees.loadForUpdate(tx, lb))!
        await trees.save(tx, tree, { ...tree, amphorae: tree.amphorae.map(one => ({ ...one, status: to })) })
      })
    await save('BOOTING')
    await save('ALLOCATED')
    expect(await given_up()).toEqual([])
    await silence(amphora)
    expect(await given_up()).toEqual([amphora])
  })

  test('whose tree, row or sign of life somebody writes is left for the next round', async () => {
    await addLoadBalancer(pool, 1)
    await silence(amphora)
    for (const lock of [
      'select from lbaas.load_balancer for no key update',
      'select from lbaas.amphora for update',
      'select from lbaas.amphora_health for update',
      'select from lbaas.breaker for update',
    ])
      await transaction(pool, async tx => {
        await tx.query(lock)
        expect(await given_up()).toEqual([])
      })
    expect(await given_up()).toEqual([amphora])
  })

  test('is marked by one of several processes', async () => {
    for (const n of [1, 2, 3, 4, 5, 6, 7]) await addLoadBalancer(pool, n)
    await silence(amphora, ids(2).amphora)
    const rounds = await Promise.all(Array.from({ length: 6 }, () => round()))
    const marked = rounds.flatMap(one => one.given_up.map(silent => silent.amphora_id)).sort()
    expect(marked).toEqual([amphora, ids(2).amphora])
    expect((await pool.query('select from lbaas.silence')).rowCount).toBe(2)
    expect((await claim()).wakes).toBe(1)
  })

  test('is not looked for by who may not judge', async () => {
    await addLoadBalancer(pool, 1)
    await silence(amphora)
    expect(await round({ mayJudge: () => false })).toEqual({ judged: false, given_up: [], held: [] })
    expect(await status(amphora)).toBe('ALLOCATED')
  })
})

describe('the breaker', () => {
  const all = [1, 2, 3, 4, 5, 6]
  beforeEach(async () => {
    for (const n of all) await addLoadBalancer(pool, n)
  })

  test('lets a pair go, or two of six', async () => {
    await silence(ids(1).amphora, ids(2).amphora)
    expect(await given_up()).toHaveLength(2)
  })

  test('opens at the third of six within one time-out, says so, and closes when they are heard again', async () => {
    const counts = new Counts()
    await silence(ids(1).amphora, ids(2).amphora, ids(3).amphora)
    const { given_up, held } = await round({ counts })
    expect([given_up.length, held.length]).toEqual([0, 3])
    expect(await status(ids(1).amphora)).toBe('ALLOCATED')
    expect(await readBreaker(pool)).toMatchObject({ open_since: expect.any(String), silent: 3, fleet: 6, threshold: 3 })
    expect(counts).toMatchObject({ breaker_open: 1, silent: 3, marked: 0 })
    const words = 'silent for 61 s, and not replaced: 3 of 6 amphorae fell silent within 60 s (threshold 3)'
    expect((await journal.of(pool, ids(2).lb, 5)).map(line => line.text)).toEqual([words])
    expect(await claim()).toEqual({ look: false, wakes: 0 })

    const again = await round({ counts })
    expect([again.given_up.length, again.held.length]).toEqual([0, 0])
    expect(await journal.of(pool, ids(2).lb, 5)).toHaveLength(1)

    await pool.query(
      'update lbaas.amphora_health set last_update = now(), silent_since = null where amphora_id <> $1',
      [amphora],
    )
    await round({ counts })
    await round({ counts })
    expect(await readBreaker(pool)).toMatchObject({ open_since: expect.any(String), silent: 1 })
    expect(counts).toMatchObject({ breaker_open: 1, marked: 0 })
    await silence(ids(4).amphora)
    expect((await round({ counts })).held).toHaveLength(1)
    expect((await journal.of(pool, ids(4).lb, 5)).map(line => line.text)).toEqual([
      'silent for 61 s, and not replaced: few enough have been silent for less than 60 s, after it was too many',
    ])
    await pool.query(
      'update lbaas.amphora_health set last_update = now(), silent_since = null where amphora_id <> $1',
      [amphora],
    )
    await calm()
    await round({ counts })
    expect(await readBreaker(pool)).toMatchObject({ open_since: null })
    expect((await round({ counts })).given_up.map(one => one.amphora_id)).toEqual([amphora])
    expect(counts).toMatchObject({ breaker_open: 0, silent: 0, marked: 1 })
  })

  test('closes when an operator raises the threshold, and opens at the one that is set', async () => {
    const three = [1, 2, 3].map(n => ids(n).amphora)
    await silence(...three)
    await round()
    await round({ failover_threshold: 4 })
    await calm()
    await round({ failover_threshold: 4 })
    expect(await given_up({ failover_threshold: 4 })).toEqual(three)
    await silence(ids(4).amphora)
    expect(await given_up({ failover_threshold: 4 })).toEqual([])
    expect(await readBreaker(pool)).toMatchObject({ open_since: expect.any(String), silent: 4 })
  })

  test('counts those given up within the last time-out, so that one after the other is too many as well', async () => {
    for (const n of [1, 2]) {
      await silence(ids(n).amphora)
      expect(await given_up()).toEqual([ids(n).amphora])
    }
    await pool.query('delete from lbaas.amphora where id = any($1)', [[ids(1).amphora, ids(2).amphora]]) // replaced
    await silence(ids(3).amphora)
    expect(await given_up()).toEqual([])
    await pool.query(`update lbaas.silence set marked_at = now() - interval '61 s'`)
    await round()
    await calm()
    await round()
    expect(await given_up()).toEqual([ids(3).amphora])
  })

  test('sees the others follow: a cut network is not taken for the first one whose time is up', async () => {
    await silence(amphora)
    await pool.query(
      `update lbaas.amphora_health set last_update = now() - interval '51 s' where amphora_id = any($1)`,
      [all.slice(1).map(n => ids(n).amphora)],
    )
    expect(await given_up()).toEqual([])
    expect(await readBreaker(pool)).toMatchObject({ open_since: expect.any(String), silent: 6 })
  })
})

test('the silent are found by their index', async () => {
  await addLoadBalancer(pool, 1)
  await pool.query(
    `insert into lbaas.amphora select (jsonb_populate_record(a, jsonb_build_object('id', gen_random_uuid()))).*
       from lbaas.amphora a, generate_series(1, 20000)`,
  )
  await pool.query('insert into lbaas.amphora_health (amphora_id) select id from lbaas.amphora on conflict do nothing')
  await pool.query('analyze lbaas.amphora, lbaas.amphora_health, lbaas.load_balancer')
  await silence(amphora)
  const { rows } = await pool.query(`explain (format text) ${silent_sql}`, [60, 500, false])
  const plan = rows.map(row => row['QUERY PLAN']).join('\n')
  expect(plan).toContain('Index Scan using amphora_health_stale')
  expect(plan).not.toContain('Seq Scan on amphora')
  expect(await given_up()).toEqual([amphora])
})

describe('running processes', () => {
  const short = { heartbeat_timeout_s: 2, health_check_interval_s: 0.2 }

  test('find, two of them, the same silent amphora once, and not before they have listened', async () => {
    await addLoadBalancer(pool, 1, { pair: true })
    await pool.query(`update lbaas.amphora_health set last_update = now() - interval '1 hour'`)
    const began_ms = Date.now()
    const processes = [await runHealth(pool, short), await runHealth(pool, short)]
    const sender = new Sender()
    let seq = 0
    const beating = setInterval(() => {
      for (const process of processes) void sender.send(process, { ...beat(1, seq++), id: standby })
    }, 200)
    await eventually('marked', async () => (await status(amphora)) === 'PENDING_DELETE')
    expect(Date.now() - began_ms).toBeGreaterThanOrEqual(2_000)
    await eventually('degraded', async () => (await statuses(pool))[lb] === 'DEGRADED')
    expect(await status(standby)).toBe('ALLOCATED')
    expect((await journal.of(pool, lb, 9)).filter(line => line.title === 'silent amphora')).toHaveLength(1)
    clearInterval(beating)
    await Promise.all(processes.map(process => process.close()))
    sender.close()
  })

  test('show a load balancer without a living amphora in ERROR, while the breaker holds too, and ONLINE when it is back', async () => {
    for (const n of [1, 2, 3]) await addLoadBalancer(pool, n)
    const health = await runHealth(pool, short)
    const sender = new Sender()
    for (const n of [1, 2, 3]) await sender.send(health, beat(n, 0))
    await eventually('online', async () => (await statuses(pool))[lb] === 'ONLINE')
    await eventually('held', async () => (await statuses(pool))[lb] === 'ERROR')
    expect(await status(amphora)).toBe('ALLOCATED')
    expect((await readBreaker(pool)).open_since).not.toBeNull()
    for (const n of [1, 2, 3]) await sender.send(health, beat(n, 1))
    await eventually('back', async () => (await statuses(pool))[lb] === 'ONLINE')
    sender.close()
    await health.close()
  })
})
