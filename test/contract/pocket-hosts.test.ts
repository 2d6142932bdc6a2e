/** Ports bound to network hosts: the cloud brings their links there, takes them away, and brings them back. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { testDatabase } from '../postgres.ts'
import { PocketStack } from './pocket-stack.ts'

const database = testDatabase()
let stack: PocketStack
let network_id: string

type Port = Record<'id' | 'status' | 'binding:host_id' | 'binding:vif_type', string>

beforeAll(async () => {
  stack = await PocketStack.start(database.url)
  const { body } = await stack.as('demo', 'network', 'GET', '/v2.0/networks?name=private')
  network_id = (body as { networks: { id: string }[] }).networks[0]!.id
  for (const device_id of ['net1', 'net2']) await make({ device_owner: 'pocket:host', device_id })
})
afterAll(() => stack?.end())

async function make(fields: object): Promise<Port> {
  const made = await stack.as('admin', 'network', 'POST', '/v2.0/ports', { port: { network_id, ...fields } })
  expect(made.status, made.text).toBe(201)
  return (made.body as { port: Port }).port
}
async function bind(port: Port, host: string): Promise<Port> {
  const body = { port: { 'binding:host_id': host } }
  const { body: after } = await stack.as('admin', 'network', 'PUT', `/v2.0/ports/${port.id}`, body)
  return (after as { port: Port }).port
}
const link = (port: Port) => stack.fabric.hosts.get(port.id) ?? null
const at = (port: Port, netns: string) => ({ netns, interface_name: `tap${port.id.slice(0, 11)}` })

test('a port that is made on a host, or bound to it, gets its link there; on a host that is none it gets nothing', async () => {
  const made = await make({ 'binding:host_id': 'net1' })
  expect(link(made)).toEqual(at(made, 'net1'))
  expect(made).toMatchObject({ status: 'ACTIVE', 'binding:vif_type': 'bridge' })
  const later = await make({ name: 'later' })
  expect(link(later)).toBe(null)
  expect(await bind(later, 'net2')).toMatchObject({ status: 'ACTIVE', 'binding:host_id': 'net2' })
  expect(link(later)).toEqual(at(later, 'net2'))
  for (const nowhere of ['elsewhere', 'world']) {
    const port = await make({ 'binding:host_id': nowhere })
    expect(link(port)).toBe(null)
    expect(port).toMatchObject({ status: 'DOWN', 'binding:vif_type': 'unbound' })
  }
})

test('bound elsewhere it is taken from the first host before the second one has it; bound nowhere, or deleted, from all', async () => {
  const port = await make({ 'binding:host_id': 'net1' })
  stack.fabric.calls.length = 0
  await bind(port, 'net2')
  const about = stack.fabric.calls.filter(({ argument }) => argument === port.id).map(({ name }) => name)
  expect(about.slice(0, 2)).toEqual(['unplug', 'wire'])
  expect(link(port)).toEqual(at(port, 'net2'))
  expect(await bind(port, '')).toMatchObject({ status: 'DOWN', 'binding:host_id': '', 'binding:vif_type': 'unbound' })
  expect(stack.fabric.ports.has(port.id)).toBe(false)
  await bind(port, 'net1')
  await stack.as('admin', 'network', 'DELETE', `/v2.0/ports/${port.id}`)
  expect(stack.fabric.ports.has(port.id)).toBe(false)
})

test('bound again to the same host, a link that was lost is brought anew; after a power cut all of them are', async () => {
  const port = await make({ 'binding:host_id': 'net1' })
  stack.fabric.hosts.delete(port.id)
  await bind(port, 'net1')
  expect(link(port)).toEqual(at(port, 'net1'))
  await stack.stop()
  stack.fabric.lose()
  await stack.start()
  expect(link(port)).toEqual(at(port, 'net1'))
})

test('tenants bind nothing', async () => {
  const own = { port: { network_id, 'binding:host_id': 'net1' } }
  expect((await stack.as('demo', 'network', 'POST', '/v2.0/ports', own)).status).toBe(403)
})
