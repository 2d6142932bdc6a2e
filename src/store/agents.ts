/** Amphorae as the agents that Neutron's agent scheduler told of: each serves one load balancer. */
import type pg from 'pg'

export type HostingAgent = {
  id: string
  load_balancer_id: string
  /** Where it is a namespace; null: it is a server. */
  network_host: string | null
  zone: string | null
  created_at: Date
  last_update: Date
  alive: boolean
}

/** Those that serve; of one load balancer the one that is to have its address comes first. Null asks for any. */
export async function hosting(
  pool: pg.Pool,
  of: { id: string | null; load_balancer_id: string | null },
): Promise<HostingAgent[]> {
  const { rows } = await pool.query<HostingAgent>(
    `select a.id, a.load_balancer_id, a.network_host, a.cached_zone as zone, a.created_at,
            coalesce(h.last_update, a.created_at) as last_update,
            h.amphora_id is not null and h.silent_since is null as alive
       from lbaas.amphora a left join lbaas.amphora_health h on h.amphora_id = a.id
      where a.status = 'ALLOCATED' and a.load_balancer_id is not null
        and ($1::uuid is null or a.id = $1) and ($2::uuid is null or a.load_balancer_id = $2)
      order by a.role = 'BACKUP', a.created_at, a.id`,
    [of.id, of.load_balancer_id],
  )
  return rows
}
