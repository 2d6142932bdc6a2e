/** What a tenant may not: see or change what is another's, say what only administrators may, or reach the machine. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ServiceName } from '../../src/pocket/service.ts'
import { testDatabase } from '../postgres.ts'
import { PocketStack, until } from './pocket-stack.ts'

const database = testDatabase()
let stack: PocketStack
const ids: Record<string, string> = {}

const demo = (service: ServiceName, method: string, url: string, body?: unknown) =>
  stack.as('demo', service, method, url, body)
const idIn = (answer: { body: unknown; text: string; status: number }) => {
  expect(answer.status, answer.text).toBeLessThan(300)
  const document = answer.body as Record<string, unknown>
  return ((typeof document.id === 'string' ? document : Object.values(document)[0]) as { id: string }).id
}
const first = (answer: { body: unknown }) =>
  (Object.values(answer.body as object).find(Array.isArray) as { id: string }[])[0]!.id

beforeAll(async () => {
  stack = await PocketStack.start(database.url)
  const service = (method: string, url: string, body?: unknown) => stack.as('octavia', 'network', method, url, body)
  ids.demo = first(await stack.as('admin', 'identity', 'GET', '/v3/projects?name=demo'))
  ids.service = first(await stack.as('admin', 'identity', 'GET', '/v3/projects?name=service'))
  ids.private = first(await demo('network', 'GET', '/v2.0/networks?name=private'))
  ids.management = first(await service('GET', '/v2.0/networks?name=lb-mgmt-net'))
  ids.subnet = first(await service('GET', '/v2.0/subnets?name=lb-mgmt-subnet'))
  ids.group = idIn(await service('POST', '/v2.0/security-groups', { security_group: { name: 'secret' } }))
  // of the service, but on the tenant's own network: a load balancer's port
  ids.port = idIn(await service('POST', '/v2.0/ports', { port: { network_id: ids.private, name: 'octavia-lb-vrrp' } }))
  ids.policy = idIn(await service('POST', '/v2.0/qos/policies', { policy: { name: 'shared', shared: true } }))
  ids.image = idIn(await stack.as('octavia', 'image', 'POST', '/v2/images', { name: 'amphora', tags: ['amphora'] }))
  ids.debian = first(await demo('image', 'GET', '/v2/images?name=debian'))
  const server = { name: 'amphora', imageRef: ids.debian, flavorRef: '65', networks: [{ uuid: ids.management }] }
  ids.server = idIn(await stack.as('octavia', 'compute', 'POST', '/v2.1/servers', { server }))
  const group = { server_group: { name: 'g', policies: ['anti-affinity'] } }
  ids.server_group = idIn(await stack.as('octavia', 'compute', 'POST', '/v2.1/os-server-groups', group))
  await until(
    () => stack.as('octavia', 'compute', 'GET', `/v2.1/servers/${ids.server}`),
    answer => answer.text.includes('"ACTIVE"'),
  )
})
afterAll(() => stack?.end())

describe("what is another's is not there", () => {
  test.each([
    ['network', '/v2.0/networks/', 'management'],
    ['network', '/v2.0/subnets/', 'subnet'],
    ['network', '/v2.0/ports/', 'port'],
    ['network', '/v2.0/security-groups/', 'group'],
    ['compute', '/v2.1/servers/', 'server'],
    ['compute', '/v2.1/os-server-groups/', 'server_group'],
    ['image', '/v2/images/', 'image'],
  ] as [ServiceName, string, string][])('%s %s', async (service, path, name) => {
    for (const method of ['GET', 'DELETE']) expect((await demo(service, method, path + ids[name])).status).toBe(404)
    const list = await demo(service, 'GET', path.slice(0, -1))
    expect(list.text).not.toContain(ids[name])
    expect((await stack.as('octavia', service, 'GET', path + ids[name])).status).toBe(200)
  })

  test('nor can it be used', async () => {
    const image = ids.debian
    const server = { name: 'x', imageRef: image, flavorRef: '1', networks: [{ uuid: ids.private }] }
    const refused: [ServiceName, string, object, number][] = [
      ['network', '/v2.0/ports', { port: { network_id: ids.management } }, 404],
      ['network', '/v2.0/ports', { port: { network_id: ids.private, security_groups: [ids.group] } }, 404],
      ['network', '/v2.0/subnets', { subnet: { network_id: ids.management, cidr: '10.1.0.0/24' } }, 404],
      ['compute', '/v2.1/servers', { server: { ...server, networks: [{ uuid: ids.management }] } }, 400],
      ['compute', '/v2.1/servers', { server: { ...server, networks: [{ port: ids.port }] } }, 400],
      ['compute', '/v2.1/servers', { server: { ...server, imageRef: ids.image } }, 400],
      ['compute', '/v2.1/servers', { server: { ...server, security_groups: [{ name: ids.group }] } }, 400],
      ['compute', '/v2.1/servers', { server, 'os:scheduler_hints': { group: ids.server_group } }, 400],
    ]
    for (const [service, url, body, status] of refused)
      expect((await demo(service, 'POST', url, body)).status, JSON.stringify(body)).toBe(status)
    const own = idIn(await demo('compute', 'POST', '/v2.1/servers', { server }))
    await until(
      () => demo('compute', 'GET', `/v2.1/servers/${own}`),
      answer => answer.text.includes('"ACTIVE"'),
    )
    const attach = (body: object) =>
      demo('compute', 'POST', `/v2.1/servers/${own}/os-interface`, { interfaceAttachment: body })
    expect((await attach({ net_id: ids.management })).status).toBe(500)
    expect((await attach({ port_id: ids.port })).status).toBe(404)
    // nor does a port become a server's because it says so
    const port = { network_id: ids.private, device_id: ids.server, device_owner: 'compute:nova' }
    const claimed = idIn(await demo('network', 'POST', '/v2.0/ports', { port }))
    const interfaces = await stack.as('octavia', 'compute', 'GET', `/v2.1/servers/${ids.server}/os-interface`)
    expect(interfaces.text).not.toContain(claimed)
  })

  test('what is shared can be seen, not changed', async () => {
    const url = `/v2.0/qos/policies/${ids.policy}`
    expect((await demo('network', 'GET', url)).status).toBe(200)
    expect((await demo('network', 'PUT', url, { policy: { name: 'mine' } })).status).toBe(403)
    expect((await demo('network', 'DELETE', url)).status).toBe(403)
    expect((await demo('image', 'DELETE', `/v2/images/${ids.debian}`)).status).toBe(403)
  })
})

describe('only administrators', () => {
  test.each([
    ['network', 'POST', '/v2.0/networks', { network: { name: 'x', shared: true } }],
    ['network', 'POST', '/v2.0/ports', { port: { network_id: 'private', 'binding:host_id': 'x' } }],
    [
      'network',
      'POST',
      '/v2.0/ports',
      { port: { network_id: 'private', device_owner: 'pocket:host', device_id: 'world' } },
    ],
    ['network', 'POST', '/v2.0/ports', { port: { network_id: 'private', port_security_enabled: false } }],
    ['network', 'POST', '/v2.0/ports', { port: { network_id: 'private', project_id: 'service' } }],
    ['network', 'PUT', '/v2.0/quotas/demo', { quota: { port: -1 } }],
    ['network', 'GET', '/v2.0/quotas', undefined],
    ['compute', 'PUT', '/v2.1/os-quota-sets/demo', { quota_set: { instances: -1 } }],
    ['compute', 'GET', '/v2.1/os-services', undefined],
    ['compute', 'GET', '/v2.1/os-hypervisors', undefined],
    ['identity', 'GET', '/v3/users', undefined],
    ['identity', 'POST', '/v3/projects', { project: { name: 'x' } }],
    ['identity', 'POST', '/v3/users', { user: { name: 'x', password: 'x' } }],
    ['image', 'POST', '/v2/images', { name: 'x', visibility: 'public' }],
    ['image', 'POST', '/v2/images', { name: 'x', tags: ['amphora'], owner: 'service' }],
    ['image', 'POST', '/v2/images', { name: 'x', status: 'active' }],
  ] as [ServiceName, string, string, object | undefined][])('%s %s %s %j', async (service, method, url, body) => {
    const named = (text: string) => text.replace(/\b(demo|service|private)\b/g, word => ids[word]!)
    const sent = body && JSON.parse(named(JSON.stringify(body)))
    expect((await demo(service, method, named(url), sent)).status).toBe(403)
  })
})

describe('what a request may not say', () => {
  test.each<object>([
    { port: { id: '00000000-0000-0000-0000-000000000000' } },
    { port: { project_id: 'x' } },
    { port: { status: 'ACTIVE' } },
    { port: { network_id: '00000000-0000-0000-0000-000000000000' } },
    { port: { _server_id: 'x' } },
    { port: { __proto__x: 1 } },
    { port: { constructor: 1 } },
    { port: { admin_state_up: 'perhaps' } },
    { port: { name: 5 } },
    { port: { fixed_ips: 'all' } },
    { port: { fixed_ips: [{ ip_address: '10.0.0.1; reboot' }] } },
    { port: { allowed_address_pairs: [{ ip_address: '10.0.0.1', mac_address: 'x\ny' }] } },
    { port: { security_groups: [{}] } },
    { port: [] },
    { network: {} },
  ])('of a port: %j', async body => {
    const made = idIn(await demo('network', 'POST', '/v2.0/ports', { port: { network_id: ids.private } }))
    const before = await demo('network', 'GET', `/v2.0/ports/${made}`)
    expect((await demo('network', 'PUT', `/v2.0/ports/${made}`, body)).status).toBe(400)
    expect((await demo('network', 'GET', `/v2.0/ports/${made}`)).body).toEqual(before.body)
  })

  test.each<object>([
    { gateway_ip: '10.2.0.1\nroute add' },
    { gateway_ip: 'fd00::1' },
    { cidr: '10.2.0.0/24 dev eth0' },
    { ip_version: 6 },
    { allocation_pools: [{ start: '10.3.0.1', end: '10.3.0.9' }] },
    { allocation_pools: [{ start: '10.2.0.9', end: '10.2.0.2' }] },
    { allocation_pools: [{ start: '10.2.0.1', end: '10.2.0.9' }], gateway_ip: '10.2.0.5' },
    { host_routes: [{ destination: 'all', nexthop: '10.2.0.1' }] },
  ])('of a subnet: %j', async more => {
    const network_id = idIn(await demo('network', 'POST', '/v2.0/networks', { network: { name: 'n' } }))
    const body = { subnet: { network_id, cidr: '10.2.0.0/24', ip_version: 4, ...more } }
    const answer = await demo('network', 'POST', '/v2.0/subnets', body)
    expect([400, 409]).toContain(answer.status)
  })

  test.each([{ mtu: '1400 up' }, { mtu: 1 }, { mtu: 100_000 }, { name: 'x'.repeat(256) }])(
    'of a network: %j',
    async network => {
      expect((await demo('network', 'POST', '/v2.0/networks', { network })).status).toBe(400)
    },
  )

  test.each<object>([
    { protocol: 'tcp', port_range_min: 80 },
    { protocol: 'tcp', port_range_min: 90, port_range_max: 80 },
    { protocol: 'tcp', port_range_min: 0, port_range_max: 65_536 },
    { port_range_min: 80, port_range_max: 80 },
    { protocol: 'gre', port_range_min: 80, port_range_max: 80 },
    { protocol: 'icmp', port_range_min: 300 },
    { protocol: 'tcp accept' },
    { protocol: 256 },
    { remote_ip_prefix: '10.0.0.0/24 accept' },
    { remote_ip_prefix: '::/0' },
    { ethertype: 'IPX' },
    { direction: 'sideways' },
  ])('of a rule: %j', async rule => {
    const groups = await demo('network', 'GET', '/v2.0/security-groups?name=default')
    const security_group_rule = { security_group_id: first(groups), direction: 'ingress', ...rule }
    expect((await demo('network', 'POST', '/v2.0/security-group-rules', { security_group_rule })).status).toBe(400)
  })

  test.each<object>([
    { name: 5 },
    { name: '' },
    { max_count: 'many' },
    { max_count: 1e9 },
    { networks: [null] },
    { networks: 'some' },
    { security_groups: 'default' },
    { personality: [{ path: '/usr/bin/ip', contents: 'eA==' }] },
    { personality: [{ path: '/etc/../usr/x', contents: 'eA==' }] },
    { personality: [{ path: 5 }] },
    { user_data: {} },
    { user_data: 'x'.repeat(70_000) },
    { metadata: { a: {} } },
    { key_name: ['x'] },
  ])('of a server: %j', async more => {
    const server = { name: 'x', imageRef: ids.debian, flavorRef: '1', networks: [{ uuid: ids.private }], ...more }
    const answer = await demo('compute', 'POST', '/v2.1/servers', { server })
    expect(answer.status, answer.text).toBe(400)
  })

  test.each<object>([
    { id: '../../../../tmp/x' },
    { id: '..' },
    { tags: 'amphora' },
    { min_ram: -1 },
    { name: {} },
    { 'x/y': 'z' },
  ])('of an image: %j', async image => {
    expect((await demo('image', 'POST', '/v2/images', image)).status).toBe(400)
  })

  test('more than the cloud reads', async () => {
    const port = { network_id: ids.private, description: 'x'.repeat(5 << 20) }
    expect((await demo('network', 'POST', '/v2.0/ports', { port })).status).toBe(413)
  })

  test('a pattern that runs for ever', async () => {
    const name = encodeURIComponent(`(a+)+$${'a'.repeat(40)}!`)
    expect((await demo('compute', 'GET', `/v2.1/servers?name=${name}`)).body).toEqual({ servers: [] })
  })
})

describe('an application credential', () => {
  test('has no more than its roles and its project, whatever is made of it', async () => {
    const { token: seen } = (
      await stack.send('identity', 'GET', '/v3/auth/tokens', {
        headers: { 'x-auth-token': await stack.token('octavia'), 'x-subject-token': await stack.token('octavia') },
      })
    ).body as { token: { user: { id: string } } }
    const url = `/v3/users/${seen.user.id}/application_credentials`
    const wish = { name: 'reading', roles: [{ name: 'reader' }] }
    const made = await stack.as('octavia', 'identity', 'POST', url, { application_credential: wish })
    const { id, secret } = (made.body as { application_credential: { id: string; secret: string } })
      .application_credential
    const logIn = (identity: object, scope?: object) =>
      stack.send('identity', 'POST', '/v3/auth/tokens', { body: { auth: { identity, ...(scope && { scope }) } } })
    const limited = await logIn({ methods: ['application_credential'], application_credential: { id, secret } })
    const roles = (answer: { body: unknown }) =>
      (answer.body as { token: { roles: { name: string }[] } }).token.roles.map(role => role.name)
    expect(roles(limited)).toEqual(['reader'])
    const token = limited.headers['x-subject-token']!
    const again = await logIn({ methods: ['token'], token: { id: token } }, { project: { id: ids.service } })
    expect(roles(again)).toEqual(['reader'])
    expect((await logIn({ methods: ['token'], token: { id: token } }, { project: { id: ids.demo } })).status).toBe(401)
    const more = await stack.send('identity', 'POST', url, {
      headers: { 'x-auth-token': token },
      body: { application_credential: { name: 'more' } },
    })
    expect(more.status).toBe(403)
    const greedy = { application_credential: { name: 'greedy', roles: [{ name: 'load-balancer_admin' }] } }
    expect((await stack.as('octavia', 'identity', 'POST', url, greedy)).status).toBe(400)
    // with the credential its tokens end
    expect((await stack.as('octavia', 'identity', 'DELETE', `${url}/${id}`)).status).toBe(204)
    const after = await stack.send('network', 'GET', '/v2.0/networks', { headers: { 'x-auth-token': token } })
    expect(after.status).toBe(401)
  })
})

describe('security groups', () => {
  test('reach the machine with remote groups as addresses, and change when members come and go', async () => {
    const own = (url: string, body: unknown) => demo('network', 'POST', url, body)
    const web = idIn(await own('/v2.0/security-groups', { security_group: { name: 'web' } }))
    const db = idIn(await own('/v2.0/security-groups', { security_group: { name: 'db' } }))
    const rule = { security_group_id: db, direction: 'ingress', protocol: 'vrrp', remote_group_id: web }
    await own('/v2.0/security-group-rules', { security_group_rule: rule })
    const port = idIn(await own('/v2.0/ports', { port: { network_id: ids.private, security_groups: [db] } }))
    const server = { name: 'db', imageRef: ids.debian, flavorRef: '1', networks: [{ port }] }
    idIn(await demo('compute', 'POST', '/v2.1/servers', { server }))
    const remotes = () => stack.fabric.ports.get(port)?.rules.find(one => one.direction === 'ingress')
    await until(
      async () => remotes(),
      known => known !== undefined,
    )
    expect(remotes()).toMatchObject({ protocol: '112', remote_ip_prefixes: [] })
    const member = await own('/v2.0/ports', { port: { network_id: ids.private, security_groups: [web] } })
    const addresses = (member.body as { port: { fixed_ips: { ip_address: string }[] } }).port.fixed_ips
    expect(remotes()?.remote_ip_prefixes).toEqual(addresses.map(ip => ip.ip_address))
    const url = `/v2.0/ports/${idIn(member)}`
    await demo('network', 'PUT', url, { port: { allowed_address_pairs: [{ ip_address: '10.0.0.250' }] } })
    expect(remotes()?.remote_ip_prefixes).toContain('10.0.0.250')
    await demo('network', 'PUT', url, { port: { security_groups: [] } })
    expect(remotes()?.remote_ip_prefixes).toEqual([])
    await demo('network', 'PUT', `/v2.0/ports/${port}`, { port: { admin_state_up: false } })
    expect(stack.fabric.ports.get(port)?.admin_state_up).toBe(false)
    expect((await demo('network', 'DELETE', `/v2.0/security-groups/${web}`)).status).toBe(204)
    expect(remotes()).toBeUndefined()
  })
})
