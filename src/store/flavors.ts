/** Flavors and their profiles. What is in use is held by the database: by flavors, and by load balancers. */
import pg from 'pg'
import { Rejected } from '../lbaas/errors.ts'
import type { Choice, Flavor, FlavorProfile } from '../lbaas/flavor.ts'
import { fromDatabase, selected, tables } from './schema.ts'
import { transaction } from './transaction.ts'

type Kind = 'flavor' | 'flavor_profile'

/** The flavor with its profile; null when there is none. */
export async function choiceOf(pool: pg.Pool, id: string): Promise<Choice | null> {
  const { rows } = await pool.query<Choice>(
    `select f.id, f.enabled, p.provider_name, p.flavor_data
     from lbaas.flavor f join lbaas.flavor_profile p on p.id = f.flavor_profile_id where f.id = $1`,
    [id],
  )
  return rows[0] ?? null
}

export async function profileOf(pool: pg.Pool, id: string): Promise<FlavorProfile | null> {
  const sql = `select ${selected(tables.flavor_profile, 'o')} from lbaas.flavor_profile o where o.id = $1`
  const { rows } = await pool.query(sql, [id])
  return rows[0] ? fromDatabase<FlavorProfile>(rows[0]) : null
}

export async function insert(pool: pg.Pool, kind: Kind, row: Flavor | FlavorProfile): Promise<void> {
  const names = Object.keys(row)
  const values = names.map((_, i) => `$${i + 1}`)
  const sql = `insert into lbaas.${kind} (${names.join(', ')}) values (${values.join(', ')})`
  await pool.query(sql, Object.values(row)).catch(error => refuse(error, kind, row))
}

/** Changes the named fields. What a profile says cannot be changed while flavors use it. False: it is not there. */
export async function update(pool: pg.Pool, kind: Kind, id: string, fields: Partial<FlavorProfile>): Promise<boolean> {
  return transaction(pool, async tx => {
    // The lock keeps new flavors from referring to it until this has ended.
    const { rowCount } = await tx.query(`select from lbaas.${kind} where id = $1 for update`, [id])
    if (!rowCount) return false
    const names = Object.keys(fields)
    if (kind === 'flavor_profile' && ('flavor_data' in fields || 'provider_name' in fields)) {
      const users = await tx.query('select from lbaas.flavor where flavor_profile_id = $1 limit 1', [id])
      if (users.rowCount) throw new Rejected('in_use', { resource: spoken[kind], id })
    }
    if (names.length === 0) return true
    const sets = names.map((name, i) => `${name} = $${i + 2}`).join(', ')
    const sql = `update lbaas.${kind} set ${sets} where id = $1`
    await tx.query(sql, [id, ...Object.values(fields)]).catch(error => refuse(error, kind, { id, ...fields }))
    return true
  })
}

/** False: it is not there. */
export async function remove(pool: pg.Pool, kind: Kind, id: string): Promise<boolean> {
  const removed = pool.query(`delete from lbaas.${kind} where id = $1`, [id])
  const { rowCount } = await removed.catch(error => refuse(error, kind, { id }))
  return rowCount === 1
}

/** As upstream's messages spell them. */
const spoken = { flavor: 'Flavor', flavor_profile: 'Flavor profile' } as const

function refuse(error: unknown, kind: Kind, row: Partial<Flavor & FlavorProfile>): never {
  const constraint = error instanceof pg.DatabaseError ? error.constraint : undefined
  const { id = '', name = '', flavor_profile_id } = row
  if (constraint === 'flavor_name') throw new Rejected('name_taken', { resource: 'flavor', name })
  if (constraint === 'flavor_of_profile' && flavor_profile_id !== undefined)
    throw new Rejected('not_found', { resource: tables.flavor_profile.title, id: flavor_profile_id })
  if (constraint === 'flavor_of_profile' || constraint === 'load_balancer_flavor')
    throw new Rejected('in_use', { resource: spoken[kind], id })
  throw error
}
