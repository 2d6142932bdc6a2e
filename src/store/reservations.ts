/** VIP reservations: a port that is being made for a load balancer that is not there yet. */
import type pg from 'pg'
import type { Tx } from './transaction.ts'

export type Reservation = { load_balancer_id: string; project_id: string }

/** Committed before the port is made, so that a port whose maker died is found by its name. */
export async function reserve(pool: pg.Pool, { load_balancer_id, project_id }: Reservation): Promise<void> {
  await pool.query('insert into lbaas.vip_reservation (load_balancer_id, project_id) values ($1, $2)', [
    load_balancer_id,
    project_id,
  ])
}

/** By the transaction that saves the tree. False when the sweeper was faster: the port is gone or going. */
export async function consume(tx: Tx, load_balancer_id: string): Promise<boolean> {
  const { rowCount } = await tx.query('delete from lbaas.vip_reservation where load_balancer_id = $1', [
    load_balancer_id,
  ])
  return rowCount === 1
}

/** Tells the sweeper that it need not wait: the load balancer was refused. No effect when the reservation was consumed. */
export async function abandon(pool: pg.Pool, load_balancer_id: string): Promise<void> {
  await pool.query('update lbaas.vip_reservation set abandoned = true where load_balancer_id = $1', [load_balancer_id])
}

/** For the sweeper: locks one reservation that was abandoned or is older than `age_s`, until the transaction ends.
 *  While it is locked nobody consumes it, so its port may be deleted; then `consume` it. */
export async function oldest(tx: Tx, age_s: number): Promise<Reservation | null> {
  const { rows } = await tx.query<Reservation>(
    `select load_balancer_id, project_id from lbaas.vip_reservation
     where abandoned or reserved_at < clock_timestamp() - make_interval(secs => $1)
     order by reserved_at limit 1 for update skip locked`,
    [age_s],
  )
  return rows[0] ?? null
}
