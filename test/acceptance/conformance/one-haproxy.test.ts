/** One haproxy for all listeners of a load balancer: they come, change, fail and go without troubling each other. */
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { Api, type Made } from '../api.ts'
import { curl, names, type Servers, startEcho } from '../echo.ts'
import { Inside } from '../inside.ts'
import { eventually, Stack } from '../stack.ts'

const stack = new Stack(inject('stack_dir'))
let api: Api
let servers: Servers
let lb: Made
let pool: Made
let inside: Inside
const listeners: Record<number, string> = {}
const url = (port: number) => `http://${lb.vip_address}:${port}/`
const statusOf = async (port: number) => (await curl(stack, url(port), '--max-time', '2')).status
const listen = async (protocol_port: number, more: object = {}) => {
  const fields = { loadbalancer_id: lb.id, protocol: 'HTTP', protocol_port, default_pool_id: pool.id, ...more }
  listeners[protocol_port] = (await api.made('listeners', 'listener', fields)).id
}
const settled = () => api.settled(lb.id)
/** What is known of a listener, or its figures. */
const shown = async (port: number, what = '') =>
  (await api.octavia<Record<string, Record<string, unknown>>>('GET', `listeners/${listeners[port]}${what}`)).body

beforeAll(async () => {
  api = await Api.of(stack, 'demo')
  servers = await startEcho(stack, api, { 8081: { name: 'a' }, 8082: { name: 'b' } })
  const subnet_id = await api.subnet('private-subnet')
  const data = { unit: 'load_balancer', loadbalancer_topology: 'SINGLE' }
  const flavor_id = await (await Api.of(stack, 'admin')).flavor('one-haproxy', data)
  lb = await api.made('loadbalancers', 'loadbalancer', { name: 'one-haproxy', vip_subnet_id: subnet_id, flavor_id })
  const round_robin = { name: 'shared', protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN', loadbalancer_id: lb.id }
  pool = await api.made('pools', 'pool', round_robin)
  for (const protocol_port of [8081, 8082])
    await api.made(`pools/${pool.id}/members`, 'member', { address: servers.address, protocol_port, subnet_id })
  for (const port of [80, 81]) await listen(port)
  await settled()
  inside = await Inside.of(stack, lb.id)
})
afterAll(async () => {
  await api.removed(lb.id)
  await servers.stop()
})

test('two listeners share a pool and a process, and are counted apart', async () => {
  expect((await names(stack, url(80), 4)).sort()).toEqual(['a', 'a', 'b', 'b'])
  expect((await names(stack, url(81), 2)).sort()).toEqual(['a', 'b'])
  expect(await inside.haproxies(lb.id)).toHaveLength(2) // master and worker
  for (const id of Object.values(listeners)) expect(await inside.haproxies(id)).toEqual([])
  await eventually('both are heard of', async () => {
    const all = await Promise.all([80, 81].map(port => shown(port)))
    return all.every(({ listener }) => listener!.operating_status === 'ONLINE')
  })
  const counted = await eventually('all is counted', async () => {
    const all = await Promise.all([80, 81].map(port => shown(port, '/stats')))
    const [first, second] = all.map(({ stats }) => stats!.total_connections)
    return first === 4 && second === 2 ? [first, second] : null
  })
  expect(counted).toEqual([4, 2])
})

test('what is changed of one is not changed of the other', async () => {
  const policy = { listener_id: listeners[81], action: 'REJECT', name: 'closed' }
  const { id } = await api.made('l7policies', 'l7policy', policy)
  const rule = { type: 'PATH', compare_type: 'STARTS_WITH', value: '/' }
  await api.made(`l7policies/${id}/rules`, 'rule', rule)
  await settled()
  expect([await statusOf(80), await statusOf(81)]).toEqual([200, 403])
  expect((await api.octavia('DELETE', `l7policies/${id}`)).status).toBe(204)
  await settled()
  expect(await statusOf(81)).toBe(200)
  await api.octavia('PUT', `listeners/${listeners[81]}`, { listener: { admin_state_up: false } })
  await settled()
  expect(await statusOf(80)).toBe(200)
  expect(await statusOf(81)).not.toBe(200)
  await api.octavia('PUT', `listeners/${listeners[81]}`, { listener: { admin_state_up: true } })
  await settled()
  expect(await statusOf(81)).toBe(200)
})

test('one that haproxy refuses is in ERROR by itself', async () => {
  // JavaScript takes it, haproxy's library does not
  const policy = { listener_id: listeners[81], action: 'REJECT', name: 'refused' }
  const { id } = await api.made('l7policies', 'l7policy', policy)
  await api.made(`l7policies/${id}/rules`, 'rule', { type: 'PATH', compare_type: 'REGEX', value: '(?<$a>x)' })
  await eventually('it is refused', async () => (await shown(81)).listener!.provisioning_status === 'ERROR')
  expect(await shown(80)).toMatchObject({ listener: { provisioning_status: 'ACTIVE' } })
  expect([await statusOf(80), await statusOf(81)]).toEqual([200, 200])
  await listen(82)
  await eventually('the new one serves', async () => (await statusOf(82)) === 200)
  expect((await api.octavia('DELETE', `l7policies/${id}`)).status).toBe(204)
  await eventually('it is mended', async () => (await shown(81)).listener!.provisioning_status === 'ACTIVE')
})

test('it is started again when it dies, and taken over by another amphora', async () => {
  await inside.end('haproxy')
  await eventually('all serve again', async () => {
    return (await Promise.all([80, 81, 82].map(statusOf))).every(status => status === 200)
  })
  const admin = await Api.of(stack, 'admin')
  expect((await admin.octavia('PUT', `loadbalancers/${lb.id}/failover`)).status).toBe(202)
  await eventually('another amphora serves', async () => {
    await settled()
    return (await Inside.of(stack, lb.id)).amphora_id !== inside.amphora_id
  })
  inside = await Inside.of(stack, lb.id)
  expect(await Promise.all([80, 81, 82].map(statusOf))).toEqual([200, 200, 200])
  expect(await inside.haproxies(lb.id)).toHaveLength(2)
})

test('it ends with the last listener, and begins with the next', async () => {
  for (const id of Object.values(listeners)) expect((await api.octavia('DELETE', `listeners/${id}`)).status).toBe(204)
  await settled()
  expect(await inside.haproxies(lb.id)).toEqual([])
  await listen(80)
  await settled()
  expect(await statusOf(80)).toBe(200)
})
