/** What administrators offer, and the profiles. What is in use is held by the database: by offers, and load balancers. */
import pg from 'pg'
import { Rejected } from '../lbaas/errors.ts'
import type { Choice, OfferKind, ProfileKind } from '../lbaas/offer.ts'
import { keyOf } from '../lbaas/resource.ts'
import { selected, tables } from './schema.ts'
import { statement } from './statement.ts'
import { transaction } from './transaction.ts'

type Kind = OfferKind | ProfileKind
type Row = Readonly<Record<string, unknown>>

/** The offer with its profile; null when there is none. */
export async function choiceOf(pool: pg.Pool, kind: OfferKind, key: string): Promise<Choice | null> {
  const column = keyOf(tables[kind])
  const { rows } = await pool.query<Choice>(
    `select o.${column} as key, o.enabled, p.provider_name, p.${profiled[`${kind}_profile`]} as profiled
     from lbaas.${kind} o join lbaas.${kind}_profile p on p.id = o.${kind}_profile_id where o.${column} = $1`,
    [key],
  )
  return rows[0] ?? null
}

export async function profileOf(pool: pg.Pool, kind: ProfileKind, id: string): Promise<Record<string, string> | null> {
  const text = `select ${selected(tables[kind], 'o')} from lbaas.${kind} o where o.id = $1`
  const { rows } = await pool.query<Record<string, string>>(statement(text), [id])
  return rows[0] ?? null
}

export async function insert(pool: pg.Pool, kind: Kind, row: Row): Promise<void> {
  const names = Object.keys(row)
  const values = names.map((_, i) => `$${i + 1}`)
  const sql = `insert into lbaas.${kind} (${names.join(', ')}) values (${values.join(', ')})`
  await pool.query(sql, Object.values(row)).catch(error => refuse(error, kind, '', row))
}

/** Changes the named fields. What a profile says cannot be changed while it is used. False: it is not there. */
export async function update(pool: pg.Pool, kind: Kind, key: string, fields: Row): Promise<boolean> {
  const column = keyOf(tables[kind])
  return transaction(pool, async tx => {
    // The lock keeps new offers from referring to it until this has ended.
    const { rowCount } = await tx.query(`select from lbaas.${kind} where ${column} = $1 for update`, [key])
    if (!rowCount) return false
    const names = Object.keys(fields)
    if (isProfile(kind) && (profiled[kind] in fields || 'provider_name' in fields)) {
      const users = await tx.query(`select from lbaas.${offerOf(kind)} where ${kind}_id = $1 limit 1`, [key])
      if (users.rowCount) throw inUse(kind, key)
    }
    if (names.length === 0) return true
    const sets = names.map((name, i) => `${name} = $${i + 2}`).join(', ')
    const sql = `update lbaas.${kind} set ${sets} where ${column} = $1`
    await tx.query(sql, [key, ...Object.values(fields)]).catch(error => refuse(error, kind, key, fields))
    return true
  })
}

/** False: it is not there. */
export async function remove(pool: pg.Pool, kind: Kind, key: string): Promise<boolean> {
  const removed = pool.query(`delete from lbaas.${kind} where ${keyOf(tables[kind])} = $1`, [key])
  const { rowCount } = await removed.catch(error => refuse(error, kind, key, {}))
  return rowCount === 1
}

/** Where a profile says what it says. */
const profiled = { flavor_profile: 'flavor_data', availability_zone_profile: 'availability_zone_data' } as const

function isProfile(kind: Kind): kind is ProfileKind {
  return kind in profiled
}

function offerOf(kind: ProfileKind): OfferKind {
  return kind.replace('_profile', '') as OfferKind
}

function inUse(kind: Kind, id: string): Rejected {
  // as upstream's message spells it
  const resource = kind === 'flavor_profile' ? 'Flavor profile' : tables[kind].title
  return new Rejected('in_use', { resource, id })
}

function refuse(error: unknown, kind: Kind, key: string, row: Row): never {
  const constraint = error instanceof pg.DatabaseError ? (error.constraint ?? '') : ''
  if (constraint === `${kind}_name`)
    throw new Rejected('name_taken', { resource: kind.replace('_', ' '), name: String(row.name) })
  const profile_id = row[`${kind}_profile_id`]
  if (constraint === `${kind}_of_profile` && !isProfile(kind) && profile_id !== undefined)
    throw new Rejected('not_found', { resource: tables[`${kind}_profile`].title, id: String(profile_id) })
  if (constraint.endsWith('_of_profile') || constraint === `load_balancer_${kind}`) throw inUse(kind, key)
  throw error
}
