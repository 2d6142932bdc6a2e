/** Lists and single objects: the query string in the dialect's words to a page of the store, and back. */
import { Rejected } from '../lbaas/errors.ts'
import { shown, wireName } from '../lbaas/resource.ts'
import { type Listed, type ListQuery, listColumns, page, relations } from '../store/lists.ts'
import { tables } from '../store/schema.ts'
import type { Context } from './context.ts'
import type { Caller } from './identity.ts'
import { allow } from './policy.ts'
import type { Related, Speech } from './speech.ts'

export type Query = Readonly<Record<string, string | string[] | undefined>>

/** The words of a query string that are no filters. */
const reserved = new Set([
  ...['fields', 'limit', 'marker', 'page_reverse', 'sort', 'sort_key', 'sort_dir'],
  ...['tags', 'tags-any', 'not-tags', 'not-tags-any'],
])

/** A list's answer. `within` fixes columns, e.g. the pool of members; `url` is the request's, for the links. */
export async function list(
  context: Context,
  caller: Caller,
  speech: Speech,
  resource: Listed,
  query: Query,
  url: URL,
  within: Readonly<Record<string, string>> = {},
): Promise<Record<string, unknown>> {
  const { rights } = caller
  // What belongs to no project is for all to see whom its route lets through.
  const is_shared = !('project_id' in tables[resource].fields)
  const reads_all = is_shared || rights.read_all || (resource === 'member' && rights.read_members)
  if (!reads_all) allow(caller, speech.dialect, 'read', tables[resource], '', { project_id: caller.project_id ?? '' })
  const asked: ListQuery = {
    filters: { ...filtersOf(speech, resource, query), ...fixed(within) },
    tags: 'tags' in tables[resource].fields ? tagsOf(query) : no_tags,
    project_id: reads_all ? null : (caller.project_id ?? ''),
    sort: sortOf(speech, resource, query),
    limit: limitOf(query, context.options.pagination_max_limit),
    marker: values(query.marker)[0] ?? null,
    page_reverse: /^(true|1)$/i.test(values(query.page_reverse)[0] ?? ''),
  }
  const found = await page(context.pool, resource, asked)
  const { plural } = tables[resource]
  const objects = await shownRows(context, speech, resource, found.rows)
  const links = [
    ...(found.has_next ? [link('next', url, asked, found.rows.at(-1))] : []),
    ...(found.has_previous ? [link('previous', url, asked, found.rows[0])] : []),
  ]
  return {
    [plural]: objects.map(object => projected(object, query)),
    ...(links.length || speech.always_links ? { [`${plural}_links`]: links } : {}),
  }
}

/** One object as the dialect shows it; null when it is gone. The caller must have been allowed to see it. */
export async function show(
  context: Context,
  speech: Speech,
  resource: Listed,
  id: string,
  query: Query,
  within: Readonly<Record<string, string>> = {},
): Promise<Record<string, unknown> | null> {
  const one: ListQuery = {
    filters: { id: [id], ...fixed(within) },
    tags: no_tags,
    project_id: null,
    sort: [],
    limit: 1,
    marker: null,
    page_reverse: false,
  }
  const { rows } = await page(context.pool, resource, one)
  const [object] = await shownRows(context, speech, resource, rows)
  return object ? projected(object, query) : null
}

const no_tags: ListQuery['tags'] = { all: [], any: [], not_all: [], not_any: [] }

function tagsOf(query: Query): ListQuery['tags'] {
  return {
    all: words(query.tags),
    any: words(query['tags-any']),
    not_all: words(query['not-tags']),
    not_any: words(query['not-tags-any']),
  }
}

async function shownRows(
  context: Context,
  speech: Speech,
  resource: Listed,
  rows: Record<string, unknown>[],
): Promise<Record<string, unknown>[]> {
  const related = await relations(
    context.pool,
    resource,
    rows.map(row => String(row.id)),
  )
  return rows.map(row => {
    const own: Related = Object.fromEntries(
      Object.entries(related).map(([relation, ids]) => [relation, ids.get(String(row.id)) ?? []]),
    )
    return speech.showObject(resource, row, own)
  })
}

/** Wire names of what can be filtered and sorted by, to columns. */
function columnsByName(speech: Speech, resource: Listed): Map<string, string> {
  const names = new Map<string, string>()
  for (const [column, field] of listColumns(resource)) {
    // Parents are not shown, and yet lists are asked for those of one.
    const is_parent = column === tables[resource].parent?.field
    if (shown(field, speech.dialect) || is_parent) names.set(wireName(column, field), column)
  }
  for (const [alias, name] of Object.entries(speech.aliases)) {
    const column = names.get(name)
    if (column !== undefined) names.set(alias, column)
  }
  return names
}

function filtersOf(speech: Speech, resource: Listed, query: Query): Record<string, string[]> {
  const columns = columnsByName(speech, resource)
  const filters: Record<string, string[]> = {}
  for (const [name, given] of Object.entries(query)) {
    if (reserved.has(name)) continue
    const column = columns.get(name)
    if (column === undefined) {
      if (speech.refuses_unknown_filters) throw new Rejected('bad_filter', { name: name.slice(0, 100) })
    } else filters[column] = providerValues(column, values(given))
  }
  return filters
}

/** Clients ask by the provider's alias too. */
function providerValues(column: string, given: string[]): string[] {
  return column === 'provider' ? given.map(name => (name === 'octavia' ? 'amphora' : name)) : given
}

/** `sort=key:dir,…`, or sort_key and sort_dir side by side; the direction is ascending where none is named. */
function sortOf(speech: Speech, resource: Listed, query: Query): ListQuery['sort'] {
  const columns = columnsByName(speech, resource)
  const directions = values(query.sort_dir)
  const pairs = [
    ...words(query.sort).map(word => word.split(':')),
    ...values(query.sort_key).map((key, i) => [key, directions[i]]),
  ]
  return pairs.map(([key = '', direction = 'asc']) => {
    const column = columns.get(key)
    if (column === undefined) throw new Rejected('bad_list_option', { option: 'sort key', value: key.slice(0, 100) })
    if (direction !== 'asc' && direction !== 'desc')
      throw new Rejected('bad_list_option', { option: 'sort direction', value: direction.slice(0, 100) })
    return { column, descending: direction === 'desc' }
  })
}

/** No limit, and 0, mean the most that the deployment gives. */
function limitOf(query: Query, most: number): number {
  const [text] = values(query.limit)
  if (text === undefined) return most
  if (!/^\d{1,9}$/.test(text))
    throw new Rejected('bad_list_option', { option: 'pagination limit', value: text.slice(0, 100) })
  return Math.min(Number(text) || most, most)
}

function projected(object: Record<string, unknown>, query: Query): Record<string, unknown> {
  const wanted = values(query.fields).filter(name => name !== '')
  if (!wanted.length) return object
  return Object.fromEntries(Object.entries(object).filter(([name]) => wanted.includes(name)))
}

function link(
  rel: 'next' | 'previous',
  url: URL,
  query: ListQuery,
  row: Record<string, unknown> | undefined,
): { rel: string; href: string } {
  const href = new URL(url)
  href.searchParams.set('limit', String(query.limit))
  href.searchParams.set('marker', String(row?.id ?? query.marker))
  if (rel === 'previous') href.searchParams.set('page_reverse', 'True')
  else href.searchParams.delete('page_reverse')
  return { rel, href: href.href }
}

function fixed(within: Readonly<Record<string, string>>): Record<string, string[]> {
  return Object.fromEntries(Object.entries(within).map(([column, value]) => [column, [value]]))
}

function values(given: string | string[] | undefined): string[] {
  return given === undefined ? [] : Array.isArray(given) ? given : [given]
}

/** Comma lists, repeatable. */
function words(given: string | string[] | undefined): string[] {
  return values(given)
    .flatMap(value => value.split(','))
    .filter(word => word !== '')
}
