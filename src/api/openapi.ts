/** The API's own document: OpenAPI 3.1, from the declarations. */
import type { FastifyInstance } from 'fastify'
import { answerSchema, type JsonSchema, requestSchema } from '../lbaas/json-schema.ts'
import type { Dialect, Resource } from '../lbaas/resource.ts'
import { tables } from '../store/schema.ts'
import type { Speech } from './speech.ts'

/** Serves the document at /openapi.json, without a token. */
export function addOpenapi(app: FastifyInstance, speech: Speech): void {
  const document = openapi(speech.dialect, speech.prefixes[0]!)
  app.get('/openapi.json', { config: { open: true } }, async () => document)
}

function openapi(dialect: Dialect, prefix: string): JsonSchema {
  const { load_balancer, listener, pool, health_monitor, member, l7policy, l7rule, flavor, flavor_profile, amphora } =
    tables
  const at = (one: Resource): [Resource, string] => [one, `${prefix}/${one.path}`]
  const collections = [
    ...[load_balancer, listener, pool, health_monitor, l7policy].map(at),
    [l7rule, `${prefix}/l7policies/{l7policy_id}/rules`] as const,
    [member, `${prefix}/pools/{pool_id}/members`] as const,
    ...(dialect === 'octavia' ? [flavor, flavor_profile].map(at) : []),
  ]
  const amphorae = `${prefix.replace(/lbaas$/, 'octavia')}/${amphora.path}`
  return {
    openapi: '3.1.0',
    info: {
      title: `ottavia: the ${dialect === 'octavia' ? 'Octavia v2' : 'neutron-lbaas v2'} dialect`,
      version: '2.6',
    },
    paths: {
      ...Object.fromEntries(
        collections.flatMap(([resource, path]) => [
          [path, collection(resource, dialect)],
          [`${path}/{id}`, single(resource, dialect)],
        ]),
      ),
      ...(dialect === 'octavia'
        ? {
            [`${prefix}/loadbalancers/{id}/failover`]: { put: failover('Load Balancer') },
            [amphorae]: { get: collection(amphora, dialect).get },
            [`${amphorae}/{id}`]: { get: single(amphora, dialect).get, delete: single(amphora, dialect).delete },
            [`${amphorae}/{id}/failover`]: { put: failover('Amphora') },
          }
        : {}),
    },
  }
}

function collection(resource: Resource, dialect: Dialect): JsonSchema {
  const { title, singular, plural } = resource
  const answer = answerSchema(resource, dialect)
  return {
    get: {
      summary: `${title}: list`,
      responses: { 200: json('What the filters leave.', { [plural]: { type: 'array', items: answer } }) },
    },
    post: {
      summary: `${title}: create`,
      requestBody: json('', { [singular]: requestSchema(resource, 'POST', dialect) }),
      responses: { 201: json('Accepted, and being applied.', { [singular]: answer }) },
    },
  }
}

function single(resource: Resource, dialect: Dialect): JsonSchema {
  const { title, singular } = resource
  const answer = answerSchema(resource, dialect)
  return {
    get: { summary: `${title}: show`, responses: { 200: json('The object.', { [singular]: answer }) } },
    put: {
      summary: `${title}: update`,
      requestBody: json('', { [singular]: requestSchema(resource, 'PUT', dialect) }),
      responses: { 200: json('Accepted, and being applied.', { [singular]: answer }) },
    },
    delete: {
      summary: `${title}: delete`,
      responses: { 204: { description: 'Accepted: it is there until it is taken away.' } },
    },
  }
}

function failover(title: string): JsonSchema {
  return { summary: `${title}: fail over`, responses: { 202: { description: 'Accepted: amphorae are replaced.' } } }
}

function json(description: string, properties: JsonSchema): JsonSchema {
  const schema = { type: 'object', properties, required: Object.keys(properties) }
  return { ...(description ? { description } : {}), content: { 'application/json': { schema } } }
}
