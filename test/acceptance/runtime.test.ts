/** Members come, go and change weight while haproxy runs on: the same worker, no connection lost to a reload. */
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { Api, type Made } from './api.ts'
import { Inside } from './inside.ts'
import { Stack } from './stack.ts'

const stack = new Stack(inject('stack_dir'))
let demo: Api
let lb: Made
let listener: Made
let members: string
let inside: Inside
let web: string[]
let subnet_id: string

beforeAll(async () => {
  demo = await Api.of(stack, 'demo')
  subnet_id = await demo.subnet('private-subnet')
  const { servers } = await stack.status()
  web = ['web1', 'web2'].map(name => servers.find(server => server.name === name)!.addresses[0]!)
  const flavor_id = await (await Api.of(stack, 'admin')).singleAmphora()
  lb = await demo.made('loadbalancers', 'loadbalancer', { name: 'running', vip_subnet_id: subnet_id, flavor_id })
  listener = await demo.made('listeners', 'listener', { loadbalancer_id: lb.id, protocol: 'HTTP', protocol_port: 80 })
  const fields = { listener_id: listener.id, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' }
  const pool = await demo.made('pools', 'pool', fields)
  members = `pools/${pool.id}/members`
  await demo.made(members, 'member', { address: web[0], protocol_port: 80, subnet_id })
  await demo.settled(lb.id)
  inside = await Inside.of(stack, lb.id)
})
afterAll(() => demo.removed(lb.id))

const answers = async (count: number) => {
  await demo.settled(lb.id)
  return stack.answers(`http://${lb.vip_address}/`, count)
}

/** Who answers at all. */
const shares = async () => Object.keys(await answers(10)).toSorted()

test('a member is added, weighted, switched off and on, and removed without a reload', async () => {
  const running = await inside.haproxies(listener.id)
  expect(running).toHaveLength(2) // the master and its worker
  expect(await answers(4)).toEqual({ 'hello from web1': 4 })

  const added = await demo.made(members, 'member', { address: web[1], protocol_port: 80, subnet_id })
  expect(await shares()).toEqual(['hello from web1', 'hello from web2'])

  for (const dialect of ['octavia', 'neutron'] as const) {
    const update = async (fields: Record<string, unknown>) =>
      expect((await demo[dialect]('PUT', `${members}/${added.id}`, { member: fields })).status).toBe(200)
    await update({ weight: 4 })
    const weighted = await answers(20)
    expect(weighted['hello from web2']).toBeGreaterThan(2 * weighted['hello from web1']!)
    await update({ weight: 0 })
    expect(await answers(4)).toEqual({ 'hello from web1': 4 })
    await update({ weight: 1 })
    await update({ admin_state_up: false })
    expect(await answers(4)).toEqual({ 'hello from web1': 4 })
    await update({ admin_state_up: true })
    expect(await shares()).toEqual(['hello from web1', 'hello from web2'])
  }

  expect((await demo.octavia('DELETE', `${members}/${added.id}`)).status).toBe(204)
  expect(await answers(4)).toEqual({ 'hello from web1': 4 })
  expect(await inside.haproxies(listener.id)).toEqual(running)
})

test('a change that haproxy cannot make at run time gives it another worker under the same master', async () => {
  const before = await inside.haproxies(listener.id)
  const change = { listener: { timeout_client_data: 40_000 } }
  expect((await demo.octavia('PUT', `listeners/${listener.id}`, change)).status).toBe(200)
  expect(await shares()).toContain('hello from web1')
  const after = await inside.haproxies(listener.id)
  expect(after).not.toEqual(before)
  expect(after.filter(pid => before.includes(pid)).length).toBeGreaterThanOrEqual(1)
})
