/** Turns: work that one process at a time may do, however many want to. PostgreSQL's session locks: who dies lets go. */
import type pg from 'pg'

/** Calls `work` if nobody else is at this job, else does nothing; answers whether it was ours. Who was cut off from
 *  PostgreSQL may go on without knowing it, so each write of a job has a condition of its own. */
export async function inTurn(pool: pg.Pool, job: string, work: () => Promise<void>): Promise<boolean> {
  const session = await pool.connect()
  let broken: Error | undefined
  try {
    const key = [`lbaas job ${job}`]
    const sql = 'select pg_try_advisory_lock(hashtextextended($1, 0)) as ours'
    const { rows } = await session.query<{ ours: boolean }>(sql, key)
    if (!rows[0]!.ours) return false
    try {
      await work()
    } finally {
      await session.query('select pg_advisory_unlock(hashtextextended($1, 0))', key).catch(error => {
        broken = error as Error // the lock ended with the session
      })
    }
    return true
  } finally {
    session.release(broken)
  }
}
