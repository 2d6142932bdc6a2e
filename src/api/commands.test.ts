/** The five commands, and what follows them, over HTTP in both dialects. */
import { beforeAll, describe, expect, test } from 'vitest'
import { apiForTests, applyAll, demo, member_subnet, network, subnet, subnet_v6 } from './pretended.ts'

const api = apiForTests()
type Body = Record<string, Record<string, unknown>>
const uuid = /^[0-9a-f-]{36}$/

describe('the five commands in the neutron dialect', () => {
  const ids = { lb: '', listener: '', pool: '', member1: '', member2: '' }

  beforeAll(async () => {
    const created = async (path: string, body: Body) => {
      const answer = await api.neutron('POST', path, body)
      expect(answer).toMatchObject({ status: 201 })
      return String(Object.values(answer.body as Body)[0]!.id)
    }
    // Numbers come as strings, as the genuine client sends them.
    ids.lb = await created('/loadbalancers', {
      loadbalancer: { name: 'lb1', vip_subnet_id: subnet, admin_state_up: true },
    })
    ids.listener = await created('/listeners', {
      listener: {
        name: 'listener1',
        loadbalancer_id: ids.lb,
        protocol: 'HTTP',
        protocol_port: '80',
        admin_state_up: true,
      },
    })
    ids.pool = await created('/pools', {
      pool: {
        name: 'pool1',
        listener_id: ids.listener,
        protocol: 'HTTP',
        lb_algorithm: 'ROUND_ROBIN',
        admin_state_up: true,
      },
    })
    const member = (address: string) => ({
      member: { subnet_id: subnet, address, protocol_port: '80', admin_state_up: true },
    })
    ids.member1 = await created(`/pools/${ids.pool}/members`, member('10.0.0.21'))
    ids.member2 = await created(`/pools/${ids.pool}/members`, member('10.0.0.22'))
  })

  test('the load balancer has its VIP, its port belongs to the tenant', async () => {
    const { body } = await api.neutron('GET', `/loadbalancers/${ids.lb}`)
    expect(body).toEqual({
      loadbalancer: {
        id: ids.lb,
        project_id: demo,
        tenant_id: demo,
        name: 'lb1',
        description: '',
        admin_state_up: true,
        provider: 'octavia',
        vip_address: '10.0.0.10',
        vip_port_id: expect.stringMatching(uuid),
        vip_subnet_id: subnet,
        flavor_id: null,
        provisioning_status: 'PENDING_CREATE',
        operating_status: 'OFFLINE',
        listeners: [{ id: ids.listener }],
        pools: [{ id: ids.pool }],
      },
    })
    const port = api.cloud.ports.get(String((body as Body).loadbalancer!.vip_port_id))
    expect(port).toEqual({
      id: expect.anything(),
      name: `octavia-lb-${ids.lb}`,
      device_id: `lb-${ids.lb}`,
      device_owner: 'Octavia',
      admin_state_up: false,
      project_id: demo,
      network_id: network,
      fixed_ips: [{ subnet_id: subnet, ip_address: '10.0.0.10' }],
    })
    expect((await api.pool.query('select * from lbaas.vip_reservation')).rows).toEqual([])
  })

  test('listener, pool and member are shown in its form', async () => {
    expect((await api.neutron('GET', `/listeners/${ids.listener}`)).body).toEqual({
      listener: {
        id: ids.listener,
        project_id: demo,
        tenant_id: demo,
        name: 'listener1',
        description: '',
        admin_state_up: true,
        protocol: 'HTTP',
        protocol_port: 80,
        connection_limit: -1,
        default_pool_id: ids.pool,
        default_tls_container_ref: null,
        sni_container_refs: [],
        provisioning_status: 'PENDING_CREATE',
        operating_status: 'OFFLINE',
        loadbalancers: [{ id: ids.lb }],
        l7policies: [],
      },
    })
    expect((await api.neutron('GET', `/pools/${ids.pool}`)).body).toMatchObject({
      pool: {
        session_persistence: null,
        loadbalancers: [{ id: ids.lb }],
        listeners: [{ id: ids.listener }],
        members: [{ id: ids.member1 }, { id: ids.member2 }],
        healthmonitor_id: null,
      },
    })
    expect((await api.neutron('GET', `/pools/${ids.pool}/members/${ids.member1}`)).body).toEqual({
      member: {
        id: ids.member1,
        project_id: demo,
        tenant_id: demo,
        name: '',
        admin_state_up: true,
        address: '10.0.0.21',
        protocol_port: 80,
        weight: 1,
        subnet_id: subnet,
        provisioning_status: 'PENDING_CREATE',
        operating_status: 'NO_MONITOR',
      },
    })
  })

  test('the same objects are shown in the Octavia dialect', async () => {
    expect((await api.octavia('GET', `/loadbalancers/${ids.lb}`)).body).toMatchObject({
      loadbalancer: {
        provider: 'amphora',
        vip_network_id: network,
        tags: [],
        created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/),
        updated_at: null,
        listeners: [{ id: ids.listener }],
      },
    })
    const { body } = await api.octavia('GET', `/pools/${ids.pool}`)
    expect((body as Body).pool).not.toHaveProperty('tenant_id')
  })

  test('names are resolved as the genuine clients do', async () => {
    expect((await api.neutron('GET', '/loadbalancers?fields=id&id=lb1')).body).toEqual({ loadbalancers: [] })
    expect((await api.neutron('GET', '/loadbalancers?fields=id&name=lb1')).body).toEqual({
      loadbalancers: [{ id: ids.lb }],
    })
    expect((await api.octavia('GET', '/loadbalancers?name=lb1')).body).toMatchObject({
      loadbalancers: [{ id: ids.lb }],
      loadbalancers_links: [],
    })
    expect((await api.neutron('GET', `/pools/${ids.pool}/members?pool_id=${ids.pool}&fields=id`)).body).toEqual({
      members: [{ id: ids.member1 }, { id: ids.member2 }],
    })
  })

  test('settled, all is ACTIVE; the tree of statuses has both forms', async () => {
    await applyAll(api.pool)
    const status = (id: string, name: string) => ({
      id,
      name,
      provisioning_status: 'ACTIVE',
      operating_status: 'ONLINE',
    })
    const members = [ids.member1, ids.member2].map((id, i) => ({
      ...status(id, ''),
      operating_status: 'NO_MONITOR',
      address: `10.0.0.2${i + 1}`,
      protocol_port: 80,
    }))
    const pool = { ...status(ids.pool, 'pool1'), members }
    const loadbalancer = (pools: object[], l7 = {}) => ({
      ...status(ids.lb, 'lb1'),
      listeners: [{ ...status(ids.listener, 'listener1'), pools, ...l7 }],
    })
    const pools = [{ ...pool, healthmonitor: {} }]
    expect((await api.neutron('GET', `/loadbalancers/${ids.lb}/statuses`)).body).toEqual({
      statuses: { loadbalancer: { ...loadbalancer(pools, { l7policies: [] }), pools } },
    })
    for (const path of ['status', 'statuses'])
      expect((await api.octavia('GET', `/loadbalancers/${ids.lb}/${path}`)).body).toEqual({
        statuses: { loadbalancer: loadbalancer([pool]) },
      })
  })

  test('statistics are zero while nothing was heard', async () => {
    const stats = { bytes_in: 0, bytes_out: 0, active_connections: 0, total_connections: 0, request_errors: 0 }
    expect((await api.neutron('GET', `/loadbalancers/${ids.lb}/stats`)).body).toEqual({ stats })
    expect((await api.octavia('GET', `/listeners/${ids.listener}/stats`)).body).toEqual({ stats })
  })

  test('each can be changed, and its ancestors are pending with it', async () => {
    const put = async (path: string, body: Body) => {
      const answer = await api.neutron('PUT', path, body)
      expect(answer).toMatchObject({ status: 200 })
      return Object.values(answer.body as Body)[0]
    }
    expect(await put(`/pools/${ids.pool}/members/${ids.member1}`, { member: { weight: '5' } })).toMatchObject({
      weight: 5,
      provisioning_status: 'PENDING_UPDATE',
    })
    for (const path of [`/loadbalancers/${ids.lb}`, `/listeners/${ids.listener}`, `/pools/${ids.pool}`])
      expect(Object.values((await api.neutron('GET', path)).body as Body)[0]).toMatchObject({
        provisioning_status: 'PENDING_UPDATE',
      })
    expect(await put(`/pools/${ids.pool}`, { pool: { session_persistence: { type: 'SOURCE_IP' } } })).toMatchObject({
      session_persistence: { type: 'SOURCE_IP', cookie_name: null },
    })
    expect(await put(`/pools/${ids.pool}`, { pool: { session_persistence: null } })).toMatchObject({
      session_persistence: null,
    })
    expect(await put(`/listeners/${ids.listener}`, { listener: { connection_limit: 7 } })).toMatchObject({
      connection_limit: 7,
    })
    expect(await put(`/loadbalancers/${ids.lb}`, { loadbalancer: { name: 'renamed' } })).toMatchObject({
      name: 'renamed',
    })
  })

  test('a load balancer with children is deleted last', async () => {
    expect(await api.neutron('DELETE', `/loadbalancers/${ids.lb}`)).toMatchObject({
      status: 409,
      body: {
        NeutronError: {
          type: 'EntityInUse',
          message: `listener ${ids.listener} is using this loadbalancer`,
          detail: '',
        },
      },
    })
    expect(await api.octavia('DELETE', `/loadbalancers/${ids.lb}`)).toMatchObject({
      status: 400,
      body: {
        faultcode: 'Client',
        faultstring: `Validation failure: Cannot delete Load Balancer ${ids.lb} - it has children`,
        debuginfo: null,
      },
    })
    for (const path of [
      `/pools/${ids.pool}/members/${ids.member1}`,
      `/pools/${ids.pool}`,
      `/listeners/${ids.listener}`,
      `/loadbalancers/${ids.lb}`,
    ])
      expect(await api.neutron('DELETE', path)).toMatchObject({ status: 204, body: '' })
    await applyAll(api.pool)
    expect(await api.neutron('GET', `/loadbalancers/${ids.lb}`)).toMatchObject({
      status: 404,
      body: { NeutronError: { type: 'EntityNotFound', message: `loadbalancer ${ids.lb} could not be found` } },
    })
    expect(await api.octavia('GET', `/loadbalancers/${ids.lb}`)).toMatchObject({
      status: 404,
      body: { faultstring: `Load Balancer ${ids.lb} not found.` },
    })
  })
})

describe('the VIP', () => {
  const create = (fields: object, token = 'demo') =>
    api.octavia('POST', '/loadbalancers', { loadbalancer: fields }, { token })
  const vip = async (fields: object, token?: string) => {
    const answer = await create(fields, token)
    expect(answer).toMatchObject({ status: 201 })
    return (answer.body as Body).loadbalancer!
  }

  test('is on the network’s IPv4 subnet when only the network is named', async () => {
    expect(await vip({ vip_network_id: network })).toMatchObject({ vip_subnet_id: subnet, vip_network_id: network })
  })

  test('is the address that was asked for, in either family', async () => {
    expect(await vip({ vip_network_id: network, vip_address: 'FD36:53A8:d962:0::77' })).toMatchObject({
      vip_subnet_id: subnet_v6,
      vip_address: 'fd36:53a8:d962::77',
    })
    expect(await vip({ vip_subnet_id: subnet, vip_address: '10.0.0.99' })).toMatchObject({ vip_address: '10.0.0.99' })
  })

  test('may be on a port of the tenant’s, once', async () => {
    const { vip_port_id } = await vip({ vip_subnet_id: member_subnet })
    const mine = {
      ...api.cloud.ports.get(String(vip_port_id))!,
      id: '11111111-1111-4111-8111-111111111111',
      device_id: '',
    }
    api.cloud.ports.set(mine.id, mine)
    const made = await vip({ vip_port_id: mine.id })
    expect(made).toMatchObject({ vip_port_id: mine.id, vip_address: mine.fixed_ips[0]!.ip_address })
    expect(await create({ vip_port_id: mine.id })).toMatchObject({
      status: 400,
      body: {
        faultstring: 'Validation failure: The port of the VIP is already used by another load balancer.',
      },
    })
    expect(await create({ vip_port_id: mine.id }, 'other')).toMatchObject({
      status: 400,
      body: { faultstring: `Port ${mine.id} not found.` },
    })
    expect(await create({ vip_port_id: String(vip_port_id) })).toMatchObject({
      status: 400,
      body: { faultstring: expect.stringMatching(/^Validation failure: Port .* is already used by device lb-/) },
    })
  })
})
