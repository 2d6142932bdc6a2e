/** The schemas of bodies: of every resource's objects, of what makes and changes them, and of refusals. */
import { isRecord } from '../../lbaas/check.ts'
import { allRefusals } from '../../lbaas/errors.ts'
import { answerSchema, type JsonSchema, requestSchema } from '../../lbaas/json-schema.ts'
import { accepted, type Resource, stateOf, wireName } from '../../lbaas/resource.ts'
import type { Listed } from '../../store/lists.ts'
import { tables } from '../../store/schema.ts'
import type { Speech } from '../speech.ts'

/** Named schemas of the resources: the object, and where it has such, what makes it, within another, and changes it. */
export function resourceSchemas(speech: Speech, resources: readonly Resource[]): Record<string, JsonSchema> {
  const { dialect } = speech
  const schemas: Record<string, JsonSchema> = {}
  for (const resource of resources) {
    const name = nameOf(resource)
    schemas[name] = resource.name === 'quota' ? quotaSchema(speech, resource) : shownSchema(speech, resource)
    const fields = Object.values(resource.fields)
    if (resource.name !== 'quota' && fields.some(field => accepted(field, 'POST', dialect))) {
      schemas[`${name}Create`] = withNested(speech, resource, requestSchema(resource, 'POST', dialect))
      if (dialect === 'octavia' && 'parent' in resource) schemas[`${name}Within`] = within(speech, resource)
    }
    if (fields.some(field => accepted(field, 'PUT', dialect)))
      schemas[`${name}Update`] = requestSchema(resource, 'PUT', dialect)
  }
  return schemas
}

/** Its name among the schemas. */
export function nameOf({ title }: Resource): string {
  return title.replaceAll(' ', '')
}

export function ref(name: string): JsonSchema {
  return { $ref: `#/components/schemas/${name}` }
}

/** A JSON body with these keys at its root, all of them there. */
export function body(description: string, properties: Record<string, JsonSchema>): JsonSchema {
  const schema = { type: 'object', properties, required: Object.keys(properties) }
  return { description, content: { 'application/json': { schema } } }
}

/** Status to the response that lists every refusal with it, each with its rule and its text. */
export function refusals(speech: Speech): Record<string, JsonSchema> {
  const by_status = new Map<number, Record<string, JsonSchema>>()
  for (const refusal of allRefusals()) {
    const { status, body } = speech.showError(refusal)
    const examples = by_status.get(status) ?? {}
    examples[refusal.code] = { summary: refusal.rule, value: body }
    by_status.set(status, examples)
  }
  return Object.fromEntries(
    [...by_status].map(([status, examples]) => {
      const schema = ref(status === 401 ? 'KeystoneError' : 'Error')
      return [
        `Refused${status}`,
        { description: reasons[status] ?? 'Refused.', content: { 'application/json': { schema, examples } } },
      ]
    }),
  )
}

export const error_schemas = {
  octavia: text({ faultcode: { enum: ['Client', 'Server'] }, faultstring: {}, debuginfo: { type: 'null' } }),
  neutron: {
    type: 'object',
    properties: { NeutronError: text({ type: {}, message: {}, detail: {} }) },
    required: ['NeutronError'],
  },
  keystone: {
    type: 'object',
    properties: { error: text({ code: { type: 'integer' }, title: {}, message: {} }) },
    required: ['error'],
  },
} as const satisfies Record<string, JsonSchema>

const reasons: Readonly<Record<number, string>> = {
  400: 'The request is wrong in itself.',
  401: 'Keystone does not know the token.',
  403: 'The policy, or a quota, does not let the caller do this.',
  404: 'It is not there, or not for the caller.',
  409: 'What is there now does not allow it.',
  413: 'The body is too large.',
  415: 'The body is not JSON.',
  500: 'An error of ours; the log has more under its id.',
  501: 'The provider cannot do this.',
  503: 'Something that is needed does not answer now; try again.',
}

/** The declared fields, and what the dialect shows besides: the ids of what belongs to an object. */
function shownSchema(speech: Speech, resource: Resource): JsonSchema {
  const declared = answerSchema(resource, speech.dialect)
  const properties = declared.properties as Record<string, JsonSchema>
  const related: Record<string, JsonSchema> = {}
  for (const [name, value] of Object.entries(speech.showObject(resource.name as Listed, {}, {})))
    if (!(name in properties))
      related[name] = Array.isArray(value)
        ? { type: 'array', items: text({ id: { format: 'uuid' } }), description: 'Their ids.' }
        : { type: ['string', 'null'] }
  return { ...declared, properties: { ...properties, ...related } }
}

/** Quotas are shown in older spellings too; in Neutron in those alone. */
function quotaSchema({ dialect }: Speech, resource: Resource): JsonSchema {
  const { properties, ...schema } = answerSchema(resource, dialect)
  const limits = properties as Record<string, JsonSchema>
  const { load_balancer, health_monitor, project_id, ...others } = limits
  const older = { loadbalancer: load_balancer, healthmonitor: health_monitor }
  return {
    ...schema,
    properties:
      dialect === 'octavia' ? { ...limits, ...older } : { project_id, tenant_id: project_id, ...others, ...older },
  }
}

function withNested(speech: Speech, resource: Resource, schema: JsonSchema): JsonSchema {
  if (speech.dialect !== 'octavia' || !resource.nested) return schema
  const nested = Object.entries(resource.nested).map(([key, { of, many }]) => {
    const one = ref(`${nameOf(tables[of])}Within`)
    const description = `${many ? 'Made' : 'One, made'} with it.${of === 'pool' ? ' A name alone refers to the pool of that name in the same request.' : ''}`
    return [key, many ? { type: 'array', items: one, description } : { anyOf: [one, { type: 'null' }], description }]
  })
  return { ...schema, properties: { ...(schema.properties as object), ...Object.fromEntries(nested) } }
}

/** What makes it as a part of another's body: without what follows from where it stands. */
function within(speech: Speech, resource: Resource): JsonSchema {
  const schema = withNested(speech, resource, requestSchema(resource, 'POST', speech.dialect))
  const follows = new Set(['project_id', resource.parent?.field ?? ''])
  for (const [name, field] of Object.entries(resource.fields))
    if (stateOf(field) === 'request' || follows.has(name)) follows.add(name).add(wireName(name, field))
  const kept = Object.entries(schema.properties as object).filter(([name]) => !follows.has(name))
  const required = ((schema.required ?? []) as string[]).filter(name => !follows.has(name))
  // A pool may be there as a name alone.
  const needed = resource.name === 'pool' || required.length === 0 ? {} : { required }
  const { required: _, ...rest } = schema
  return { ...rest, properties: Object.fromEntries(kept), ...needed }
}

/** An object of these keys, texts unless said otherwise. */
export function text(keys: Record<string, JsonSchema>): JsonSchema {
  const properties = Object.entries(keys).map(([key, schema]) => {
    const typed = isRecord(schema) && ('type' in schema || 'enum' in schema || '$ref' in schema || 'anyOf' in schema)
    return [key, typed ? schema : { type: 'string', ...schema }]
  })
  return { type: 'object', properties: Object.fromEntries(properties), required: Object.keys(keys) }
}
