/** Silence: which amphorae are not heard any more, and the breaker that keeps too many from being replaced at once. */
import type pg from 'pg'
import type { Tx } from './transaction.ts'

/** An amphora that should beat and has not for `silent_s`. */
export type Silent = {
  amphora_id: string
  /** Null: a spare. */
  load_balancer_id: string | null
  silent_s: number
}

/** `calm_s`: for how long few enough have been silent, while it is open; null when it is not, or too many are. */
export type Breaker = {
  open_since: string | null
  calm_s: number | null
  silent: number
  fleet: number
  threshold: number
}

/** What a judgement goes by. `silent` are those that miss beats by now, `given_up` those that were marked within the last
 *  time-out, `fleet` all that should beat and those given up. */
export type Tally = { silent: number; given_up: number; fleet: number }

/** The breaker, locked until the transaction ends; null while another process judges. */
export async function lockBreaker(tx: Tx): Promise<Breaker | null> {
  const { rows } = await tx.query(`${breaker_sql} for update skip locked`)
  const row = rows[0]
  return row ? { ...row, open_since: row.open_since?.toISOString() ?? null } : null
}

export async function readBreaker(db: pg.Pool | Tx): Promise<Breaker> {
  const { rows } = await db.query(breaker_sql)
  return { ...rows[0], open_since: rows[0].open_since?.toISOString() ?? null }
}

const breaker_sql = `
  select open_since, extract(epoch from now() - calm_since)::float as calm_s, silent, fleet, threshold
    from lbaas.breaker`

/** An amphora is *silent* if and only if it should beat (it is ALLOCATED to a load balancer that is not on its way out,
 *  or a spare), is not being replaced already, and was not heard within the time-out, by the database's clock. Locked;
 *  those that somebody else is writing to (a beat, a change) are left out until the next time. The oldest come first.
 *  `only_new`: only those that were not found before. */
export async function silent(tx: Tx, timeout_s: number, limit: number, only_new: boolean): Promise<Silent[]> {
  const { rows } = await tx.query<Silent>(silent_sql, [timeout_s, limit, only_new])
  const ids = [...new Set(rows.flatMap(row => row.load_balancer_id ?? []))].sort()
  // The lock of the tree, as everybody takes it who changes one; who holds it may just be changing the amphora.
  const trees = await tx.query<{ id: string }>(
    'select id from lbaas.load_balancer where id = any($1) order by id for no key update skip locked',
    [ids],
  )
  const locked = new Set(trees.rows.map(row => row.id))
  return rows.filter(row => row.load_balancer_id === null || locked.has(row.load_balancer_id))
}

export const silent_sql = `
  select h.amphora_id, a.load_balancer_id, extract(epoch from now() - h.last_update)::float as silent_s
    from lbaas.amphora_health h join lbaas.amphora a on a.id = h.amphora_id
    left join lbaas.load_balancer lb on lb.id = a.load_balancer_id
   where not h.busy and h.last_update < now() - make_interval(secs => $1)
     and (h.silent_since is null or not $3)
     and (a.status = 'READY' or a.status = 'ALLOCATED' and lb.provisioning_status <> 'PENDING_DELETE')
   order by h.last_update
   limit $2
     for update of h, a skip locked`

/** Counts. Those that miss beats are counted from half of the time-out on: when a network is cut, the first amphora that
 *  reaches it must not be replaced before the others, whose last beats were a little later, are seen to follow. */
export async function tally(tx: Tx, timeout_s: number): Promise<Tally> {
  const { rows } = await tx.query<Tally>(
    `with given_up as (
       select count(*)::integer as n from lbaas.silence where marked_at > now() - make_interval(secs => $1)
     )
     select count(*) filter (where h.last_update < now() - make_interval(secs => $1 / 2))::integer as silent,
            (select n from given_up) as given_up, (select n from given_up) + count(*)::integer as fleet
       from lbaas.amphora_health h join lbaas.amphora a on a.id = h.amphora_id
       left join lbaas.load_balancer lb on lb.id = a.load_balancer_id
      where not h.busy
        and (a.status = 'READY' or a.status = 'ALLOCATED' and lb.provisioning_status <> 'PENDING_DELETE')`,
    [timeout_s],
  )
  return rows[0]!
}

export async function saveBreaker(
  tx: Tx,
  state: 'open' | 'calm' | 'closed',
  tally: Tally,
  threshold: number,
): Promise<void> {
  await tx.query(
    `update lbaas.breaker
        set open_since = case when $1 <> 'closed' then coalesce(open_since, now()) end,
            calm_since = case when $1 = 'calm' then coalesce(calm_since, now()) end,
            silent = $2, fleet = $3, threshold = $4`,
    [state, tally.silent + tally.given_up, tally.fleet, threshold],
  )
}

/** Gives amphorae up: from now on they are doomed, and are not found again. */
export async function mark(tx: Tx, amphora_ids: readonly string[]): Promise<void> {
  await tx.query(
    `with health as (
       update lbaas.amphora_health set busy = true, silent_since = coalesce(silent_since, now())
        where amphora_id = any($1) returning amphora_id
     ), doomed as (
       update lbaas.amphora a set status = 'PENDING_DELETE', updated_at = now() from health
        where a.id = health.amphora_id returning a.id, a.load_balancer_id
     )
     insert into lbaas.silence (amphora_id, load_balancer_id) select id, load_balancer_id from doomed`,
    [amphora_ids],
  )
  await tx.query(`delete from lbaas.silence where marked_at < now() - interval '1 day'`)
}

/** Notes that amphorae are silent, without giving them up. Their next beats are folded again, whatever they say. */
export async function note(tx: Tx, amphora_ids: readonly string[]): Promise<void> {
  await tx.query('update lbaas.amphora_health set silent_since = now(), folded = null where amphora_id = any($1)', [
    amphora_ids,
  ])
}
