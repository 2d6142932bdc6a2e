/** The pocket cloud is what its database says: after a power cut all of it comes back, and what was under way goes on. */
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testDatabase } from '../postgres.ts'
import { PocketStack, until } from './pocket-stack.ts'

const database = testDatabase()
let stack: PocketStack
let network_id: string
let image_id: string

beforeAll(async () => {
  stack = await PocketStack.start(database.url)
  const networks = await stack.as('demo', 'network', 'GET', '/v2.0/networks?name=private')
  network_id = (networks.body as { networks: { id: string }[] }).networks[0]!.id
  const images = await stack.as('demo', 'image', 'GET', '/v2/images?name=debian')
  image_id = (images.body as { images: { id: string }[] }).images[0]!.id
})
afterAll(() => stack?.end())

type Port = {
  id: string
  fixed_ips: unknown[]
  device_id: string
  device_owner: string
  status: string
  mac_address: string
}

async function boot(name: string, networks: object[]): Promise<string> {
  const server = {
    name,
    imageRef: image_id,
    flavorRef: '1',
    networks,
    user_data: Buffer.from('#!/bin/sh\n').toString('base64'),
  }
  const made = await stack.as('demo', 'compute', 'POST', '/v2.1/servers', { server })
  expect(made.status, made.text).toBe(202)
  return (made.body as { server: { id: string } }).server.id
}
const status = async (id: string) => {
  const { body, status } = await stack.as('demo', 'compute', 'GET', `/v2.1/servers/${id}`)
  return status === 404 ? 'gone' : (body as { server: { status: string } }).server.status
}
const reaches = (id: string, wanted: string) =>
  until(
    () => status(id),
    now => now === wanted,
  )
const makePort = async (name: string, more: object = {}) => {
  const made = await stack.as('admin', 'network', 'POST', '/v2.0/ports', { port: { network_id, name, ...more } })
  expect(made.status, made.text).toBe(201)
  return (made.body as { port: Port }).port
}
const port = async (id: string) =>
  (await stack.as('admin', 'network', 'GET', `/v2.0/ports/${id}`)).body as { port: Port }
const powerCut = async (between: () => Promise<void> = async () => {}) => {
  await stack.stop()
  stack.fabric.lose()
  await between()
  await stack.start()
}

/** Writes the row as a kill in the middle would have left it. */
async function leave(server_id: string, fields: object): Promise<void> {
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  try {
    const sql = "update pocket.documents set document = document || $2 where kind = 'server' and id = $1"
    expect((await client.query(sql, [server_id, fields])).rowCount).toBe(1)
  } finally {
    await client.end()
  }
}

describe('after a power cut', () => {
  test('networks, host ports, servers and what was attached to them are there again; tokens are still good', async () => {
    const host = await makePort('host', {
      device_owner: 'pocket:host',
      device_id: 'world',
      'binding:profile': { interface: 'o-hm0' },
    })
    const owned = await stack.as('demo', 'network', 'POST', '/v2.0/ports', { port: { network_id, name: 'own' } })
    const own = (owned.body as { port: Port }).port
    const id = await boot('lasting', [{ port: own.id }, { uuid: network_id }])
    await reaches(id, 'ACTIVE')
    const stopped = await boot('stopped', [{ uuid: network_id }])
    await reaches(stopped, 'ACTIVE')
    await stack.as('demo', 'compute', 'POST', `/v2.1/servers/${stopped}/action`, { 'os-stop': null })
    await reaches(stopped, 'SHUTOFF')
    const { server, ports } = stack.fabric.servers.get(id)!
    const before = { server, ports: [...ports] }
    expect(before.ports[0]).toBe(own.id)
    const addresses = (await port(own.id)).port.fixed_ips
    const groups = await stack.as('demo', 'network', 'GET', '/v2.0/security-groups')

    await powerCut()
    await until(
      async () => stack.fabric.servers.has(id),
      up => up,
    )
    expect(stack.fabric.servers.get(id)).toEqual(before)
    expect(stack.fabric.servers.has(stopped)).toBe(false)
    expect(stack.fabric.networks.has(network_id)).toBe(true)
    expect(stack.fabric.hosts.get(host.id)).toEqual({ netns: 'world', interface_name: 'o-hm0' })
    expect((await port(own.id)).port).toMatchObject({ fixed_ips: addresses, status: 'ACTIVE', device_id: id })
    expect((await stack.as('demo', 'network', 'GET', '/v2.0/security-groups')).body).toEqual(groups.body)
    expect(await status(id)).toBe('ACTIVE')
    expect(await status(stopped)).toBe('SHUTOFF')

    await stack.as('demo', 'compute', 'DELETE', `/v2.1/servers/${id}`)
    await reaches(id, 'gone')
    expect((await port(own.id)).port).toMatchObject({ device_id: '', device_owner: '', status: 'DOWN' })
  })

  test.each([
    { status: 'BUILD', task_state: 'scheduling', host: null },
    { status: 'BUILD', task_state: 'networking' },
    { status: 'BUILD', task_state: 'spawning' },
    { status: 'HARD_REBOOT', task_state: 'rebooting_hard' },
    { status: 'SHUTOFF', task_state: 'powering-on' },
  ])('a server that a kill left in $status, $task_state is up, with the same ports', async left => {
    const id = await boot('half', [{ uuid: network_id }])
    await reaches(id, 'ACTIVE')
    const ports = async () => {
      const { body } = await stack.as('admin', 'network', 'GET', `/v2.0/ports?device_id=${id}`)
      return (body as { ports: Port[] }).ports
    }
    const before = await ports()
    expect(before).toHaveLength(1)
    await powerCut(() => leave(id, left))
    await reaches(id, 'ACTIVE')
    expect(stack.fabric.servers.get(id)?.ports).toEqual(before.map(one => one.id))
    expect((await ports()).map(one => [one.id, one.fixed_ips])).toEqual(before.map(one => [one.id, one.fixed_ips]))
    await stack.as('demo', 'compute', 'DELETE', `/v2.1/servers/${id}`)
    await reaches(id, 'gone')
    expect(await ports()).toEqual([])
  })

  test('a server that was being switched off is off', async () => {
    const id = await boot('half-off', [{ uuid: network_id }])
    await reaches(id, 'ACTIVE')
    await powerCut(() => leave(id, { task_state: 'powering-off' }))
    await reaches(id, 'SHUTOFF')
    expect(stack.fabric.servers.has(id)).toBe(false)
  })

  test('a server that was being deleted is gone', async () => {
    const id = await boot('leaving', [{ uuid: network_id }])
    await reaches(id, 'ACTIVE')
    const seen = await stack.as('admin', 'compute', 'GET', `/v2.1/servers/${id}`)
    const host = (seen.body as { server: Record<string, string> }).server['OS-EXT-SRV-ATTR:host']
    // on a dead host a deletion is no more than an intention
    await stack.as('admin', 'compute', 'PUT', '/pocket/faults', { action: 'dead_host', host })
    expect((await stack.as('demo', 'compute', 'DELETE', `/v2.1/servers/${id}`)).status).toBe(204)
    expect(await status(id)).toBe('ACTIVE')
    await powerCut()
    await reaches(id, 'gone')
    expect(stack.fabric.servers.has(id)).toBe(false)
    const left = await stack.as('admin', 'network', 'GET', `/v2.0/ports?device_id=${id}`)
    expect(left.body).toEqual({ ports: [] })
  })
})

describe('at once', () => {
  test('no address is given twice, and the quota holds exactly', async () => {
    const project = await stack.as('admin', 'identity', 'GET', '/v3/projects?name=demo')
    const id = (project.body as { projects: { id: string }[] }).projects[0]!.id
    const { body } = await stack.as('admin', 'network', 'GET', `/v2.0/quotas/${id}/details`)
    const { used } = (body as { quota: { port: { used: number } } }).quota.port
    await stack.as('admin', 'network', 'PUT', `/v2.0/quotas/${id}`, { quota: { port: used + 10 } })
    const answers = await Promise.all(
      Array.from({ length: 32 }, () => stack.as('demo', 'network', 'POST', '/v2.0/ports', { port: { network_id } })),
    )
    const made = answers.filter(answer => answer.status === 201).map(answer => (answer.body as { port: Port }).port)
    expect(made).toHaveLength(10)
    expect(answers.filter(answer => answer.text.includes('OverQuota'))).toHaveLength(22)
    const addresses = made.flatMap(one => one.fixed_ips.map(ip => JSON.stringify(ip)))
    expect(new Set(addresses).size).toBe(addresses.length)
  })

  test('one port cannot be attached to two servers', async () => {
    const project = await stack.as('admin', 'identity', 'GET', '/v3/projects?name=demo')
    const project_id = (project.body as { projects: { id: string }[] }).projects[0]!.id
    await stack.as('admin', 'network', 'DELETE', `/v2.0/quotas/${project_id}`)
    const servers = await Promise.all(['x', 'y'].map(name => boot(name, [{ uuid: network_id }])))
    for (const id of servers) await reaches(id, 'ACTIVE')
    const contested = await makePort('contested', { project_id })
    const answers = await Promise.all(
      servers.map(id =>
        stack.as('demo', 'compute', 'POST', `/v2.1/servers/${id}/os-interface`, {
          interfaceAttachment: { port_id: contested.id },
        }),
      ),
    )
    expect(answers.map(answer => answer.status).sort()).toEqual([200, 409])
    const holders = [...stack.fabric.servers.values()].filter(server => server.ports.includes(contested.id))
    expect(holders).toHaveLength(1)
  })

  test('a server that is deleted while it is built leaves nothing', async () => {
    stack.fabric.hold()
    const id = await boot('brief', [{ uuid: network_id }])
    expect((await stack.as('demo', 'compute', 'DELETE', `/v2.1/servers/${id}`)).status).toBe(204)
    stack.fabric.release()
    await reaches(id, 'gone')
    expect(stack.fabric.servers.has(id)).toBe(false)
    const left = await stack.as('admin', 'network', 'GET', `/v2.0/ports?device_id=${id}`)
    expect(left.body).toEqual({ ports: [] })
  })
})
