/** Health monitors over HTTP, in both dialects: as genuine clients send them, and what is refused. */
import { beforeAll, describe, expect, test } from 'vitest'
import { apiForTests, applyAll, demo } from './pretended.ts'
import { type Body, bad, refusalsOf } from './refusals.ts'

const api = apiForTests()
const { ids, refused } = refusalsOf(api)
const monitor = (fields: object) => ({
  healthmonitor: { pool_id: ids.pool2, type: 'HTTP', delay: 5, timeout: 3, max_retries: 2, ...fields },
})
let id = ''

describe('a monitor', () => {
  beforeAll(async () => {
    // Numbers come as strings, as the genuine neutron client sends them.
    const fields = { pool_id: ids.pool, type: 'HTTP', delay: '5', timeout: '3', max_retries: '2', admin_state_up: true }
    const answer = await api.neutron('POST', '/healthmonitors', { healthmonitor: fields })
    expect(answer).toMatchObject({ status: 201 })
    id = String((answer.body as Body).healthmonitor!.id)
  })

  const known = () => ({
    id,
    project_id: demo,
    name: '',
    type: 'HTTP',
    delay: 5,
    timeout: 3,
    max_retries: 2,
    max_retries_down: 3,
    http_method: 'GET',
    url_path: '/',
    expected_codes: '200',
    admin_state_up: true,
    pools: [{ id: ids.pool }],
    provisioning_status: 'PENDING_CREATE',
    operating_status: 'OFFLINE',
  })

  test('is shown in both forms', async () => {
    expect((await api.neutron('GET', `/healthmonitors/${id}`)).body).toEqual({
      healthmonitor: { ...known(), tenant_id: demo },
    })
    expect((await api.octavia('GET', `/healthmonitors/${id}`)).body).toEqual({
      healthmonitor: {
        ...known(),
        http_version: null,
        domain_name: null,
        tags: [],
        created_at: expect.any(String),
        updated_at: null,
      },
    })
  })

  test('is known by its pool, and listed', async () => {
    for (const call of [api.octavia, api.neutron]) {
      expect((await call('GET', `/pools/${ids.pool}`)).body).toMatchObject({ pool: { healthmonitor_id: id } })
      expect((await call('GET', `/pools?id=${ids.pool}`)).body).toMatchObject({ pools: [{ healthmonitor_id: id }] })
      expect((await call('GET', '/healthmonitors?type=HTTP&fields=id')).body).toMatchObject({
        healthmonitors: [{ id }],
      })
      expect((await call('GET', '/healthmonitors?type=TCP')).body).toMatchObject({ healthmonitors: [] })
      expect((await call('GET', '/healthmonitors', undefined, { token: 'other' })).body).toMatchObject({
        healthmonitors: [],
      })
    }
  })

  test('is in the tree of statuses', async () => {
    await applyAll(api.pool)
    const status = { id, name: '', type: 'HTTP', provisioning_status: 'ACTIVE' }
    const statuses = async (call: typeof api.octavia) =>
      (await call('GET', `/loadbalancers/${ids.lb}/statuses`)).body as {
        statuses: { loadbalancer: { listeners: { pools: Record<string, unknown>[] }[] } }
      }
    const { statuses: octavia } = await statuses(api.octavia)
    expect(octavia.loadbalancer.listeners[0]!.pools[0]!.health_monitor).toEqual({
      ...status,
      operating_status: 'ONLINE',
    })
    const { statuses: neutron } = await statuses(api.neutron)
    expect(neutron.loadbalancer.listeners[0]!.pools[0]!.healthmonitor).toEqual(status)
    expect(neutron.loadbalancer.listeners[0]!.pools[0]).not.toHaveProperty('health_monitor')
  })

  test('is changed, with its pool pending', async () => {
    const put = async (call: typeof api.octavia, fields: object) => {
      const answer = await call('PUT', `/healthmonitors/${id}`, { healthmonitor: fields })
      expect(answer).toMatchObject({ status: 200 })
      return (answer.body as Body).healthmonitor
    }
    expect(await put(api.neutron, { delay: '7', url_path: '/up' })).toMatchObject({ delay: 7, url_path: '/up' })
    expect(await put(api.octavia, { http_version: 1.1, domain_name: 'a.example', url_path: null })).toMatchObject({
      http_version: 1.1,
      domain_name: 'a.example',
      url_path: '/',
      provisioning_status: 'PENDING_UPDATE',
    })
    expect((await api.octavia('GET', `/pools/${ids.pool}`)).body).toMatchObject({
      pool: { provisioning_status: 'PENDING_UPDATE' },
    })
  })

  test('goes, and another can take its place at once', async () => {
    expect(await api.neutron('DELETE', `/healthmonitors/${id}`)).toMatchObject({ status: 204 })
    const again = await api.octavia('POST', '/healthmonitors', monitor({ pool_id: ids.pool, type: 'PING' }))
    expect(again).toMatchObject({ status: 201, body: { healthmonitor: { http_method: null, url_path: null } } })
    const next = (again.body as Body).healthmonitor!.id
    expect((await api.octavia('GET', `/pools/${ids.pool}`)).body).toMatchObject({ pool: { healthmonitor_id: next } })
    await applyAll(api.pool)
    expect(await api.octavia('GET', `/healthmonitors/${id}`)).toMatchObject({
      status: 404,
      body: { faultstring: `Health Monitor ${id} not found.` },
    })
    expect(await api.neutron('GET', `/healthmonitors/${id}`)).toMatchObject({
      status: 404,
      body: { NeutronError: { type: 'EntityNotFound', message: `healthmonitor ${id} could not be found` } },
    })
  })
})

describe('refused', () => {
  test('a second one, exactly', async () => {
    const { rows } = await api.pool.query('select id from lbaas.health_monitor where pool_id = $1', [ids.pool])
    await refused('POST', '/healthmonitors', monitor({ pool_id: ids.pool }), {
      octavia: [409, 'This pool already has a health monitor'],
      neutron: [
        409,
        'OneHealthMonitorPerPool',
        `Only one health monitor per pool allowed.  Pool ${ids.pool} is already using Health Monitor ${rows[0].id}.`,
      ],
    })
  })

  test.each([
    [
      { url_path: 'up' },
      /^Invalid input for field\/attribute url_path. Value: 'up'. Value should match/,
      /^Invalid input for url_path. Reason: 'up' is not a valid input/,
    ],
    [{ url_path: '/a b' }, /url_path/, /url_path/],
    [{ url_path: '/a\nb' }, /url_path/, /url_path/],
    [{ url_path: '//' }, null, null],
    [{ expected_codes: '200, 404' }, null, null],
    [{ expected_codes: '200-299' }, null, null],
    [{ expected_codes: '200-' }, /expected_codes/, /expected_codes/],
    [{ expected_codes: '200\n404' }, /expected_codes/, /expected_codes/],
    [{ expected_codes: '200,\n404' }, /expected_codes/, /expected_codes/],
    [{ http_method: 'BREW' }, /should be one of: CONNECT, DELETE/, /'BREW' is not in \['CONNECT'/],
    [{ type: 'POKE' }, /should be one of: HTTP, HTTPS/, /'POKE' is not in \['HTTP', 'HTTPS', 'PING', 'TCP'\]/],
    [{ max_retries: 11 }, /lower or equal to 10/, /'11' is too large - must be no larger than '10'/],
    [{ max_retries_down: 0 }, /greater or equal to 1/, /'0' is too small/],
    [{ delay: -1 }, /greater or equal to 0/, /'-1' is too small/],
    [{ timeout: null }, /timeout. Value: 'None'. Mandatory field missing/, /attribute 'timeout' not specified/],
    [{ http_version: 2 }, /should be one of: 1.0, 1.1/, /Unrecognized attribute\(s\) 'http_version'/],
    [{ domain_name: '-x' }, /domain_name/, /Unrecognized/],
    [{ colour: 'red' }, /^Unknown attribute for argument healthmonitor: colour$/, /Unrecognized/],
    [{ type: 'TCP', url_path: '/' }, /^url_path is not a valid option for health monitors of type TCP$/, /url_path/],
    [{ pool_id: 'x' }, /UUID/, /'x' is not a valid UUID/],
  ])('%j', async (fields, octavia, neutron) => {
    for (const [call, expected] of [
      [api.octavia, octavia],
      [api.neutron, neutron],
    ] as const) {
      const answer = await call('POST', '/healthmonitors', monitor(fields))
      if (expected === null) {
        expect(answer).toMatchObject({ status: 201, body: { healthmonitor: fields } })
        await api.octavia('DELETE', `/healthmonitors/${(answer.body as Body).healthmonitor!.id}`)
        continue
      }
      expect(answer).toMatchObject({ status: 400 })
      const body = answer.body as { faultstring?: string; NeutronError?: { message: string } }
      expect(body.faultstring ?? body.NeutronError!.message).toMatch(expected)
    }
  })

  test('a pool that is not there, or not for him', async () => {
    const nowhere = '99999999-9999-4999-8999-999999999999'
    await refused('POST', '/healthmonitors', monitor({ pool_id: nowhere }), {
      octavia: [404, `Pool ${nowhere} not found.`],
      neutron: [404, 'EntityNotFound', `pool ${nowhere} could not be found`],
    })
    await refused('POST', '/healthmonitors', monitor({ pool_id: ids.foreign_pool }), {
      octavia: [403, 'Policy does not allow this request to be performed.'],
      neutron: [404, 'EntityNotFound', `pool ${ids.foreign_pool} could not be found`],
    })
  })

  test('beyond the quota, in either spelling', async () => {
    const { octavia, neutron } = await api.start({ quotas: { ...api.options.quotas, health_monitor: 0 } })
    expect(await octavia('POST', '/healthmonitors', monitor({}))).toMatchObject({
      status: 403,
      body: { faultstring: 'Quota has been met for resources: Health Monitor' },
    })
    expect(await neutron('POST', '/healthmonitors', monitor({}))).toMatchObject({
      status: 409,
      body: { NeutronError: { type: 'OverQuota', message: "Quota exceeded for resources: ['healthmonitor']." } },
    })
    const token = 'admin'
    for (const name of ['healthmonitor', 'health_monitor'])
      expect(await octavia('PUT', `/quotas/${demo}`, { quota: { [name]: 7 } }, { token })).toMatchObject({
        body: { quota: { healthmonitor: 7, health_monitor: 7 } },
      })
    await octavia('DELETE', `/quotas/${demo}`, undefined, { token })
  })

  test('PING where the operator does not allow it', async () => {
    const { octavia, neutron } = await api.start({ ping_allowed: false })
    const text = 'The selected type is not allowed in this deployment: PING'
    expect(await octavia('POST', '/healthmonitors', monitor({ type: 'PING' }))).toMatchObject({
      status: 400,
      body: { faultstring: text },
    })
    const [status, type, message] = bad(text)
    expect(await neutron('POST', '/healthmonitors', monitor({ type: 'PING' }))).toMatchObject({
      status,
      body: { NeutronError: { type, message } },
    })
  })
})
