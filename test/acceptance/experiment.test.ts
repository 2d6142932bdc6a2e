/** The described experiment, by the genuine clients: an amphora's management port is taken down, and another amphora
 *  takes its place and its addresses, while the VIP goes on serving. A pair and a single amphora, side by side. */
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { type Failing, Ground, type Port, type Row } from './failing.ts'
import { startLoad } from './load.ts'
import { Stack } from './stack.ts'

const stack = new Stack(inject('stack_dir'))
let ground: Ground
const served: Failing[] = []

beforeAll(async () => {
  ground = await Ground.of(stack)
  served.push(...(await Promise.all([ground.make('pair'), ground.make('one', await ground.admin.singleAmphora())])))
})
afterAll(async () => {
  await Promise.all(served.map(({ id }) => ground.demo.removed(id)))
})

const admin = (...command: string[]) => stack.client('admin', ...command)
const asJson = async <T>(...command: string[]) => JSON.parse(await admin(...command)) as T

describe('a management port is taken down', () => {
  test.concurrent('of a pair: another server, the same VRRP port, and the VIP serves all along', async () => {
    const [pair] = served
    const before = await pair!.whole()
    const { MASTER: amphora } = before
    const vrrp_port = await ground.port(amphora.vrrp_port_id)
    const load = await startLoad(stack, pair!.url, 50)
    await experiment(amphora)
    const after = await pair!.whole(amphora)
    const seen = await load.stop()
    expect(after.BACKUP).toMatchObject({ id: before.BACKUP.id, compute_id: before.BACKUP.compute_id })
    await replaced(pair!, amphora, after.MASTER, vrrp_port)
    // its agent was cut off, nothing else: the VIP goes to the partner when the server goes
    expect(seen.requests).toBeGreaterThan(100)
    expect(seen.failed, JSON.stringify(seen)).toBeLessThan(seen.requests / 10)
    expect(Object.keys(seen.answers).sort()).toEqual(['hello from web1', 'hello from web2'])
  })

  test.concurrent('of a single amphora: the same, and it serves again', async () => {
    const single = served[1]!
    const { STANDALONE: amphora } = await single.whole()
    const vrrp_port = await ground.port(amphora.vrrp_port_id)
    const [management] = await ground.portsOf(amphora.compute_id, amphora.lb_network_ip)
    await ground.admin.network('PUT', `ports/${management!.id}`, { port: { admin_state_up: false } })
    const after = await single.whole(amphora)
    await replaced(single, amphora, after.STANDALONE, vrrp_port)
    await single.answers()
  })

  test('and nothing else is left of it', () => ground.balanced())
})

/** As it is described, word for word. */
async function experiment(amphora: Row): Promise<void> {
  const list = await admin('nova', 'list')
  const row = list.split('\n').find(line => line.includes(`amphora-${amphora.id}`))!
  expect(row).toContain(amphora.compute_id)
  expect(row).toContain(`lb-mgmt-net=${amphora.lb_network_ip}`)
  expect(row).toContain(amphora.vrrp_ip)
  const list_ports = ['port-list', '-f', 'json', '--', '--device-id', amphora.compute_id]
  const ports = await asJson<(Port & { fixed_ips: string })[]>('neutron', ...list_ports)
  expect(ports).toHaveLength(2)
  const management = ports.find(port => JSON.stringify(port.fixed_ips).includes(amphora.lb_network_ip))!
  expect(ports.find(port => port !== management)!.id).toBe(amphora.vrrp_port_id)
  expect(await admin('neutron', 'port-show', management.id)).toContain(amphora.compute_id)
  await admin('neutron', 'port-update', management.id, '--admin-state-up', 'False')
}

/** What is told of it afterwards, and what is another and what is not. */
async function replaced(lb: Failing, former: Row, amphora: Row, vrrp_port: Port): Promise<void> {
  expect(amphora.compute_id).not.toBe(former.compute_id)
  expect(amphora).toMatchObject({
    status: 'ALLOCATED',
    role: former.role,
    vrrp_port_id: former.vrrp_port_id,
    vrrp_ip: former.vrrp_ip,
    ha_ip: lb.lb.vip_address,
    ha_port_id: lb.lb.vip_port_id,
  })
  const { id, mac_address, fixed_ips, allowed_address_pairs } = vrrp_port
  const port = await ground.port(id)
  expect(port).toMatchObject({ id, mac_address, fixed_ips, allowed_address_pairs, device_id: amphora.compute_id })
  expect(allowed_address_pairs.map(pair => pair.ip_address)).toEqual([lb.lb.vip_address])
  const ports = await ground.portsOf(amphora.compute_id)
  expect(ports.map(one => one.id)).toContain(id)
  expect(ports).toHaveLength(2)
  expect((await ground.admin.compute('GET', `v2.1/servers/${former.compute_id}`)).status).toBe(404)
  const told = await stack.run('explain', lb.lb.name)
  expect(told.stdout).toMatch(
    new RegExp(`silent amphora \\(${former.id.slice(0, 8)}\\): silent for \\d+ s: it is given up`),
  )
  expect(told.stdout).toMatch(new RegExp(`take over addresses \\(${amphora.id.slice(0, 8)}\\): took`))
  const listed = ['openstack', 'loadbalancer', 'amphora', 'list', '--loadbalancer', lb.id, '-f', 'json']
  const [rows, shown] = await Promise.all([
    asJson<{ id: string; role: string; status: string; lb_network_ip: string; ha_ip: string }[]>(...listed),
    asJson<Row>('openstack', 'loadbalancer', 'amphora', 'show', amphora.id, '-f', 'json'),
  ])
  expect(rows.find(row => row.role === former.role)).toMatchObject({ id: amphora.id, status: 'ALLOCATED' })
  expect(rows.map(row => row.id)).not.toContain(former.id)
  expect(shown).toMatchObject({ compute_id: amphora.compute_id, vrrp_port_id: id, vrrp_ip: former.vrrp_ip })
}
