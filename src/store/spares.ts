/** Amphorae that belong to no load balancer: spares, and what is remembered of those that were deleted. */
import type pg from 'pg'
import { type Amphora, newAmphora } from '../lbaas/amphora.ts'
import { columnsOf, selected, tables } from './schema.ts'
import { statement } from './statement.ts'
import type { Tx } from './transaction.ts'

type Place = Pick<Amphora, 'load_balancer_id' | 'role' | 'replaces' | 'vrrp_id' | 'vrrp_priority' | 'unit'>

/** Gives the place to the oldest spare that runs on none of these hosts. Who asks holds the claim on the load balancer;
 *  of several who ask at once each gets another. Null: there is none. */
export async function adopt(pool: pg.Pool, place: Place, not_on_hosts: (string | null)[]): Promise<Amphora | null> {
  const { rows } = await pool.query<Amphora>(
    statement(`update lbaas.amphora a
        set status = 'ALLOCATED', load_balancer_id = $1, role = $2, replaces = $3, vrrp_id = $4, vrrp_priority = $5,
            unit = $6, updated_at = now()
       from (select id from lbaas.amphora
              where status = 'READY' and load_balancer_id is null
                and (cardinality($7::text[]) = 0 or (host_id is not null and host_id <> all($7)))
              order by created_at limit 1 for update skip locked) spare
      where a.id = spare.id
      returning ${selected(tables.amphora, 'a')}`),
    [
      place.load_balancer_id,
      place.role,
      place.replaces,
      place.vrrp_id,
      place.vrrp_priority,
      place.unit,
      not_on_hosts.filter(host => host !== null),
    ],
  )
  return rows[0] ?? null
}

/** All spares, oldest first: ready ones, those that are being made, and those that are to go. */
export async function all(db: pg.Pool): Promise<Amphora[]> {
  const { rows } = await db.query<Amphora>(
    statement(`select ${selected(tables.amphora, 'a')} from lbaas.amphora a
                where load_balancer_id is null and status <> 'DELETED' order by created_at, id`),
  )
  return rows
}

/** The row of a spare that is to be made. */
export async function insert(db: pg.Pool, id: string, created_at: string): Promise<void> {
  const row = newAmphora({ id, created_at })
  const names = columnsOf(tables.amphora).map(column => column.name)
  await db.query(
    `insert into lbaas.amphora (${names.join(', ')})
     select ${names.join(', ')} from jsonb_populate_record(null::lbaas.amphora, $1)`,
    [JSON.stringify(row)],
  )
}

/** Writes what was learnt of a spare. One that is ready is watched from now on. False: it is somebody's, or is to go. */
export async function record(db: pg.Pool, id: string, facts: Partial<Amphora>): Promise<boolean> {
  const names = Object.keys(facts)
  const { rowCount } = await db.query(
    `update lbaas.amphora a set ${names.map(name => `${name} = r.${name}`).join(', ')}, updated_at = now()
       from jsonb_populate_record(null::lbaas.amphora, $2) r
      where a.id = $1 and a.load_balancer_id is null and a.status not in ('PENDING_DELETE', 'DELETED')`,
    [id, JSON.stringify(facts)],
  )
  if (rowCount === 1 && facts.status === 'READY')
    await db.query(
      `insert into lbaas.amphora_health (amphora_id) values ($1)
       on conflict (amphora_id) do update set last_update = excluded.last_update, busy = false`,
      [id],
    )
  return rowCount === 1
}

/** A spare that is to go, if nobody has taken it. */
export async function doom(db: pg.Pool, id: string): Promise<void> {
  await db.query(
    `update lbaas.amphora set status = 'PENDING_DELETE', updated_at = now()
      where id = $1 and load_balancer_id is null and status not in ('PENDING_DELETE', 'DELETED')`,
    [id],
  )
}

/** What served or stood by is remembered until it is purged, DELETED, without its secrets and without a load balancer. */
export async function forget(tx: pg.Pool | Tx, ids: readonly string[]): Promise<void> {
  await tx.query('delete from lbaas.amphora_health where amphora_id = any($1)', [ids])
  await tx.query(
    `update lbaas.amphora
        set status = 'DELETED', load_balancer_id = null, certificate = null, replaces = null, replace = false,
            updated_at = now()
      where id = any($1)`,
    [ids],
  )
}

/** Rows of amphorae that were deleted this long ago go. Answers with how many. */
export async function purge(db: pg.Pool, age_s: number): Promise<number> {
  const { rowCount } = await db.query(
    `delete from lbaas.amphora
      where status = 'DELETED' and load_balancer_id is null and updated_at < now() - make_interval(secs => $1)`,
    [age_s],
  )
  return rowCount ?? 0
}
