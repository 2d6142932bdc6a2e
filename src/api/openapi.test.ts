/** The document says what the API does: schemas and checks agree on bodies; every route, field and refusal is in it. */
import path from 'node:path'
import { Validator } from '@seriousme/openapi-schema-validator'
import fc from 'fast-check'
import { fastify } from 'fastify'
import { beforeAll, describe, expect, test } from 'vitest'
import { checkFields } from '../lbaas/check.ts'
import { allRefusals, Rejected } from '../lbaas/errors.ts'
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
    'availability_zone',
    'availability_zone_profile',
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

describe.each(['octavia', 'neutron'] as const)('the document of the %s dialect', dialect => {
  type Document = {
    paths: Record<string, Record<string, { operationId?: string }>>
    components: { schemas: object; responses: Record<string, { content: Record<string, { examples: object }> }> }
  }
  let document: Document
  beforeAll(async () => {
    const { status, body } = await api[dialect]('GET', '=/openapi.json', undefined, { token: '' })
    expect(status).toBe(200)
    document = body as Document
  })

  test('is the one that is checked in', async () => {
    const file = path.join(import.meta.dirname, `../../docs/tenants/openapi-${dialect}.json`)
    await expect(`${JSON.stringify(document, null, 1)}\n`).toMatchFileSnapshot(file)
  })

  test('is valid OpenAPI 3.1', async () => {
    const validator = new Validator()
    const { valid, errors } = await validator.validate(structuredClone(document))
    expect({ valid, errors }).toEqual({ valid: true, errors: undefined })
    expect(validator.version).toBe('3.1')
    expect(() => validator.resolveRefs()).not.toThrow()
  })

  test('has every route of the running server, and no other', () => {
    const nameless = (route: string) => route.replace(/:\w+|\{\w+\}/g, '{}')
    const served = api.api.routes[dialect].filter(route => !route.includes(' /v2/'))
    const methods = (of: object) => Object.keys(of).filter(method => method !== 'parameters')
    const described = Object.entries(document.paths).flatMap(([path, of]) =>
      methods(of).map(method => `${method.toUpperCase()} ${path}`),
    )
    expect(described.map(nameless).toSorted()).toEqual(served.map(nameless).toSorted())
  })

  test('names every operation once, and every refusal with its status and form', () => {
    const names = Object.values(document.paths).flatMap(of => Object.values(of).flatMap(one => one.operationId ?? []))
    expect(new Set(names).size).toBe(names.length)
    const listed = Object.values(document.components.responses).flatMap(response =>
      Object.keys(response.content['application/json']!.examples),
    )
    expect(listed.toSorted()).toEqual(
      allRefusals()
        .map(one => one.code)
        .toSorted(),
    )
    const form = dialect === 'octavia' ? 'faultstring' : 'NeutronError'
    expect(document.components.responses.Refused409!.content['application/json']).toMatchObject({
      schema: { $ref: '#/components/schemas/Error' },
      examples: { in_use: { value: { [form]: expect.anything() } } },
    })
  })

  test('tells nothing that is the machinery’s own', () => {
    expect(JSON.stringify(document.components.schemas)).not.toMatch(
      /"certificate":|security_group_id|generation|config_due/,
    )
  })
})

describe('the page of reference', () => {
  test.each(['octavia', 'neutron'] as const)(
    'is served by the %s dialect, from its own files, under a strict policy',
    async dialect => {
      const get = (path: string) => api[dialect]('GET', `=${path}`, undefined, { token: '' })
      const page = await get('/docs')
      expect(page.status).toBe(200)
      expect(page.headers.get('content-type')).toMatch(/^text\/html/)
      const policy = page.headers.get('content-security-policy')!
      expect(policy).toMatch(/^default-src 'none'; script-src 'self';/)
      expect(policy).not.toMatch(/unsafe|https?:|\*/)
      expect(page.body).not.toMatch(/https?:|<script>|<style|style=/)
      const named = [...String(page.body).matchAll(/(?:src|href)="(\/[^"]+)"/g)].map(match => match[1]!)
      expect(named).toHaveLength(3)
      for (const path of named) {
        const file = await get(path)
        expect(file.status).toBe(200)
        expect(file.headers.get('content-type')).toMatch(/javascript|css/)
        expect(String(file.body).length).toBeGreaterThan(100)
      }
      for (const path of ['/docs/package.json', '/docs/..%2fpackage.json', '/docs/constructor'])
        expect((await get(path)).status).toBe(404)
    },
  )
})
