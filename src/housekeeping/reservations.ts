/** VIP ports that were made for load balancers which never came to be: found by their reservation, and deleted. */
import type pg from 'pg'
import type { Neutron } from '../cloud/neutron.ts'
import type { Log } from '../service/log.ts'
import * as reservations from '../store/reservations.ts'
import { transaction } from '../store/transaction.ts'

/** A request is long over by then; what it may have made is nobody's. */
const age_s = 300

/** Deletes the port of one reservation. False: there is none to sweep. The reservation's row is locked meanwhile, so that
 *  no request can take the port that is about to go. */
export function sweep(pool: pg.Pool, neutron: Neutron, log: Log): Promise<boolean> {
  return transaction(pool, async tx => {
    const reservation = await reservations.oldest(tx, age_s)
    if (!reservation) return false
    const { load_balancer_id } = reservation
    for (const port of await neutron.ports({ name: `octavia-lb-${load_balancer_id}` })) {
      await neutron.deletePort(port.id)
      log.info({ load_balancer_id, port_id: port.id }, 'deleted the VIP port of a load balancer that was never made')
    }
    await reservations.consume(tx, load_balancer_id)
    return true
  })
}
