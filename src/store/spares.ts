/** Amphorae that belong to no load balancer: spares, and what is left of those that were deleted. */
import type pg from 'pg'
import type { Amphora } from '../lbaas/amphora.ts'
import { fromDatabase, selected, tables } from './schema.ts'
import type { Tx } from './transaction.ts'

type Place = Pick<Amphora, 'load_balancer_id' | 'role' | 'replaces' | 'vrrp_id' | 'vrrp_priority'>

/** Gives the place to the oldest spare that runs on none of these hosts. Who asks holds the claim on the load balancer;
 *  of several who ask at once each gets another. Null: there is none. */
export async function adopt(pool: pg.Pool, place: Place, not_on_hosts: (string | null)[]): Promise<Amphora | null> {
  const { rows } = await pool.query(
    `update lbaas.amphora a
        set status = 'ALLOCATED', load_balancer_id = $1, role = $2, replaces = $3, vrrp_id = $4, vrrp_priority = $5,
            updated_at = now()
       from (select id from lbaas.amphora
              where status = 'READY' and load_balancer_id is null
                and (cardinality($6::text[]) = 0 or (host_id is not null and host_id <> all($6)))
              order by created_at limit 1 for update skip locked) spare
      where a.id = spare.id
      returning ${selected(tables.amphora, 'a')}`,
    [
      place.load_balancer_id,
      place.role,
      place.replaces,
      place.vrrp_id,
      place.vrrp_priority,
      not_on_hosts.filter(host => host !== null),
    ],
  )
  return rows[0] ? fromDatabase<Amphora>(rows[0]) : null
}

/** What served or stood by is remembered until it is purged, DELETED, without its secrets and without a load balancer. */
export async function forget(tx: Tx, ids: readonly string[]): Promise<void> {
  await tx.query(
    `update lbaas.amphora
        set status = 'DELETED', load_balancer_id = null, certificate = null, replaces = null, replace = false,
            updated_at = now()
      where id = any($1)`,
    [ids],
  )
}

/** Rows of amphorae that were deleted this long ago go. Answers with how many. */
export async function purge(db: pg.Pool | Tx, age_s: number): Promise<number> {
  const { rowCount } = await db.query(
    `delete from lbaas.amphora
      where status = 'DELETED' and load_balancer_id is null and updated_at < now() - make_interval(secs => $1)`,
    [age_s],
  )
  return rowCount ?? 0
}
