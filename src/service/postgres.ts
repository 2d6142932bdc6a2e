/** PostgreSQL for daemons: a pool whose sessions can neither wait nor idle for ever, and a listener that reconnects. */
import pg from 'pg'
import type { Log } from './log.ts'

/** A pool of connections. A session that waits 3 s for a lock, or sits 5 s in an open transaction, is refused or cut:
 *  the caller tries again, and nobody holds up the others. */
export function openPool(connection: string, log: Log, connections = 20): pg.Pool {
  const pool = new pg.Pool({
    connectionString: connection,
    max: connections,
    application_name: String(log.bindings().program ?? 'ottavia'),
    options: '-c idle_in_transaction_session_timeout=5000 -c lock_timeout=3000',
  })
  // a connection that breaks while nobody uses it: the pool opens another
  pool.on('error', error => log.warn({ err: error.message }, 'a connection to PostgreSQL broke'))
  return pool
}

/** Calls `heard` at every NOTIFY of the channel and after every (re)connection, since what came between is lost.
 *  Notifications are a hint; whoever needs certainty also looks periodically. */
export function listen(
  connection: string,
  channel: string,
  heard: () => void,
  log: Log,
): { close: () => Promise<void> } {
  let closed = false
  let client: pg.Client | null = null
  let wait_ms = 100
  const connect = async () => {
    if (closed) return
    const fresh = new pg.Client({ connectionString: connection, keepAlive: true })
    client = fresh
    let planned = false
    fresh.on('notification', heard)
    fresh.on('error', error => log.warn({ err: error.message }, `listening on ${channel} broke`))
    fresh.on('end', () => again())
    try {
      await fresh.connect()
      await fresh.query(`listen ${pg.escapeIdentifier(channel)}`)
      wait_ms = 100
      heard()
    } catch {
      again()
    }
    function again() {
      if (planned || closed || client !== fresh) return
      planned = true
      void fresh.end().catch(() => {})
      setTimeout(() => void connect(), wait_ms).unref()
      wait_ms = Math.min(wait_ms * 2, 5_000)
    }
  }
  void connect()
  const close = async () => {
    closed = true
    await client?.end().catch(() => {})
  }
  return { close }
}
