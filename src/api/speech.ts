/** What a dialect is: how bodies are read, how objects, lists and errors are said. */
import type { Rejected } from '../lbaas/errors.ts'
import type { StatusNode } from '../lbaas/operating.ts'
import { type Dialect, type Resource, shown, wireName } from '../lbaas/resource.ts'
import type { Listed } from '../store/lists.ts'

export type Speech = {
  dialect: Dialect
  /** Where its resources are. */
  prefixes: readonly string[]
  /** What is inside a body, its names those of the declarations; Rejected when the body is not one. */
  readBody(resource: Resource, body: unknown): unknown
  showObject(resource: Listed, row: Record<string, unknown>, related: Related): Record<string, unknown>
  showStatuses(tree: StatusNode): unknown
  /** Are there links in a list's answer when there is nothing to link to? */
  always_links: boolean
  /** Is a field there under another name too? */
  aliases: Readonly<Record<string, string>>
  showError(rejected: Rejected): { status: number; body: unknown }
}

/** The ids of what belongs to an object, or uses it. */
export type Related = Readonly<Record<string, readonly string[]>>

/** An object's declared fields, as they are in answers of the dialect. */
export function shownFields(
  resource: Resource,
  row: Record<string, unknown>,
  dialect: Dialect,
  instant: (iso: string) => string,
): Record<string, unknown> {
  const fields: Record<string, unknown> = {}
  for (const { name, wire, is_time } of shownNames(resource, dialect)) {
    const value = row[name] ?? null
    fields[wire] = is_time && typeof value === 'string' ? instant(value) : value
  }
  return fields
}

type Shown = { name: string; wire: string; is_time: boolean }

/** Asked for with every row of every list. */
const shown_names: Record<Dialect, Map<Resource, Shown[]>> = { octavia: new Map(), neutron: new Map() }

function shownNames(resource: Resource, dialect: Dialect): Shown[] {
  const known = shown_names[dialect].get(resource)
  if (known) return known
  const names = Object.entries(resource.fields)
    .filter(([, field]) => shown(field, dialect))
    .map(([name, field]) => ({ name, wire: wireName(name, field), is_time: field.kind === 'time' }))
  shown_names[dialect].set(resource, names)
  return names
}

export function idsOnly(ids: readonly string[] | undefined): { id: string }[] {
  return (ids ?? []).map(id => ({ id }))
}
