/** Heartbeats: when each amphora was heard last, and what it reported. */
import type pg from 'pg'
import type { AmphoraStatus } from '../lbaas/amphora.ts'
import type { Seen } from '../lbaas/fold.ts'
import type { OperatingStatus } from '../lbaas/resource.ts'
import type { Tx } from './transaction.ts'

/** The newest heartbeat of one amphora, as far as its row is concerned. */
export type Beat = {
  amphora_id: string
  /** Null: a genuine agent's, which does not number its starts. */
  start_number: number | null
  seq: number
  boot_id: string | null
  role: 'MASTER' | 'BACKUP' | null
}

/** A beat that was written, and what was known of the amphora before it. */
export type Heard = {
  amphora_id: string
  boot_id: string | null
  report_digest: string | null
  folded: string | null
  load_balancer_id: string | null
  status: AmphoraStatus
  /** Another one whenever the amphora's row or its load balancer's is. */
  version: string
}

/** What an amphora reported, besides its signs of life. */
export type Report = { seen: Seen; digests: Record<string, string> | null }

/** Writes signs of life, and answers with those that were: who is missing is not watched, or has said nothing newer. A
 *  beat is newer if its sequence is higher within one start of its agent, or its start is; of a genuine agent if its
 *  sequence is another, because a lower one is a restart.
 *
 *  Locking the rows in their order first, to skip those that somebody holds, takes 70 ms for 2,500 of them where this
 *  takes 40; what others hold them for is short. */
export async function hear(tx: Tx, beats: readonly Beat[]): Promise<Heard[]> {
  const sorted = beats.toSorted((a, b) => (a.amphora_id < b.amphora_id ? -1 : 1))
  const { rows } = await tx.query<Heard>({
    name: 'hear',
    text: `
    with heard as (
      update lbaas.amphora_health h
         set last_update = now(), start_number = b.start_number, seq = b.seq,
             boot_id = coalesce(b.boot_id, h.boot_id), role = b.role, silent_since = null
        from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::text[])
               as b (amphora_id, start_number, seq, boot_id, role)
        join lbaas.amphora_health was using (amphora_id)
       where h.amphora_id = b.amphora_id
         and case when b.start_number is null and h.start_number is null then h.seq is distinct from b.seq
                  when b.start_number is null or h.start_number is null then true
                  else (b.start_number, b.seq) > (h.start_number, h.seq) end
      returning h.amphora_id, was.boot_id, h.report_digest, h.folded
    )
    select heard.*, a.load_balancer_id, a.status, a.xmin::text || '.' || coalesce(lb.xmin::text, '') as version
      from heard join lbaas.amphora a on a.id = heard.amphora_id
      left join lbaas.load_balancer lb on lb.id = a.load_balancer_id`,
    values: [
      sorted.map(beat => beat.amphora_id),
      sorted.map(beat => beat.start_number),
      sorted.map(beat => beat.seq),
      sorted.map(beat => beat.boot_id),
      sorted.map(beat => beat.role),
    ],
  })
  return rows
}

/** Who may send heartbeats: the addresses of amphorae on the management network. What has no row is left out; `watched`
 *  says whether beats of it are expected. */
export async function addressesOf(
  db: pg.Pool | Tx,
  ids: readonly string[],
): Promise<{ id: string; lb_network_ip: string | null; watched: boolean }[]> {
  const { rows } = await db.query(
    `select a.id, a.lb_network_ip, h.amphora_id is not null as watched
       from lbaas.amphora a left join lbaas.amphora_health h on h.amphora_id = a.id
      where a.id = any($1) and a.status <> 'DELETED'`,
    [ids],
  )
  return rows
}

/** An amphora as its witness rows have it. */
export type WitnessRow = {
  amphora_id: string
  load_balancer_id: string
  alive: boolean
  role: 'MASTER' | 'BACKUP' | null
  report: Report | null
  report_digest: string | null
  seq: number | null
  version: string
}

/** The watched amphorae of load balancers, locked until the transaction ends; those that somebody else is writing to are
 *  left out. */
export async function witnesses(
  tx: Tx,
  load_balancer_ids: readonly string[],
  timeout_s: number,
): Promise<WitnessRow[]> {
  const { rows } = await tx.query<WitnessRow>(
    `with locked as materialized (
       select h.amphora_id, a.load_balancer_id, a.xmin::text || '.' || lb.xmin::text as version,
              not h.busy and h.last_update >= now() - make_interval(secs => $2) as alive, h.role, h.report_digest, h.seq
         from lbaas.amphora_health h join lbaas.amphora a on a.id = h.amphora_id
         join lbaas.load_balancer lb on lb.id = a.load_balancer_id
        where a.load_balancer_id = any($1)
        order by h.amphora_id
          for update of h skip locked
     )
     select locked.*, r.report from locked left join lbaas.amphora_report r using (amphora_id)`,
    [load_balancer_ids, timeout_s],
  )
  return rows.map(row => ({ ...row, seq: row.seq === null ? null : Number(row.seq) }))
}

/** Writes what amphorae reported, unless they have said something newer since. */
export async function saveReports(
  tx: Tx,
  reports: readonly { amphora_id: string; seq: number; digest: string; report: Report }[],
): Promise<void> {
  if (reports.length === 0) return
  const sorted = [...reports].sort((a, b) => (a.amphora_id < b.amphora_id ? -1 : 1))
  await tx.query(
    `with newest as (
       update lbaas.amphora_health h set report_digest = r.digest
         from unnest($1::uuid[], $2::bigint[], $3::text[]) as r (amphora_id, seq, digest)
        where h.amphora_id = r.amphora_id and h.seq = r.seq
        returning h.amphora_id
     )
     insert into lbaas.amphora_report (amphora_id, report)
     select r.amphora_id, r.report
       from unnest($1::uuid[], $4::jsonb[]) as r (amphora_id, report) join newest using (amphora_id)
      order by 1
     on conflict (amphora_id) do update set report = excluded.report`,
    [
      sorted.map(one => one.amphora_id),
      sorted.map(one => one.seq),
      sorted.map(one => one.digest),
      sorted.map(one => JSON.stringify(one.report)),
    ],
  )
}

/** Remembers what the statuses were made from: the report's digest and the version of the tree. */
export async function saveFolded(tx: Tx, folded: ReadonlyMap<string, string | null>): Promise<void> {
  const ids = [...folded.keys()].sort()
  await tx.query(
    `update lbaas.amphora_health h set folded = f.folded
       from unnest($1::uuid[], $2::text[]) as f (amphora_id, folded) where h.amphora_id = f.amphora_id`,
    [ids, ids.map(id => folded.get(id))],
  )
}

/** Writes operating statuses that differ from those that are there. */
export async function saveStatuses(
  tx: Tx,
  statuses: readonly { load_balancer_id: string; object_id: string; operating_status: OperatingStatus }[],
): Promise<void> {
  if (statuses.length === 0) return
  await tx.query(
    `insert into lbaas.operating_status as s (object_id, load_balancer_id, operating_status)
     select * from unnest($1::uuid[], $2::uuid[], $3::text[]) as r order by 1
     on conflict (object_id) do update set operating_status = excluded.operating_status
      where s.operating_status <> excluded.operating_status`,
    [
      statuses.map(one => one.object_id),
      statuses.map(one => one.load_balancer_id),
      statuses.map(one => one.operating_status),
    ],
  )
}
