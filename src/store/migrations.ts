/** Brings the database's schema `lbaas` to what this release needs. */
import fs from 'node:fs'
import path from 'node:path'
import type pg from 'pg'
import { transaction } from './transaction.ts'

/** Applies the migrations that the database does not have yet, in their order, all or none. Any number of processes may
 *  call it at once. */
export async function migrate(pool: pg.Pool): Promise<void> {
  await transaction(pool, async tx => {
    await tx.query(`set local lock_timeout = '120s'`)
    await tx.query(`select pg_advisory_xact_lock(hashtextextended('lbaas migrations', 0))`)
    await tx.query('create schema if not exists lbaas')
    await tx.query(
      'create table if not exists lbaas.migration (name text primary key, applied_at timestamptz not null default now())',
    )
    const { rows } = await tx.query<{ name: string }>('select name from lbaas.migration')
    const applied = new Set(rows.map(row => row.name))
    for (const { name, sql } of migrations()) {
      if (applied.has(name)) continue
      await tx.query(sql)
      await tx.query('insert into lbaas.migration (name) values ($1)', [name])
    }
  })
}

function migrations(): { name: string; sql: string }[] {
  const folder = path.join(import.meta.dirname, 'migrations')
  const names = fs.readdirSync(folder).filter(name => name.endsWith('.sql'))
  return names.sort().map(name => ({ name, sql: fs.readFileSync(path.join(folder, name), 'utf8') }))
}
