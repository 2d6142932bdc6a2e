/** Lists and single objects: the query string in the dialect's words to a page of the store, and back. */
import { Rejected } from '../lbaas/errors.ts'
import { keyOf, shown, wireName } from '../lbaas/resource.ts'
import { isSortable, type Listed, type ListQuery, listColumns, page, related, relationsIn } from '../store/lists.ts'
import { tables } from '../store/schema.ts'
import type { Context } from './context.ts'
import { allow, type Caller, ruleOf } from './policy.ts'
import type { Speech } from './speech.ts'

export type Query = Readonly<Record<string, string | string[] | undefined>>

/** The words of a query string that are no filters. */
const reserved = new Set([
  ...['fields', 'limit', 'marker', 'page_reverse', 'sort', 'sort_key', 'sort_dir'],
  ...['tags', 'tags-any', 'not-tags', 'not-tags-any'],
])

/** A list's answer. `within` fixes columns, e.g. the pool of members; `url` is the request's, for the links; `shownAs` is
 *  how the rows are said where the dialect has no words of its own. */
export async function list(
  context: Context,
  caller: Caller,
  speech: Speech,
  resource: Listed,
  query: Query,
  url: URL,
  within: Readonly<Record<string, string>> = {},
  shownAs?: (row: Record<string, unknown>) => Record<string, unknown>,
): Promise<Record<string, unknown>> {
  const declared = tables[resource]
  // What belongs to no project, or below one parent, is for all to see whom its route lets through.
  const is_settled = !('project_id' in declared.fields) || Object.keys(within).length > 0
  const reads_all = is_settled || caller.may(ruleOf(declared, 'get_all-global'), null)
  if (!reads_all) allow(caller, speech.dialect, 'list', declared, '', caller)
  const asked: ListQuery = {
    filters: { ...filtersOf(speech, resource, query), ...fixed(within) },
    tags: 'tags' in tables[resource].fields ? tagsOf(query) : no_tags,
    project_id: reads_all ? null : (caller.project_id ?? ''),
    sort: sortOf(speech, resource, query),
    limit: limitOf(speech, query, context.options.pagination_max_limit),
    marker: values(query.marker)[0] ?? null,
    page_reverse: /^(true|1)$/i.test(values(query.page_reverse)[0] ?? ''),
  }
  const found = await page(context.pool, resource, asked)
  const { plural, links: links_key = `${plural}_links` } = declared
  const objects = shownAs ? found.rows.map(shownAs) : shownRows(speech, resource, found.rows)
  const links = [
    ...(found.has_next ? [link('next', url, asked, found.rows.at(-1)?.[keyOf(declared)])] : []),
    ...(found.has_previous ? [link('previous', url, asked, found.rows[0]?.[keyOf(declared)])] : []),
  ]
  return {
    [plural]: objects.map(object => projected(object, query)),
    ...(links.length || speech.always_links ? { [links_key]: links } : {}),
  }
}

/** One object, by its key, as the dialect shows it; null when it is gone. The caller must have been allowed to see it. */
export async function show(
  context: Context,
  speech: Speech,
  resource: Listed,
  key: string,
  query: Query,
  within: Readonly<Record<string, string>> = {},
): Promise<Record<string, unknown> | null> {
  const one: ListQuery = {
    filters: { [keyOf(tables[resource])]: [key], ...fixed(within) },
    tags: no_tags,
    project_id: null,
    sort: [],
    limit: 1,
    marker: null,
    page_reverse: false,
  }
  const { rows } = await page(context.pool, resource, one)
  const [object] = shownRows(speech, resource, rows)
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

function shownRows(speech: Speech, resource: Listed, rows: Record<string, unknown>[]): Record<string, unknown>[] {
  return rows.map(row => speech.showObject(resource, row, relationsIn(resource, row)))
}

/** What a list of the dialect can be filtered by. */
export function filterNames(speech: Speech, resource: Listed): string[] {
  return [...columnsByName(speech, resource, true).keys()]
}

/** Wire names of what can be sorted by, or also of what only filters, to columns and relations. */
function columnsByName(speech: Speech, resource: Listed, filtering: boolean): Map<string, string> {
  const names = new Map<string, string>()
  // Below a parent the genuine client filters by it once more.
  const { parent } = tables[resource]
  if (filtering && parent?.in_path) names.set(parent.field, parent.field)
  for (const [column, field] of listColumns(resource)) {
    if (!filtering && !isSortable(field)) continue
    // Parents are shown as lists of one, and lists are asked for those of one by either name.
    const plural = parents[column]
    if (plural !== undefined && filtering) names.set(column, column).set(plural, column)
    if (shown(field, speech.dialect) || plural !== undefined) names.set(wireName(column, field), column)
  }
  // amphorae are the service's, and yet are asked for by whom they serve
  if (filtering && resource === 'amphora') names.set('project_id', 'project_id')
  if (filtering)
    for (const relation of Object.keys(related[resource] ?? {})) {
      names.set(relation, relation)
      // a pool's listeners and its one monitor are asked for by id
      if (resource === 'pool' && relation === 'listeners') names.set('listener_id', relation)
      if (resource === 'pool' && relation === 'health_monitors') names.set('healthmonitor_id', relation)
    }
  for (const [alias, name] of Object.entries(speech.aliases)) {
    const column = names.get(name)
    if (column !== undefined) names.set(alias, column)
  }
  return names
}

/** Columns that name a parent, to how objects show it. */
const parents: Readonly<Record<string, string>> = { load_balancer_id: 'loadbalancers', pool_id: 'pools' }

function filtersOf(speech: Speech, resource: Listed, query: Query): Record<string, string[]> {
  const asked = Object.entries(query).filter(([name]) => !reserved.has(name))
  if (asked.length === 0) return {}
  const columns = columnsByName(speech, resource, true)
  const filters: Record<string, string[]> = {}
  for (const [name, given] of asked) {
    const column = columns.get(name)
    if (column === undefined) throw new Rejected('bad_filter', { name: name.slice(0, 100) })
    filters[column] = providerValues(column, values(given))
  }
  return filters
}

/** Clients ask by the provider's alias too. */
function providerValues(column: string, given: string[]): string[] {
  return column === 'provider' ? given.map(name => (name === 'octavia' ? 'amphora' : name)) : given
}

/** `sort=key:dir,…`, or sort_key and sort_dir side by side, repeated or with commas; ascending where nothing is said. */
function sortOf(speech: Speech, resource: Listed, query: Query): ListQuery['sort'] {
  const directions = words(query.sort_dir)
  const pairs = [
    ...words(query.sort).map(word => word.split(':')),
    ...words(query.sort_key).map((key, i) => [key, directions[i]]),
  ]
  if (pairs.length === 0) return []
  const columns = columnsByName(speech, resource, false)
  return pairs.map(([key = '', named = 'asc']) => {
    const direction = named.toLowerCase()
    const column = columns.get(key)
    if (column === undefined) throw new Rejected('bad_list_option', { option: 'sort key', value: key.slice(0, 100) })
    if (direction !== 'asc' && direction !== 'desc')
      throw new Rejected('bad_list_option', { option: 'sort direction', value: named.slice(0, 100) })
    return { column, descending: direction === 'desc' }
  })
}

/** No limit, and 0, mean the most that the deployment gives; to Octavia less, and `infinite`, too. */
function limitOf(speech: Speech, query: Query, most: number): number {
  const [text] = values(query.limit)
  if (text === undefined) return most
  if (speech.dialect === 'octavia' && /^(infinite|-\d{1,9})$/.test(text)) return most
  if (!/^\d{1,9}$/.test(text))
    throw new Rejected('bad_list_option', { option: 'pagination limit', value: text.slice(0, 100) })
  return Math.min(Number(text) || most, most)
}

function projected(object: Record<string, unknown>, query: Query): Record<string, unknown> {
  const wanted = values(query.fields).filter(name => name !== '')
  if (!wanted.length) return object
  return Object.fromEntries(Object.entries(object).filter(([name]) => wanted.includes(name)))
}

function link(rel: 'next' | 'previous', url: URL, query: ListQuery, key: unknown): { rel: string; href: string } {
  const href = new URL(url)
  href.searchParams.set('limit', String(query.limit))
  href.searchParams.set('marker', String(key ?? query.marker))
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
