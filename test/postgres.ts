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
      await client.query(sql)
    } finally {
      await client.end()
    }
  }
  beforeAll(async () => {
    await admin(`create database ${name}`)
    database.url = inject('postgres_url').replace(/\/ottavia\?/, `/${name}?`)
  })
  afterAll(() => admin(`drop database if exists ${name} with (force)`))
  return database
}
