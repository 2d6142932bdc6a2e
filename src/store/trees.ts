/** Trees: rows in, trees out; the difference of two trees, written. */
import type pg from 'pg'
import type { Amphora } from '../lbaas/amphora.ts'
import type { LoadBalancer } from '../lbaas/load-balancer.ts'
import { initialOperating } from '../lbaas/operating.ts'
import type { ChildResource, OperatingStatus, Resource, TreeResource } from '../lbaas/resource.ts'
import { collections, type Tree } from '../lbaas/tree.ts'
import { columnsOf, selected, tables, upToRoot } from './schema.ts'
import { forget as forgetAmphorae } from './spares.ts'
import { prepared } from './statement.ts'
import { type SelectByIds, together } from './together.ts'
import { inSession, type Tx } from './transaction.ts'

/** The tree, locked until the transaction ends: nobody else changes it meanwhile. Null when there is none. Waits for
 *  the lock as long as the session's lock_timeout allows. */
export async function loadForUpdate(tx: Tx, load_balancer_id: string): Promise<Tree | null> {
  return (await load(tx, roots.changing, [load_balancer_id])).get(load_balancer_id) ?? null
}

/** The tree as of one instant, without a lock. */
export async function read(pool: pg.Pool, load_balancer_id: string): Promise<Tree | null> {
  const loaded = await inSession(pool, session => load(session, roots.read, [load_balancer_id], one_instant))
  return loaded.get(load_balancer_id) ?? null
}

/** Trees by id, which nobody changes until the transaction ends. Those that somebody is just changing are left out. */
export async function loadUnchanging(tx: Tx, load_balancer_ids: readonly string[]): Promise<Map<string, Tree>> {
  return load(tx, roots.unchanging, load_balancer_ids)
}

/** Which load balancer an object belongs to, and its project. Null when there is no such object. */
export async function ownerOf(
  db: pg.Pool | Tx,
  resource: TreeResource,
  id: string,
): Promise<{ load_balancer_id: string; project_id: string } | null> {
  const { from, load_balancer_id } = upToRoot(resource)
  const owner = `select lb.id as load_balancer_id, lb.project_id
                   from ${from} join lbaas.load_balancer lb on lb.id = ${load_balancer_id} where o.id = $1`
  const { rows } = await db.query(prepared(owner), [id])
  return rows[0] ?? null
}

/** Writes what differs between the two trees of one load balancer: null before is a create, null after a delete. The
 *  tree must be locked by this transaction, and `before` be what it loaded, so that nothing of others is overwritten. */
export async function save(tx: Tx, before: Tree | null, after: Tree | null): Promise<void> {
  const id = (after ?? before)!.load_balancer.id
  const was = rowsOf(before)
  const is = rowsOf(after)
  // Updates first: they may free a unique key that an insert takes. Children go before their parents.
  for (const name of order) await updateRows(tx, tables[name], was[name], is[name])
  for (const name of order) await insertRows(tx, tables[name], was[name], is[name])
  await watch(tx, was.amphora, is.amphora)
  await saveOperating(tx, id, was, is)
  for (const name of order.toReversed()) await deleteRows(tx, tables[name], was[name], is[name])
}

type Name = TreeResource | 'amphora'
type AnyRow = { id: string; operating_status?: OperatingStatus; status?: string }
type Rows = Record<Name, AnyRow[]>

/** Parents before what belongs to them. */
const children = Object.keys(collections) as ChildResource[]
const order: Name[] = ['load_balancer', ...children, 'amphora']

function rowsOf(tree: Tree | null): Rows {
  const rows = Object.fromEntries(order.map((name): [Name, AnyRow[]] => [name, []])) as Rows
  if (!tree) return rows
  for (const name of children) rows[name] = tree[collections[name]]
  return { ...rows, load_balancer: [tree.load_balancer], amphora: tree.amphorae }
}

/** Plain selects per table: one statement that aggregates the whole tree as JSON takes six times as long with 2,000
 *  members (measured: 30 ms against 5 ms), and is no faster for small trees. Those below see the tree as it is once its lock
 *  is had. */
async function load(
  session: Tx,
  root: SelectByIds,
  load_balancer_ids: readonly string[],
  first = '',
): Promise<Map<string, Tree>> {
  const trees = new Map<string, Tree>()
  if (load_balancer_ids.length === 0) return trees
  const selects = [root, statuses, ...below.map(({ select }) => select)]
  const [found, observed, ...rows_below] = await together(session, first, selects, load_balancer_ids)
  const operating = new Map(observed!.map(row => [row.object_id, row.operating_status as OperatingStatus]))
  const empty = (): Omit<Tree, 'load_balancer'> => ({
    ...{ listeners: [], pools: [], members: [], health_monitors: [], l7policies: [], l7rules: [] },
    amphorae: [],
  })
  for (const row of found!) {
    const root = row as LoadBalancer
    const operating_status = operating.get(root.id) ?? initialOperating('load_balancer')
    trees.set(root.id, { load_balancer: { ...root, operating_status }, ...empty() })
  }
  for (const [i, { name }] of below.entries())
    for (const { of_load_balancer, ...row } of rows_below[i]!) {
      // the lock may have left its tree out
      const tree = trees.get(of_load_balancer)
      if (!tree) continue
      if (name === 'amphora') tree.amphorae.push(row as Amphora)
      else {
        const rows: object[] = tree[collections[name]]
        rows.push({ ...row, operating_status: operating.get(row.id) ?? initialOperating(name) })
      }
    }
  return trees
}

/** Makes of selects, which else see each what is there when it begins, one look. */
const one_instant = 'set transaction isolation level repeatable read, read only'

const root_rows = `select ${selected(tables.load_balancer, 'lb')} from lbaas.load_balancer lb
                    where lb.id = any($1) order by lb.id`

const roots = {
  read: { name: 'tree_read', sql: root_rows },
  // Not `for update`: rows that refer to the load balancer (observations, claims) may be written by others meanwhile.
  changing: { name: 'tree_changing', sql: `${root_rows} for no key update of lb` },
  unchanging: { name: 'tree_unchanging', sql: `${root_rows} for share of lb skip locked` },
}

const statuses: SelectByIds = {
  name: 'tree_statuses',
  sql: 'select object_id, operating_status from lbaas.operating_status where load_balancer_id = any($1)',
}

/** The rows of each table with the load balancers that they are of, the oldest first. */
const below = [...children, 'amphora' as const].map(name => {
  const { from, load_balancer_id } =
    name === 'amphora' ? { from: 'lbaas.amphora o', load_balancer_id: 'o.load_balancer_id' } : upToRoot(name)
  const sql = `select ${selected(tables[name], 'o')}, ${load_balancer_id} as of_load_balancer
                 from ${from} where ${load_balancer_id} = any($1) order by o.created_at, o.id`
  return { name, select: { name: `tree_${name}`, sql } }
})

async function insertRows(tx: Tx, resource: Resource, before: AnyRow[], after: AnyRow[]): Promise<void> {
  const known = new Set(before.map(row => row.id))
  const added = after.filter(row => !known.has(row.id))
  if (!added.length) return
  const names = columnsOf(resource).map(column => column.name)
  const insert = prepared(
    `insert into lbaas.${resource.name} (${names.join(', ')})
     select ${names.join(', ')} from jsonb_populate_recordset(null::lbaas.${resource.name}, $1)`,
  )
  await tx.query(insert, [JSON.stringify(added.map(row => picked(row, names)))])
}

/** One statement for all rows that differ in the same columns. Columns that do not differ are not written. */
async function updateRows(tx: Tx, resource: Resource, before: AnyRow[], after: AnyRow[]): Promise<void> {
  const was = new Map(before.map(row => [row.id, row]))
  const changed = new Map<string, AnyRow[]>()
  for (const row of after) {
    const old = was.get(row.id)
    const names = old === undefined || old === row ? [] : differing(resource, old, row)
    if (names.length) changed.set(names.join(', '), [...(changed.get(names.join(', ')) ?? []), row])
  }
  for (const [names, rows] of changed) {
    const values = names
      .split(', ')
      .map(name => `${name} = r.${name}`)
      .join(', ')
    await tx.query(
      `update lbaas.${resource.name} t set ${values}
       from jsonb_populate_recordset(null::lbaas.${resource.name}, $1) r where t.id = r.id`,
      [JSON.stringify(rows.map(row => picked(row, ['id', ...names.split(', ')])))],
    )
  }
}

async function deleteRows(tx: Tx, resource: Resource, before: AnyRow[], after: AnyRow[]): Promise<void> {
  const kept = new Set(after.map(row => row.id))
  const gone = before.filter(row => !kept.has(row.id)).map(row => row.id)
  if (gone.length && resource.name === 'amphora') await forgetAmphorae(tx, gone)
  else if (gone.length) await tx.query(`delete from lbaas.${resource.name} where id = any($1)`, [gone])
}

/** Beats are expected from the moment that an amphora is ready, not from its first one on: else one that never beats
 *  would never be missed. */
async function watch(tx: Tx, before: AnyRow[], after: AnyRow[]): Promise<void> {
  const ready = ({ status }: AnyRow) => status === 'ALLOCATED' || status === 'READY'
  const was = new Set(before.filter(ready).map(row => row.id))
  const added = after.filter(row => ready(row) && !was.has(row.id)).map(row => row.id)
  if (added.length === 0) return
  await tx.query(
    `insert into lbaas.amphora_health (amphora_id) select unnest($1::uuid[])
     on conflict (amphora_id) do update set last_update = excluded.last_update, busy = false, silent_since = null`,
    [added],
  )
}

/** Only what this change makes of a status is written; what health reported meanwhile about others stays. */
async function saveOperating(tx: Tx, load_balancer_id: string, before: Rows, after: Rows): Promise<void> {
  const all = (rows: Rows) => (['load_balancer', ...children] as const).flatMap(name => rows[name])
  const was = new Map(all(before).map(row => [row.id, row.operating_status]))
  const changed = all(after).filter(row => was.get(row.id) !== row.operating_status)
  const write = prepared(
    `insert into lbaas.operating_status (object_id, load_balancer_id, operating_status)
     select object_id, $1, operating_status from unnest($2::uuid[], $3::text[]) as r (object_id, operating_status)
     order by object_id
     on conflict (object_id) do update set operating_status = excluded.operating_status`,
  )
  if (changed.length)
    await tx.query(write, [load_balancer_id, changed.map(row => row.id), changed.map(row => row.operating_status)])
  const kept = new Set(all(after).map(row => row.id))
  const gone = all(before).filter(row => !kept.has(row.id))
  if (gone.length)
    await tx.query('delete from lbaas.operating_status where object_id = any($1)', [gone.map(row => row.id)])
}

function differing(resource: Resource, before: AnyRow, after: AnyRow): string[] {
  const was = before as Record<string, unknown>
  const is = after as Record<string, unknown>
  return columnsOf(resource)
    .map(column => column.name)
    .filter(name => was[name] !== is[name] && JSON.stringify(was[name]) !== JSON.stringify(is[name]))
}

function picked(row: AnyRow, names: readonly string[]): Record<string, unknown> {
  const all = row as Record<string, unknown>
  return Object.fromEntries(names.map(name => [name, all[name]]))
}
