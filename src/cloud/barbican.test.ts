/** Refs: what they name, and that none leads anywhere but to the catalogue's Barbican. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Barbican, parseRef } from './barbican.ts'
import { CloudError, type CloudRequest, type OpenStack } from './openstack.ts'

const id = '0f3a2c1e-5a6b-4c7d-8e9f-001122334455'

test.each([
  [`http://10.0.0.1:9311/v1/secrets/${id}`, { kind: 'secret', id }],
  [`https://keys.example/key-manager/v1/containers/${id}/`, { kind: 'container', id }],
  [id.toUpperCase(), { kind: 'container', id }],
  ['', null],
  [`http://x/v1/orders/${id}`, null],
  [`http://x/v1/secrets/${id}/payload`, null],
  [`http://x/v1/secrets/${id}?x=1`, null],
  [`http://x/v1/secrets/${id}#x`, null],
  [`ftp://x/v1/secrets/${id}`, null],
  [`http://x/v1/secrets/..%2f${id}`, null],
  [`../${id}`, null],
])('%s', (ref, expected) => {
  expect(parseRef(ref)).toEqual(expected)
})

test('what is asked for has the form of a secret or a container, whatever the ref', async () => {
  const asked: string[] = []
  const os = {
    request: async (_service: string, _method: string, path: string, _options: CloudRequest) => {
      asked.push(path)
      return { status: 200, headers: {}, body: { secret_refs: [], content_types: {} } }
    },
  } as unknown as OpenStack
  const barbican = new Barbican(os)
  const parts = fc.constantFrom(
    'http://',
    'x',
    '/',
    'v1',
    'secrets',
    'containers',
    id,
    '..',
    '?',
    '#',
    '@',
    '%2f',
    '\n',
    ':',
  )
  const refs = fc.oneof(
    fc.string(),
    fc.webUrl(),
    fc.array(parts, { maxLength: 12 }).map(list => list.join('')),
  )
  await fc.assert(
    fc.asyncProperty(refs, async ref => {
      const parsed = parseRef(ref)
      if (parsed?.kind === 'container') await barbican.container(parsed.id)
      if (parsed?.kind === 'secret') await expect(barbican.payload(parsed.id)).rejects.toThrow(CloudError)
    }),
    { numRuns: 2000, examples: [[`http://x/v1/secrets/${id}`], [id]] },
  )
  expect(asked.length).toBeGreaterThan(1)
  for (const path of asked) expect(path).toMatch(/^\/(secrets|containers)\/[0-9a-f-]{36}$/)
})

test('takes only as long as a ref is long to see that it is none', () => {
  const started = performance.now()
  parseRef(`http://x/${'a/'.repeat(50_000)}!`)
  parseRef(`http://x/${'secrets/'.repeat(20_000)}`)
  expect(performance.now() - started).toBeLessThan(2_000)
})
