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

/** Marks an amphora as one whose agent is to be given its configuration again, if it is still there. */
export async function configure(db: pg.Pool | Tx, id: string): Promise<boolean> {
  const { rowCount } = await db.query(
    `update lbaas.amphora set config_due = true, updated_at = now()
     where id = $1 and status not in ('PENDING_DELETE', 'DELETED', 'ERROR')`,
    [id],
  )
  return rowCount === 1
}

/** An amphora beside what its heartbeats say of it. */
export type Seen = {
  id: string
  load_balancer_id: string
  status: AmphoraStatus
  /** What it is meant to be. */
  role: string | null
  /** What its keepalived says that it is; null where it has none, or has not been heard yet. */
  role_now: 'MASTER' | 'BACKUP' | null
  lb_network_ip: string | null
  /** Where it is a namespace; null: it is a server. */
  network_host: string | null
  /** Seconds since its last heartbeat. */
  silent_s: number | null
}

/** All amphorae of load balancers, those of one side by side. */
export async function seen(db: pg.Pool): Promise<Seen[]> {
  const { rows } = await db.query<Seen>(
    `select a.id, a.load_balancer_id, a.status, a.role, h.role as role_now, a.lb_network_ip, a.network_host,
            extract(epoch from now() - h.last_update)::float as silent_s
       from lbaas.amphora a left join lbaas.amphora_health h on h.amphora_id = a.id
      where a.load_balancer_id is not null order by a.load_balancer_id, a.created_at, a.id`,
  )
  return rows
}
