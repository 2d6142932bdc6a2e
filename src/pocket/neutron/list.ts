/** Lists of Neutron: filters on every attribute, fields, sorting, pages. */
import { Refusal } from '../service.ts'
import type { Document } from '../store.ts'
import { shown } from './documents.ts'

export type Query = Record<string, string | string[]>

const controls = new Set(['fields', 'limit', 'marker', 'page_reverse', 'sort_key', 'sort_dir'])
const tag_filters = new Set(['tags', 'tags-any', 'not-tags', 'not-tags-any'])

/** `template` is any document of the kind: its keys are the attributes that may be filtered by. */
export function list(plural: string, documents: Document[], query: Query, template: Document, self: string) {
  const filters = Object.entries(query).filter(([key]) => !controls.has(key))
  const known = new Set([...Object.keys(shown(template)), 'project_id', 'tenant_id', 'ip_address'])
  const unknown = filters.map(([key]) => key).filter(key => !known.has(key) && !tag_filters.has(key))
  if (unknown.length > 0)
    throw new Refusal(
      400,
      'HTTPBadRequest',
      `[${unknown.map(key => `'${key}'`).join(', ')}] is invalid attribute for filtering`,
    )
  let found = documents.filter(document => filters.every(([key, value]) => fits(document, key, many(value))))
  found = sorted(found, many(query.sort_key), many(query.sort_dir))
  if (query.limit === undefined) return { [plural]: found.map(document => selected(document, query)) }
  const reverse = String(query.page_reverse).toLowerCase() === 'true'
  const ordered = reverse ? [...found].reverse() : found
  const start = query.marker ? ordered.findIndex(document => document.id === query.marker) + 1 : 0
  const page = ordered.slice(start, start + Number(query.limit))
  const link = (rel: string, marker: string, backwards: boolean) => {
    const search = new URLSearchParams()
    for (const [key, value] of Object.entries(query))
      if (key !== 'marker' && key !== 'page_reverse') for (const one of many(value)) search.append(key, one)
    search.append('marker', marker)
    if (backwards) search.append('page_reverse', 'True')
    return { rel, href: `${self}?${search}` }
  }
  const shownPage = reverse ? page.reverse() : page
  const links = []
  if (shownPage.length > 0 && (reverse ? query.marker : start + Number(query.limit) < ordered.length))
    links.push(link('next', shownPage.at(-1)!.id, false))
  if (shownPage.length > 0) links.push(link('previous', shownPage[0]!.id, true))
  return { [plural]: shownPage.map(document => selected(document, query)), [`${plural}_links`]: links }
}

/** Only the fields that were asked for. */
export function selected(document: Document, query: Query): Record<string, unknown> {
  const fields = many(query.fields)
  const visible = shown(document)
  if (fields.length === 0) return visible
  return Object.fromEntries(Object.entries(visible).filter(([key]) => fields.includes(key)))
}

export function many(value: string | string[] | undefined): string[] {
  if (value === undefined) return []
  return Array.isArray(value) ? value : [value]
}

function fits(document: Document, key: string, wanted: string[]): boolean {
  if (key === 'fixed_ips') return wanted.every(pair => fitsFixedIp(document, pair))
  if (tag_filters.has(key)) return fitsTags(document, key, wanted.join(',').split(','))
  const value = document[key]
  return wanted.some(text => {
    if (Array.isArray(value)) return value.some(one => String(one) === text)
    if (typeof value === 'boolean') return String(value) === text.toLowerCase() || text === (value ? '1' : '0')
    return String(value ?? '') === (text === 'null' && value === null ? '' : text)
  })
}

function fitsFixedIp(document: Document, pair: string): boolean {
  const [key, value] = pair.split('=')
  const ips = (document.fixed_ips ?? []) as Record<string, string>[]
  return ips.some(ip => ip[key!] === value)
}

function fitsTags(document: Document, key: string, wanted: string[]): boolean {
  const tags = (document.tags ?? []) as string[]
  const any = wanted.some(tag => tags.includes(tag))
  const every = wanted.every(tag => tags.includes(tag))
  return { tags: every, 'tags-any': any, 'not-tags': !every, 'not-tags-any': !any }[key] as boolean
}

function sorted(documents: Document[], keys: string[], directions: string[]): Document[] {
  if (keys.length === 0) return documents
  return [...documents].sort((a, b) => {
    for (const [index, key] of keys.entries()) {
      const order = String(a[key] ?? '').localeCompare(String(b[key] ?? ''))
      if (order !== 0) return directions[index] === 'desc' ? -order : order
    }
    return 0
  })
}
