/** Checks what a request says against the declaration, and fills in the defaults. */
import { canonicalAddress, canonicalCidr } from './address.ts'
import { Rejected } from './errors.ts'
import { accepted, type Dialect, type Field, type Fields, type Resource, shown, speaks, wireName } from './resource.ts'

type Json = Readonly<Record<string, unknown>>

/** The fields of a POST or PUT under their row names: of a POST all that it may set, of a PUT those that it named.
 *  Null means the default, where there is one. `known` are fields that follow from where the body stands: it may not
 *  name them. Throws Rejected in terms of the dialect. */
export function checkFields(
  resource: Resource,
  method: 'POST' | 'PUT',
  dialect: Dialect,
  body: unknown,
  known: Json = {},
): Record<string, unknown> {
  if (!isRecord(body))
    throw new Rejected('bad_body', {
      root: resource.singular,
      value: shorten(body),
      detail: 'Value should be an object',
    })
  refuseUnknown(resource, method, dialect, body, known)
  const fields: Record<string, unknown> = { ...known }
  for (const [name, field] of Object.entries(resource.fields)) {
    if (name in known) continue
    const wire = wireName(name, field)
    const given = accepted(field, method, dialect) ? body[wire] : undefined
    if (method === 'POST') {
      // What only the other dialect can set gets its default here too.
      const settable = accepted(field, 'POST', 'octavia') || accepted(field, 'POST', 'neutron')
      if (settable) fields[name] = valueOr(field, given ?? null, dialect, wire, true)
    } else if (given !== undefined) fields[name] = valueOr(field, given, dialect, wire, false)
  }
  return fields
}

/** Refuses fields that the row's other fields do not allow: see `only_for`. */
export function refuseMisplaced(resource: Resource, row: Json): void {
  const [misplaced] = misplacedFields(resource, row)
  if (misplaced) throw new Rejected('not_allowed_with', misplaced)
}

/** The fields (under their wire names) that the values of others do not allow: see `only_for`. */
export function misplacedFields(resource: Resource, row: Json): { field: string; other: string; value: string }[] {
  return Object.entries(resource.fields).flatMap(([name, field]) =>
    Object.entries(field.options.only_for ?? {})
      .filter(([other, values]) => !isEmpty(row[name], field) && !values.includes(String(row[other])))
      .map(([other]) => ({ field: wireName(name, field), other, value: String(row[other]) })),
  )
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** PostgreSQL keeps neither NUL nor half a surrogate pair. */
export function isStorable(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed()
}

export function isUuid(text: string): boolean {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(text)
}

function refuseUnknown(resource: Resource, method: 'POST' | 'PUT', dialect: Dialect, body: Json, known: Json): void {
  const declared = Object.entries(resource.fields).filter(([name]) => !(name in known))
  const by_wire = new Map(declared.map(([name, field]) => [wireName(name, field), field]))
  const unknown = Object.keys(body).filter(key => {
    const field = by_wire.get(key)
    return !field || !speaks(field, dialect) || !(accepted(field, method, dialect) || isVisible(field, dialect))
  })
  const root = resource.singular
  if (unknown.length) throw new Rejected('unknown_attributes', { root, names: listed(unknown) })
  for (const name of Object.keys(body))
    if (!accepted(by_wire.get(name)!, method, dialect))
      throw new Rejected('read_only_attribute', { root, name, method })
}

function isVisible(field: Field, dialect: Dialect): boolean {
  return shown(field, dialect) || accepted(field, 'POST', dialect)
}

function valueOr(field: Field, given: unknown, dialect: Dialect, name: string, is_post: boolean): unknown {
  if (given !== null) return checkValue(field, given, dialect, name)
  if ('default' in field.options) return copied(field.options.default)
  if (field.options.null) return null
  if (is_post) throw new Rejected('required_attribute', { name })
  throw bad(name, null, 'Value may not be null', "'None' is not allowed")
}

function checkValue(field: Field, value: unknown, dialect: Dialect, name: string): unknown {
  switch (field.kind) {
    case 'string':
      return checkString(field, value, name)
    case 'integer':
      return checkInteger(field, value, name)
    case 'decimal':
      return checkDecimal(field, value, name)
    case 'boolean':
      return checkBoolean(value, name)
    case 'uuid':
      if (typeof value === 'string' && isUuid(value)) return value.toLowerCase()
      throw bad(name, value, 'Value should be UUID format', `'${shorten(value)}' is not a valid UUID`)
    case 'ip':
      return (
        canonical(canonicalAddress, value) ??
        refuse(name, value, 'Value should be IPv4 or IPv6 format', `'${shorten(value)}' is not a valid IP address`)
      )
    case 'cidr':
      return (
        canonical(canonicalCidr, value) ??
        refuse(name, value, 'Value should be IPv4 or IPv6 CIDR format', `'${shorten(value)}' is not a valid IP subnet`)
      )
    case 'enumeration':
      return checkEnumeration(field, value, dialect, name)
    case 'list':
      if (Array.isArray(value)) return value.map(one => checkElement(field.options.each!, one, dialect, name))
      throw bad(name, value, 'Value should be a list', `'${shorten(value)}' is not a list`)
    case 'map':
      return checkMap(field, value, dialect, name)
    case 'record':
      return checkRecord(field.options.record!, value, dialect, name)
    case 'time':
      throw new Error(`${name} is not for requests`)
  }
}

/** An empty object is none, so in a list there is none either. */
function checkElement(field: Field, value: unknown, dialect: Dialect, name: string): unknown {
  const checked = checkValue(field, value, dialect, name)
  if (checked !== null) return checked
  throw bad(name, value, 'Value may not be null', "'None' is not allowed")
}

function checkString({ options }: Field, value: unknown, name: string): string {
  if (typeof value !== 'string' || !isStorable(value))
    throw bad(name, value, 'Value should be string', `'${shorten(value)}' is not a valid string`)
  if (options.max_length !== undefined && [...value].length > options.max_length)
    throw bad(
      name,
      value,
      `Value should have a maximum character requirement of ${options.max_length}`,
      `'${shorten(value)}' exceeds maximum length of ${options.max_length}`,
    )
  if (options.pattern !== undefined && !new RegExp(options.pattern, 'u').test(value))
    throw bad(
      name,
      value,
      `Value should match the pattern ${options.pattern}`,
      `'${shorten(value)}' is not a valid input`,
    )
  return value
}

/** Clients send numbers as strings too: the genuine neutron client always does. */
function checkInteger({ options }: Field, value: unknown, name: string): number {
  const number = typeof value === 'string' && /^[+-]?\d{1,15}$/.test(value) ? Number(value) : value
  if (typeof number !== 'number' || !Number.isSafeInteger(number))
    throw bad(name, value, 'Value should be an integer', `'${shorten(value)}' is not an integer`)
  if (options.one_of && !options.one_of.includes(number)) throw notOneOf(name, value, options.one_of.map(String))
  const { min = -2_147_483_648, max = 2_147_483_647 } = options
  if (number < min)
    throw bad(
      name,
      value,
      `Value should be greater or equal to ${min}`,
      `'${number}' is too small - must be at least '${min}'`,
    )
  if (number > max)
    throw bad(
      name,
      value,
      `Value should be lower or equal to ${max}`,
      `'${number}' is too large - must be no larger than '${max}'`,
    )
  return number
}

function checkDecimal({ options }: Field, value: unknown, name: string): number {
  const number = typeof value === 'string' && /^\d{1,3}(\.\d{1,3})?$/.test(value) ? Number(value) : value
  if (typeof number === 'number' && options.one_of!.includes(number)) return number
  throw notOneOf(
    name,
    value,
    options.one_of!.map(one => one.toFixed(1)),
  )
}

function notOneOf(name: string, value: unknown, allowed: string[]): Rejected {
  const list = allowed.join(', ')
  return bad(name, value, `Value should be one of: ${list}`, `'${shorten(value)}' is not in [${list}]`)
}

function checkBoolean(value: unknown, name: string): boolean {
  const word = typeof value === 'string' ? value.toLowerCase() : value
  if (word === true || word === 1 || word === 'true') return true
  if (word === false || word === 0 || word === 'false') return false
  throw bad(name, value, 'Value should be a boolean', `'${shorten(value)}' cannot be converted to boolean`)
}

function checkEnumeration({ options }: Field, value: unknown, dialect: Dialect, name: string): unknown {
  const values = (dialect === 'neutron' && options.neutron_values) || options.values!
  if (typeof value === 'string' && values.includes(value)) return value
  const list = values.map(one => `'${one}'`).join(', ')
  throw bad(name, value, `Value should be one of: ${values.join(', ')}`, `'${shorten(value)}' is not in [${list}]`)
}

function checkMap({ options }: Field, value: unknown, dialect: Dialect, name: string): Record<string, unknown> {
  if (!isRecord(value)) throw bad(name, value, 'Value should be a map', `'${shorten(value)}' is not a dictionary`)
  const entries = Object.entries(value).map(([key, one]) => {
    if (key.length > 255 || !isStorable(key))
      throw bad(name, key, 'Value should be string', `'${shorten(key)}' is not a valid string`)
    return [key, checkValue(options.each!, one, dialect, name)] as const
  })
  return Object.fromEntries(entries)
}

/** Parts of a record are checked as fields are; an empty record is none (so Neutron's clients clear one). */
function checkRecord(parts: Fields, value: unknown, dialect: Dialect, name: string): Record<string, unknown> | null {
  if (!isRecord(value)) throw bad(name, value, 'Value should be an object', `'${shorten(value)}' is not a dictionary`)
  if (Object.keys(value).length === 0) return null
  const unknown = Object.keys(value).filter(key => !(key in parts && speaks(parts[key]!, dialect)))
  if (unknown.length) throw new Rejected('unknown_attributes', { root: name, names: listed(unknown) })
  const checked: Record<string, unknown> = {}
  for (const [key, part] of Object.entries(parts)) {
    const given = speaks(part, dialect) ? value[key] : undefined
    checked[key] = valueOr(part, given ?? null, dialect, key, true)
  }
  return checked
}

function canonical(spell: (text: string) => string | null, value: unknown): string | null {
  return typeof value === 'string' ? spell(value) : null
}

function isEmpty(value: unknown, field: Field): boolean {
  if (value === null || value === undefined || value === field.options.default) return true
  return typeof value === 'object' && Object.keys(value).length === 0
}

/** Defaults are shared by all requests; rows are not. */
function copied(value: unknown): unknown {
  if (Array.isArray(value)) return [...value]
  return isRecord(value) ? { ...value } : value
}

function refuse(name: string, value: unknown, octavia: string, neutron: string): never {
  throw bad(name, value, octavia, neutron)
}

function bad(name: string, value: unknown, octavia: string, neutron: string): Rejected {
  return new Rejected('bad_value', { name, value: shorten(value), octavia, neutron })
}

/** What the tenant sent, short enough to be said back. */
function shorten(value: unknown): string {
  const text = typeof value === 'string' ? value : asJson(value)
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}

/** JSON nests as deep as a body is long; saying it back may not. */
function asJson(value: unknown): string {
  if (value === null || value === undefined) return 'None'
  try {
    return JSON.stringify(value)
  } catch {
    return '…'
  }
}

/** The first few of what may be thousands. */
function listed(names: readonly string[]): string {
  const few = names.slice(0, 10).map(shorten)
  return [...few, ...(names.length > few.length ? ['…'] : [])].join(', ')
}
