/** What a tenant types never becomes haproxy's language: refused, or kept out of the configuration that runs. */
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { Api, type Made } from './api.ts'
import { Inside } from './inside.ts'
import { Stack } from './stack.ts'

const stack = new Stack(inject('stack_dir'))
let demo: Api
let lb: Made
let listener: Made
let pool: Made
let member: Made
let inside: Inside
let web: string
let subnet_id: string

const dialects = ['octavia', 'neutron'] as const
const round_robin = { protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' }

beforeAll(async () => {
  demo = await Api.of(stack, 'demo')
  subnet_id = await demo.subnet('private-subnet')
  web = (await stack.status()).servers.find(server => server.name === 'web1')!.addresses[0]!
  const flavor_id = await (await Api.of(stack, 'admin')).singleAmphora()
  lb = await demo.made('loadbalancers', 'loadbalancer', { name: 'target', vip_subnet_id: subnet_id, flavor_id })
  listener = await demo.made('listeners', 'listener', { loadbalancer_id: lb.id, protocol: 'HTTP', protocol_port: 80 })
  pool = await demo.made('pools', 'pool', { listener_id: listener.id, ...round_robin })
  member = await demo.made(`pools/${pool.id}/members`, 'member', { address: web, protocol_port: 80, subnet_id })
  await demo.settled(lb.id)
  inside = await Inside.of(stack, lb.id)
})
afterAll(() => demo.removed(lb.id))

const texts = [
  'a\n    stats enable',
  'a\r\nglobal\n    external-check\n',
  'x"\nlisten zzmark\n    bind :6666\n#',
  "'; default_backend zzmark #",
  '%[env(zzmark)] $zzmark "$' + '{zzmark}" $(zzmark) `zzmark`',
  '\\\n\tzzmark\u0085\u2028zzmark\u0001',
  '<script>zzmark</script>🦩',
]

const serves = async () => {
  await demo.settled(lb.id)
  expect(await stack.answers(`http://${lb.vip_address}/`, 3)).toEqual({ 'hello from web1': 3 })
}

describe.each(dialects)('injection through the %s dialect', dialect => {
  const put = (path: string, singular: string, fields: Record<string, unknown>) =>
    demo[dialect]('PUT', path, { [singular]: fields })
  const post = (path: string, singular: string, fields: Record<string, unknown>) =>
    demo[dialect]('POST', path, { [singular]: fields })

  test('names, descriptions and tags appear nowhere in the configuration', async () => {
    const before = await inside.uploaded(listener.id)
    for (const text of texts) {
      const objects = [
        ['loadbalancers', 'loadbalancer', lb],
        ['listeners', 'listener', listener],
        ['pools', 'pool', pool],
      ] as const
      for (const [plural, singular, { id }] of objects) {
        const fields = { name: text, description: text, ...(dialect === 'octavia' ? { tags: [text] } : {}) }
        const { status, body } = await put(`${plural}/${id}`, singular, fields)
        expect(status).toBe(200)
        expect(body[singular]).toMatchObject(fields) // kept as it is, a text and nothing else
      }
      expect((await put(`pools/${pool.id}/members/${member.id}`, 'member', { name: text })).status).toBe(200)
    }
    // a change that is rendered, so that the rendering is of these names
    expect((await put(`listeners/${listener.id}`, 'listener', { connection_limit: 77 })).status).toBe(200)
    await serves()
    expect(await inside.uploaded(listener.id)).toBe(before.replace(/maxconn \d+/, 'maxconn 77'))
    expect((await put(`listeners/${listener.id}`, 'listener', { connection_limit: -1 })).status).toBe(200)
    await serves()
    expect(await inside.uploaded(listener.id)).toBe(before)
  })

  test('values that are rendered are refused when they are not what they should be', async () => {
    const before = await inside.uploaded(listener.id)
    const listeners = `listeners/${listener.id}`
    const statuses = []
    for (const text of texts) {
      const answers = [
        put(`pools/${pool.id}`, 'pool', { session_persistence: { type: 'APP_COOKIE', cookie_name: `a ${text}` } }),
        put(`pools/${pool.id}`, 'pool', { session_persistence: { type: text } }),
        put(`pools/${pool.id}`, 'pool', { lb_algorithm: text }),
        put(listeners, 'listener', { connection_limit: `1${text}` }),
        put(listeners, 'listener', { default_pool_id: text }),
        put(listeners, 'listener', { insert_headers: { [text]: 'true' } }),
        put(listeners, 'listener', { insert_headers: { 'X-Forwarded-For': text } }),
        put(listeners, 'listener', { allowed_cidrs: [`10.0.0.0/8${text}`] }),
        put(listeners, 'listener', { timeout_client_data: `1${text}` }),
        post('listeners', 'listener', { loadbalancer_id: lb.id, protocol: text, protocol_port: 81 }),
        post('listeners', 'listener', { loadbalancer_id: lb.id, protocol: 'HTTP', protocol_port: `81${text}` }),
        post(`pools/${pool.id}/members`, 'member', { address: `${web}${text}`, protocol_port: 80, subnet_id }),
        post(`pools/${pool.id}/members`, 'member', { address: web, protocol_port: `81${text}`, subnet_id }),
        put(`pools/${pool.id}/members/${member.id}`, 'member', { weight: `1${text}` }),
      ]
      statuses.push(...(await Promise.all(answers)).map(({ status }) => status))
    }
    expect(new Set(statuses)).toEqual(new Set([400]))
    await serves()
    expect(await inside.uploaded(listener.id)).toBe(before)
  })

  test('a cookie with haproxy’s own signs in its name stays one word, and sticks', async () => {
    const cookie_name = `a),"b'(c){d}#$e%[f]|g&h`
    const session_persistence = { type: 'APP_COOKIE', cookie_name }
    const before = await inside.uploaded(listener.id)
    const { status } = await put(`pools/${pool.id}`, 'pool', { session_persistence: { ...session_persistence } })
    expect([200, 400]).toContain(status)
    await serves()
    const lines = (await inside.uploaded(listener.id)).split('\n')
    const known = new Set(before.split('\n'))
    const added = lines.filter(line => !known.has(line)).map(line => line.trim().split(' '))
    // a comma is no part of a cookie's name, so this one is refused; without it, it is a name like any other
    expect(status).toBe(400)
    expect(added).toEqual([])
    const plain = { ...session_persistence, cookie_name: cookie_name.replace(',', '') }
    expect((await put(`pools/${pool.id}`, 'pool', { session_persistence: plain })).status).toBe(200)
    await serves()
    // the peers of a pair are in a section of their own
    const section = /^peers .*\n(?: {4}.*\n)*/m
    const sticky = (await inside.uploaded(listener.id))
      .replace(section, '')
      .split('\n')
      .filter(line => !known.has(line))
    expect(sticky.map(line => line.trim().split(' ').slice(0, 2).join(' '))).toEqual([
      'stick-table type',
      'stick store-response',
      'stick match',
    ])
    expect((await put(`pools/${pool.id}`, 'pool', { session_persistence: {} })).status).toBe(200)
    await serves()
    expect(await inside.uploaded(listener.id)).toBe(before)
  })
})

describe('what the API accepts, haproxy accepts', () => {
  const most = 2_073_600_000
  const timeouts = (ms: number) => ({
    timeout_client_data: ms,
    timeout_member_connect: ms,
    timeout_member_data: ms,
    timeout_tcp_inspect: ms,
  })
  const all_headers = { 'X-Forwarded-For': 'true', 'X-Forwarded-Port': 'true', 'X-Forwarded-Proto': 'true' }
  const cidrs = Array.from({ length: 20 }, (_, n) => `10.${n}.0.0/16`)

  test('the greatest and the least values', async () => {
    const persistence = [
      { type: 'APP_COOKIE', cookie_name: '"'.repeat(255) },
      { type: 'HTTP_COOKIE' },
      { type: 'SOURCE_IP' },
      null,
    ]
    const extremes = [
      { protocol: 'HTTP', connection_limit: 2_147_483_647, ...timeouts(most), insert_headers: all_headers },
      { protocol: 'HTTP', connection_limit: 1, ...timeouts(0), allowed_cidrs: ['0.0.0.0/0'] },
      { protocol: 'TCP', connection_limit: 0, ...timeouts(1), allowed_cidrs: cidrs },
      { protocol: 'HTTPS', ...timeouts(most) },
      { protocol: 'HTTP', allowed_cidrs: [] },
    ]
    const pool_protocols = ['HTTP', 'PROXYV2', 'PROXY', 'HTTPS', 'HTTP']
    const algorithms = ['SOURCE_IP', 'LEAST_CONNECTIONS', 'ROUND_ROBIN', 'SOURCE_IP', 'ROUND_ROBIN']
    const made = []
    for (const [n, fields] of extremes.entries()) {
      const protocol_port = [1, 65535, 8080, 443, 2][n]!
      const one = await demo.made('listeners', 'listener', { loadbalancer_id: lb.id, protocol_port, ...fields })
      const behind = await demo.made('pools', 'pool', {
        listener_id: one.id,
        protocol: pool_protocols[n],
        lb_algorithm: algorithms[n],
        session_persistence: fields.protocol === 'HTTP' ? persistence[n] : { type: 'SOURCE_IP' },
      })
      for (const weight of [0, 256])
        await demo.made(`pools/${behind.id}/members`, 'member', {
          ...{ address: web, protocol_port: weight === 0 ? 1 : 80, subnet_id, weight, backup: weight === 0 },
          monitor_port: 65535,
        })
      made.push(one)
    }
    await serves()
    const { body } = await demo.octavia<{ listeners: Made[] }>('GET', `listeners?loadbalancer_id=${lb.id}`)
    expect(body.listeners).toHaveLength(6)
    for (const one of body.listeners) expect(one).toMatchObject({ provisioning_status: 'ACTIVE' })
    for (const one of made) expect(await inside.haproxies(one.id)).toHaveLength(2)
    expect(await stack.answers(`http://${lb.vip_address}:1/`, 2)).toEqual({ 'hello from web1': 2 })
    expect(await stack.answers(`http://${lb.vip_address}:2/`, 2)).toEqual({ 'hello from web1': 2 })
  })
})
