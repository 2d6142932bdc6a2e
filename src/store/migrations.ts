/** Brings the database's schema `lbaas` to what this release needs. */
import fs from 'node:fs'
import path from 'node:path'
import type pg from 'pg'
import type { FieldKind } from '../lbaas/resource.ts'
import { columnsOf, tables } from './schema.ts'
import { type Tx, transaction } from './transaction.ts'

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
    await addColumns(tx)
  })
}

/** A field that is declared and has no column yet gets one, with the declared default for the rows that are there and
 *  for those that processes of an older release write: so a new field is no migration. Tables, keys, indexes and what
 *  renames or reinterprets are. */
async function addColumns(tx: Tx): Promise<void> {
  const { rows } = await tx.query<{ of: string; name: string }>(
    `select table_name as of, column_name as name from information_schema.columns where table_schema = 'lbaas'`,
  )
  const known = new Set(rows.map(({ of, name }) => `${of}.${name}`))
  for (const resource of Object.values(tables))
    for (const { name, type, nullable, field } of columnsOf(resource)) {
      if (known.has(`${resource.name}.${name}`)) continue
      const preset = field.options.default ?? (type === 'jsonb' && !nullable ? emptyOf(field.kind) : undefined)
      if (preset === undefined && !nullable)
        throw new Error(`${resource.name}.${name} needs a default, or a migration that fills it in rows that are there`)
      const value = type === 'jsonb' ? JSON.stringify(preset) : String(preset)
      const filled = preset === undefined ? '' : ` default ${tx.escapeLiteral(value)}`
      await tx.query(
        `alter table lbaas.${resource.name} add column ${name} ${type}${nullable ? '' : ' not null'}${filled}`,
      )
    }
}

function emptyOf(kind: FieldKind): unknown {
  return kind === 'list' ? [] : {}
}

function migrations(): { name: string; sql: string }[] {
  const folder = path.join(import.meta.dirname, 'migrations')
  const names = fs.readdirSync(folder).filter(name => name.endsWith('.sql'))
  return names.sort().map(name => ({ name, sql: fs.readFileSync(path.join(folder, name), 'utf8') }))
}
