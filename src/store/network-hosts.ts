/** Network hosts: how many load balancers each of them has. */
import type pg from 'pg'

/** By name; a host that is not in it has none. Those that are given up do not count. */
export async function loads(pool: pg.Pool): Promise<Map<string, number>> {
  const { rows } = await pool.query<{ network_host: string; load: number }>(
    `select network_host, count(*)::integer as load from lbaas.amphora
      where network_host is not null and status not in ('PENDING_DELETE', 'DELETED') group by network_host`,
  )
  return new Map(rows.map(({ network_host, load }) => [network_host, load]))
}
