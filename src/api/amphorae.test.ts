/** Failovers and amphorae over HTTP: who may, what is shown, what is marked and woken. */
import { randomUUID } from 'node:crypto'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type AmphoraStatus, newAmphora } from '../lbaas/amphora.ts'
import { transaction } from '../store/transaction.ts'
import * as trees from '../store/trees.ts'
import { apiForTests, applyAll, demo, subnet } from './pretended.ts'

const api = apiForTests()
const admin = { token: 'admin' }
const amphorae = '=/v2.0/octavia/amphorae'
type Body = Record<string, Record<string, unknown>>
type Rows = Record<string, Record<string, unknown>[]>

let lb = ''
let master = ''
let backup = ''
let spare = ''
let listener = ''

async function made(path: string, body: Body): Promise<string> {
  const answer = await api.octavia('POST', path, body)
  expect(answer).toMatchObject({ status: 201 })
  return String(Object.values(answer.body as Body)[0]!.id)
}

beforeAll(async () => {
  lb = await made('/loadbalancers', { loadbalancer: { vip_subnet_id: subnet } })
  listener = await made('/listeners', { listener: { loadbalancer_id: lb, protocol: 'HTTP', protocol_port: 80 } })
  ;[master, backup, spare] = [randomUUID(), randomUUID(), randomUUID()]
  await transaction(api.pool, async tx => {
    const tree = (await trees.loadForUpdate(tx, lb))!
    const row = { load_balancer_id: lb, created_at: '2026-01-01T00:00:00.000Z' }
    const pair = [
      { ...newAmphora({ ...row, id: master, role: 'MASTER' }), lb_network_ip: '192.168.0.7', certificate: 'secret' },
      newAmphora({ ...row, id: backup, role: 'BACKUP' }),
    ]
    await trees.save(tx, tree, { ...tree, amphorae: pair })
  })
  await api.pool.query(
    `insert into lbaas.amphora
     select (jsonb_populate_record(a, jsonb_build_object('id', $2::text, 'role', null))).* from lbaas.amphora a where id = $1`,
    [backup, spare],
  )
  await api.pool.query('update lbaas.amphora set load_balancer_id = null where id = $1', [spare])
})

beforeEach(async () => {
  await status(master, 'ALLOCATED')
  await status(backup, 'ALLOCATED')
  await status(spare, 'READY')
  await applyAll(api.pool)
  await api.pool.query('truncate lbaas.claims')
})

const status = (id: string, to: AmphoraStatus) =>
  api.pool.query('update lbaas.amphora set status = $2, replace = false where id = $1', [id, to])
const marked = async () => {
  const { rows } = await api.pool.query('select id from lbaas.amphora where replace order by role')
  return rows.map(row => row.id)
}
const woken = async () => (await api.pool.query('select load_balancer_id from lbaas.claims')).rows
const shown = async (id: string) =>
  ((await api.octavia('GET', `${amphorae}/${id}`, undefined, admin)).body as Body).amphora

describe('amphorae', () => {
  test('are shown as the described system does, without what is secret or inner', async () => {
    expect(await shown(master)).toEqual({
      id: master,
      loadbalancer_id: lb,
      compute_id: null,
      lb_network_ip: '192.168.0.7',
      vrrp_ip: null,
      ha_ip: null,
      vrrp_port_id: null,
      ha_port_id: null,
      cert_expiration: null,
      cert_busy: false,
      role: 'MASTER',
      status: 'ALLOCATED',
      vrrp_interface: null,
      vrrp_id: null,
      vrrp_priority: null,
      cached_zone: null,
      created_at: '2026-01-01T00:00:00',
      updated_at: null,
      image_id: null,
      compute_flavor: null,
    })
    expect(await shown(spare)).toMatchObject({ loadbalancer_id: null, status: 'READY' })
  })

  test.each([
    ['', () => [master, backup, spare]],
    ['?role=MASTER', () => [master]],
    ['?status=READY', () => [spare]],
    ['?loadbalancer_id=LB', () => [master, backup]],
    ['?lb_network_ip=192.168.0.7', () => [master]],
    ['?tags=x', () => [master, backup, spare]],
    ['?tenant_id=x', () => []],
    [`?project_id=${demo}`, () => [master, backup]],
  ])('are listed: %s', async (query, expected) => {
    const path = `${amphorae}${query.replace('LB', lb)}`
    const { body } = await api.octavia('GET', path, undefined, admin)
    expect(new Set((body as Rows).amphorae!.map(one => one.id))).toEqual(new Set(expected()))
    expect(await api.octavia('GET', `${amphorae}?certificate=x`, undefined, admin)).toMatchObject({ status: 400 })
  })

  test('are listed in order, by pages, under both prefixes', async () => {
    const first = await api.octavia('GET', '=/v2/octavia/amphorae?sort=role&limit=2&fields=role', undefined, admin)
    const { amphorae: rows, amphorae_links: links } = first.body as Rows
    expect(rows).toEqual([{ role: 'BACKUP' }, { role: 'MASTER' }])
    const next = `=${String(links![0]!.href).replace(/^http:..[^/]*/, '')}`
    expect((await api.octavia('GET', next, undefined, admin)).body).toMatchObject({ amphorae: [{ role: null }] })
  })

  test('have statistics per listener, once something was heard', async () => {
    const path = `${amphorae}/${master}/stats`
    expect(await api.octavia('GET', path, undefined, admin)).toMatchObject({
      status: 404,
      body: { faultstring: `Amphora stats for ${master} not found.` },
    })
    await api.pool.query('insert into lbaas.listener_statistics values ($1, $2, 1, 2, 3, 4, 5)', [listener, master])
    expect((await api.octavia('GET', path, undefined, admin)).body).toEqual({
      amphora_stats: [
        {
          id: master,
          loadbalancer_id: lb,
          listener_id: listener,
          bytes_in: 1,
          bytes_out: 2,
          active_connections: 3,
          total_connections: 4,
          request_errors: 5,
        },
      ],
    })
  })

  test('are for administrators, and not known to Neutron', async () => {
    for (const token of ['demo', 'reader', 'global', 'quota', 'other'])
      for (const [method, path] of [
        ['GET', amphorae],
        ['GET', `${amphorae}/${master}`],
        ['GET', `${amphorae}/${master}/stats`],
        ['PUT', `${amphorae}/${master}/failover`],
        ['PUT', `${amphorae}/${master}/config`],
        ['DELETE', `${amphorae}/${master}`],
        ['PUT', `/loadbalancers/${lb}/failover`],
      ] as const)
        expect(await api.octavia(method, path, undefined, { token })).toMatchObject({
          status: 403,
          body: { faultstring: 'Policy does not allow this request to be performed.' },
        })
    expect(await marked()).toEqual([])
    expect(await api.neutron('GET', amphorae, undefined, admin)).toMatchObject({ status: 404 })
    expect(await api.neutron('PUT', `/loadbalancers/${lb}/failover`, undefined, admin)).toMatchObject({ status: 404 })
  })

  test('that are not there', async () => {
    for (const id of [randomUUID(), 'none'])
      for (const [method, path] of [
        ['GET', `${amphorae}/${id}`],
        ['GET', `${amphorae}/${id}/stats`],
        ['PUT', `${amphorae}/${id}/failover`],
        ['PUT', `${amphorae}/${id}/config`],
        ['DELETE', `${amphorae}/${id}`],
      ] as const)
        expect(await api.octavia(method, path, undefined, admin)).toMatchObject({
          status: 404,
          body: { faultstring: `Amphora ${id} not found.` },
        })
    expect(await api.octavia('PUT', '/loadbalancers/none/failover', undefined, admin)).toMatchObject({
      status: 404,
      body: { faultstring: 'Load Balancer none not found.' },
    })
  })
})

describe('a configuration', () => {
  const due = async () =>
    (await api.pool.query('select id from lbaas.amphora where config_due')).rows.map(row => row.id)
  const ask = (id: string) => api.octavia('PUT', `${amphorae}/${id}/config`, undefined, admin)

  test('of a serving amphora is marked and its load balancer woken; it is no change of the tree', async () => {
    const before = (await trees.read(api.pool, lb))!.load_balancer
    expect(await ask(master)).toMatchObject({ status: 202, body: '' })
    expect(await due()).toEqual([master])
    expect(await woken()).toEqual([{ load_balancer_id: lb }])
    expect((await trees.read(api.pool, lb))!.load_balancer).toEqual(before)
    const { rows } = await api.pool.query(`select text, object_id from lbaas.journal order by id desc limit 1`)
    expect(rows).toEqual([{ text: 'configure amphora', object_id: master }])
    await api.pool.query('update lbaas.amphora set config_due = false')
  })

  test('of one that goes is refused', async () => {
    await status(backup, 'PENDING_DELETE')
    expect(await ask(backup)).toMatchObject({
      status: 409,
      body: { faultstring: `amphora ${backup} is immutable and cannot be updated.` },
    })
    expect(await due()).toEqual([])
  })

  test('of a spare is another spare', async () => {
    expect(await ask(spare)).toMatchObject({ status: 202 })
    expect((await api.pool.query('select status from lbaas.amphora where id = $1', [spare])).rows).toEqual([
      { status: 'PENDING_DELETE' },
    ])
  })
})

describe('a failover', () => {
  test('of a load balancer marks all that serve, in one transaction with the wake-up', async () => {
    await status(backup, 'PENDING_DELETE')
    const before = (await trees.read(api.pool, lb))!.load_balancer.generation
    const answer = await api.octavia('PUT', `=/v2/lbaas/loadbalancers/${lb}/failover`, undefined, admin)
    expect(answer).toMatchObject({ status: 202, body: '' })
    expect(await marked()).toEqual([master])
    expect((await trees.read(api.pool, lb))!.load_balancer).toMatchObject({
      provisioning_status: 'PENDING_UPDATE',
      generation: before + 1,
    })
    expect(await woken()).toEqual([{ load_balancer_id: lb }])
    const { rows } = await api.pool.query(`select text, object_type, actor from lbaas.journal order by id desc limit 1`)
    expect(rows).toEqual([{ text: 'failover load balancer', object_type: 'load_balancer', actor: 'admin-user' }])
  })

  test('of an amphora marks that one; the genuine client sends a body of nothing', async () => {
    const headers = { 'content-type': 'application/json' }
    const path = `${amphorae}/${backup}/failover`
    expect(await api.octavia('PUT', path, undefined, { ...admin, headers })).toMatchObject({ status: 202 })
    expect(await marked()).toEqual([backup])
    expect(await woken()).toEqual([{ load_balancer_id: lb }])
  })

  test('of a spare lets go of it', async () => {
    for (const _ of [1, 2])
      expect(await api.octavia('PUT', `${amphorae}/${spare}/failover`, undefined, admin)).toMatchObject({ status: 202 })
    expect(await shown(spare)).toMatchObject({ status: 'PENDING_DELETE' })
    expect(await woken()).toEqual([])
  })

  test('waits in the queue, and with conflicts is for what is ACTIVE or in ERROR', async () => {
    const { octavia } = await api.start({ locking: 'conflict' })
    const failover = (call = octavia) => call('PUT', `/loadbalancers/${lb}/failover`, undefined, admin)
    expect(await failover()).toMatchObject({ status: 202 })
    expect(await failover()).toMatchObject({
      status: 409,
      body: { faultstring: `Invalid state PENDING_UPDATE of loadbalancer resource ${lb}` },
    })
    expect(await failover(api.octavia)).toMatchObject({ status: 202 })
    await api.pool.query(`update lbaas.load_balancer set provisioning_status = 'ERROR', reason = 'x' where id = $1`, [
      lb,
    ])
    expect(await failover()).toMatchObject({ status: 202 })
  })
})

test('a deleted amphora is remembered, and not shown', async () => {
  await status(spare, 'DELETED')
  const gone = { status: 404, body: { faultstring: `Amphora ${spare} not found.` } }
  for (const [method, path] of [
    ['GET', ''],
    ['PUT', '/failover'],
    ['DELETE', ''],
  ] as const)
    expect(await api.octavia(method, `${amphorae}/${spare}${path}`, undefined, admin)).toMatchObject(gone)
  const { body } = await api.octavia('GET', `${amphorae}?status=DELETED`, undefined, admin)
  expect((body as Rows).amphorae).toEqual([])
})

describe('the deletion of an amphora', () => {
  test('is for one whose making failed', async () => {
    const remove = (id: string) => api.octavia('DELETE', `${amphorae}/${id}`, undefined, admin)
    for (const id of [master, spare])
      expect(await remove(id)).toMatchObject({
        status: 409,
        body: { faultstring: `amphora ${id} is immutable and cannot be updated.` },
      })
    await status(master, 'ERROR')
    await status(spare, 'ERROR')
    for (const id of [master, spare]) {
      expect(await remove(id)).toMatchObject({ status: 204 })
      expect(await shown(id)).toMatchObject({ status: 'PENDING_DELETE' })
    }
    expect(await woken()).toEqual([{ load_balancer_id: lb }])
  })
})
