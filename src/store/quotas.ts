/** Quotas: how many objects a project may have. */
import type pg from 'pg'
import { Rejected } from '../lbaas/errors.ts'
import { tables } from './schema.ts'
import { prepared } from './statement.ts'
import type { Tx } from './transaction.ts'

const quota_resources = [
  ...(['load_balancer', 'listener', 'pool', 'member', 'health_monitor'] as const),
  ...(['l7policy', 'l7rule'] as const),
]
export type QuotaResource = (typeof quota_resources)[number]

/** The most objects of each kind; -1 is no limit. */
export type Limits = Record<QuotaResource, number>

/** Makes creates of one project take turns, until the transaction ends. Locked before the tree, by everyone. */
export async function lockProject(tx: Tx, project_id: string): Promise<void> {
  const lock = prepared('select pg_advisory_xact_lock(hashtextextended($1, 0))')
  await tx.query(lock, [`lbaas project ${project_id}`])
}

/** Refuses when the project would have more rows than it may with `adding` more. Rows count until they are gone. Exact
 *  only while the project is locked. */
export async function refuseBeyond(
  db: pg.Pool | Tx,
  project_id: string,
  resource: QuotaResource,
  defaults: Readonly<Limits>,
  adding: number,
): Promise<void> {
  const limit = (await limitsOf(db, project_id, defaults))[resource]
  if (limit < 0) return
  const { rows } = await db.query<{ used: number }>(
    `select count(*)::integer as used from lbaas.${resource} where project_id = $1`,
    [project_id],
  )
  if (rows[0]!.used + adding > limit) throw new Rejected('quota', { resource: tables[resource].title })
}

/** What holds for a project: its own limits, else the deployment's. */
export async function limitsOf(db: pg.Pool | Tx, project_id: string, defaults: Readonly<Limits>): Promise<Limits> {
  const { rows } = await db.query('select * from lbaas.quota where project_id = $1', [project_id])
  return limitsIn(rows[0] ?? {}, defaults)
}

/** How many of each a project has; rows count until they are gone. */
export async function usedBy(pool: pg.Pool, project_id: string): Promise<Limits> {
  const counts = quota_resources.map(
    resource => `(select count(*)::integer from lbaas.${resource} where project_id = $1) as ${resource}`,
  )
  const { rows } = await pool.query<Limits>(`select ${counts.join(', ')}`, [project_id])
  return rows[0]!
}

/** What a row of own limits comes to: the deployment's where it has none. */
export function limitsIn(row: Readonly<Record<string, unknown>>, defaults: Readonly<Limits>): Limits {
  const own = row as Partial<Record<QuotaResource, number | null>>
  const pairs = quota_resources.map(resource => [resource, own[resource] ?? defaults[resource]])
  return Object.fromEntries(pairs) as Limits
}

/** Sets the named limits; null returns one to the deployment's. */
export async function set(
  pool: pg.Pool,
  project_id: string,
  limits: Partial<Record<QuotaResource, number | null>>,
): Promise<void> {
  const named = quota_resources.filter(resource => resource in limits)
  const columns = ['project_id', ...named]
  const updates = named.map(resource => `${resource} = excluded.${resource}`).join(', ')
  await pool.query(
    `insert into lbaas.quota (${columns.join(', ')}) values (${columns.map((_, i) => `$${i + 1}`).join(', ')})
     on conflict (project_id) do ${named.length ? `update set ${updates}` : 'nothing'}`,
    [project_id, ...named.map(resource => limits[resource])],
  )
}

/** Returns a project to the deployment's limits. False when it had none of its own. */
export async function clear(pool: pg.Pool, project_id: string): Promise<boolean> {
  const { rowCount } = await pool.query('delete from lbaas.quota where project_id = $1', [project_id])
  return rowCount === 1
}
