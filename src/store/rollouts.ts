/** Rollouts: a new image for all amphorae, load balancer after load balancer. */
import type pg from 'pg'

export type Rollout = {
  id: string
  image_tag: string
  batch: number
  paused: boolean
  failed: string | null
  ended_at: Date | null
}

/** How one load balancer stands to the image. */
export type Standing = {
  load_balancer_id: string
  /** Amphorae of another image. */
  outdated: number
  /** Is a failover of it under way, or asked for? */
  under_way: boolean
  /** Does it serve with all its amphorae, each of which beats? */
  healthy: boolean
  /** Why it cannot be replaced, where that is known. */
  trouble: string | null
}

/** Begins a rollout, or goes on with the one that was paused or has stopped: what is given holds from now on. */
export async function begin(pool: pg.Pool, image_tag: string | null, batch: number | null): Promise<Rollout> {
  const current = await latest(pool)
  if (current && current.ended_at === null && (image_tag === null || image_tag === current.image_tag)) {
    const { rows } = await pool.query(
      'update lbaas.rollout set paused = false, failed = null, batch = coalesce($2, batch) where id = $1 returning *',
      [current.id, batch],
    )
    return rows[0]
  }
  if (image_tag === null) throw new Error('no rollout is under way; name an image: --image TAG')
  if (current && current.ended_at === null)
    throw new Error(`a rollout of ${current.image_tag} is under way; it must end, or go on, first`)
  const { rows } = await pool.query('insert into lbaas.rollout (image_tag, batch) values ($1, $2) returning *', [
    image_tag,
    batch ?? 1,
  ])
  return rows[0]
}

/** The batch that is under way ends; no other begins. */
export async function pause(pool: pg.Pool): Promise<Rollout> {
  const { rows } = await pool.query('update lbaas.rollout set paused = true where ended_at is null returning *')
  if (!rows[0]) throw new Error('no rollout is under way')
  return rows[0]
}

/** It stops, and says why. */
export async function fail(pool: pg.Pool, id: string, reason: string): Promise<void> {
  await pool.query('update lbaas.rollout set failed = $2 where id = $1 and ended_at is null', [id, reason])
}

export async function end(pool: pg.Pool, id: string): Promise<void> {
  await pool.query('update lbaas.rollout set ended_at = now() where id = $1', [id])
}

/** The rollout that is under way, else the last one; null: there has been none. */
export async function latest(pool: pg.Pool): Promise<Rollout | null> {
  const { rows } = await pool.query('select * from lbaas.rollout order by id desc limit 1')
  return rows[0] ?? null
}

/** The tag of the last rollout, which new amphorae boot from too; null: there has been none. */
export async function imageTag(pool: pg.Pool): Promise<string | null> {
  return (await latest(pool))?.image_tag ?? null
}

/** All load balancers whose amphorae are to have the image: those without a tag of their own, or with this one.
 *  `heard_within_s`: who has not been heard for longer is not healthy. */
export async function standings(
  pool: pg.Pool,
  rollout: { image_tag: string; image_id: string },
  heard_within_s: number,
): Promise<Standing[]> {
  const { rows } = await pool.query<Standing>(
    `select lb.id as load_balancer_id,
            count(a.id) filter (where a.image_id is distinct from $2)::integer as outdated,
            lb.provisioning_status like 'PENDING%'
              or bool_or(a.replace or a.status in ('PENDING_DELETE', 'DELETED') or a.replaces is not null) as under_way,
            lb.provisioning_status = 'ACTIVE' and bool_and(a.status = 'ALLOCATED')
              and bool_and(coalesce(h.last_update > now() - make_interval(secs => $3), false))
              and count(a.id) = case lb.topology when 'ACTIVE_STANDBY' then 2 else 1 end as healthy,
            case when lb.provisioning_status = 'ERROR' or bool_or(a.status = 'ERROR')
              then coalesce(lb.reason, 'it is in ERROR') end as trouble
       from lbaas.load_balancer lb
       join lbaas.amphora a on a.load_balancer_id = lb.id and a.network_host is null
       left join lbaas.amphora_health h on h.amphora_id = a.id
      where lb.provisioning_status <> 'PENDING_DELETE' and coalesce(lb.amp_image_tag, $1) = $1
      group by lb.id
      order by lb.created_at, lb.id`,
    [rollout.image_tag, rollout.image_id, heard_within_s],
  )
  return rows
}

/** How many load balancers it is about, and how many of them are not through. */
export async function progress(pool: pg.Pool, { image_tag, id }: Rollout): Promise<{ all: number; left: number }> {
  const { rows } = await pool.query<{ all: number; left: number }>(
    `select count(*)::integer as all,
            count(*) filter (where exists (
              select from lbaas.amphora a where a.load_balancer_id = lb.id and a.network_host is null
                 and (a.image_id is distinct from (select image_id from lbaas.rollout where id = $2) or a.replace)
            ))::integer as left
       from lbaas.load_balancer lb
      where lb.provisioning_status <> 'PENDING_DELETE' and coalesce(lb.amp_image_tag, $1) = $1
        and not exists (select from lbaas.amphora a where a.load_balancer_id = lb.id and a.network_host is not null)`,
    [image_tag, id],
  )
  return rows[0]!
}

/** The image that the tag stands for by now. */
export async function settleImage(pool: pg.Pool, id: string, image_id: string): Promise<void> {
  await pool.query('update lbaas.rollout set image_id = $2 where id = $1 and image_id is distinct from $2', [
    id,
    image_id,
  ])
}

/** Spares of another image are to go. */
export async function doomSpares(pool: pg.Pool, image_id: string): Promise<void> {
  await pool.query(
    `update lbaas.amphora set status = 'PENDING_DELETE', updated_at = now()
      where load_balancer_id is null and status = 'READY' and image_id is distinct from $1`,
    [image_id],
  )
}
