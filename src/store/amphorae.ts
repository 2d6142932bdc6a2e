/** Amphorae as administrators see them: whom they serve, and which of them are to go. */
import type pg from 'pg'
import type { AmphoraStatus } from '../lbaas/amphora.ts'
import type { Tx } from './transaction.ts'

/** The amphora's load balancer (null: it is a spare) with its project, and the amphora's status. */
export type Standing = { load_balancer_id: string | null; project_id: string | null; status: AmphoraStatus }

/** Null when there is no such amphora, or no more: rows of deleted ones are kept for a while, and not shown. */
export async function standingOf(db: pg.Pool | Tx, id: string): Promise<Standing | null> {
  const { rows } = await db.query<Standing>(
    `select a.load_balancer_id, lb.project_id, a.status
     from lbaas.amphora a left join lbaas.load_balancer lb on lb.id = a.load_balancer_id
     where a.id = $1 and a.status <> 'DELETED'`,
    [id],
  )
  return rows[0] ?? null
}

/** Marks an amphora as one that is to go, if it still stands as it was seen. */
export async function doom(db: pg.Pool | Tx, id: string, seen: Standing): Promise<boolean> {
  const { rowCount } = await db.query(
    `update lbaas.amphora set status = 'PENDING_DELETE', updated_at = now()
     where id = $1 and status = $2 and load_balancer_id is not distinct from $3`,
    [id, seen.status, seen.load_balancer_id],
  )
  return rowCount === 1
}
