/** Genuine OpenStack clients work on the pocket cloud: Debian's openstack, nova and neutron. */
import { execFile } from 'node:child_process'
import fs from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { testDatabase } from '../postgres.ts'
import { genuine } from './genuine.ts'
import { PocketStack } from './pocket-stack.ts'

const run = promisify(execFile)
// A client takes seconds to start, and many of them on a busy machine.
vi.setConfig({ testTimeout: 300_000 })
const database = testDatabase()
let stack: PocketStack
let balancer: http.Server
/** What reached the load balancing service. */
const forwarded: { method: string; url: string; host: string; token: string; body: string }[] = []

beforeAll(async () => {
  balancer = http.createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    const { method = '', url = '', headers } = request
    forwarded.push({ method, url, host: String(headers.host), token: String(headers['x-auth-token']), body })
    response.setHeader('content-type', 'application/json')
    response.setHeader('x-of-the-service', 'kept')
    if (url.startsWith('/v2.0/service-providers'))
      return response.end(
        JSON.stringify({ service_providers: [{ service_type: 'LOADBALANCERV2', name: 'octavia', default: true }] }),
      )
    response.statusCode = method === 'POST' ? 418 : 200
    response.end(JSON.stringify({ loadbalancers: [{ id: '1', name: 'lb1', vip_address: '10.0.0.9' }] }))
  })
  await new Promise<void>(resolve => balancer.listen(0, '127.0.0.1', resolve))
  stack = await PocketStack.start(database.url, `http://127.0.0.1:${(balancer.address() as AddressInfo).port}`)
})
afterAll(async () => {
  await stack?.end()
  balancer?.closeAllConnections()
  balancer?.close()
})

const client = (user: 'admin' | 'demo', argv: string[]) => genuine(stack, user, argv)

async function json<T>(user: 'admin' | 'demo', argv: string[]): Promise<T> {
  return JSON.parse(await client(user, [...argv, '-f', 'json'])) as T
}

describe('openstack', () => {
  test('issues a token', async () => {
    const token = await json<{ id: string; project_id: string }>('demo', ['openstack', 'token', 'issue'])
    const seen = await stack.send('identity', 'GET', '/v3/auth/tokens', {
      headers: { 'x-auth-token': token.id, 'x-subject-token': token.id },
    })
    expect(seen.body).toMatchObject({ token: { project: { id: token.project_id, name: 'demo' } } })
  })

  test('shows projects, networks and flavors', async () => {
    const projects = await json<{ Name: string }[]>('admin', ['openstack', 'project', 'list'])
    expect(projects.map(project => project.Name).sort()).toEqual(['admin', 'demo', 'service'])
    const networks = await json<{ Name: string; Subnets: string[] }[]>('demo', ['openstack', 'network', 'list'])
    expect(networks.map(network => network.Name)).toEqual(['private'])
    const flavors = await json<{ Name: string }[]>('demo', ['openstack', 'flavor', 'list'])
    expect(flavors.map(flavor => flavor.Name)).toContain('m1.tiny')
  })

  test('makes and deletes networks, subnets and ports', async () => {
    await client('demo', ['openstack', 'network', 'create', 'mine'])
    await client('demo', 'openstack subnet create --network mine --subnet-range 10.9.0.0/24 mine-subnet'.split(' '))
    const port = await json<{ id: string; fixed_ips: { ip_address: string }[] }>(
      'demo',
      'openstack port create --network mine --fixed-ip ip-address=10.9.0.77 p1'.split(' '),
    )
    expect(port.fixed_ips.map(ip => ip.ip_address)).toEqual(['10.9.0.77'])
    const ports = await json<{ ID: string }[]>('demo', 'openstack port list --network mine'.split(' '))
    expect(ports.map(one => one.ID)).toEqual([port.id])
    await client('demo', 'openstack port set --disable --name p2 p1'.split(' '))
    const changed = await json<{ admin_state_up: boolean }>('demo', 'openstack port show p2'.split(' '))
    expect(changed.admin_state_up).toBe(false)
    await client('demo', ['openstack', 'port', 'delete', 'p2'])
    await client('demo', ['openstack', 'network', 'delete', 'mine'])
    expect(await json('demo', 'openstack port list --device-owner nobody'.split(' '))).toEqual([])
  })

  test('makes rules of security groups', async () => {
    await client('demo', ['openstack', 'security', 'group', 'create', 'web'])
    const argv = 'openstack security group rule create --protocol tcp --dst-port 80:81 --remote-ip 10.0.0.0/24 web'
    const rule = await json<{ id: string; port_range_min: number; port_range_max: number }>('demo', argv.split(' '))
    expect(rule).toMatchObject({ port_range_min: 80, port_range_max: 81 })
    const rules = await json<{ ID: string }[]>('demo', 'openstack security group rule list web'.split(' '))
    expect(rules.map(one => one.ID)).toContain(rule.id)
    await client('demo', ['openstack', 'security', 'group', 'rule', 'delete', rule.id])
    await client('demo', ['openstack', 'security', 'group', 'delete', 'web'])
  })

  test('uploads an image, which is unpacked where it is an archive', async () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'image-'))
    try {
      fs.mkdirSync(path.join(folder, 'etc'))
      fs.writeFileSync(path.join(folder, 'etc', 'motd'), 'hello\n')
      await run('tar', ['-czf', path.join(folder, 'image.tgz'), '-C', folder, 'etc'])
      const create = ['openstack', 'image', 'create', '--file', path.join(folder, 'image.tgz')]
      const options = ['--disk-format', 'raw', '--container-format', 'bare', '--property', 'os_version=7', '--tag', 't']
      await client('demo', [...create, ...options, 'tree'])
      const image = await json<{ id: string; status: string; tags: string[]; properties: Record<string, string> }>(
        'demo',
        ['openstack', 'image', 'show', 'tree'],
      )
      expect(image).toMatchObject({ status: 'active', tags: ['t'] })
      expect(image.properties).toMatchObject({
        os_version: '7',
        pocket_boots_as: "the archive's files on the machine's own root",
      })
      const saved = path.join(folder, 'saved')
      await client('demo', ['openstack', 'image', 'save', '--file', saved, 'tree'])
      expect(fs.readFileSync(saved)).toEqual(fs.readFileSync(path.join(folder, 'image.tgz')))
    } finally {
      fs.rmSync(folder, { recursive: true, force: true })
    }
  })

  test('makes a server, lists it, deletes it', async () => {
    const create = 'openstack server create --image debian --flavor m1.tiny --network private --wait one'
    const server = await json<{ id: string; addresses: unknown }>('demo', create.split(' '))
    expect(stack.fabric.servers.get(server.id)?.server.name).toBe('one')
    const servers = await json<{ Name: string; Status: string; Networks: Record<string, string[]> }[]>('demo', [
      'openstack',
      'server',
      'list',
    ])
    expect(servers).toMatchObject([{ Name: 'one', Status: 'ACTIVE' }])
    // IPv4 from the pool and IPv6 by the MAC
    expect(servers[0]!.Networks.private!.some(address => address.startsWith('10.0.0.'))).toBe(true)
    expect(servers[0]!.Networks.private!.some(address => address.startsWith('fd36:53a8:d962:'))).toBe(true)
    await client('demo', ['openstack', 'server', 'delete', '--wait', 'one'])
    expect(stack.fabric.servers.size).toBe(0)
    expect(await json('demo', ['openstack', 'port', 'list'])).toEqual([])
  })
})

describe('nova', () => {
  test('boots, lists, attaches, stops, starts and deletes', async () => {
    const network = (await json<{ id: string }>('demo', 'openstack network show private'.split(' '))).id
    await client('demo', [
      'nova',
      'boot',
      '--image',
      'debian',
      '--flavor',
      'm1.tiny',
      '--nic',
      `net-id=${network}`,
      '--poll',
      'second',
    ])
    expect(await client('demo', ['nova', 'list'])).toMatch(/second +\| ACTIVE .*private=/)
    await client('demo', ['nova', 'interface-attach', '--net-id', network, 'second'])
    expect((await client('demo', ['nova', 'interface-list', 'second'])).match(/ACTIVE/g)).toHaveLength(2)
    expect(await client('admin', ['nova', 'list'])).not.toContain('second')
    expect(await client('admin', ['nova', 'list', '--all-tenants'])).toContain('second')
    expect(await client('demo', ['nova', 'console-log', 'second'])).toContain('the console of')
    await client('demo', ['nova', 'stop', 'second'])
    await expect.poll(() => client('demo', ['nova', 'show', 'second']), { timeout: 120_000 }).toContain('SHUTOFF')
    expect(stack.fabric.servers.size).toBe(0)
    await client('demo', ['nova', 'delete', 'second'])
    await expect.poll(() => client('demo', ['nova', 'list']), { timeout: 120_000 }).not.toContain('second')
  })
})

describe('neutron', () => {
  test('lists, makes and shows', async () => {
    expect(await client('demo', ['neutron', 'net-list'])).toContain('private')
    const made = await client('demo', ['neutron', 'port-create', 'private', '--name', 'np'])
    expect(made).toContain('fd36:53a8:d962:')
    expect(await client('demo', ['neutron', 'port-list', '--', '--name', 'np'])).toContain('np')
    await client('demo', ['neutron', 'port-update', 'np', '--admin-state-up', 'False'])
    expect(await client('demo', ['neutron', 'port-show', 'np'])).toMatch(/admin_state_up +\| False/)
    await client(
      'demo',
      'neutron security-group-rule-create --protocol tcp --port-range-min 22 --port-range-max 22 default'.split(' '),
    )
    await client('demo', ['neutron', 'port-delete', 'np'])
    expect(await client('demo', ['neutron', 'ext-list'])).toContain('lbaasv2')
  })

  test('reaches the load balancing service through Neutron', async () => {
    expect(await client('demo', ['neutron', 'lbaas-loadbalancer-list'])).toContain('lb1')
    const sent = forwarded.at(-1)!
    expect(sent.url).toMatch(/^\/v2\.0\/lbaas\/loadbalancers/)
    const owner = await stack.send('identity', 'GET', '/v3/auth/tokens', {
      headers: { 'x-auth-token': await stack.token('admin'), 'x-subject-token': sent.token },
    })
    expect(owner.body).toMatchObject({ token: { user: { name: 'demo' } } })
    expect(await client('demo', ['neutron', 'service-provider-list'])).toContain('LOADBALANCERV2')
  })

  test('what is forwarded passes as it came, and comes back as it was', async () => {
    const body = '{"loadbalancer": {"name":  "spaces kept"}}'
    const headers = { 'x-auth-token': await stack.token('demo'), 'content-type': 'application/json' }
    const answer = await stack.send('network', 'POST', '/v2.0/lbaas/loadbalancers?a=1&a=2', { headers, body })
    expect(answer.status).toBe(418)
    expect(answer.headers['x-of-the-service']).toBe('kept')
    // the links in lists are made from the Host, and are to lead to where the client asked
    const { host } = new URL(stack.endpoints.network)
    expect(forwarded.at(-1)).toMatchObject({ method: 'POST', url: '/v2.0/lbaas/loadbalancers?a=1&a=2', host, body })
  })
})
