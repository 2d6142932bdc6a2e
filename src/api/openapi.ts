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
  const { load_balancer, listener, pool, health_monitor, member } = tables
  const collections: [Resource, string][] = [
    ...[load_balancer, listener, pool, health_monitor].map((one): [Resource, string] => [one, `${prefix}/${one.path}`]),
    [member, `${prefix}/pools/{pool_id}/members`],
  ]
  return {
    openapi: '3.1.0',
    info: {
      title: `ottavia: the ${dialect === 'octavia' ? 'Octavia v2' : 'neutron-lbaas v2'} dialect`,
      version: '2.5',
    },
    paths: Object.fromEntries(
      collections.flatMap(([resource, path]) => [
        [path, collection(resource, dialect)],
        [`${path}/{id}`, single(resource, dialect)],
      ]),
    ),
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

function json(description: string, properties: JsonSchema): JsonSchema {
  const schema = { type: 'object', properties, required: Object.keys(properties) }
  return { ...(description ? { description } : {}), content: { 'application/json': { schema } } }
}
