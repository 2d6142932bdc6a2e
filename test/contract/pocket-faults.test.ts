/** The pocket cloud told to misbehave does so exactly as told, and not otherwise. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { testDatabase } from '../postgres.ts'
import { PocketStack, until } from './pocket-stack.ts'

const database = testDatabase()
let stack: PocketStack
let network_id: string

beforeAll(async () => {
  stack = await PocketStack.start(database.url)
  const { body } = await stack.as('demo', 'network', 'GET', '/v2.0/networks?name=private')
  network_id = (body as { networks: { id: string }[] }).networks[0]!.id
})
afterEach(async () => {
  expect((await stack.as('admin', 'compute', 'DELETE', '/pocket/faults')).status).toBe(204)
})
afterAll(() => stack?.end())

const fault = async (rule: object) => {
  const answer = await stack.as('admin', 'compute', 'PUT', '/pocket/faults', rule)
  expect(answer.status, answer.text).toBe(200)
}
const createPort = (name: string) => stack.as('demo', 'network', 'POST', '/v2.0/ports', { port: { network_id, name } })
const portsNamed = async (name: string) => {
  const { body } = await stack.as('demo', 'network', 'GET', `/v2.0/ports?name=${name}`)
  return (body as { ports: { id: string; device_id: string }[] }).ports
}
const onPorts = { service: 'network', method: 'POST', path: '/ports$' }

describe('an exchange', () => {
  test('loses its answer, and has its effect', async () => {
    await fault({ ...onPorts, action: 'lose_answer' })
    await expect(createPort('lost')).rejects.toThrow()
    expect(await portsNamed('lost')).toHaveLength(1)
    expect((await createPort('lost')).status).toBe(201)
  })

  test('loses its connection at once, and has its effect later', async () => {
    await fault({ ...onPorts, action: 'late_effect', delay_ms: 300 })
    await expect(createPort('late')).rejects.toThrow()
    expect(await portsNamed('late')).toHaveLength(0)
    await until(
      () => portsNamed('late'),
      ports => ports.length === 1,
    )
  })

  test('is reset, without effect', async () => {
    await fault({ ...onPorts, action: 'reset' })
    await expect(createPort('reset')).rejects.toThrow()
    expect(await portsNamed('reset')).toHaveLength(0)
  })

  test('is answered with a status, without effect, as often as told', async () => {
    const body = { NeutronError: { type: 'X', message: 'told so', detail: '' } }
    await fault({ ...onPorts, action: 'status', code: 409, body, times: 2 })
    for (const status of [409, 409, 201]) {
      const answer = await createPort('status')
      expect(answer.status).toBe(status)
      if (status === 409) expect(answer.body).toEqual(body)
    }
    expect(await portsNamed('status')).toHaveLength(1)
  })

  test('hangs before its effect, which comes also when the client has gone', async () => {
    await fault({ ...onPorts, action: 'hang_before', delay_ms: 400 })
    const pending = createPort('hung')
    expect(await portsNamed('hung')).toHaveLength(0)
    expect((await pending).status).toBe(201)

    await fault({ ...onPorts, action: 'hang_before', delay_ms: 400 })
    const gone = await fetch(`${stack.endpoints.network}/v2.0/ports`, {
      method: 'POST',
      signal: AbortSignal.timeout(100),
      headers: { 'x-auth-token': await stack.token('demo'), 'content-type': 'application/json' },
      body: JSON.stringify({ port: { network_id, name: 'left' } }),
    }).catch(() => null)
    expect(gone).toBeNull()
    // the next one hangs longer, so that the first has had its time
    await fault({ ...onPorts, action: 'hang_before', delay_ms: 800 })
    expect((await createPort('after')).status).toBe(201)
    expect(await portsNamed('left')).toHaveLength(1)
  })
})

describe('rules', () => {
  test('are told, and are for administrators only', async () => {
    await fault({ ...onPorts, action: 'reset' })
    const { body } = await stack.as('admin', 'compute', 'GET', '/pocket/faults')
    expect(body).toMatchObject({ faults: [{ action: 'reset', times: 1, met: 0 }] })
    for (const method of ['GET', 'PUT', 'DELETE'])
      expect((await stack.as('demo', 'compute', method, '/pocket/faults', { action: 'reset' })).status).toBe(403)
  })

  test('must be rules', async () => {
    for (const wrong of [
      {},
      [],
      { action: 'x' },
      { action: 'reset', path: '(' },
      { action: 'dead_host' },
      { action: 'reset', more: 1 },
    ])
      expect((await stack.as('admin', 'compute', 'PUT', '/pocket/faults', wrong)).status).toBe(400)
  })

  test('meet nothing but what they name', async () => {
    await fault({ service: 'network', method: 'DELETE', path: '/ports/', action: 'reset' })
    expect((await createPort('other')).status).toBe(201)
    expect((await stack.as('demo', 'compute', 'GET', '/v2.1/flavors')).status).toBe(200)
  })
})

type Server = {
  id: string
  status: string
  'OS-EXT-STS:task_state': string | null
  'OS-EXT-SRV-ATTR:host': string
  fault?: { message: string }
}

const image = async () => {
  const { body } = await stack.as('octavia', 'image', 'GET', '/v2/images?name=debian')
  return (body as { images: { id: string }[] }).images[0]!.id
}
const management = async () => {
  const { body } = await stack.as('octavia', 'network', 'GET', '/v2.0/networks?name=lb-mgmt-net')
  return (body as { networks: { id: string }[] }).networks[0]!.id
}
const show = async (id: string) => stack.as('octavia', 'compute', 'GET', `/v2.1/servers/${id}`)
async function build(name: string, hints: object = {}): Promise<Server> {
  const server = { name, imageRef: await image(), flavorRef: '65', networks: [{ uuid: await management() }] }
  const made = await stack.as('octavia', 'compute', 'POST', '/v2.1/servers', { server, ...hints })
  expect(made.status, made.text).toBe(202)
  const { id } = (made.body as { server: Server }).server
  const built = await until(
    () => show(id),
    answer => (answer.body as { server: Server }).server.status !== 'BUILD',
  )
  return (built.body as { server: Server }).server
}

describe('servers', () => {
  test('find no valid host', async () => {
    await fault({ action: 'no_valid_host' })
    const server = await build('homeless')
    expect(server).toMatchObject({
      status: 'ERROR',
      fault: { message: expect.stringContaining('No valid host was found') },
    })
    expect((await build('housed')).status).toBe('ACTIVE')
  })

  test('are kept apart by their group, until no host is left', async () => {
    const body = { server_group: { name: 'g', policies: ['anti-affinity'] } }
    const group = await stack.as('octavia', 'compute', 'POST', '/v2.1/os-server-groups', body)
    const hint = { 'os:scheduler_hints': { group: (group.body as { server_group: { id: string } }).server_group.id } }
    const servers = await Promise.all(['a', 'b', 'c', 'd'].map(name => build(name, hint)))
    const active = servers.filter(server => server.status === 'ACTIVE')
    expect(new Set(active.map(server => server['OS-EXT-SRV-ATTR:host'])).size).toBe(3)
    expect(servers.filter(server => server.status === 'ERROR')).toHaveLength(1)
  })

  test('on a dead host: nobody says so, an attach blocks and fails, a delete is a promise until the host counts as down', async () => {
    const server = await build('doomed')
    const host = server['OS-EXT-SRV-ATTR:host']
    await fault({ action: 'dead_host', host, delay_ms: 1_500 })
    expect(stack.fabric.servers.has(server.id)).toBe(false)
    expect((await show(server.id)).body).toMatchObject({ server: { status: 'ACTIVE' } })

    const made = await createPort('for-the-dead')
    const port_id = (made.body as { port: { id: string } }).port.id
    const pending = stack.as('octavia', 'compute', 'POST', `/v2.1/servers/${server.id}/os-interface`, {
      interfaceAttachment: { port_id },
    })
    expect((await stack.as('octavia', 'compute', 'DELETE', `/v2.1/servers/${server.id}`)).status).toBe(204)
    expect((await show(server.id)).body).toMatchObject({
      server: { status: 'ACTIVE', 'OS-EXT-STS:task_state': 'deleting' },
    })
    expect((await pending).status).toBe(500)
    expect((await portsNamed('for-the-dead'))[0]!.device_id).toBe('')
    const ports = () => stack.as('admin', 'network', 'GET', `/v2.0/ports?device_id=${server.id}`)
    const [own] = ((await ports()).body as { ports: { id: string }[] }).ports
    const detach = `/v2.1/servers/${server.id}/os-interface/${own!.id}`
    expect((await stack.as('octavia', 'compute', 'DELETE', detach)).status).toBe(202)
    expect(((await ports()).body as { ports: { id: string }[] }).ports).toHaveLength(1)

    const services = () => stack.as('admin', 'compute', 'GET', '/v2.1/os-services')
    await until(services, answer =>
      (answer.body as { services: { host: string; state: string }[] }).services.some(
        s => s.host === host && s.state === 'down',
      ),
    )
    expect((await show(server.id)).status).toBe(200)
    expect((await stack.as('octavia', 'compute', 'DELETE', `/v2.1/servers/${server.id}`)).status).toBe(204)
    await until(
      () => show(server.id),
      answer => answer.status === 404,
    )
  })

  test('come back with their host, unless they were deleted meanwhile', async () => {
    const kept = await build('kept')
    await fault({ action: 'dead_host', host: kept['OS-EXT-SRV-ATTR:host'] })
    expect(stack.fabric.servers.has(kept.id)).toBe(false)
    expect((await build('elsewhere'))['OS-EXT-SRV-ATTR:host']).not.toBe(kept['OS-EXT-SRV-ATTR:host'])
    await stack.as('admin', 'compute', 'DELETE', '/pocket/faults')
    expect(stack.fabric.servers.has(kept.id)).toBe(true)
  })

  test('that the machine refuses are in ERROR, and only administrators learn what the machine said', async () => {
    stack.fabric.refusal = 'the secret words of the machine'
    try {
      const failed = await build('refused')
      expect(failed.status).toBe('ERROR')
      expect(JSON.stringify(failed.fault)).toContain('secret words')
      const { body } = await stack.as('demo', 'network', 'GET', '/v2.0/networks?name=private')
      const server = {
        name: 'refused-too',
        imageRef: await image(),
        flavorRef: '1',
        networks: [{ uuid: (body as { networks: { id: string }[] }).networks[0]!.id }],
      }
      const made = await stack.as('demo', 'compute', 'POST', '/v2.1/servers', { server })
      const { id } = (made.body as { server: { id: string } }).server
      const seen = await until(
        () => stack.as('demo', 'compute', 'GET', `/v2.1/servers/${id}`),
        answer => answer.text.includes('"ERROR"'),
      )
      expect(seen.text).not.toContain('secret words')
    } finally {
      stack.fabric.refusal = null
    }
  })

  test('whose first process ends are switched off', async () => {
    const server = await build('ending')
    stack.fabric.exit(server.id)
    await until(
      () => show(server.id),
      answer => (answer.body as { server: Server }).server.status === 'SHUTOFF',
    )
  })
})
