/** Statistics: what passed through, summed over the amphorae that served it. */
import type pg from 'pg'
import type { Tx } from './transaction.ts'

export type Statistics = {
  bytes_in: number
  bytes_out: number
  active_connections: number
  total_connections: number
  request_errors: number
}

/** What one amphora counted for one listener. `total`: since the listener was made. `added`: since it last said so.
 *  `since_start`: since its haproxy started, so less than the last time means that it has started again. */
export type Counted = Statistics & {
  listener_id: string
  amphora_id: string
  counts: 'total' | 'added' | 'since_start'
}

export function ofListener(pool: pg.Pool, listener_id: string): Promise<Statistics> {
  return sum(pool, 's.listener_id = $1', listener_id)
}

export function ofLoadBalancer(pool: pg.Pool, load_balancer_id: string): Promise<Statistics> {
  const listeners = 'select id from lbaas.listener where load_balancer_id = $1'
  return sum(pool, `s.listener_id in (${listeners})`, load_balancer_id)
}

/** What one amphora counted, by listener. */
export async function ofAmphora(
  pool: pg.Pool,
  amphora_id: string,
): Promise<(Statistics & { listener_id: string; load_balancer_id: string })[]> {
  const { rows } = await pool.query(
    `select s.listener_id, l.load_balancer_id, ${columns.map(column => `s.${column}::text`).join(', ')}
       from lbaas.listener_statistics s join lbaas.listener l on l.id = s.listener_id
      where s.amphora_id = $1 order by l.created_at, l.id`,
    [amphora_id],
  )
  return rows.map(row => ({ ...numbers(row), listener_id: row.listener_id, load_balancer_id: row.load_balancer_id }))
}

/** Adds what was counted. What is said of listeners that are not, or are not the amphora's, is left out. */
export async function count(tx: Tx, counted: readonly Counted[]): Promise<void> {
  for (const counts of ['total', 'added', 'since_start'] as const) {
    const some = counted.filter(one => one.counts === counts)
    if (some.length > 0) await countBy(tx, counts, some)
  }
}

const columns = ['bytes_in', 'bytes_out', 'active_connections', 'total_connections', 'request_errors'] as const
const counters = ['bytes_in', 'bytes_out', 'total_connections', 'request_errors'] as const

/** How the old value and the new one make the next. Totals only grow, so that an older one never comes after a newer. */
const next: Readonly<Record<Counted['counts'], (counter: (typeof counters)[number]) => string>> = {
  total: counter => `greatest(s.${counter}, c.${counter})`,
  added: counter => bounded(`c.${counter}`, counter),
  since_start: counter => bounded(`c.${counter} - case when ${restarted} then 0 else s.said_${counter} end`, counter),
}
const restarted = counters.map(counter => `c.${counter} < s.said_${counter}`).join(' or ')

/** One amphora's nonsense must not fail the batch of the others. */
function bounded(more: string, counter: string): string {
  return `least(s.${counter}::numeric + ${more}, ${2n ** 63n - 1n})::bigint`
}

/** Rows that are there are updated; only what is left over is looked at more closely: whether there is such a listener,
 *  and whether it is the amphora's. (One upsert that checks all of it takes 40 ms for 2,500 rows, this 16.) */
async function countBy(tx: Tx, counts: Counted['counts'], counted: readonly Counted[]): Promise<void> {
  // in one order everywhere, so that two processes never wait for each other
  const sorted = counted.toSorted((a, b) => order(a.listener_id, b.listener_id) || order(a.amphora_id, b.amphora_id))
  const said = counts === 'since_start'
  const sets = [
    'active_connections = c.active_connections',
    ...counters.map(counter => `${counter} = ${next[counts](counter)}`),
    ...(said ? counters.map(counter => `said_${counter} = c.${counter}`) : []),
  ]
  const { rows, rowCount } = await tx.query<{ listener_id: string; amphora_id: string }>({
    name: `count ${counts}`,
    text: `update lbaas.listener_statistics s set ${sets.join(', ')} from ${rows_sql}
            where s.listener_id = c.listener_id and s.amphora_id = c.amphora_id
            returning s.listener_id, s.amphora_id`,
    values: rowsOf(sorted),
  })
  if (rowCount === sorted.length) return
  const known = new Set(rows.map(row => row.listener_id + row.amphora_id))
  const fresh = sorted.filter(one => !known.has(one.listener_id + one.amphora_id))
  const more = said ? counters.map(counter => `, said_${counter}`).join('') : ''
  await tx.query(
    `insert into lbaas.listener_statistics as s (listener_id, amphora_id, ${columns.join(', ')}${more})
     select c.*${said ? counters.map(counter => `, c.${counter}`).join('') : ''} from ${rows_sql}
       join lbaas.listener l on l.id = c.listener_id
       join lbaas.amphora a on a.id = c.amphora_id and a.load_balancer_id = l.load_balancer_id
      order by c.listener_id, c.amphora_id
     on conflict do nothing`, // another process has just made it; the next beat brings it up to date
    rowsOf(fresh),
  )
}

const rows_sql = `unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[])
  as c (listener_id, amphora_id, ${columns.join(', ')})`

function rowsOf(sorted: readonly Counted[]): unknown[][] {
  return [
    sorted.map(one => one.listener_id),
    sorted.map(one => one.amphora_id),
    ...columns.map(column => sorted.map(one => one[column])),
  ]
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Counters beyond 2^53 lose their last digits on the way through JSON, everywhere; so here too. Only a living amphora
 *  has connections. */
async function sum(pool: pg.Pool, where: string, id: string): Promise<Statistics> {
  const living = `(where a.status = 'ALLOCATED' and h.silent_since is null)`
  const { rows } = await pool.query(
    `select ${columns
      .map(
        column =>
          `coalesce(sum(s.${column}) filter ${column === 'active_connections' ? living : '(where true)'}, 0)::text as ${column}`,
      )
      .join(', ')}
       from lbaas.listener_statistics s left join lbaas.amphora a on a.id = s.amphora_id
       left join lbaas.amphora_health h on h.amphora_id = s.amphora_id
      where ${where}`,
    [id],
  )
  return numbers(rows[0])
}

function numbers(row: Record<string, string>): Statistics {
  return Object.fromEntries(columns.map(column => [column, Number(row[column])])) as Statistics
}
