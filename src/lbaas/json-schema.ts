/** JSON schemas of bodies, from the declarations: what the API's document carries. */
import {
  accepted,
  type Dialect,
  type Field,
  type FieldKind,
  type Fields,
  type Resource,
  shown,
  speaks,
  wireName,
} from './resource.ts'

export type JsonSchema = { readonly [keyword: string]: unknown }

/** The schema of what is inside a request's body, below the resource's key. Requests may also send null for what has a
 *  default, and numbers as strings; what is described is what should be sent. */
export function requestSchema(resource: Resource, method: 'POST' | 'PUT', dialect: Dialect): JsonSchema {
  const fields = entries(resource.fields).filter(([, field]) => accepted(field, method, dialect))
  const required = fields.filter(([, { options }]) => !options.null && !('default' in options))
  return {
    type: 'object',
    additionalProperties: false,
    properties: Object.fromEntries(fields.map(([name, field]) => [wireName(name, field), fieldSchema(field, dialect)])),
    ...(method === 'POST' && required.length
      ? { required: required.map(([name, field]) => wireName(name, field)) }
      : {}),
  }
}

/** The schema of an object's declared fields in answers. */
export function answerSchema(resource: Resource, dialect: Dialect): JsonSchema {
  const fields = entries(resource.fields).filter(([, field]) => shown(field, dialect))
  return {
    type: 'object',
    properties: Object.fromEntries(fields.map(([name, field]) => [wireName(name, field), fieldSchema(field, dialect)])),
  }
}

function fieldSchema(field: Field, dialect: Dialect): JsonSchema {
  const { options } = field
  const schema = { ...kinds[field.kind](field, dialect), description: describe(field) }
  const preset = 'default' in options ? { default: options.default } : {}
  return options.null ? { anyOf: [schema, { type: 'null' }], ...preset } : { ...schema, ...preset }
}

const kinds: Record<FieldKind, (field: Field, dialect: Dialect) => JsonSchema> = {
  string: ({ options }) => ({
    type: 'string',
    ...(options.max_length === undefined ? {} : { maxLength: options.max_length }),
    ...(options.pattern === undefined ? {} : { pattern: options.pattern }),
  }),
  integer: ({ options }) => ({
    type: 'integer',
    ...(options.one_of
      ? { enum: options.one_of }
      : { minimum: options.min ?? -2_147_483_648, maximum: options.max ?? 2_147_483_647 }),
  }),
  decimal: ({ options }) => ({ type: 'number', enum: options.one_of }),
  boolean: () => ({ type: 'boolean' }),
  uuid: () => ({ type: 'string', format: 'uuid' }),
  ip: () => ({ type: 'string', anyOf: [{ format: 'ipv4' }, { format: 'ipv6' }] }),
  cidr: () => ({ type: 'string', pattern: '^[0-9a-fA-F.:]+/[0-9]{1,3}$' }),
  enumeration: ({ options }, dialect) => ({
    type: 'string',
    enum: (dialect === 'neutron' && options.neutron_values) || options.values,
  }),
  map: ({ options }, dialect) => ({ type: 'object', additionalProperties: fieldSchema(options.each!, dialect) }),
  list: ({ options }, dialect) => ({ type: 'array', items: fieldSchema(options.each!, dialect) }),
  record: ({ options }, dialect) => recordSchema(options.record ?? {}, dialect),
  time: () => ({ type: 'string', pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d$' }),
}

function recordSchema(record: Fields, dialect: Dialect): JsonSchema {
  const parts = entries(record).filter(([, part]) => speaks(part, dialect))
  const required = parts.filter(([, { options }]) => !options.null && !('default' in options)).map(([name]) => name)
  return {
    type: 'object',
    additionalProperties: false,
    properties: Object.fromEntries(parts.map(([name, part]) => [name, fieldSchema(part, dialect)])),
    ...(required.length ? { required } : {}),
  }
}

/** The declared sentence, with what else a reader must know. */
function describe({ options }: Field): string {
  const conditions = Object.entries(options.only_for ?? {}).map(
    ([name, values]) => `Only with ${name} ${values.join(', ')}.`,
  )
  const unit = options.unit === undefined ? [] : [`In ${options.unit}.`]
  const since = options.since === undefined ? [] : [`Since version ${options.since}.`]
  return [options.doc, ...unit, ...conditions, ...since].join(' ')
}

function entries(fields: Fields): [string, Field][] {
  return Object.entries(fields)
}
