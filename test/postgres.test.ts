/** The tests' own database: real, fresh, alone. */
import pg from 'pg'
import { expect, test } from 'vitest'
import { testDatabase } from './postgres.ts'

const database = testDatabase()

test('a test file gets a PostgreSQL database of its own that writes durably', async () => {
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  const { rows } = await client.query(`select current_database() as name, current_setting('fsync') as fsync`)
  await client.end()
  expect(rows[0].fsync).toBe('on')
  expect(rows[0].name).toMatch(/^t_/)
})
