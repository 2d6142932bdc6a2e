/** Certificates of amphorae that are to be renewed. */
import type pg from 'pg'
import { wake } from './claims.ts'
import { transaction } from './transaction.ts'

/** Marks serving amphorae whose certificate ends within `within_s` and wakes their load balancers: renewing it is a step
 *  like any other. Spares are not renewed but made anew. Answers with the ids of those that were marked. */
export async function renewDue(pool: pg.Pool, within_s: number): Promise<string[]> {
  return transaction(pool, async tx => {
    const { rows } = await tx.query<{ id: string; load_balancer_id: string }>(
      `update lbaas.amphora set cert_busy = true
        where load_balancer_id is not null and status = 'ALLOCATED' and not cert_busy
          and cert_expiration < now() + make_interval(secs => $1)
        returning id, load_balancer_id`,
      [within_s],
    )
    for (const id of new Set(rows.map(row => row.load_balancer_id).sort())) await wake(tx, id)
    return rows.map(row => row.id)
  })
}
