/** Silence: amphorae that are not heard any more are given up, unless it is too many at once. */
import type pg from 'pg'
import type { Log } from '../service/log.ts'
import { wakeToLook } from '../store/claims.ts'
import * as journal from '../store/journal.ts'
import * as silences from '../store/silences.ts'
import { transaction } from '../store/transaction.ts'
import { breaks, closes, thresholdFor } from './breaker.ts'
import type { Counts } from './counts.ts'
import { line } from './folding.ts'

/** What a round found: the load balancers whose statuses are others now. */
export type Round = { judged: boolean; given_up: silences.Silent[]; held: silences.Silent[] }

/** Judges once. Several processes may do so at the same time: one of them does, and what somebody is just writing to is
 *  left for the next round. `mayJudge` is asked once more inside, with the database's clock, because that may have
 *  jumped since. */
export async function judge(options: {
  pool: pg.Pool
  timeout_s: number
  failover_threshold: number
  mayJudge: (database_ms: number) => boolean
  counts: Counts
  log: Log
}): Promise<Round> {
  const { pool, timeout_s, failover_threshold, mayJudge, counts, log } = options
  return transaction(pool, async tx => {
    const nothing: Round = { judged: false, given_up: [], held: [] }
    const { rows } = await tx.query<{ now: Date }>('select now()')
    if (!mayJudge(rows[0]!.now.getTime())) return nothing
    const breaker = await silences.lockBreaker(tx)
    if (breaker === null) return nothing
    const found = await silences.silent(tx, timeout_s, most_at_once, breaker.open_since !== null)
    if (found.length === 0 && breaker.open_since === null) {
      counts.silent = 0
      counts.breaker_open = 0
      return { ...nothing, judged: true }
    }
    const tally = await silences.tally(tx, timeout_s)
    const threshold = thresholdFor(failover_threshold, tally)
    const state = breaks(tally, threshold) ? 'open' : closes(breaker, timeout_s) ? 'closed' : 'calm'
    await silences.saveBreaker(tx, state, tally, threshold)
    counts.breaker_open = state === 'closed' ? 0 : 1
    counts.silent = state === 'closed' ? 0 : tally.silent
    const words = `${tally.silent + tally.given_up} of ${tally.fleet} amphorae fell silent within ${timeout_s} s`
    if (state === 'calm') {
      if (breaker.calm_s === null)
        log.warn({ ...tally, threshold }, `few enough amphorae are silent: in ${timeout_s} s replacing goes on`)
      return hold(`few enough have been silent for less than ${timeout_s} s, after it was too many`)
    }
    if (state === 'open') {
      log[found.length > 0 ? 'error' : 'debug'](
        { ...tally, threshold },
        `${words}: none is replaced, because from ${threshold} on it is rather a network that failed. ` +
          'It goes on when beats come back; if they are really dead, raise [health_manager] failover_threshold',
      )
      return hold(`${words} (threshold ${threshold})`)
    }
    if (breaker.open_since !== null)
      log.warn({ ...tally, threshold }, 'few enough amphorae were silent for a whole time-out: replacing goes on')
    await silences.mark(
      tx,
      found.map(one => one.amphora_id),
    )
    const ids = new Set(found.flatMap(one => one.load_balancer_id ?? []))
    if (ids.size > 0) await wakeToLook(tx, [...ids].sort())
    for (const one of found) {
      await write(one, `silent for ${Math.round(one.silent_s)} s: it is given up`)
      log.warn(one, 'an amphora is silent and is given up')
    }
    counts.marked += found.length
    return { judged: true, given_up: found, held: [] }

    async function hold(reason: string): Promise<Round> {
      await silences.note(
        tx,
        found.map(one => one.amphora_id),
      )
      for (const one of found) await write(one, `silent for ${Math.round(one.silent_s)} s, and not replaced: ${reason}`)
      return { judged: true, given_up: [], held: found }
    }

    async function write(one: silences.Silent, text: string): Promise<void> {
      if (one.load_balancer_id === null) return
      await journal.append(tx, { ...line(one.load_balancer_id, one.amphora_id), title: 'silent amphora', text })
    }
  })
}

/** The rest follows in the next round; so do those that were held while the breaker was open. */
const most_at_once = 500
