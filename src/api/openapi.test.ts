/** The document says what the checks do: schemas and checks agree on bodies. */
import fc from 'fast-check'
import { fastify } from 'fastify'
import { expect, test } from 'vitest'
import { checkFields } from '../lbaas/check.ts'
import { Rejected } from '../lbaas/errors.ts'
import { requestSchema } from '../lbaas/json-schema.ts'
import { accepted, type Dialect, type Field, type Resource, wireName } from '../lbaas/resource.ts'
import { sampleId } from '../lbaas/sample.ts'
import { tables } from '../store/schema.ts'
import { apiForTests } from './pretended.ts'

const api = apiForTests()

/** Values that are right for a field, or nearly so. */
function valueFor(field: Field): fc.Arbitrary<unknown> {
  const { options } = field
  const near = {
    string: fc.oneof(fc.string(), fc.constantFrom('x'.repeat(256), '/ok?a=1', '200,202', '200-299', 'a.example')),
    integer: fc.constantFrom(
      options.min ?? 0,
      (options.min ?? 0) - 1,
      options.max ?? 7,
      (options.max ?? 7) + 1,
      0,
      80,
      1.5,
    ),
    decimal: fc.constantFrom(...(options.one_of ?? []), 2, 0.5),
    boolean: fc.boolean(),
    uuid: fc.constantFrom(sampleId(1), 'x'),
    ip: fc.constantFrom('10.0.0.1', 'fd00::1', '10.0.0.256', 'x'),
    cidr: fc.constantFrom('10.0.0.0/8', 'fd00::/64', '10.0.0.0'),
    enumeration: fc.constantFrom(...(options.values ?? []), 'x'),
    map: fc.dictionary(fc.string(), fc.constantFrom('true', 1)),
    list: fc.array(options.each ? fc.constantFrom('10.0.0.0/8', 'fd00::/64', 5) : fc.string()),
    record: fc
      .record({ type: fc.constantFrom('SOURCE_IP', 'x', 5) }, { requiredKeys: [] })
      .filter(one => 'type' in one),
    time: fc.string(),
  }[field.kind]
  return fc.oneof({ weight: 6, arbitrary: near as fc.Arbitrary<unknown> }, fc.constant({ odd: [] }))
}

test.each(['octavia', 'neutron'] as const)('schemas and checks agree (%s)', async dialect => {
  for (const resource of [
    'load_balancer',
    'listener',
    'pool',
    'member',
    'health_monitor',
    'flavor',
    'flavor_profile',
  ] as const)
    for (const method of ['POST', 'PUT'] as const) await agree(tables[resource], method, dialect)
})

async function agree(resource: Resource, method: 'POST' | 'PUT', dialect: Dialect): Promise<void> {
  const app = fastify({ ajv: { customOptions: { coerceTypes: false, removeAdditional: false, useDefaults: false } } })
  app.post('/', { schema: { body: requestSchema(resource, method, dialect) } }, async () => 'ok')
  const named = Object.entries(resource.fields).filter(([, field]) => accepted(field, method, dialect))
  const values = Object.fromEntries(named.map(([name, field]) => [wireName(name, field), valueFor(field)]))
  const body = fc.oneof(
    { weight: 5, arbitrary: fc.record(values, { requiredKeys: [] }) },
    fc.record({ ...values, colour: fc.string() }, { requiredKeys: ['colour'] }),
  )
  await fc.assert(
    fc.asyncProperty(body, async given => {
      const { statusCode } = await app.inject({ method: 'POST', url: '/', payload: { ...given } })
      expect([given, statusCode === 200]).toEqual([
        given,
        isAccepted(() => checkFields(resource, method, dialect, given)),
      ])
    }),
    { numRuns: 60 },
  )
  await app.close()
}

function isAccepted(check: () => unknown): boolean {
  try {
    check()
    return true
  } catch (error) {
    if (error instanceof Rejected) return false
    throw error
  }
}

test('the document is served to anyone, and names every collection', async () => {
  const { status, body } = await api.octavia('GET', '=/openapi.json', undefined, { token: '' })
  expect(status).toBe(200)
  const { paths } = body as { paths: Record<string, Record<string, unknown>> }
  const collections = ['loadbalancers', 'listeners', 'pools', 'healthmonitors', 'l7policies'].concat([
    'l7policies/{l7policy_id}/rules',
    'pools/{pool_id}/members',
  ])
  const pairs = (names: string[]) => names.flatMap(path => [`/v2.0/lbaas/${path}`, `/v2.0/lbaas/${path}/{id}`])
  expect(Object.keys(paths)).toEqual([
    ...pairs([...collections, 'flavors', 'flavorprofiles']),
    '/v2.0/lbaas/loadbalancers/{id}/failover',
    ...['', '/{id}', '/{id}/failover'].map(path => `/v2.0/octavia/amphorae${path}`),
  ])
  const { body: neutron } = await api.neutron('GET', '=/openapi.json', undefined, { token: '' })
  expect(Object.keys((neutron as { paths: object }).paths)).toEqual(pairs(collections))
  expect(JSON.stringify(paths)).not.toMatch(/"certificate"|security_group_id|generation/)
})
