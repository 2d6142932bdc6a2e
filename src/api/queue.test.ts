/** Many writers at once: writes queue, quotas are exact, and `locking: conflict` answers as upstream does. */
import { describe, expect, test } from 'vitest'
import { assertInvariants } from '../lbaas/invariants.ts'
import * as trees from '../store/trees.ts'
import { apiForTests, applyAll, type Call, demo, foreign_subnet, subnet } from './pretended.ts'

const api = apiForTests()
type Body = Record<string, Record<string, unknown>>

async function made(call: Call, path: string, body: Body, token = 'demo'): Promise<string> {
  const answer = await call('POST', path, body, { token })
  expect(answer).toMatchObject({ status: 201 })
  return String(Object.values(answer.body as Body)[0]!.id)
}

const newLoadBalancer = () => made(api.octavia, '/loadbalancers', { loadbalancer: { vip_subnet_id: subnet } })
const newPool = (loadbalancer_id: string, call = api.octavia) =>
  made(call, '/pools', { pool: { loadbalancer_id, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' } })
const statuses = (answers: { status: number }[]) => answers.map(answer => answer.status)

describe('fifty writes at once on one load balancer', () => {
  test('creates all succeed, each with its own generation', async () => {
    const lb = await newLoadBalancer()
    const pool = await newPool(lb)
    const writes = Array.from({ length: 50 }, (_, i) =>
      (i % 2 ? api.octavia : api.neutron)('POST', `/pools/${pool}/members`, {
        member: { address: `10.0.0.${100 + i}`, protocol_port: 80, subnet_id: subnet },
      }),
    )
    expect(statuses(await Promise.all(writes))).toEqual(Array(50).fill(201))
    const tree = (await trees.read(api.pool, lb))!
    assertInvariants(tree)
    expect(tree.load_balancer.generation).toBe(52)
    expect(new Set(tree.members.map(one => one.generation)).size).toBe(50)
    await applyAll(api.pool)
    expect((await trees.read(api.pool, lb))!.load_balancer.provisioning_status).toBe('ACTIVE')
  })

  test('updates all succeed, and the one accepted last holds', async () => {
    const lb = await newLoadBalancer()
    const pool = await newPool(lb)
    const member = await made(api.octavia, `/pools/${pool}/members`, {
      member: { address: '10.0.0.21', protocol_port: 80 },
    })
    const writes = Array.from({ length: 50 }, (_, i) =>
      api.octavia('PUT', `/pools/${pool}/members/${member}`, { member: { weight: i + 1 } }),
    )
    expect(statuses(await Promise.all(writes))).toEqual(Array(50).fill(200))
    const { rows } = await api.pool.query(
      `select generation from lbaas.journal where load_balancer_id = $1 order by generation`,
      [lb],
    )
    expect(rows.map(row => row.generation)).toEqual(Array.from({ length: 53 }, (_, i) => i + 1))
    const tree = (await trees.read(api.pool, lb))!
    expect(tree.members[0]).toMatchObject({ generation: 53, provisioning_status: 'PENDING_CREATE' })
  })

  test('of creates of the same listener one succeeds', async () => {
    const loadbalancer_id = await newLoadBalancer()
    const writes = Array.from({ length: 20 }, () =>
      api.octavia('POST', '/listeners', { listener: { loadbalancer_id, protocol: 'HTTP', protocol_port: 80 } }),
    )
    const answered = statuses(await Promise.all(writes))
    expect(answered.sort()).toEqual([201, ...Array(19).fill(409)])
  })

  test('delete and create of a listener on one port, in one go', async () => {
    const loadbalancer_id = await newLoadBalancer()
    const body = { listener: { loadbalancer_id, protocol: 'HTTP', protocol_port: 80 } }
    const old = await made(api.octavia, '/listeners', body)
    expect(await api.octavia('DELETE', `/listeners/${old}`)).toMatchObject({ status: 204 })
    const fresh = await made(api.octavia, '/listeners', body)
    await applyAll(api.pool)
    expect((await trees.read(api.pool, loadbalancer_id))!.listeners.map(one => one.id)).toEqual([fresh])
  })

  test('a load balancer can be deleted before it is there, with all that is below it', async () => {
    const lb = await newLoadBalancer()
    await newPool(lb)
    expect(await api.octavia('DELETE', `/loadbalancers/${lb}?cascade=true`)).toMatchObject({ status: 204 })
    await applyAll(api.pool)
    expect(await api.octavia('GET', `/loadbalancers/${lb}`)).toMatchObject({ status: 404 })
  })
})

test('a write outwaits a lock that others hold longer than one attempt lasts', async () => {
  const lb = await newLoadBalancer()
  const holder = await api.pool.connect()
  await holder.query('set idle_in_transaction_session_timeout = 0')
  await holder.query('begin')
  await holder.query('select from lbaas.load_balancer where id = $1 for no key update', [lb])
  const write = api.octavia('PUT', `/loadbalancers/${lb}`, { loadbalancer: { name: 'patient' } })
  await new Promise(resolve => setTimeout(resolve, 4_000)) // longer than one lock_timeout
  await holder.query('rollback')
  holder.release(true)
  expect(await write).toMatchObject({ status: 200, body: { loadbalancer: { name: 'patient' } } })
})

describe('a quota', () => {
  test('holds exactly with 32 writers', async () => {
    const { octavia } = await api.start({ quotas: { ...api.options.quotas, member: 10 } })
    const lb = await made(octavia, '/loadbalancers', { loadbalancer: { vip_subnet_id: foreign_subnet } }, 'other')
    const body = { pool: { loadbalancer_id: lb, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' } }
    const pool = await made(octavia, '/pools', body, 'other')
    const writes = Array.from({ length: 32 }, (_, i) =>
      octavia(
        'POST',
        `/pools/${pool}/members`,
        { member: { address: `10.1.0.${i}`, protocol_port: 80 } },
        { token: 'other' },
      ),
    )
    const answers = await Promise.all(writes)
    expect(statuses(answers).sort()).toEqual([...Array(10).fill(201), ...Array(22).fill(403)])
    expect(answers.find(answer => answer.status === 403)!.body).toMatchObject({
      faultstring: 'Quota has been met for resources: Member',
    })
    expect((await trees.read(api.pool, lb))!.members).toHaveLength(10)
  })

  test('holds exactly for load balancers, and makes no ports beyond it that are not given to the sweeper', async () => {
    const admin = { token: 'admin' }
    expect(await api.octavia('PUT', `/quotas/${demo}`, { quota: { loadbalancer: 0 } }, admin)).toMatchObject({
      status: 202,
    })
    expect(await api.neutron('POST', '/loadbalancers', { loadbalancer: { vip_subnet_id: subnet } })).toMatchObject({
      status: 409,
      body: { NeutronError: { type: 'OverQuota', message: "Quota exceeded for resources: ['loadbalancer']." } },
    })
    const { rows } = await api.pool.query(
      'select count(*)::integer as n from lbaas.load_balancer where project_id = $1',
      [demo],
    )
    await api.octavia('PUT', `/quotas/${demo}`, { quota: { load_balancer: rows[0].n + 5 } }, admin)
    const before = api.cloud.ports.size
    const writes = Array.from({ length: 32 }, () =>
      api.octavia('POST', '/loadbalancers', { loadbalancer: { vip_subnet_id: subnet } }),
    )
    expect(statuses(await Promise.all(writes)).sort()).toEqual([...Array(5).fill(201), ...Array(27).fill(403)])
    const left = await api.pool.query('delete from lbaas.vip_reservation where abandoned')
    expect(api.cloud.ports.size - before).toBe(5 + left.rowCount!)
    expect(await api.octavia('DELETE', `/quotas/${demo}`, undefined, admin)).toMatchObject({ status: 204 })
    expect(await api.octavia('DELETE', `/quotas/${demo}`, undefined, admin)).toMatchObject({ status: 404 })
  })

  test('is shown and changed by those who may', async () => {
    const limits = {
      loadbalancer: -1,
      load_balancer: -1,
      listener: -1,
      pool: -1,
      member: -1,
      healthmonitor: -1,
      health_monitor: -1,
      l7policy: -1,
      l7rule: -1,
    }
    expect((await api.octavia('GET', `/quotas/${demo}`)).body).toEqual({ quota: limits })
    expect((await api.octavia('GET', '/quotas/defaults')).body).toEqual({ quota: limits })
    expect(await api.octavia('PUT', `/quotas/${demo}`, { quota: { pool: 1 } })).toMatchObject({ status: 403 })
    expect(await api.octavia('GET', `/quotas/${demo}`, undefined, { token: 'other' })).toMatchObject({ status: 403 })
    const quota_admin = { token: 'quota' }
    expect(await api.octavia('PUT', `/quotas/${demo}`, { quota: { pool: 1 } }, quota_admin)).toMatchObject({
      status: 202,
      body: { quota: { ...limits, pool: 1 } },
    })
    expect(await api.octavia('PUT', `/quotas/${demo}`, { quota: { pool: -2 } }, quota_admin)).toMatchObject({
      status: 400,
    })
    expect((await api.octavia('GET', '/quotas', undefined, quota_admin)).body).toEqual({
      quotas: [{ project_id: demo, ...limits, pool: 1 }],
      quotas_links: [],
    })
    expect((await api.octavia('GET', '/quotas', undefined, { token: 'other' })).body).toMatchObject({ quotas: [] })
    await api.octavia('PUT', `/quotas/${demo}`, { quota: { pool: null } }, quota_admin)
    expect((await api.octavia('GET', `/quotas/${demo}`)).body).toEqual({ quota: limits })
  })
})

test('with locking: conflict the second write answers 409 in the dialect’s form', async () => {
  const { octavia, neutron } = await api.start({ locking: 'conflict' })
  const lb = await made(octavia, '/loadbalancers', { loadbalancer: { vip_subnet_id: subnet } })
  const body = { loadbalancer: { name: 'x' } }
  const immutable = {
    status: 409,
    body: { faultcode: 'Client', faultstring: `Load Balancer ${lb} is immutable and cannot be updated.` },
  }
  const invalid = (state: string) => ({
    status: 409,
    body: { NeutronError: { type: 'StateInvalid', message: `Invalid state ${state} of loadbalancer resource ${lb}` } },
  })
  expect(await octavia('PUT', `/loadbalancers/${lb}`, body)).toMatchObject(immutable)
  expect(await neutron('PUT', `/loadbalancers/${lb}`, body)).toMatchObject(invalid('PENDING_CREATE'))
  expect(await octavia('DELETE', `/loadbalancers/${lb}`)).toMatchObject({
    status: 409,
    body: { faultstring: `Invalid state PENDING_CREATE of loadbalancer resource ${lb}` },
  })
  await applyAll(api.pool)
  const pool = await newPool(lb, octavia)
  const member = { member: { address: '10.0.0.21', protocol_port: 80 } }
  expect(await octavia('POST', `/pools/${pool}/members`, member)).toMatchObject(immutable)
  expect(
    await neutron('POST', `/pools/${pool}/members`, { member: { ...member.member, subnet_id: subnet } }),
  ).toMatchObject(invalid('PENDING_UPDATE'))
  await applyAll(api.pool)
  expect(await octavia('POST', `/pools/${pool}/members`, member)).toMatchObject({ status: 201 })
})
