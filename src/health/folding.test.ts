/** What becomes of reports: pairs, and what has the controller look; from a real socket into a real PostgreSQL. */
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
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
import { testDatabase } from '../../test/postgres.ts'
import { openLog } from '../service/log.ts'
import { openPool } from '../service/postgres.ts'
import * as journal from '../store/journal.ts'
import { migrate } from '../store/migrations.ts'
import type { Health } from './health.ts'

const database = testDatabase()
let pool: pg.Pool
let health: Health
let sender: Sender
const { lb, listener, member, other, amphora, standby } = ids(1)

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
const until = (id: string, status: string) =>
  eventually(`${id} ${status}`, async () => (await statuses(pool))[id] === status)

describe('a pair', () => {
  const from = (id: string, seq: number, role: 'MASTER' | 'BACKUP' | null, words = members(1, {})) => ({
    ...beat(1, seq, { ...words, own: { role } }),
    id,
  })

  test('reports by its MASTER, whoever that is', async () => {
    await addLoadBalancer(pool, 1, { pair: true })
    await sender.send(health, from(standby, 0, 'BACKUP', members(1, { member: 'DOWN' })))
    await sender.send(health, from(amphora, 0, 'MASTER'))
    await until(member, 'ONLINE')
    await until(lb, 'ONLINE')
    await sender.send(health, from(amphora, 1, 'BACKUP'))
    await sender.send(health, from(standby, 1, 'MASTER', members(1, { member: 'DOWN' })))
    await until(member, 'ERROR')
  })

  test('of which each is heard by another process has the statuses of both', async () => {
    await addLoadBalancer(pool, 1, { pair: true })
    const second = await runHealth(pool)
    await sender.send(health, from(amphora, 0, null, members(1, { member: 'DOWN' })))
    await until(member, 'ERROR')
    await sender.send(second, from(standby, 0, null, members(1, { other: 'DOWN' })))
    await until(other, 'ERROR')
    expect((await statuses(pool))[member]).toBe('ERROR')
    await sender.send(second, from(amphora, 1, null))
    await until(member, 'ONLINE')
    expect((await statuses(pool))[other]).toBe('ERROR')
    await second.close()
  })
})

describe('the controller is asked to look', () => {
  const claim = async () =>
    (
      await pool.query(
        'select look, wakes::int, next_try_at <= now() as due from lbaas.claims where load_balancer_id = $1',
        [lb],
      )
    ).rows[0]
  const texts = async () => (await journal.of(pool, lb, 10)).map(line => line.text)

  test('when an amphora runs something else than was confirmed, in two beats in a row', async () => {
    await addLoadBalancer(pool, 1)
    await sender.send(health, beat(1, 0, { own: { digests: {} } }))
    await written(1)
    await eventually('folded', () => health.counts.folded === 1)
    expect(await claim()).toMatchObject({ look: false, wakes: 0 })
    await sender.send(health, beat(1, 1, { own: { digests: {} } }))
    await eventually('woken', async () => (await claim()).wakes === 1)
    expect(await claim()).toEqual({ look: true, wakes: 1, due: true })
    expect(await texts()).toEqual([`listener ${listener} does not run, though its configuration was confirmed`])
    for (const seq of [2, 3]) {
      await sender.send(health, beat(1, seq, { own: { digests: {} } }))
      await written(seq + 1)
    }
    await eventually('folded', () => health.counts.folded >= 3)
    expect((await claim()).wakes).toBe(1)
  })

  test('when a server has booted anew', async () => {
    await addLoadBalancer(pool, 1)
    await sender.send(health, beat(1, 0))
    await written(1)
    await sender.send(health, beat(1, 0, { own: { start: 2, boot_id: 'boot-2' } }))
    await eventually('woken', async () => (await claim()).look)
    expect(await texts()).toEqual(['the server has booted anew'])
  })

  test('when two are MASTER in two beats in a row, one of them as ever', async () => {
    await addLoadBalancer(pool, 1, { pair: true })
    const from = (id: string, seq: number, role: 'MASTER' | 'BACKUP') => ({ ...beat(1, seq, { own: { role } }), id })
    const known = async () => Number((await pool.query('select count(folded) from lbaas.amphora_health')).rows[0].count)
    const both = async (seq: number, role: 'MASTER' | 'BACKUP') => {
      await sender.send(health, from(amphora, seq, 'MASTER'))
      await sender.send(health, from(standby, seq, role))
      await written(2 * (seq + 1))
    }
    await both(0, 'BACKUP')
    await eventually('both are known', async () => (await known()) === 2)
    await both(1, 'MASTER')
    expect((await claim()).look).toBe(false)
    for (let seq = 2; seq < 50 && !(await claim()).look; seq++) await both(seq, 'MASTER')
    expect((await texts())[0]).toContain('two amphorae say that they are MASTER')
  })
})
