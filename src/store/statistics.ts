/** Statistics: what passed through, summed over the amphorae that served it. */
import type pg from 'pg'

export type Statistics = {
  bytes_in: number
  bytes_out: number
  active_connections: number
  total_connections: number
  request_errors: number
}

export function ofListener(pool: pg.Pool, listener_id: string): Promise<Statistics> {
  return sum(pool, 'where listener_id = $1', listener_id)
}

export function ofLoadBalancer(pool: pg.Pool, load_balancer_id: string): Promise<Statistics> {
  return sum(pool, 'where listener_id in (select id from lbaas.listener where load_balancer_id = $1)', load_balancer_id)
}

/** Counters beyond 2^53 lose their last digits on the way through JSON, everywhere; so here too. */
async function sum(pool: pg.Pool, where: string, id: string): Promise<Statistics> {
  const columns = ['bytes_in', 'bytes_out', 'active_connections', 'total_connections', 'request_errors'] as const
  const { rows } = await pool.query(
    `select ${columns.map(column => `coalesce(sum(${column}), 0)::text as ${column}`).join(', ')}
     from lbaas.listener_statistics ${where}`,
    [id],
  )
  return Object.fromEntries(columns.map(column => [column, Number(rows[0][column])])) as Statistics
}
