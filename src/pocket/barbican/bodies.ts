/** What requests to Barbican may say. Refusals name the field, never what stood in it: it may be a key. */
import type { FastifyRequest } from 'fastify'
import { Refusal } from '../service.ts'

export type Check = (value: unknown) => boolean

/** The body's fields, checked. `what` is Barbican's name of the attempt, `schema` of the object. Fields that are not
 *  described are passed over, as Barbican does, unless the object is `closed`. */
export function checkedBody(
  request: FastifyRequest,
  schema: { what: string; name: string; fields: Record<string, Check>; required?: string[]; closed?: boolean },
): Record<string, unknown> {
  const type = (request.headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase()
  if (type !== 'application/json')
    throw new Refusal(415, 'unsupported', "Unexpected content type. Expected content types are: ['application/json']")
  const wrong = (field: string) => invalid(schema.what, schema.name, `'${field}' is not what it must be`, field)
  const { body } = request
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw wrong('type')
  const given = body as Record<string, unknown>
  for (const field of schema.required ?? []) if (given[field] === undefined) throw wrong('required')
  for (const [field, value] of Object.entries(given)) {
    const check = Object.hasOwn(schema.fields, field) ? schema.fields[field] : undefined
    if (check ? !check(value) : schema.closed) throw wrong(check ? field : 'additionalProperties')
  }
  return given
}

/** Barbican's words for an object that breaks its schema. */
export function invalid(what: string, schema: string, reason: string, property: string): Refusal {
  return new Refusal(
    400,
    'badRequest',
    `${what} issue seen - Provided object does not match schema '${schema}': ${reason}. Invalid property: '${property}'.`,
  )
}

/** A text that can be stored: PostgreSQL's JSON has neither NUL nor halves of characters. */
export function isText(longest: number, shortest = 0): Check {
  return value =>
    typeof value === 'string' &&
    value.length >= shortest &&
    value.length <= longest &&
    !value.includes('\0') &&
    value.isWellFormed()
}

export function orNull(check: Check): Check {
  return value => value === null || check(value)
}

export function oneOf(...words: unknown[]): Check {
  return value => words.includes(value)
}
