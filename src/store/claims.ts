/** Claims: who works on which load balancer. The row is the queue as well. */
import type { Tx } from './transaction.ts'

/** The channel that says "look", nothing else: who listens asks the table what is due. */
export const wake_channel = 'ottavia_wake'

/** Makes the load balancer due now, in the transaction that wrote it: the controllers hear of it when, and only if, that
 *  commits. */
export async function wake(tx: Tx, load_balancer_id: string): Promise<void> {
  await tx.query(
    `insert into lbaas.claims (load_balancer_id, next_try_at, wakes) values ($1, now(), 1)
     on conflict (load_balancer_id)
     do update set next_try_at = excluded.next_try_at, attempts = 0, wakes = lbaas.claims.wakes + 1`,
    [load_balancer_id],
  )
  await tx.query(`select pg_notify('${wake_channel}', '')`)
}
