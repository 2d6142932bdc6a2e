/** The spare pool on a real PostgreSQL; making and ending are a provider's business, and pretended here. */
import { randomUUID } from 'node:crypto'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { testDatabase } from '../../test/postgres.ts'
import { openLog } from '../service/log.ts'
import { migrate } from '../store/migrations.ts'
import * as spares from '../store/spares.ts'
import { inTurn } from '../store/turns.ts'
import { keepSpares, type SpareMaker } from './spares.ts'

const database = testDatabase()
let pool: pg.Pool
beforeAll(async () => {
  pool = new pg.Pool({ connectionString: database.url })
  await migrate(pool)
})
afterAll(() => pool.end())
beforeEach(() => pool.query('delete from lbaas.amphora'))

const later = new Date('2100-01-01T00:00:00Z').toISOString()
let hosts = 0
const maker: SpareMaker = {
  make: (_spare, record) =>
    record({ compute_id: randomUUID(), host_id: `host-${hosts++ % 2}`, cert_expiration: later }),
  unmake: async () => {},
}
const keep = (size: number, with_maker = maker, renew_before = new Date()) =>
  keepSpares(pool, with_maker, { size, renew_before }, openLog('test'), new AbortController().signal)
const statuses = async () => (await spares.all(pool)).map(spare => spare.status)
const place = {
  load_balancer_id: null,
  role: 'BACKUP',
  replaces: null,
  vrrp_id: 1,
  vrrp_priority: 253,
  unit: 'load_balancer',
} as const

test('it is brought to its size, and down to it', async () => {
  await keep(2)
  expect(await statuses()).toEqual(['READY', 'READY'])
  await keep(2)
  expect(await statuses()).toEqual(['READY', 'READY'])
  await keep(1)
  expect(await statuses()).toEqual(['READY'])
})

test('a spare that failed, or was left half made, is finished in the next round', async () => {
  const broken: SpareMaker = { ...maker, make: () => Promise.reject(new Error('no valid host')) }
  await keep(1, broken)
  expect(await statuses()).toEqual(['ERROR'])
  const [before] = await spares.all(pool)
  await keep(1)
  expect(await spares.all(pool)).toMatchObject([{ id: before!.id, status: 'READY' }])
})

test('one whose certificate ends soon is made anew', async () => {
  await keep(1)
  const [before] = await spares.all(pool)
  await keep(1, maker, new Date('2101-01-01T00:00:00Z'))
  const now = await spares.all(pool)
  expect(now.map(spare => spare.id)).not.toContain(before!.id)
})

test('a partner on the same host is not chosen, and each spare is given away once', async () => {
  await keep(2)
  const all = await spares.all(pool)
  const taken = await spares.adopt(pool, place, [all[0]!.host_id])
  expect(taken).toMatchObject({ id: all[1]!.id, unit: 'load_balancer' })
  const both = await Promise.all([1, 2].map(() => spares.adopt(pool, place, [])))
  expect(both.filter(one => one !== null).map(one => one.id)).toEqual([all[0]!.id])
})

test('where all spares are on the hosts of partners there is none', async () => {
  await keep(2)
  expect(await spares.adopt(pool, place, ['host-0', 'host-1'])).toBe(null)
})

test('a job is done by one process at a time', async () => {
  const both = Promise.withResolvers<void>()
  const first = inTurn(pool, 'job', () => both.promise)
  await new Promise(resolve => setTimeout(resolve, 200))
  expect(await inTurn(pool, 'job', async () => {})).toBe(false)
  expect(await inTurn(pool, 'another job', async () => {})).toBe(true)
  both.resolve()
  expect(await first).toBe(true)
  expect(await inTurn(pool, 'job', async () => {})).toBe(true)
})

test('rows of deleted amphorae go when they are old enough', async () => {
  await keep(1)
  await keep(0)
  expect(await statuses()).toEqual([])
  expect(await spares.purge(pool, 3600)).toBe(0)
  expect(await spares.purge(pool, 0)).toBe(1)
})
