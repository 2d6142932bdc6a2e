/** The runner's view of the store for one claimed load balancer. */
import type pg from 'pg'
import type { Log } from '../service/log.ts'
import { type Claim, fence } from '../store/claims.ts'
import * as journal from '../store/journal.ts'
import { transaction } from '../store/transaction.ts'
import * as trees from '../store/trees.ts'
import type { Ledger } from './reconcile.ts'
import { withFacts } from './with-facts.ts'

export function claimedLedger(pool: pg.Pool, claim: Claim, log: Log): Ledger {
  const { load_balancer_id, token } = claim
  return {
    token,
    load: () => trees.read(pool, load_balancer_id),
    record: async (before, facts) => {
      if (Object.keys(facts).length === 0) return
      await transaction(pool, async tx => {
        // the tree before the claim: writers of the API take them in this order
        const current = await trees.loadForUpdate(tx, load_balancer_id)
        await fence(tx, claim)
        if (current) await trees.save(tx, current, withFacts(current, before, facts))
      })
    },
    write: async line => {
      const { kind, step, text, amphora_id, generation } = line
      log[kind === 'failed' ? 'warn' : 'debug']({ load_balancer_id, amphora_id, generation, kind }, `${step}: ${text}`)
      const entry = {
        load_balancer_id,
        generation,
        actor: 'controller',
        title: step,
        text: kind === 'said' || kind === 'done' ? text : `${kind}: ${text}`,
        object_type: amphora_id === null ? null : ('amphora' as const),
        object_id: amphora_id,
      }
      await journal.append(pool, entry).catch((error: Error) => {
        log.warn({ load_balancer_id, err: error.message }, 'the journal could not be written')
      })
    },
    news: async () => {
      const { rows } = await pool.query(
        `select lb.provisioning_status = 'PENDING_DELETE' as leaving, lb.generation,
                array(select a.id::text from lbaas.amphora a
                       where a.load_balancer_id = lb.id and a.status in ('PENDING_DELETE', 'DELETED')) as doomed
           from lbaas.load_balancer lb where lb.id = $1`,
        [load_balancer_id],
      )
      return rows[0] ?? { leaving: true, generation: 0, doomed: [] }
    },
  }
}
