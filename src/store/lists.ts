/** Lists: filters, sorting and pages, in a constant number of statements whatever the page holds. */
import type pg from 'pg'
import { canonicalAddress, canonicalCidr } from '../lbaas/address.ts'
import { isStorable, isUuid } from '../lbaas/check.ts'
import { Rejected } from '../lbaas/errors.ts'
import { initialOperating } from '../lbaas/operating.ts'
import { type Field, keyOf, type ResourceName, shown, stateOf, type TreeResource } from '../lbaas/resource.ts'
import { columnsOf, tables } from './schema.ts'
import { prepared, statement } from './statement.ts'

/** What there are lists of. */
export type Listed = ResourceName

export type ListQuery = {
  /** Column, or relation, to its values, of which one must equal, or be there. */
  filters: Readonly<Record<string, readonly string[]>>
  tags: { all: string[]; any: string[]; not_all: string[]; not_any: string[] }
  /** Null: those of all projects. */
  project_id: string | null
  sort: readonly { column: string; descending: boolean }[]
  /** The most rows of a page. */
  limit: number
  /** The key of the row that the page begins after (in reverse: ends before). */
  marker: string | null
  page_reverse: boolean
}

export type Page = {
  rows: Record<string, unknown>[]
  /** Is there more after the page's last row, and before its first? */
  has_next: boolean
  has_previous: boolean
}

/** The columns that a list can be filtered by; by all that are one value it can be sorted too. */
export function listColumns(resource: Listed): ReadonlyMap<string, Field> {
  return list_columns.get(resource)!
}

const list_columns = ofEach(
  resource =>
    new Map(
      Object.entries(tables[resource].fields).filter(
        ([, field]) => stateOf(field) !== 'request' && (stateOf(field) !== 'fact' || field.options.shown === true),
      ),
    ),
)

/** What is the same at every list of a resource is made once. */
function ofEach<T>(make: (resource: Listed) => T): ReadonlyMap<Listed, T> {
  return new Map((Object.keys(tables) as Listed[]).map(resource => [resource, make(resource)]))
}

export function isSortable({ kind }: Field): boolean {
  return !['map', 'list', 'record'].includes(kind)
}

/** One page of rows: of each what a dialect shows, and the ids that `relationsIn` finds. */
export async function page(pool: pg.Pool, resource: Listed, query: ListQuery): Promise<Page> {
  const sql = new Sql()
  const scope = query.project_id === null ? [] : [`o.project_id = ${sql.value(query.project_id)}`]
  // rows are kept for a while after their deletion; and what runs on a network host is no server, which this list is of
  if (resource === 'amphora') scope.push(`o.status <> 'DELETED' and o.network_host is null`)
  const order = [
    ...query.sort,
    ...('created_at' in tables[resource].fields ? [{ column: 'created_at', descending: false }] : []),
    { column: keyOf(tables[resource]), descending: false },
  ].filter((one, i, all) => all.findIndex(other => other.column === one.column) === i)
  const directed = order.map(one => ({ ...one, descending: one.descending !== query.page_reverse }))
  const conditions = [...scope, ...filterConditions(sql, resource, query), ...tagConditions(sql, query.tags)]
  if (query.marker !== null) {
    const marker = await markerRow(
      pool,
      resource,
      query,
      order.map(one => one.column),
    )
    conditions.push(after(sql, resource, directed, marker))
  }
  const text = `${selects.get(resource)!}
     where ${conditions.length ? conditions.join(' and ') : 'true'}
     order by ${directed.map(one => `${expression(resource, one.column)} ${one.descending ? 'desc nulls first' : 'asc nulls last'}`).join(', ')}
     limit ${sql.value(query.limit + 1)}`
  const asked = isUsual(resource, query) ? prepared(text) : statement(text)
  const { rows } = await pool.query<Record<string, unknown>>(asked, sql.values)
  const more = rows.length > query.limit
  const found = rows.slice(0, query.limit)
  const beyond_marker = query.marker !== null
  return query.page_reverse
    ? { rows: found.reverse(), has_next: beyond_marker, has_previous: more }
    : { rows: found, has_next: more, has_previous: beyond_marker }
}

/** What all clients ask in the same words: an object by its key or name, or a list from its beginning. Every other mixture
 *  of filters and orders is a text of its own. */
function isUsual(resource: Listed, { filters, tags, sort, marker }: ListQuery): boolean {
  const usual = [keyOf(tables[resource]), 'name', tables[resource].parent?.field]
  const is_tagged = Object.values(tags).some(words => words.length > 0)
  return marker === null && sort.length === 0 && !is_tagged && Object.keys(filters).every(name => usual.includes(name))
}

/** What a dialect shows, and what it belongs to. */
function shownColumns(resource: Listed): string[] {
  const { parent } = tables[resource]
  return columnsOf(tables[resource])
    .filter(({ name, field }) => shown(field, 'octavia') || shown(field, 'neutron') || name === parent?.field)
    .map(({ name }) => `o.${name}`)
}

/** Whose ids an object shows, and lists are filtered by: the rows of a table that name it in a field. */
export const related: Partial<Record<Listed, Record<string, { from: string; by: string }>>> = {
  load_balancer: {
    listeners: { from: 'lbaas.listener', by: 'load_balancer_id' },
    pools: { from: 'lbaas.pool', by: 'load_balancer_id' },
  },
  listener: { l7policies: { from: 'lbaas.l7policy', by: 'listener_id' } },
  pool: {
    // by default or by a policy
    listeners: {
      from: `(select default_pool_id as pool_id, id, created_at from lbaas.listener
              union select p.redirect_pool_id, l.id, l.created_at
                      from lbaas.l7policy p join lbaas.listener l on l.id = p.listener_id)`,
      by: 'pool_id',
    },
    members: { from: 'lbaas.member', by: 'pool_id' },
    health_monitors: { from: 'lbaas.health_monitor', by: 'pool_id' },
  },
  l7policy: { rules: { from: 'lbaas.l7rule', by: 'l7policy_id' } },
}

/** Columns with the ids of what belongs to a row, or uses it, the oldest first, looked up in an index for each row: of
 *  100 load balancers in 0.9 ms. Another round trip for them makes it 1.0; joining them to the page, grouped, takes 0.9
 *  as well, and longer where there are many (of 20,000 a project's 200: 2.7 against 2.1). */
function relationColumns(resource: Listed): string[] {
  return Object.entries(related[resource] ?? {}).map(([relation, { from, by }]) => {
    return `array(select r.id from ${from} r where r.${by} = o.id order by r.created_at, r.id) as related_${relation}`
  })
}

const selects = ofEach(resource => {
  const status = isObserved(resource) ? [`${operating(resource)} as operating_status`] : []
  return `select ${[...shownColumns(resource), ...status, ...relationColumns(resource)].join(', ')}
     from ${source(resource)}`
})

/** The ids of what belongs to a row of a page, or uses it. */
export function relationsIn(resource: Listed, row: Readonly<Record<string, unknown>>): Record<string, string[]> {
  const names = Object.keys(related[resource] ?? {})
  return Object.fromEntries(names.map(name => [name, row[`related_${name}`] as string[]]))
}

/** A statement's parameters, numbered as they come. */
class Sql {
  readonly values: unknown[] = []
  value(value: unknown): string {
    this.values.push(value)
    return `$${this.values.length}`
  }
}

/** Do its objects have an operating status? */
function isObserved(resource: Listed): resource is TreeResource {
  return 'operating_status' in tables[resource].fields
}

function source(resource: Listed): string {
  const rows = `lbaas.${resource} o`
  return isObserved(resource) ? `${rows} left join lbaas.operating_status s on s.object_id = o.id` : rows
}

/** What was never reported on has what it started with. */
function operating(resource: TreeResource): string {
  return `coalesce(s.operating_status, '${initialOperating(resource)}')`
}

function expression(resource: Listed, column: string): string {
  return column === 'operating_status' && isObserved(resource) ? operating(resource) : `o.${column}`
}

const column_types = ofEach(resource => new Map(columnsOf(tables[resource]).map(({ name, type }) => [name, type])))

function filterConditions(sql: Sql, resource: Listed, { filters }: ListQuery): string[] {
  const columns = listColumns(resource)
  const types = column_types.get(resource)!
  return Object.entries(filters).map(([column, values]) => {
    if (column === 'project_id' && resource === 'amphora')
      return `o.load_balancer_id in (select id from lbaas.load_balancer where project_id = any(${sql.value(values.filter(isStorable))}))`
    const relation = related[resource]?.[column]
    if (relation) {
      const { from, by } = relation
      const users = `select ${by} from ${from} u`
      return `o.id in (${users} where id = any(${sql.value(values.filter(isUuid))}::uuid[]))`
    }
    const field = columns.get(column)
    if (!field) throw new Error(`${resource} has no ${column} to filter by`)
    const wanted = values.map(value => comparable(field, value)).filter(value => value !== undefined)
    const type = types.get(column) ?? 'text'
    // of a list one element must equal
    if (field.kind === 'list') return `o.${column} ?| ${sql.value(wanted)}::text[]`
    if (field.kind === 'time') return `date_trunc('second', o.${column}) = any(${sql.value(wanted)}::timestamptz[])`
    return `${expression(resource, column)} = any(${sql.value(wanted)}::${type}[])`
  })
}

/** The value as the column holds it; undefined when no row can have it. */
function comparable(field: Field, value: string): string | number | boolean | undefined {
  switch (field.kind) {
    case 'integer':
      return /^-?\d{1,10}$/.test(value) && Math.abs(Number(value)) <= 2_147_483_647 ? Number(value) : undefined
    case 'decimal':
      return /^\d{1,9}(\.\d{1,9})?$/.test(value) ? Number(value) : undefined
    case 'boolean':
      return /^(true|1)$/i.test(value) ? true : /^(false|0)$/i.test(value) ? false : undefined
    case 'uuid':
      return isUuid(value) ? value : undefined
    case 'ip':
      return canonicalAddress(value) ?? undefined
    case 'cidr':
      return canonicalCidr(value) ?? undefined
    case 'list':
      return comparable(field.options.each!, value)
    case 'map':
    case 'record':
      return isJson(value) ? value : undefined
    case 'time': {
      const instant = new Date(/(Z|[+-]\d\d:?\d\d)$/.test(value) ? value : `${value}Z`)
      return Number.isNaN(instant.getTime()) ? undefined : `${instant.toISOString().slice(0, 19)}Z`
    }
    default:
      return isStorable(value) ? value : undefined
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return isStorable(text) && !text.includes('\\u0000')
  } catch {
    return false
  }
}

function tagConditions(sql: Sql, tags: ListQuery['tags']): string[] {
  const conditions: string[] = []
  const array = (values: string[]) => `${sql.value(values.filter(isStorable))}::text[]`
  if (tags.all.length) conditions.push(`o.tags ?& ${array(tags.all)}`)
  if (tags.any.length) conditions.push(`o.tags ?| ${array(tags.any)}`)
  if (tags.not_all.length) conditions.push(`not o.tags ?& ${array(tags.not_all)}`)
  if (tags.not_any.length) conditions.push(`not o.tags ?| ${array(tags.not_any)}`)
  return conditions
}

/** The sort values of the marker's row. */
async function markerRow(
  pool: pg.Pool,
  resource: Listed,
  { marker, project_id }: ListQuery,
  columns: string[],
): Promise<Record<string, unknown>> {
  const refused = new Rejected('bad_list_option', { option: 'pagination marker', value: String(marker) })
  const key = keyOf(tables[resource])
  if (!(key === 'id' ? isUuid(marker!) : isStorable(marker!))) throw refused
  const { rows } = await pool.query(
    `select ${columns.map(column => `${expression(resource, column)} as ${column}`).join(', ')}
     from ${source(resource)}
     where o.${key} = $1 ${project_id === null ? '' : 'and o.project_id = $2'}`,
    project_id === null ? [marker] : [marker, project_id],
  )
  if (!rows[0]) throw refused
  return rows[0]
}

/** The rows that come after the marker's in this order: later in the first column, or equal there and later in the
 *  second, and so on. Null comes last, in reverse first. */
function after(
  sql: Sql,
  resource: Listed,
  order: readonly { column: string; descending: boolean }[],
  marker: Record<string, unknown>,
): string {
  const equal: string[] = []
  const alternatives: string[] = []
  for (const { column, descending } of order) {
    const left = expression(resource, column)
    const value = marker[column]
    if (value === null || value === undefined) {
      if (descending) alternatives.push([...equal, `${left} is not null`].join(' and '))
      equal.push(`${left} is null`)
    } else {
      const right = sql.value(value)
      const later = descending ? `${left} < ${right}` : `(${left} > ${right} or ${left} is null)`
      alternatives.push([...equal, later].join(' and '))
      equal.push(`${left} = ${right}`)
    }
  }
  return `(${alternatives.map(one => `(${one})`).join(' or ')})`
}
