/** Load balancers made whole by one POST, and pools whose members become those of one PUT. */
import { describe, expect, test } from 'vitest'
import { apiForTests, applyAll, subnet } from './pretended.ts'

const api = apiForTests()
type Json = Record<string, unknown>

const member = (n: number, more: Json = {}) => ({ address: `10.0.0.${n}`, protocol_port: 80, ...more })
const pool = (name: string, more: Json = {}) => ({ name, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN', ...more })
const healthmonitor = { type: 'HTTP', delay: 5, timeout: 3, max_retries: 2 }
const rule = { type: 'PATH', compare_type: 'STARTS_WITH', value: '/a' }

async function post(loadbalancer: Json): Promise<{ status: number; body: Json }> {
  const { status, body } = await api.octavia('POST', '/loadbalancers', {
    loadbalancer: { vip_subnet_id: subnet, ...loadbalancer },
  })
  return { status, body: (body as { loadbalancer: Json }).loadbalancer ?? body }
}

async function counted(): Promise<Json> {
  const tables = ['load_balancer', 'listener', 'pool', 'member', 'health_monitor', 'l7policy', 'l7rule', 'journal']
  const { rows } = await api.pool.query(
    `select ${tables.map(name => `(select count(*)::int from lbaas.${name}) as ${name}`).join(', ')}`,
  )
  return { ...rows[0], ports: api.cloud.ports.size }
}

describe('a whole load balancer', () => {
  test('is made of all that its POST brings along, and answered with it', async () => {
    const { status, body } = await post({
      name: 'whole',
      pools: [pool('a', { members: [member(21), member(22, { weight: 3 })], healthmonitor })],
      listeners: [
        {
          ...{ name: 'l', protocol: 'HTTP', protocol_port: 80, default_pool: { name: 'a' } },
          l7policies: [
            { action: 'REDIRECT_TO_POOL', redirect_pool: { name: 'c' }, rules: [rule, { ...rule, invert: true }] },
            { action: 'REDIRECT_TO_POOL', redirect_pool: pool('b', { members: [member(23)] }), position: 1 },
          ],
        },
        { protocol: 'HTTP', protocol_port: 81, default_pool: pool('c') },
      ],
    })
    expect(status).toBe(201)
    const pools = body.pools as (Json & { members: Json[] })[]
    const ids = Object.fromEntries(pools.map(one => [one.name, one.id]))
    expect(pools.map(({ name, members }) => [name, members.map(one => one.address)])).toEqual([
      ['a', ['10.0.0.21', '10.0.0.22']],
      ['b', ['10.0.0.23']],
      ['c', []],
    ])
    expect(pools[0]).toMatchObject({
      healthmonitor: { type: 'HTTP', http_method: 'GET' },
      members: [{}, { weight: 3 }],
    })
    expect(body.listeners).toMatchObject([
      {
        name: 'l',
        default_pool_id: ids.a,
        l7policies: [
          { redirect_pool_id: ids.c, position: 2, rules: [{ invert: false }, { invert: true }] },
          { redirect_pool_id: ids.b, position: 1, rules: [] },
        ],
      },
      { protocol_port: 81, default_pool_id: ids.c, l7policies: [] },
    ])
    await applyAll(api.pool)
    expect((await api.octavia('GET', `/loadbalancers/${body.id}`)).body).toMatchObject({
      loadbalancer: { provisioning_status: 'ACTIVE', listeners: [{}, {}], pools: [{}, {}, {}] },
    })
    const { rows } = await api.pool.query('select text from lbaas.journal where load_balancer_id = $1', [body.id])
    expect(rows.map(one => one.text)).toEqual(['create load balancer and 13 more'])
  })

  const pools = (...of: Json[]) => ({ pools: of })
  const listeners = (...of: Json[]) => ({ listeners: of.map((one, i) => ({ protocol_port: 80 + i, ...one })) })
  const http = { protocol: 'HTTP' }
  test.each<[string, Json, RegExp]>([
    ['an unnamed pool', pools({ ...pool('x'), name: '' }), /Pools must be named when creating/],
    ['a name twice', pools(pool('x'), pool('x')), /Pool names must be unique when creating/],
    ['a name of nothing', listeners({ ...http, default_pool: { name: 'x' } }), /Pool 'x' was referenced but no full/],
    ['half a pool', pools({ name: 'x', protocol: 'HTTP' }), /attribute lb_algorithm. Value: 'None'/],
    ['a bad member', pools(pool('x', { members: [member(300)] })), /attribute address. Value: '10.0.0.300'/],
    ['no list', { pools: pool('x') }, /attribute pools. .* Value should be a list/],
    ['an unknown word', pools(pool('x', { bogus: 1 })), /Unknown attribute for argument pool: bogus/],
    ['a parent of its own', listeners({ ...http, loadbalancer_id: subnet }), /Unknown attribute .*: loadbalancer_id/],
    ['a port twice', listeners(http, { ...http, protocol_port: 80 }), /Another Listener on this Load Balancer/],
    ['a member twice', pools(pool('x', { members: [member(21), member(21)] })), /Another member on this pool/],
    [
      'what does not fit together',
      { ...pools(pool('x', { protocol: 'TCP' })), ...listeners({ ...http, default_pool: { name: 'x' } }) },
      /The pool protocol 'TCP' is invalid while the listener protocol is 'HTTP'/,
    ],
    [
      'a rule without a key',
      listeners({ ...http, l7policies: [{ action: 'REJECT', rules: [{ ...rule, type: 'HEADER' }] }] }),
      /requires a key/,
    ],
    [
      'a subnet that is not there',
      pools(pool('x', { members: [member(21, { subnet_id: crypto.randomUUID() })] })),
      /Subnet .* not found/,
    ],
    ['a provider that cannot', { ...listeners({ protocol: 'SCTP' }) }, /does not support a requested option/],
  ])('with %s leaves nothing behind, not even a port', async (_title, body, expected) => {
    const before = await counted()
    const answer = await post(body)
    expect(answer.status).toBeGreaterThanOrEqual(400)
    expect(answer.body.faultstring).toMatch(expected)
    expect(await counted()).toEqual(before)
  })

  test('counts for the quota as a whole, or is not made', async () => {
    await api.octavia('PUT', '/quotas/demo-project', { quota: { member: 5 } }, { token: 'admin' })
    const before = await counted()
    const members = [member(21), member(22), member(23)]
    expect(await post(pools(pool('x', { members })))).toMatchObject({
      status: 403,
      body: { faultstring: 'Quota has been met for resources: Member' },
    })
    const { ports: _, ...rows } = before
    expect(await counted()).toMatchObject(rows) // the port is left to the sweeper
    expect(await post(pools(pool('x', { members: members.slice(1) })))).toMatchObject({ status: 201 })
    await api.octavia('DELETE', '/quotas/demo-project', undefined, { token: 'admin' })
  })

  test('listeners and pools bring theirs along too', async () => {
    const { body: lb } = await post({})
    const listener = {
      ...http,
      protocol_port: 80,
      loadbalancer_id: lb.id,
      default_pool: pool('', { members: [member(21)] }),
    }
    const made = await api.octavia('POST', '/listeners', { listener })
    expect(made.status).toBe(201)
    const { default_pool_id } = (made.body as { listener: Json }).listener
    const shown = await api.octavia('GET', `/pools/${default_pool_id}/members`)
    expect(shown.body).toMatchObject({ members: [{ address: '10.0.0.21' }] })
  })
})

describe('a batch of members', () => {
  async function aPool(members: Json[]): Promise<string> {
    const { body } = await post({ pools: [pool('p', { members })] })
    await applyAll(api.pool)
    return String((body.pools as Json[])[0]!.id)
  }
  const put = (id: string, members: unknown, query = '') =>
    api.octavia('PUT', `/pools/${id}/members${query}`, { members })
  const shown = async (id: string) => {
    const { body } = await api.octavia('GET', `/pools/${id}/members`)
    const { members } = body as { members: Json[] }
    return members
      .map(one => `${String(one.address).slice(7)} ${one.weight} ${one.name} ${one.provisioning_status}`)
      .sort()
  }

  test('makes, changes and takes away in one change', async () => {
    const id = await aPool([member(21, { name: 'a' }), member(22, { weight: 7 }), member(23)])
    const generation = async () => (await api.pool.query('select count(*) from lbaas.journal')).rows[0].count as string
    const before = Number(await generation())
    expect(await put(id, [member(21, { weight: 5 }), member(22), member(24)])).toMatchObject({ status: 202, body: '' })
    expect(await shown(id)).toEqual([
      ...['21 5 a PENDING_UPDATE', '22 1  PENDING_UPDATE', '23 1  PENDING_DELETE', '24 1  PENDING_CREATE'],
    ])
    expect(Number(await generation())).toBe(before + 1)
    await applyAll(api.pool)
    expect(await shown(id)).toEqual(['21 5 a ACTIVE', '22 1  ACTIVE', '24 1  ACTIVE'])
  })

  test('only adds when it is to', async () => {
    const id = await aPool([member(21)])
    expect((await put(id, [member(22)], '?additive_only=true')).status).toBe(202)
    await applyAll(api.pool)
    expect(await shown(id)).toEqual(['21 1  ACTIVE', '22 1  ACTIVE'])
  })

  test('that changes nothing is no change', async () => {
    const id = await aPool([member(21)])
    expect((await put(id, [member(21)])).status).toBe(202)
    expect(await shown(id)).toEqual(['21 1  ACTIVE'])
  })

  test('empties a pool', async () => {
    const id = await aPool([member(21), member(22)])
    expect((await put(id, [])).status).toBe(202)
    await applyAll(api.pool)
    expect(await shown(id)).toEqual([])
  })

  test('is taken whole or not at all', async () => {
    const id = await aPool([member(21)])
    const refused: [unknown, number, RegExp][] = [
      [[member(22), member(22)], 409, /Another member on this pool/],
      [[member(22), { address: '10.0.0.23' }], 400, /attribute protocol_port/],
      [[member(22), { ...member(23), address: '169.254.169.254' }], 400, /not a valid option for member address/],
      [{ a: 1 }, 400, /list of objects/],
      [['x'], 400, /list of objects/],
    ]
    for (const [members, status, faultstring] of refused)
      expect(await put(id, members)).toMatchObject({
        status,
        body: { faultstring: expect.stringMatching(faultstring) },
      })
    expect(await shown(id)).toEqual(['21 1  ACTIVE'])
  })

  test('may replace all of a full quota', async () => {
    const id = await aPool([member(21), member(22)])
    const { rows } = await api.pool.query(
      `select count(*)::int as n from lbaas.member where project_id = 'demo-project'`,
    )
    const admin = { token: 'admin' }
    await api.octavia('PUT', '/quotas/demo-project', { quota: { member: rows[0].n } }, admin)
    expect((await put(id, [member(23), member(24)])).status).toBe(202)
    await applyAll(api.pool)
    expect((await put(id, [member(23), member(24), member(25)])).status).toBe(403)
    expect(await shown(id)).toEqual(['23 1  ACTIVE', '24 1  ACTIVE'])
    await api.octavia('DELETE', '/quotas/demo-project', undefined, admin)
  })

  test('is for those who may write', async () => {
    const id = await aPool([member(21)])
    for (const token of ['reader', 'other', 'global', 'service'])
      expect((await api.octavia('PUT', `/pools/${id}/members`, { members: [] }, { token })).status).toBe(403)
  })
})
