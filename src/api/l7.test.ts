/** L7 policies and rules over the API, in both dialects. */
import { beforeAll, describe, expect, test } from 'vitest'
import { apiForTests, applyAll, type Call, subnet } from './pretended.ts'

const api = apiForTests()
const ids = {} as Record<'lb' | 'listener' | 'pool' | 'policy' | 'rule', string>
type Body = Record<string, Record<string, unknown>>

async function made(call: Call, path: string, body: Body): Promise<Record<string, unknown>> {
  const answer = await call('POST', path, body)
  expect(answer).toMatchObject({ status: 201 })
  return Object.values(answer.body as Body)[0]!
}

beforeAll(async () => {
  ids.lb = String((await made(api.octavia, '/loadbalancers', { loadbalancer: { vip_subnet_id: subnet } })).id)
  const listener = { loadbalancer_id: ids.lb, protocol: 'HTTP', protocol_port: 80 }
  ids.listener = String((await made(api.octavia, '/listeners', { listener })).id)
  const pool = { loadbalancer_id: ids.lb, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' }
  ids.pool = String((await made(api.octavia, '/pools', { pool })).id)
})

test('a policy and its rules are made, and shown by what they belong to', async () => {
  const l7policy = { listener_id: ids.listener, name: 'p', action: 'REDIRECT_TO_POOL', redirect_pool_id: ids.pool }
  const policy = await made(api.octavia, '/l7policies', { l7policy })
  ids.policy = String(policy.id)
  expect(policy).toEqual({
    ...{ id: ids.policy, name: 'p', description: '', project_id: 'demo-project', listener_id: ids.listener },
    ...{ action: 'REDIRECT_TO_POOL', redirect_pool_id: ids.pool, redirect_url: null, redirect_prefix: null },
    ...{ redirect_http_code: null, position: 1, rules: [], admin_state_up: true, tags: [], updated_at: null },
    ...{ provisioning_status: 'PENDING_CREATE', operating_status: 'OFFLINE', created_at: policy.created_at },
  })
  const rule = { type: 'HEADER', compare_type: 'EQUAL_TO', key: 'X-A', value: 'b', invert: true }
  const shown = await made(api.octavia, `/l7policies/${ids.policy}/rules`, { rule })
  ids.rule = String(shown.id)
  expect(shown).toEqual({
    ...{ id: ids.rule, project_id: 'demo-project', admin_state_up: true, tags: [], updated_at: null, ...rule },
    ...{ provisioning_status: 'PENDING_CREATE', operating_status: 'OFFLINE', created_at: shown.created_at },
  })
  const { body } = await api.octavia('GET', `/listeners/${ids.listener}`)
  expect(body).toMatchObject({ listener: { l7policies: [{ id: ids.policy }] } })
  expect((await api.octavia('GET', `/l7policies/${ids.policy}`)).body).toMatchObject({
    l7policy: { rules: [{ id: ids.rule }] },
  })
  expect((await api.octavia('GET', `/pools/${ids.pool}`)).body).toMatchObject({
    pool: { listeners: [{ id: ids.listener }] },
  })
})

test('in the neutron dialect they have a status, and stand in the tree of statuses', async () => {
  await applyAll(api.pool)
  const { body } = await api.neutron('GET', `/l7policies/${ids.policy}/rules/${ids.rule}`)
  expect(body).toMatchObject({ rule: { key: 'X-A', tenant_id: 'demo-project', status: 'ACTIVE' } })
  const statuses = await api.neutron('GET', `/loadbalancers/${ids.lb}/statuses`)
  const [listener] = (statuses.body as { statuses: { loadbalancer: { listeners: object[] } } }).statuses.loadbalancer
    .listeners
  expect(listener).toMatchObject({
    l7policies: [{ id: ids.policy, name: 'p', rules: [{ id: ids.rule, type: 'HEADER' }] }],
    pools: [{ id: ids.pool }],
  })
  const octavia = await api.octavia('GET', `/loadbalancers/${ids.lb}/status`)
  expect(JSON.stringify(octavia.body)).not.toContain('l7policies')
})

test('lists and filters', async () => {
  const list = async (path: string) => (await api.octavia('GET', path)).body as Record<string, { id: string }[]>
  expect((await list(`/l7policies?listener_id=${ids.listener}`)).l7policies).toHaveLength(1)
  expect((await list('/l7policies?action=REJECT')).l7policies).toEqual([])
  expect((await list(`/l7policies/${ids.policy}/rules?type=HEADER&fields=id`)).rules).toEqual([{ id: ids.rule }])
  expect((await list(`/l7policies/${ids.policy}/rules?type=PATH`)).rules).toEqual([])
})

describe('refusals', () => {
  const errors = async (method: string, path: string, body?: Body) => {
    const [octavia, neutron] = [await api.octavia(method, path, body), await api.neutron(method, path, body)]
    const { faultstring } = octavia.body as { faultstring: string }
    const { type, message } = (neutron.body as Body).NeutronError as { type: string; message: string }
    return [octavia.status, faultstring, neutron.status, type, message]
  }
  test('a pool in use', async () => {
    expect(await errors('DELETE', `/pools/${ids.pool}`)).toEqual([
      ...[409, `Pool ${ids.pool} is in use by L7 policy ${ids.policy}`],
      ...[409, 'EntityInUse', `l7policy ${ids.policy} is using this pool`],
    ])
  })
  test('a rule that is not of the policy', async () => {
    const l7policy = { listener_id: ids.listener, action: 'REJECT' }
    const { id } = await made(api.neutron, '/l7policies', { l7policy })
    expect(await errors('GET', `/l7policies/${id}/rules/${ids.rule}`)).toEqual([
      ...[404, `L7 Rule ${ids.rule} not found.`],
      ...[404, 'RuleNotFoundForL7Policy', `Rule ${ids.rule} could not be found in l7 policy ${id}.`],
    ])
  })
  test('a rule without its key', async () => {
    const rule = { type: 'COOKIE', compare_type: 'EQUAL_TO', value: 'x' }
    expect(await errors('POST', `/l7policies/${ids.policy}/rules`, { rule })).toEqual([
      ...[400, 'Validation failure: Invalid L7 Rule: L7 rule type requires a key'],
      ...[404, 'L7RuleKeyMissing'],
      'Rule key is missing. Key should be specified for rules of HEADER and COOKIE types.',
    ])
  })
  test('an expression that is none', async () => {
    const rule = { type: 'PATH', compare_type: 'REGEX', value: '[' }
    const [status, text, neutron, type] = await errors('POST', `/l7policies/${ids.policy}/rules`, { rule })
    expect([status, neutron, type]).toEqual([400, 400, 'L7RuleInvalidRegex'])
    expect(text).toMatch(/^Validation failure: Unable to parse regular expression: ./)
  })
  test('another project sees nothing of them', async () => {
    const options = { token: 'other' }
    const foreign = await api.octavia('GET', `/l7policies/${ids.policy}/rules`, undefined, options)
    expect(foreign.status).toBe(403)
    expect((await api.octavia('GET', '/l7policies', undefined, options)).body).toMatchObject({ l7policies: [] })
    const listener_id = ids.listener
    const body = { l7policy: { listener_id, action: 'REJECT' } }
    expect((await api.octavia('POST', '/l7policies', body, options)).status).toBe(403)
  })
})

test('quotas count them', async () => {
  await api.octavia('PUT', '/quotas/demo-project', { quota: { l7policy: 2, l7rule: 1 } }, { token: 'admin' })
  const body = { l7policy: { listener_id: ids.listener, action: 'REJECT' } }
  expect(await api.octavia('POST', '/l7policies', body)).toMatchObject({
    status: 403,
    body: { faultstring: 'Quota has been met for resources: L7 Policy' },
  })
  const rule = { type: 'PATH', compare_type: 'EQUAL_TO', value: '/' }
  expect(await api.octavia('POST', `/l7policies/${ids.policy}/rules`, { rule })).toMatchObject({ status: 403 })
})
