/** Statements on a real PostgreSQL: instants as text wherever the session is, and preparing once. */
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { testDatabase } from '../../test/postgres.ts'
import { prepared, statement } from './statement.ts'

const database = testDatabase()
let session: pg.Client

beforeAll(async () => {
  session = new pg.Client({ connectionString: database.url })
  await session.connect()
})
afterAll(() => session.end())

test.each(['UTC', 'Asia/Kathmandu', 'America/St_Johns'])('instants are text of UTC, in sessions in %s', async zone => {
  await session.query(`set time zone '${zone}'`)
  const instants = ['2026-03-01T12:00:00.000Z', '2026-12-31T23:59:59.999Z', '1999-01-01T00:00:00.070Z']
  const given = statement('select * from unnest($1::timestamptz[]) as at union all select null')
  const { rows } = await session.query<{ at: string | null }>(given, [instants])
  expect(rows.map(row => row.at)).toEqual([...instants, null])
  const finer = await session.query(statement(`select timestamptz '2026-03-01 12:00:00.123999+00' as at`))
  expect(finer.rows).toEqual([{ at: '2026-03-01T12:00:00.123Z' }])
})

test('ids come as a list', async () => {
  const ids = ['7e6d2d4c-3a5f-4b1e-9c57-0f6d5a1b2c3d', '00000000-0000-4000-8000-000000000001']
  const given = statement('select $1::uuid[] as two, $2::uuid[] as one, array[]::uuid[] as none')
  const { rows } = await session.query(given, [ids, ids.slice(1)])
  expect(rows).toEqual([{ two: ids, one: ids.slice(1), none: [] }])
})

test('a session prepares a text once, and keeps no other', async () => {
  for (const n of [1, 2, 3]) {
    expect((await session.query(prepared('select $1::integer as n'), [n])).rows).toEqual([{ n }])
    expect((await session.query(prepared('select $1::integer + 1 as n'), [n])).rows).toEqual([{ n: n + 1 }])
    await session.query(statement('select $1::integer + 2 as n'), [n])
  }
  const { rows } = await session.query('select statement from pg_prepared_statements order by 1')
  expect(rows.map(row => row.statement)).toEqual(['select $1::integer + 1 as n', 'select $1::integer as n'])
})
