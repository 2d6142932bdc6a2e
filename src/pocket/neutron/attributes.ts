/** The attributes of Neutron's resources as a request may carry them: which, when, by whom, and in which form. */
import type { Identity } from '../keystone/tokens.ts'
import { Refusal } from '../service.ts'
import { canonical, canonicalPrefix, isAddress, isPrefix } from './addresses.ts'

/** What one attribute allows. `check` answers with the value to keep, or throws the words of what is wrong with it. */
export type Attribute = {
  check: (value: unknown) => unknown
  post?: boolean
  put?: boolean
  /** Only an admin may set it. */
  admin?: boolean
  required?: boolean
}

export type Attributes = Record<string, Attribute>

/** The checked attributes of the request's body. Refuses with 400 in Neutron's words, 403 for what only admins may set.
 *  `project_id` is always among those of a POST. */
export function readBody(
  identity: Identity,
  sent: unknown,
  resource: string,
  attributes: Attributes,
  method: 'post' | 'put',
): Record<string, unknown> {
  const body = (sent as Record<string, unknown> | null | undefined)?.[resource]
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw badRequest(`Unable to find '${resource}' in request body`)
  const given = body as Record<string, unknown>
  const strange = Object.keys(given).filter(name => !Object.hasOwn(attributes, name) && !projectNames.includes(name))
  if (strange.length > 0) throw badRequest(`Unrecognized attribute(s) '${strange.join(', ')}'`)
  const values: Record<string, unknown> = {}
  for (const [name, attribute] of Object.entries(attributes)) {
    if (!Object.hasOwn(given, name)) {
      if (attribute.required && method === 'post')
        throw badRequest(`Failed to parse request. Required attribute '${name}' not specified`)
      continue
    }
    if (!attribute[method]) throw badRequest(`Attribute '${name}' not allowed in ${method.toUpperCase()}`)
    if (attribute.admin && !identity.admin) throw notAuthorized(resource, method, name)
    values[name] = checked(name, attribute, given[name])
  }
  if (method === 'post') values.project_id = projectFor(identity, resource, given)
  else if (projectNames.some(name => Object.hasOwn(given, name)))
    throw badRequest("Attribute 'project_id' not allowed in PUT")
  return values
}

export function badRequest(message: string): Refusal {
  return new Refusal(400, 'HTTPBadRequest', message)
}

export function notAuthorized(resource: string, method: 'post' | 'put', name: string): Refusal {
  const rule = `${method === 'post' ? 'create' : 'update'}_${resource}`
  return new Refusal(403, 'PolicyNotAuthorized', `(rule:${rule} and rule:${rule}:${name}) is disallowed by policy`)
}

const projectNames = ['project_id', 'tenant_id']

/** Whose the new object is: the asker's project, or any when an admin says so. */
function projectFor(identity: Identity, resource: string, given: Record<string, unknown>): string {
  const wanted = given.project_id ?? given.tenant_id
  const own = identity.project_id
  if (wanted === undefined || wanted === own) {
    if (own === null) throw new Refusal(403, 'PolicyNotAuthorized', 'The token is not for a project')
    return own
  }
  if (typeof wanted !== 'string' || wanted === '')
    throw badRequest('Invalid input for project_id. Reason: not a string.')
  if (!identity.admin) throw notAuthorized(resource, 'post', 'tenant_id')
  return wanted
}

function checked(name: string, attribute: Attribute, value: unknown): unknown {
  try {
    return attribute.check(value)
  } catch (error) {
    if (error instanceof Plainly) throw badRequest(error.message)
    if (error instanceof Wrong) throw badRequest(`Invalid input for ${name}. Reason: ${error.message}.`)
    throw error
  }
}

class Wrong extends Error {}
/** Said without naming the attribute, as Neutron does in a few places. */
class Plainly extends Error {}

export function text(max = 255): Attribute['check'] {
  return value => {
    if (typeof value !== 'string') throw new Wrong(`${python(value)} is not a valid string`)
    if (value.length > max) throw new Wrong(`'${value.slice(0, max)}' exceeds maximum length of ${max}`)
    if (value.includes('\0')) throw new Wrong('a null character is not allowed')
    return value
  }
}

export function truth(value: unknown): boolean {
  if (value === true || (typeof value === 'string' && /^(true|1)$/i.test(value)) || value === 1) return true
  if (value === false || (typeof value === 'string' && /^(false|0)$/i.test(value)) || value === 0) return false
  throw new Wrong(`${python(value)} cannot be converted to boolean`)
}

export function integer(min: number, max: number): Attribute['check'] {
  return value => {
    const number = typeof value === 'string' && /^-?\d+$/.test(value) ? Number(value) : value
    if (typeof number !== 'number' || !Number.isInteger(number)) throw new Wrong(`${python(value)} is not an integer`)
    if (number < min) throw new Wrong(`'${number}' is too small - must be at least '${min}'`)
    if (number > max) throw new Wrong(`'${number}' is too large - must be no larger than '${max}'`)
    return number
  }
}

export function uuid(value: unknown): string {
  if (typeof value !== 'string' || !isUuid(value)) throw new Wrong(`${python(value)} is not a valid UUID`)
  return value.toLowerCase()
}

export function isUuid(value: string): boolean {
  return /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i.test(value)
}

export function orNull(check: Attribute['check']): Attribute['check'] {
  return value => (value === null ? null : check(value))
}

export function oneOf(...allowed: string[]): Attribute['check'] {
  return value => {
    if (typeof value === 'string' && allowed.includes(value)) return value
    throw new Wrong(`${python(value)} is not in ${python(allowed)}`)
  }
}

export function listOf(check: Attribute['check'], max = 1000): Attribute['check'] {
  return value => {
    if (!Array.isArray(value)) throw new Wrong(`${python(value)} is not a list`)
    if (value.length > max) throw new Wrong(`more than ${max} items`)
    return value.map(check)
  }
}

export function address(value: unknown): string {
  if (typeof value !== 'string' || !isAddress(value)) throw new Wrong(`${python(value)} is not a valid IP address`)
  return canonical(value)
}

export function mac(value: unknown): string {
  if (typeof value !== 'string' || !/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(value))
    throw new Wrong(`${python(value)} is not a valid MAC address`)
  return value.toLowerCase()
}

export function prefix(value: unknown): string {
  if (typeof value !== 'string' || !isPrefix(value)) throw new Wrong(`${python(value)} is not a valid IP subnet`)
  return canonicalPrefix(value)
}

/** An object with no other keys than these, each optional. */
export function shape(checks: Record<string, Attribute['check']>): Attribute['check'] {
  return value => {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new Wrong(`${python(value)} is not a dictionary`)
    const entries = Object.entries(value)
    const strange = entries.map(([key]) => key).filter(key => !Object.hasOwn(checks, key))
    if (strange.length > 0) throw new Wrong(`Expected keys not found or unexpected: ${python(strange)}`)
    return Object.fromEntries(entries.map(([key, inner]) => [key, checks[key]!(inner)]))
  }
}

/** A text or a whole number; digits are a number however they come, as clients send ports and protocols as both. */
export function scalar(value: unknown): unknown {
  if (typeof value === 'string') return /^\d{1,9}$/.test(value) ? Number(value) : value
  if (typeof value === 'number' && Number.isInteger(value)) return value
  throw new Wrong(`${python(value)} is neither a text nor a number`)
}

/** It becomes a word of the machine's commands. */
export function interfaceName(value: unknown): string {
  if (typeof value === 'string' && /^[a-z][a-z0-9._-]{0,14}$/.test(value)) return value
  throw new Wrong(`${python(value)} is not the name of an interface`)
}

export function anyObject(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Wrong(`${python(value)} is not a dictionary`)
  return value
}

/** An allowed address pair: an address or a prefix, and a MAC. */
export function addressPair(value: unknown): unknown {
  const pair = shape({ ip_address: v => v, mac_address: mac })(value) as { ip_address?: unknown; mac_address?: string }
  const ip = pair.ip_address
  if (typeof ip !== 'string' || !isPrefix(ip)) throw new Plainly(`${python(ip)} is not a valid IP address`)
  return { ...pair, ip_address: isAddress(ip) ? canonical(ip) : canonicalPrefix(ip) }
}

/** How Python prints it: Neutron's messages quote values so. */
function python(value: unknown): string {
  if (value === null || value === undefined) return 'None'
  if (value === true) return 'True'
  if (value === false) return 'False'
  if (typeof value === 'string') return `'${value}'`
  if (Array.isArray(value)) return `[${value.map(python).join(', ')}]`
  if (typeof value === 'object')
    return `{${Object.entries(value)
      .map(([k, v]) => `'${k}': ${python(v)}`)
      .join(', ')}}`
  return String(value)
}
