/** One PostgreSQL for a test run (global-setup.ts starts it), a fresh database for each test file. */
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { afterAll, beforeAll, inject } from 'vitest'

/** Creates a database before the file's tests and drops it after them. Read `url` inside tests and hooks only. */
export function testDatabase(): { url: string } {
  const database = { url: '' }
  const name = `t_${randomBytes(6).toString('hex')}`
  const admin = async (sql: string) => {
    const client = new pg.Client({ connectionString: inject('postgres_url') })
    await client.connect()
    try {
      return await client.query(sql)
    } finally {
      await client.end()
    }
  }
  // A pool has ended before its connections have; one that is cut off then says so to nobody.
  const forsaken = async () => {
    for (let tries = 0; tries < 50; tries++) {
      const { rowCount } = await admin(`select 1 from pg_stat_activity where datname = '${name}'`)
      if (rowCount === 0) return
      await new Promise(resolve => setTimeout(resolve, 100))
    }
  }
  beforeAll(async () => {
    await admin(`create database ${name}`)
    database.url = inject('postgres_url').replace(/\/ottavia\?/, `/${name}?`)
  })
  afterAll(async () => {
    await forsaken()
    await admin(`drop database if exists ${name} with (force)`)
  })
  return database
}
