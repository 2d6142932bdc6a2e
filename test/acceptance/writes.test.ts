/** Writes that meet: many at once, one after another without a pause, beyond a quota, and under `locking: conflict`. */
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { type Answer, Api, type Made } from './api.ts'
import { Inside } from './inside.ts'
import { eventually, Stack } from './stack.ts'

const stack = new Stack(inject('stack_dir'))
let admin: Api
let demo: Api
let subnet_id: string
let flavor_id: string
let web: string[]

beforeAll(async () => {
  ;[admin, demo] = await Promise.all([Api.of(stack, 'admin'), Api.of(stack, 'demo')])
  subnet_id = await demo.subnet('private-subnet')
  flavor_id = await admin.singleAmphora()
  const { servers } = await stack.status()
  web = ['web1', 'web2'].map(name => servers.find(server => server.name === name)!.addresses[0]!)
})

const http = (protocol_port: number) => ({ protocol: 'HTTP', protocol_port })
const round_robin = { protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' }

describe('many writes at once', () => {
  let lb: Made
  const list = async (path: string, plural: string) => {
    const { body } = await demo.octavia<Record<string, Record<string, unknown>[]>>('GET', path)
    return body[plural]!
  }

  beforeAll(async () => {
    lb = await demo.made('loadbalancers', 'loadbalancer', { name: 'busy', vip_subnet_id: subnet_id, flavor_id })
  })
  afterAll(() => demo.removed(lb.id))

  test('50 changes of one load balancer in both dialects: all accepted, none lost, and it serves', async () => {
    const listener = await demo.made('listeners', 'listener', { loadbalancer_id: lb.id, ...http(80) })
    const pool = await demo.made('pools', 'pool', { listener_id: listener.id, ...round_robin })
    const members = `pools/${pool.id}/members`
    const first = await demo.made(members, 'member', { address: web[0], protocol_port: 80, subnet_id })
    const dialect = (n: number) => (n % 2 === 0 ? demo.octavia : demo.neutron).bind(demo)
    const range = (count: number) => Array.from({ length: count }, (_, n) => n)
    // the web servers' own addresses are given at random
    const spare = range(20)
      .map(n => `10.0.0.${200 + n}`)
      .filter(address => !web.includes(address))
      .slice(0, 10)
    const begun = [
      ...range(14).map(n => {
        const both = { name: `listener-${n}`, description: `listener-${n}` }
        return dialect(n)('PUT', `listeners/${listener.id}`, { listener: both })
      }),
      ...range(12).map(n => {
        const fields = { loadbalancer_id: lb.id, name: `new-${n}`, ...http(8000 + n) }
        return dialect(n)('POST', 'listeners', { listener: fields })
      }),
      ...range(6).map(n =>
        dialect(n)('POST', 'pools', { pool: { loadbalancer_id: lb.id, name: `new-${n}`, ...round_robin } }),
      ),
      ...spare.map((address, n) => {
        const fields = { address, protocol_port: 80, subnet_id, weight: 0 }
        return dialect(n)('POST', members, { member: fields })
      }),
      ...range(8).map(n => dialect(n)('PUT', `${members}/${first.id}`, { member: { weight: n + 1 } })),
    ]
    expect(begun).toHaveLength(50)
    const answers = await Promise.all(begun)
    const refused = answers.filter(({ status }) => status !== 200 && status !== 201)
    expect(refused).toEqual([])
    await demo.settled(lb.id)

    const listeners = await list(`listeners?loadbalancer_id=${lb.id}`, 'listeners')
    expect(listeners.map(one => one.protocol_port).toSorted()).toEqual([80, ...range(12).map(n => 8000 + n)])
    expect(new Set(listeners.map(one => one.provisioning_status))).toEqual(new Set(['ACTIVE']))
    const shown = listeners.find(one => one.id === listener.id)!
    expect(shown.name).toMatch(/^listener-\d+$/)
    expect(shown.description).toBe(shown.name)
    expect(await list(`pools?loadbalancer_id=${lb.id}`, 'pools')).toHaveLength(7)
    const addresses = (await list(members, 'members')).map(one => one.address)
    expect(addresses.toSorted()).toEqual([web[0], ...spare].toSorted())
    expect(await stack.answers(`http://${lb.vip_address}/`, 10)).toEqual({ 'hello from web1': 10 })
  })

  test('what was accepted last is what is there, for the API and for haproxy', async () => {
    const [listener] = await list(`listeners?loadbalancer_id=${lb.id}&protocol_port=80`, 'listeners')
    const id = listener!.id as string
    // each writer's changes are accepted in the order in which it was answered
    const writer = async (field: string, values: (string | number)[]) => {
      for (const [n, value] of values.entries()) {
        const send = n % 2 === 0 ? demo.octavia.bind(demo) : demo.neutron.bind(demo)
        const answer: Answer<{ listener?: Record<string, unknown> }> = await send('PUT', `listeners/${id}`, {
          listener: { [field]: value },
        })
        expect(answer.status).toBe(200)
        expect(answer.body.listener![field]).toBe(value)
      }
    }
    const numbers = [3, 1, 4, 15, 92]
    await Promise.all([
      writer(
        'name',
        numbers.map(n => `name-${n}`),
      ),
      writer(
        'description',
        numbers.map(n => `text-${n}`),
      ),
      writer(
        'connection_limit',
        numbers.map(n => 100 + n),
      ),
    ])
    await demo.settled(lb.id)
    const [shown] = await list(`listeners?id=${id}`, 'listeners')
    expect(shown).toMatchObject({ name: 'name-92', description: 'text-92', connection_limit: 192 })
    expect(await (await Inside.of(stack, lb.id)).uploaded(id)).toMatch(/^ +maxconn 192$/m)
  })

  test('a listener deleted and another made on its port in one go: the new one alone serves', async () => {
    const [old] = await list(`listeners?loadbalancer_id=${lb.id}&protocol_port=80`, 'listeners')
    const pool = await demo.made('pools', 'pool', { loadbalancer_id: lb.id, ...round_robin })
    await demo.made(`pools/${pool.id}/members`, 'member', { address: web[1], protocol_port: 80, subnet_id })
    expect((await demo.octavia('DELETE', `listeners/${old!.id}`)).status).toBe(204)
    const fields = { loadbalancer_id: lb.id, default_pool_id: pool.id, ...http(80) }
    const made = await demo.made('listeners', 'listener', fields)
    await demo.settled(lb.id)
    expect(await stack.answers(`http://${lb.vip_address}/`, 20)).toEqual({ 'hello from web2': 20 })
    const inside = await Inside.of(stack, lb.id)
    expect(await inside.haproxies(old!.id as string)).toEqual([])
    expect(await inside.haproxies(made.id)).toHaveLength(2)
    expect((await demo.octavia('GET', `listeners/${old!.id}`)).status).toBe(404)
  })
})

describe('a load balancer that still waits for its server', () => {
  afterAll(() => admin.compute('DELETE', 'pocket/faults'))

  test('is deleted instead, and nothing stays', async () => {
    await admin.compute('PUT', 'pocket/faults', {
      service: 'compute',
      method: 'POST',
      path: '/servers$',
      action: 'hang_before',
      delay_ms: 8_000,
    })
    const lb = await demo.made('loadbalancers', 'loadbalancer', {
      name: 'waiting',
      vip_subnet_id: subnet_id,
      flavor_id,
    })
    await eventually('Nova was asked', async () => {
      const { body } = await admin.compute<{ faults: { met: number }[] }>('GET', 'pocket/faults')
      return body.faults.some(fault => fault.met === 1)
    })
    const { body } = await demo.octavia('GET', `loadbalancers/${lb.id}`)
    expect(body).toMatchObject({ loadbalancer: { provisioning_status: 'PENDING_CREATE' } })
    const amphora_id = /amphora ([0-9a-f-]{36}):/.exec((await stack.run('explain', lb.id)).stdout)![1]!
    await demo.removed(lb.id)
    await nothingLeft([lb.id, amphora_id])
  })

  test('what the cloud makes of a lost request after the load balancer has gone does not stay either', async () => {
    const fault = { service: 'compute', method: 'POST', path: '/servers$' }
    await admin.compute('PUT', 'pocket/faults', { ...fault, action: 'late_effect', delay_ms: 6_000 })
    await admin.compute('PUT', 'pocket/faults', { ...fault, action: 'hang_before', delay_ms: 12_000 })
    const lb = await demo.made('loadbalancers', 'loadbalancer', { name: 'late', vip_subnet_id: subnet_id, flavor_id })
    await eventually('Nova was asked again', async () => {
      const { body } = await admin.compute<{ faults: { met: number; action: string }[] }>('GET', 'pocket/faults')
      return body.faults.some(rule => rule.action === 'hang_before' && rule.met > 0)
    })
    const amphora_id = /amphora ([0-9a-f-]{36}):/.exec((await stack.run('explain', lb.id)).stdout)![1]!
    expect((await demo.octavia('DELETE', `loadbalancers/${lb.id}`)).status).toBe(204)
    const servers = async () =>
      JSON.stringify((await admin.compute('GET', 'v2.1/servers/detail?all_tenants=1')).body).includes(amphora_id)
    await eventually('the late server', servers)
    await eventually('the late server gone', async () => !(await servers()))
    await demo.gone(lb.id)
    await nothingLeft([lb.id, amphora_id])
  })

  test('deleted right after its create, it goes as well', async () => {
    const lb = await demo.made('loadbalancers', 'loadbalancer', { name: 'brief', vip_subnet_id: subnet_id, flavor_id })
    await demo.removed(lb.id)
    await nothingLeft([lb.id])
  })

  async function nothingLeft(ids: string[]): Promise<void> {
    const cloud = await Promise.all([
      admin.network('GET', 'ports'),
      admin.network('GET', 'security-groups'),
      admin.compute('GET', 'v2.1/servers/detail?all_tenants=1'),
    ])
    const all = JSON.stringify(cloud)
    expect(ids.filter(id => all.includes(id))).toEqual([])
  }
})

describe('quotas', () => {
  let lb: Made
  beforeAll(async () => {
    lb = await admin.made('loadbalancers', 'loadbalancer', { name: 'counted', vip_subnet_id: subnet_id, flavor_id })
  })
  afterAll(async () => {
    await admin.octavia('DELETE', `quotas/${lb.project_id}`)
    await admin.removed(lb.id)
  })

  test.each([
    ['pools', 'pool', (_n: number) => round_robin],
    ['listeners', 'listener', (n: number) => http(9000 + n)],
  ] as const)('of %s hold exactly: a limit of 10 and 32 writers make 10 rows', async (plural, singular, fields) => {
    const limit = { quota: { [singular]: 10 } }
    expect((await admin.octavia('PUT', `quotas/${lb.project_id}`, limit)).status).toBe(202)
    const writes = Array.from({ length: 32 }, (_, n) => {
      const send = n % 2 === 0 ? admin.octavia.bind(admin) : admin.neutron.bind(admin)
      return send('POST', plural, { [singular]: { loadbalancer_id: lb.id, ...fields(n) } })
    })
    const statuses = (await Promise.all(writes)).map(({ status }) => status)
    expect(statuses.filter(status => status === 201)).toHaveLength(10)
    expect(new Set(statuses.filter(status => status !== 201))).toEqual(new Set([403, 409])) // Octavia's, neutron-lbaas's
    const { body } = await admin.octavia<Record<string, unknown[]>>('GET', `${plural}?loadbalancer_id=${lb.id}`)
    expect(body[plural]).toHaveLength(10)
    await admin.settled(lb.id)
  })
})

describe('locking: conflict', () => {
  const strict = new Stack(undefined, undefined, { OTTAVIA_API_SETTINGS_LOCKING: 'conflict' })
  afterAll(() => strict.remove())

  test('the second write is refused as upstream refuses it, in each dialect’s form, until the first is applied', async () => {
    await strict.up('--no-demo')
    const api = await Api.of(strict, 'demo')
    const vip_subnet_id = await api.subnet('private-subnet')
    const lb = await api.made('loadbalancers', 'loadbalancer', { name: 'strict', vip_subnet_id })
    const listener = { listener: { loadbalancer_id: lb.id, ...http(80) } }
    const octavia = await api.octavia('POST', 'listeners', listener)
    expect(octavia).toEqual({
      status: 409,
      body: {
        faultcode: 'Client',
        faultstring: `Load Balancer ${lb.id} is immutable and cannot be updated.`,
        debuginfo: null,
      },
    })
    const neutron = await api.neutron<{ NeutronError: { message: string; type: string } }>(
      'POST',
      'listeners',
      listener,
    )
    expect(neutron.status).toBe(409)
    expect(neutron.body.NeutronError.message).toContain(lb.id)
    expect(neutron.body.NeutronError.type).toBe('StateInvalid')
    await api.settled(lb.id)
    expect((await api.octavia('POST', 'listeners', listener)).status).toBe(201)
    await api.settled(lb.id)
    expect((await api.neutron('DELETE', `loadbalancers/${lb.id}`)).status).toBe(409)
    await api.removed(lb.id)
  })
})
