/** Transactions of the store. */
import pg from 'pg'

/** A session inside a transaction. */
export type Tx = pg.PoolClient

/** Runs `work` in one transaction. When it throws, or the commit fails, nothing was written - except that a connection
 *  lost during the commit leaves open whether it was. */
export async function transaction<T>(pool: pg.Pool, work: (tx: Tx) => Promise<T>): Promise<T> {
  return inSession(pool, async (tx, giveUp) => {
    try {
      await tx.query('begin isolation level read committed')
      const result = await work(tx)
      await tx.query('commit')
      return result
    } catch (error) {
      await tx.query('rollback').catch(giveUp)
      throw error
    }
  })
}

/** Runs `work` in one session, which nobody else uses meanwhile, nor afterwards if it was given up. */
export async function inSession<T>(
  pool: pg.Pool,
  work: (session: pg.PoolClient, giveUp: (why: Error) => void) => Promise<T>,
): Promise<T> {
  const session = await pool.connect()
  let broken: Error | undefined
  const giveUp = (why: Error) => {
    broken = why
  }
  // A session that is cut between two statements says so by an event, which would end the process if nobody listened;
  // the next statement fails then.
  session.on('error', giveUp)
  try {
    return await work(session, giveUp)
  } finally {
    session.off('error', giveUp)
    session.release(broken)
  }
}

/** A transaction of what is observed: it does not wait for the disk. After a crash of PostgreSQL the last half second may
 *  be missing, which the next observations bring back. */
export function observation<T>(pool: pg.Pool, work: (tx: Tx) => Promise<T>): Promise<T> {
  return transaction(pool, async tx => {
    await tx.query('set local synchronous_commit = off')
    return work(tx)
  })
}

/** Did others hold what the transaction needed? Then it had no effect, and may be tried again. */
export function isContention(error: unknown): boolean {
  const codes = ['55P03', '40P01', '40001'] // lock_not_available, deadlock_detected, serialization_failure
  return error instanceof pg.DatabaseError && codes.includes(error.code ?? '')
}

/** Does the database refuse the values, whenever they come? */
export function isRefusal(error: unknown): boolean {
  return error instanceof pg.DatabaseError && /^(22|23)/.test(error.code ?? '') // data exceptions, broken constraints
}
