/** Tokens, discovery, and where the API is willing to listen. */
import { expect, test } from 'vitest'
import { apiForTests, demo, subnet } from './pretended.ts'

const api = apiForTests()

test('without a token, or with one that Keystone does not know, both dialects answer as its middleware does', async () => {
  const { open } = { open: 'The request you have made requires authentication.' }
  for (const call of [api.octavia, api.neutron])
    for (const token of ['', 'forged']) {
      const answer = await call('GET', '/loadbalancers', undefined, { token })
      expect(answer).toMatchObject({
        status: 401,
        body: { error: { code: 401, title: 'Unauthorized', message: open } },
      })
      expect(answer.headers.get('www-authenticate')).toBe('Keystone')
    }
})

test('Keystone is asked once about a token that many requests bring', async () => {
  const before = api.cloud.validations
  const { octavia } = await api.start({})
  await Promise.all(Array.from({ length: 20 }, () => octavia('GET', '/loadbalancers')))
  expect(api.cloud.validations - before).toBe(1)
})

test('versions, health and providers', async () => {
  const versions = (await api.octavia('GET', '=/', undefined, { token: '' })).body as { versions: object[] }
  expect(versions.versions[0]).toMatchObject({ id: 'v2.0', status: 'SUPPORTED' })
  expect(versions.versions.at(-1)).toMatchObject({ id: 'v2.30', status: 'CURRENT', links: [{ rel: 'self' }] })
  for (const call of [api.octavia, api.neutron])
    expect(await call('GET', '=/healthcheck', undefined, { token: '' })).toMatchObject({ status: 200, body: 'OK' })
  expect((await api.octavia('GET', '/providers')).body).toMatchObject({
    providers: [{ name: 'amphora' }, { name: 'octavia' }],
  })
  expect((await api.neutron('GET', '=/v2.0/service-providers')).body).toEqual({
    service_providers: [{ service_type: 'LOADBALANCERV2', name: 'octavia', default: true }],
  })
  expect(await api.octavia('GET', '=/v2/lbaas/loadbalancers/')).toMatchObject({ status: 200 })
})

test('a database that is away is 503, not a defect', async () => {
  const { octavia } = await api.start({})
  const query = api.pool.query
  api.pool.query = (() => Promise.reject(Object.assign(new Error('gone'), { code: 'ECONNREFUSED' }))) as typeof query
  try {
    expect(await octavia('GET', '/loadbalancers')).toMatchObject({
      status: 503,
      body: {
        faultcode: 'Server',
        faultstring: 'The database service is not available at the moment. Please try again.',
      },
    })
    expect(await octavia('GET', '=/healthcheck')).toMatchObject({ status: 503 })
    api.pool.query = (() => Promise.reject(new Error('secret detail'))) as typeof query
    const defect = await octavia('GET', '/loadbalancers')
    expect(defect).toMatchObject({ status: 500, body: { faultstring: expect.stringMatching(/^internal error req-/) } })
  } finally {
    api.pool.query = query
  }
})

test('without authentication it listens on loopback only, and everyone is admin of the project he names', async () => {
  const options = { auth_strategy: 'noauth' } as const
  for (const host of ['0.0.0.0', '::', '192.0.2.1'])
    await expect(api.start(options, { host, port: 0 })).rejects.toThrow(/noauth trusts everyone/)
  const { octavia } = await api.start(options)
  const body = { loadbalancer: { vip_subnet_id: subnet } }
  expect(await octavia('POST', '/loadbalancers', body, { token: '' })).toMatchObject({
    status: 400,
    body: { faultstring: 'Missing project ID in request where one is required.' },
  })
  const headers = { 'x-project-id': demo }
  expect(await octavia('POST', '/loadbalancers', body, { token: '', headers })).toMatchObject({
    status: 201,
    body: { loadbalancer: { project_id: demo } },
  })
})
