/** PostgreSQL for daemons: a pool whose sessions can neither wait nor idle for ever, and a listener that reconnects. */
import pg from 'pg'
import type { Log } from './log.ts'

/** What every session is opened with. One that waits 3 s for a lock, or sits 5 s in an open transaction, is refused or
 *  cut: the caller tries again, and nobody holds up the others. The rows in use fit into memory, where one page is as near
 *  as another: PostgreSQL's own reckoning, for disks that turn, reads small tables whole for each row of a list (1.9 ms
 *  for 100 load balancers, with indexes 0.9). */
const session = {
  idle_in_transaction_session_timeout: '5s',
  lock_timeout: '3s',
  random_page_cost: '1.1',
}

/** A pool of connections. */
export function openPool(connection: string, log: Log, connections = 20): pg.Pool {
  const pool = new pg.Pool({
    connectionString: connection,
    max: connections,
    application_name: String(log.bindings().program ?? 'ottavia'),
    options: Object.entries(session)
      .map(([name, value]) => `-c ${name}=${value}`)
      .join(' '),
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
