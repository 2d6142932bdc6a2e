/** What does not fit, is not there, or is not allowed, in both dialects: exact status and form, nothing left half-made. */
import { randomUUID } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { CloudError } from '../cloud/openstack.ts'
import { apiForTests, foreign_subnet, member_subnet, other, shared_subnet } from './pretended.ts'
import { type Body, bad, lb, listenerOn, member, poolOn, type Refusal, refusalsOf } from './refusals.ts'

const api = apiForTests()
const { ids, counted, refused } = refusalsOf(api)
const listener = (fields: object) => listenerOn(ids.lb, fields)
const pool = (fields: object) => poolOn(ids.lb, fields)
const nowhere = '99999999-9999-4999-8999-999999999999'

describe('conflicts within a tree', () => {
  test('a second listener on the port', async () => {
    await refused('POST', '/listeners', listener({ protocol: 'TCP', protocol_port: 80 }), {
      octavia: [409, 'Another Listener on this Load Balancer is already using protocol TCP and protocol_port 80'],
      neutron: [
        409,
        'LoadBalancerListenerProtocolPortExists',
        `Load Balancer ${ids.lb} already has a listener with protocol_port of 80`,
      ],
    })
  })

  test('a member twice', async () => {
    await refused('POST', `/pools/${ids.pool}/members`, member({ address: '10.0.0.21' }), {
      octavia: [409, 'Another member on this pool is already using ip 10.0.0.21 on protocol_port 80'],
      neutron: [
        409,
        'MemberExists',
        `Member with address 10.0.0.21 and protocol_port 80 already present in pool ${ids.pool}`,
      ],
    })
  })

  test('a second default pool, and one that speaks something else', async () => {
    await refused('POST', '/pools', pool({ listener_id: ids.listener }), {
      octavia: [409, 'This listener already has a default pool'],
      neutron: [
        409,
        'ListenerDefaultPoolAlreadySet',
        `Listener ${ids.listener} is already using default pool ${ids.pool}.`,
      ],
    })
    await refused('POST', '/listeners', listener({ protocol: 'HTTPS', default_pool_id: ids.pool }), {
      octavia: [400, "Validation failure: The pool protocol 'HTTP' is invalid while the listener protocol is 'HTTPS'."],
      neutron: [
        409,
        'ListenerPoolProtocolMismatch',
        'Listener protocol HTTPS and pool protocol HTTP are not compatible.',
      ],
    })
  })

  test('parents that are missing, or of two load balancers', async () => {
    await refused('POST', '/pools', pool({ loadbalancer_id: null }), {
      octavia: [400, 'Validation failure: Must provide at least one of: loadbalancer_id, listener_id'],
      neutron: [400, 'PoolMustHaveLoadbalancer', 'Pool must be created with a loadbalancer or listener.'],
    })
    await refused('POST', '/listeners', listener({ loadbalancer_id: null }), {
      octavia: [400, "Invalid input for field/attribute loadbalancer_id. Value: 'None'. Mandatory field missing."],
      neutron: [400, 'ListenerMustHaveLoadbalancer', 'Listener must be created with a loadbalancer or pool.'],
    })
    await refused('POST', '/pools', pool({ loadbalancer_id: ids.lb2, listener_id: ids.listener }), {
      octavia: [400, 'Validation failure: Listener and pool must be on the same loadbalancer.'],
      neutron: [400, 'ListenerAndPoolMustBeOnSameLoadbalancer', 'Listener and pool must be on the same loadbalancer.'],
    })
    await refused(
      'PUT',
      `/listeners/${ids.listener}`,
      { listener: { default_pool_id: ids.pool2 } },
      {
        octavia: [404, `Pool ${ids.pool2} not found.`],
        neutron: [400, 'ListenerPoolLoadbalancerMismatch', `Pool ${ids.pool2} is on loadbalancer ${ids.lb2}.`],
      },
    )
  })

  test('TLS without a certificate, and what the provider cannot do', async () => {
    await refused('POST', '/listeners', listener({ protocol: 'TERMINATED_HTTPS' }), {
      octavia: [
        400,
        'Validation failure: An SNI or default certificate container reference must be provided for TERMINATED_HTTPS protocol listeners.',
      ],
      neutron: [400, 'TLSDefaultContainerNotSpecified', 'Default TLS container was not specified'],
    })
    const before = await counted()
    expect(await api.octavia('POST', '/listeners', listener({ protocol: 'SCTP' }))).toMatchObject({
      status: 501,
      body: {
        faultcode: 'Server',
        faultstring:
          "Provider 'amphora' does not support a requested option: listener protocol SCTP: the amphorae's kernel cannot carry it",
      },
    })
    expect(await counted()).toEqual(before)
  })
})

describe('the cloud', () => {
  test('a subnet that is not there, or another project’s; a shared one is anyone’s', async () => {
    for (const id of [nowhere, foreign_subnet]) {
      const expected: Refusal = {
        octavia: [400, `Subnet ${id} not found.`],
        neutron: [404, 'SubnetNotFound', `Subnet ${id} could not be found.`],
      }
      await refused('POST', '/loadbalancers', lb({ vip_subnet_id: id }), expected)
      await refused('POST', `/pools/${ids.pool}/members`, member({ subnet_id: id }), expected)
    }
    const { status } = await api.neutron(
      'POST',
      `/pools/${ids.pool}/members`,
      member({ subnet_id: shared_subnet, address: '10.2.0.5' }),
    )
    expect(status).toBe(201)
  })

  test('a VIP nowhere, or outside its subnet', async () => {
    await refused(
      'POST',
      '/loadbalancers',
      { loadbalancer: { name: 'x' } },
      {
        octavia: [400, 'Validation failure: VIP must contain one of: vip_port_id, vip_network_id, vip_subnet_id.'],
        neutron: bad("Failed to parse request. Required attribute 'vip_subnet_id' not specified"),
      },
    )
    const message = 'IP address 192.0.2.9 is not a valid IP for the specified subnet.'
    await refused('POST', '/loadbalancers', lb({ vip_address: '192.0.2.9' }), {
      octavia: [400, `Validation failure: ${message}`],
      neutron: bad(`Invalid input for operation: ${message}`),
    })
  })

  test('a provider that is not there', async () => {
    await refused('POST', '/loadbalancers', lb({ provider: 'f5' }), {
      octavia: [400, "Provider 'f5' is not enabled."],
      neutron: [
        404,
        'ServiceProviderNotFound',
        "Service provider 'f5' could not be found for service type LOADBALANCERV2",
      ],
    })
  })

  test.each([
    [409, 'IpAddressAlreadyAllocated', 409, /is already in use/],
    [409, 'OverQuota', 403, /Quota has been met for resources: port/],
    [409, 'IpAddressGenerationFailure', 409, /No more IP addresses/],
    [503, '', 503, /network service is not available/],
    [0, 'ECONNRESET', 503, /network service is not available/],
    [400, 'InvalidInput', 400, /refused the port of the VIP \(InvalidInput\)/],
  ])(
    'a port that Neutron refuses with %d %s: the reservation is left to the sweeper',
    async (status, code, answered, text) => {
      api.cloud.refusals.push(new CloudError('network', status, code, 'no', null))
      const ports = api.cloud.ports.size
      expect(await api.octavia('POST', '/loadbalancers', lb({ vip_address: '10.0.0.200' }))).toMatchObject({
        status: answered,
        body: { faultstring: expect.stringMatching(text) },
      })
      expect(api.cloud.ports.size).toBe(ports)
      expect((await api.pool.query('delete from lbaas.vip_reservation returning abandoned')).rows).toEqual([
        { abandoned: true },
      ])
    },
  )

  test('a reservation that was swept meanwhile: 503, and nothing saved', async () => {
    const before = await counted()
    api.cloud.made = async () => {
      await api.pool.query('delete from lbaas.vip_reservation')
    }
    expect(await api.octavia('POST', '/loadbalancers', lb({}))).toMatchObject({
      status: 503,
      body: { faultstring: 'The VIP reservation has expired. Please try again.' },
    })
    api.cloud.made = async () => {}
    expect(await counted()).toEqual({ ...before, ports: api.cloud.ports.size })
  })
})

describe('objects that are not there for the caller', () => {
  test('other projects’', async () => {
    const forbidden: [number, string] = [403, 'Policy does not allow this request to be performed.']
    const missing = (what: string, id: string): [number, string, string] => [
      404,
      'EntityNotFound',
      `${what} ${id} could not be found`,
    ]
    const cases: [string, string, unknown, string, string][] = [
      ['GET', `/loadbalancers/${ids.foreign_lb}`, undefined, 'loadbalancer', ids.foreign_lb],
      ['PUT', `/loadbalancers/${ids.foreign_lb}`, { loadbalancer: { name: 'mine' } }, 'loadbalancer', ids.foreign_lb],
      ['DELETE', `/loadbalancers/${ids.foreign_lb}`, undefined, 'loadbalancer', ids.foreign_lb],
      ['GET', `/loadbalancers/${ids.foreign_lb}/statuses`, undefined, 'loadbalancer', ids.foreign_lb],
      ['GET', `/loadbalancers/${ids.foreign_lb}/stats`, undefined, 'loadbalancer', ids.foreign_lb],
      ['POST', '/listeners', listener({ loadbalancer_id: ids.foreign_lb }), 'loadbalancer', ids.foreign_lb],
      ['POST', '/listeners', listener({ default_pool_id: ids.foreign_pool }), 'pool', ids.foreign_pool],
      ['POST', `/pools/${ids.foreign_pool}/members`, member({}), 'pool', ids.foreign_pool],
      ['GET', `/pools/${ids.foreign_pool}/members`, undefined, 'pool', ids.foreign_pool],
    ]
    for (const [method, path, body, what, id] of cases)
      await refused(method, path, body, { octavia: forbidden, neutron: missing(what, id) })
    await refused('POST', '/loadbalancers', lb({ tenant_id: other }), {
      octavia: forbidden,
      neutron: bad(
        "Specifying 'project_id' or 'tenant_id' other than the authenticated project in request requires admin privileges",
      ),
    })
  })

  test('none at all', async () => {
    for (const id of [nowhere, 'no-uuid', encodeURIComponent("'; drop table"), randomUUID()]) {
      const said = decodeURIComponent(id)
      await refused('GET', `/listeners/${id}`, undefined, {
        octavia: [404, `Listener ${said} not found.`],
        neutron: [404, 'EntityNotFound', `listener ${said} could not be found`],
      })
      await refused('DELETE', `/pools/${ids.pool}/members/${id}`, undefined, {
        octavia: [404, `Member ${said} not found.`],
        neutron: [404, 'MemberNotFoundForPool', `Member ${said} could not be found in pool ${ids.pool}`],
      })
    }
    await refused('GET', `/pools/${ids.pool2}/members/${ids.member}`, undefined, {
      octavia: [404, `Member ${ids.member} not found.`],
      neutron: [404, 'MemberNotFoundForPool', `Member ${ids.member} could not be found in pool ${ids.pool2}`],
    })
    for (const path of ['/nothing', '/listeners/%zz', '/loadbalancers/a/b/c'])
      await refused('GET', path, undefined, {
        octavia: [404, 'The resource could not be found.'],
        neutron: [404, 'HTTPNotFound', 'The resource could not be found.'],
      })
  })
})

test('what is being deleted cannot be changed, deleted again, or added to', async () => {
  const made = await api.octavia('POST', '/loadbalancers', lb({}))
  const id = String((made.body as Body).loadbalancer!.id)
  const child = await api.octavia('POST', '/pools', pool({ loadbalancer_id: id }))
  const pool_id = String((child.body as Body).pool!.id)
  expect(await api.octavia('DELETE', `/pools/${pool_id}`)).toMatchObject({ status: 204 })
  const invalid = (of: string): [number, string, string] => [
    409,
    'StateInvalid',
    `Invalid state PENDING_DELETE of loadbalancer resource ${of}`,
  ]
  const immutable_pool: [number, string] = [409, `Pool ${pool_id} is immutable and cannot be updated.`]
  await refused('DELETE', `/pools/${pool_id}`, undefined, { octavia: immutable_pool, neutron: invalid(pool_id) })
  await refused(
    'PUT',
    `/pools/${pool_id}`,
    { pool: { name: 'x' } },
    { octavia: immutable_pool, neutron: invalid(pool_id) },
  )
  await refused('POST', `/pools/${pool_id}/members`, member({}), { octavia: immutable_pool, neutron: invalid(pool_id) })

  expect(await api.octavia('DELETE', `/loadbalancers/${id}`)).toMatchObject({ status: 204 })
  const immutable: [number, string] = [409, `Load Balancer ${id} is immutable and cannot be updated.`]
  await refused(
    'PUT',
    `/loadbalancers/${id}`,
    { loadbalancer: { name: 'x' } },
    { octavia: immutable, neutron: invalid(id) },
  )
  await refused('POST', '/listeners', listener({ loadbalancer_id: id }), { octavia: immutable, neutron: invalid(id) })
  await refused('DELETE', `/loadbalancers/${id}`, undefined, {
    octavia: [409, `Invalid state PENDING_DELETE of loadbalancer resource ${id}`],
    neutron: invalid(id),
  })
})

test('a member outside its subnet is accepted, with a warning where its owner looks', async () => {
  const answer = await api.neutron(
    'POST',
    `/pools/${ids.pool}/members`,
    member({ subnet_id: member_subnet, address: '172.16.0.1' }),
  )
  expect(answer.status).toBe(201)
  const statuses = await api.neutron('GET', `/loadbalancers/${ids.lb}/statuses`)
  expect(JSON.stringify(statuses.body)).toContain("172.16.0.1 is not in the member's subnet 10.3.0.0/24")
  const { rows } = await api.pool.query(`select text from lbaas.journal where text like 'Warning: %'`)
  expect(rows).toHaveLength(1)
})
