/** Claims: who works on which load balancer. A lease with a fencing token; the row is the queue as well. */
import type pg from 'pg'
import { prepared } from './statement.ts'
import type { Tx } from './transaction.ts'

/** The channel that says "look", nothing else: who listens asks the table what is due. */
export const wake_channel = 'ottavia_wake'

/** One controller's turn at one load balancer. */
export type Claim = {
  load_balancer_id: string
  /** Greater than that of every earlier claim on it: who holds a lower one is refused. */
  token: bigint
  /** How many tries in a row have not settled it. */
  attempts: number
  /** Whether the world is to be asked first: the last holder vanished, or it is time for an audit. */
  look: boolean
  /** Whether the last holder ended in the middle of its work: a call of its may still have its effect. */
  unfinished: boolean
  /** How often it had been woken when it was claimed; a later wake-up is not lost by letting go. */
  wakes: bigint
}

/** Somebody else has, or may have, the claim: what was to be written is not. */
export class ClaimLost extends Error {}

/** Makes the load balancer due now, in the transaction that wrote it: the controllers hear of it when, and only if, that
 *  commits. */
export async function wake(tx: Tx, load_balancer_id: string): Promise<void> {
  const due = prepared(
    `insert into lbaas.claims (load_balancer_id, next_try_at, wakes) values ($1, now(), 1)
     on conflict (load_balancer_id)
     do update set next_try_at = excluded.next_try_at, attempts = 0, wakes = lbaas.claims.wakes + 1`,
  )
  await tx.query(due, [load_balancer_id])
  await tx.query(`select pg_notify('${wake_channel}', '')`)
}

/** Makes load balancers due now, the world to be asked first: what is recorded of them may not hold any more. */
export async function wakeToLook(tx: Tx, load_balancer_ids: readonly string[]): Promise<void> {
  await tx.query(
    `insert into lbaas.claims (load_balancer_id, next_try_at, wakes, look)
     select id, now(), 1, true from lbaas.load_balancer where id = any($1) order by id
     on conflict (load_balancer_id)
     do update set next_try_at = excluded.next_try_at, attempts = 0, wakes = lbaas.claims.wakes + 1, look = true`,
    [load_balancer_ids],
  )
  await tx.query(`select pg_notify('${wake_channel}', '')`)
}

/** Claims the load balancer that has waited longest; null when nothing is due. */
export async function claimNext(pool: pg.Pool, owner: string, lease_s: number): Promise<Claim | null> {
  const { rows } = await pool.query(
    `update lbaas.claims c
        set token = c.token + 1, owner = $1, expires_at = now() + make_interval(secs => $2),
            look = false
       from (select load_balancer_id, look or owner is not null as look, owner is not null as unfinished
               from lbaas.claims
              where next_try_at <= now() and (expires_at is null or expires_at < now())
              order by next_try_at
              limit 1
                for update skip locked) due
      where c.load_balancer_id = due.load_balancer_id
      returning c.load_balancer_id, c.token, c.attempts, c.wakes, due.look, due.unfinished`,
    [owner, lease_s],
  )
  const row = rows[0]
  if (!row) return null
  return { ...row, token: BigInt(row.token), wakes: BigInt(row.wakes) }
}

/** Prolongs the lease. False: it is somebody else's by now. */
export async function renew(pool: pg.Pool, claim: Claim, lease_s: number): Promise<boolean> {
  const { rowCount } = await pool.query(
    `update lbaas.claims set expires_at = now() + make_interval(secs => $3)
      where load_balancer_id = $1 and token = $2 and expires_at > now()`,
    [claim.load_balancer_id, String(claim.token), lease_s],
  )
  return rowCount === 1
}

/** Lets go. It is due again after `wait_ms`, at once if it was woken meanwhile. `look`: ask the world first then (as it
 *  is done when who woke it wanted that).
 *  `unfinished`: the work was broken off, so the next holder finds it as if we had died. */
export async function release(
  pool: pg.Pool,
  claim: Claim,
  then: { wait_ms: number; failed: boolean; look: boolean; unfinished: boolean },
): Promise<void> {
  await pool.query(
    `update lbaas.claims
        set owner = case when $7 then owner end, expires_at = null,
            attempts = case when wakes <> $3 then 0 when $5 then attempts + 1 else 0 end,
            look = look or ($6 and wakes = $3),
            next_try_at = case when wakes <> $3 then now() else now() + make_interval(secs => $4) end
      where load_balancer_id = $1 and token = $2`,
    [
      claim.load_balancer_id,
      String(claim.token),
      String(claim.wakes),
      then.wait_ms / 1000,
      then.failed,
      then.look,
      then.unfinished,
    ],
  )
}

/** Refuses when the claim is not ours any more; holds it for the rest of the transaction. */
export async function fence(tx: Tx, claim: Claim): Promise<void> {
  const { rowCount } = await tx.query(
    'select from lbaas.claims where load_balancer_id = $1 and token = $2 and expires_at > now() for update',
    [claim.load_balancer_id, String(claim.token)],
  )
  if (rowCount !== 1) throw new ClaimLost(`the claim on ${claim.load_balancer_id} is lost`)
}
