/** Members elsewhere: on another network, on one that overlaps the management network, and where they cannot be. */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { Api, type Made } from './api.ts'
import { Inside } from './inside.ts'
import { eventually, Stack } from './stack.ts'

const stack = new Stack(inject('stack_dir'))
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ottavia-members-'))
let demo: Api
let admin: Api
let lb: Made
let listener: Made
let pool: Made
let members: string
const made_networks: string[] = []

beforeAll(async () => {
  ;[demo, admin] = await Promise.all([Api.of(stack, 'demo'), Api.of(stack, 'admin')])
  const vip_subnet_id = await demo.subnet('private-subnet')
  const flavor_id = await admin.singleAmphora()
  lb = await demo.made('loadbalancers', 'loadbalancer', { name: 'far', vip_subnet_id, flavor_id })
  listener = await demo.made('listeners', 'listener', { loadbalancer_id: lb.id, protocol: 'HTTP', protocol_port: 80 })
  pool = await demo.made('pools', 'pool', { listener_id: listener.id, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' })
  members = `pools/${pool.id}/members`
  await demo.settled(lb.id)
})
afterAll(async () => {
  fs.rmSync(folder, { recursive: true })
  await demo.removed(lb.id)
  for (const id of made_networks) // a server's ports go after its delete was answered
    await eventually(`network ${id} gone`, async () => (await demo.network('DELETE', `networks/${id}`)).status === 404)
})

type Network = { id: string; subnet_id: string }
type Port = { id: string; mac_address: string; network_id: string; fixed_ips: { ip_address: string }[] }

async function network(name: string, cidr: string): Promise<Network> {
  const made = await demo.network<{ network: { id: string } }>('POST', 'networks', { network: { name } })
  const { id } = made.body.network
  made_networks.push(id)
  const fields = { network_id: id, name: `${name}-subnet`, cidr, ip_version: 4 }
  const { body } = await demo.network<{ subnet: { id: string } }>('POST', 'subnets', { subnet: fields })
  return { id, subnet_id: body.subnet.id }
}

/** A web server on that network, at that address if one is named; resolves with its address. */
async function boot(name: string, network_id: string, address: string | null): Promise<string> {
  const script = path.join(folder, `${name}.sh`)
  const server = `require('http').createServer((q, a) => a.end('hello from ${name}\\n')).listen(80, '::', () => console.log('SERVES'))`
  fs.writeFileSync(script, `#!/bin/sh\nexec node -e "${server}"\n`)
  const nic = `net-id=${network_id}${address === null ? '' : `,v4-fixed-ip=${address}`}`
  const options = ['--flavor', 'm1.tiny', '--image', 'debian', '--nic', nic, '--user-data', script]
  await stack.client('demo', 'nova', 'boot', ...options, name)
  await eventually(`${name} serves`, async () =>
    (await stack.client('demo', 'nova', 'console-log', name)).includes('SERVES'),
  )
  const { servers } = await stack.status()
  return servers.find(one => one.name === name)!.addresses[0]!
}

async function portsOn(network_id: string, device_id: string): Promise<Port[]> {
  const query = `ports?device_id=${device_id}&network_id=${network_id}`
  return (await admin.network<{ ports: Port[] }>('GET', query)).body.ports
}

const add = (fields: Record<string, unknown>) => demo.made(members, 'member', { protocol_port: 80, ...fields })
const drop = async (member: Made) => {
  expect((await demo.octavia('DELETE', `${members}/${member.id}`)).status).toBe(204)
  return demo.settled(lb.id)
}

describe('a member on another network', () => {
  let other: Network
  let address: string
  let member: Made
  let port: Port

  afterAll(() => stack.client('demo', 'nova', 'delete', 'far-web'))

  test('is reached by a port and an interface that the amphora gets there', async () => {
    other = await network('other', '10.9.0.0/24')
    address = await boot('far-web', other.id, null)
    expect(address).toMatch(/^10\.9\.0\./)
    member = await add({ address, subnet_id: other.subnet_id })
    await demo.settled(lb.id)
    expect(await stack.answers(`http://${lb.vip_address}/`, 5)).toEqual({ 'hello from far-web': 5 })
    const inside = await Inside.of(stack, lb.id)
    const ports = await portsOn(other.id, inside.server_id)
    expect(ports).toHaveLength(1)
    port = ports[0]!
    expect(await inside.macs()).toContain(port.mac_address)
    expect(await inside.macs()).toHaveLength(2)
  })

  test('a second member there needs no second port', async () => {
    const unused = ['10.9.0.250', '10.9.0.251'].find(one => one !== address)!
    const second = await add({ address: unused, weight: 0, subnet_id: other.subnet_id })
    await demo.settled(lb.id)
    const inside = await Inside.of(stack, lb.id)
    expect(await portsOn(other.id, inside.server_id)).toHaveLength(1)
    await drop(second)
    expect(await portsOn(other.id, inside.server_id)).toHaveLength(1)
    expect(await stack.answers(`http://${lb.vip_address}/`, 5)).toEqual({ 'hello from far-web': 5 })
  })

  test('with the last of them port and interface go', async () => {
    await drop(member)
    const inside = await Inside.of(stack, lb.id)
    expect((await admin.network('GET', `ports/${port.id}`)).status).toBe(404)
    expect(await inside.macs()).not.toContain(port.mac_address)
    expect(await inside.macs()).toHaveLength(1)
  })
})

describe('a member network that overlaps the management network', () => {
  afterAll(async () => {
    for (const name of ['twin-of-amphora', 'twin-of-controller']) await stack.client('demo', 'nova', 'delete', name)
  })

  test('serves, even at the addresses of the amphora and of the controller; both stay in touch', async () => {
    const inside = await Inside.of(stack, lb.id)
    const name = 'octavia-health-manager-ottavia-listen-port'
    const { body } = await admin.network<{ ports: Port[] }>('GET', `ports?name=${name}`)
    const controller_address = body.ports[0]!.fixed_ips[0]!.ip_address
    const twin = await network('twin', '192.168.0.0/24')
    const at = { subnet_id: twin.subnet_id }
    const first = await add({ address: await boot('twin-of-amphora', twin.id, inside.management_address), ...at })
    const second = await add({ address: await boot('twin-of-controller', twin.id, controller_address), ...at })
    await demo.settled(lb.id)
    expect(await stack.answers(`http://${lb.vip_address}/`, 10)).toEqual({
      'hello from twin-of-amphora': 5,
      'hello from twin-of-controller': 5,
    })
    // what the controller changes still arrives
    expect((await demo.octavia('PUT', `${members}/${second.id}`, { member: { weight: 0 } })).status).toBe(200)
    await demo.settled(lb.id)
    expect(await stack.answers(`http://${lb.vip_address}/`, 5)).toEqual({ 'hello from twin-of-amphora': 5 })
    await drop(first)
    await drop(second)
    expect(await inside.macs()).toHaveLength(1)
  })
})

describe('a member outside its subnet', () => {
  test('is accepted, its owner is warned wherever he looks, and the load balancer is ACTIVE', async () => {
    const { servers } = await stack.status()
    const address = servers.find(server => server.name === 'web1')!.addresses[0]!
    const subnet_id = await demo.subnet('private-subnet')
    const good = await add({ address, subnet_id })
    const odd = await add({ address: '172.31.255.1', name: 'odd', subnet_id, weight: 0 })
    await demo.settled(lb.id)
    const warning = /172\.31\.255\.1 is not in the member's subnet 10\.0\.0\.0\/24/
    expect((await stack.run('explain', lb.id)).stdout).toMatch(warning)
    const tree = await demo.octavia('GET', `loadbalancers/${lb.id}/status`)
    expect(JSON.stringify(tree.body)).toMatch(warning)
    expect(await stack.client('demo', 'neutron', 'lbaas-loadbalancer-status', 'far')).toMatch(warning)
    expect(await stack.answers(`http://${lb.vip_address}/`, 5)).toEqual({ 'hello from web1': 5 })
    await drop(odd)
    expect((await stack.run('explain', lb.id)).stdout).not.toMatch(/^ {2}member odd/m)
    await drop(good)
  })
})
