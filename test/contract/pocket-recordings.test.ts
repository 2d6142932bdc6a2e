/** The pocket cloud answers as a real OpenStack did: its recorded exchanges, sent again in the order of their making. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testDatabase } from '../postgres.ts'
import { type Deviation, deviations, passedOver } from './deviations.ts'
import { PocketStack, until } from './pocket-stack.ts'
import { type Difference, type Exchange, type Recording, Replay, readRecording, recordings, told } from './replay.ts'

const database = testDatabase()
let stack: PocketStack
let replay: Replay

/** The services were recorded together: a port made in one is attached in another. Each line goes up to that exchange. */
const order: [recording: Recording, before: number][] = [
  ['keystone', 33],
  ['glance', 16],
  ['neutron', 70],
  ['nova', 33],
  ['neutron', 72],
  ['nova', 34],
  ['neutron', 83],
  ['nova', 43],
  ['neutron', 85],
  ['nova', 57],
  ['neutron', 86],
  ['nova', 62],
  ['neutron', 87],
  ['nova', 72],
  ['neutron', 95],
  ['nova', 104],
  ['barbican', 39],
]

beforeAll(async () => {
  stack = await PocketStack.start(database.url)
  replay = new Replay(stack)
  await prepare(stack, replay)
})
afterAll(() => stack?.end())

describe('recorded exchanges', () => {
  const exchanges = new Map(recordings.map(name => [name, readRecording(name)]))
  const next = new Map(recordings.map(name => [name, 0]))
  for (const [name, before] of order) {
    for (let n = next.get(name)!; n < before; n++) {
      const exchange = exchanges.get(name)!.at(n)!
      const { method, url } = exchange.request
      const place = `${name} ${n}`
      const title = `${place} ${exchange.label}: ${method} ${new URL(url).pathname}`
      if (passedOver.some(one => one.where.test(place))) continue
      test(title, () => compare(place, exchange))
    }
    next.set(name, before)
  }

  test('all of them were sent', () => {
    for (const name of recordings) expect(next.get(name)).toBe(exchanges.get(name)!.length)
  })

  test('every deviation that is excused still exists', () => {
    expect(deviations.filter(deviation => !used.has(deviation)).map(({ where, path }) => `${where} ${path}`)).toEqual(
      [],
    )
  })
})

const used = new Set<Deviation>()

/** What goes on changing after an answer. */
const changing = /\/servers\/|\/ports/

/** A GET is asked again for a while: what was asked before it may still be under way. */
async function compare(place: string, exchange: Exchange): Promise<void> {
  const { method, url } = exchange.request
  await arrange(place, exchange)
  const met = new Set<Deviation>()
  const excused = (difference: Difference) => {
    const found = deviations.find(
      ({ where, path }) => where.test(`${place} ${method} ${new URL(url).pathname}`) && path.test(difference.path),
    )
    if (found) met.add(found)
    return found !== undefined
  }
  let differences: Difference[] = []
  for (
    const deadline = Date.now() + Number(process.env.PATIENCE ?? 4000);
    ;
    await new Promise(resolve => setTimeout(resolve, 30))
  ) {
    met.clear()
    differences = replay.compare(exchange, await replay.send(exchange), excused)
    if (differences.length === 0 || method !== 'GET' || !changing.test(url) || Date.now() > deadline) break
  }
  expect(differences.map(told)).toEqual([])
  for (const deviation of met) used.add(deviation)
}

/** Boots wait while the recording shows a server being built; the one host of the recorded cloud is full once. */
async function arrange(place: string, exchange: Exchange): Promise<void> {
  const { method, url, body } = exchange.request
  const server = (exchange.response.body as { server?: { status?: string } } | null)?.server
  const changes = method === 'POST' && (/\/servers$/.test(url) || JSON.stringify(body).includes('"reboot"'))
  if (changes) stack.fabric.hold()
  else if (!(method === 'GET' && (server?.status === 'BUILD' || server?.status === 'HARD_REBOOT')))
    stack.fabric.release()
  if (place === 'nova 52') {
    const fault = { service: 'compute', method: 'POST', path: '/servers$', action: 'no_valid_host' }
    expect((await stack.as('admin', 'compute', 'PUT', '/pocket/faults', fault)).status).toBe(200)
  }
}

/** What the recorded cloud had before the recording began; and its names for what both have. */
async function prepare(stack: PocketStack, replay: Replay): Promise<void> {
  const find = async (service: 'identity' | 'network', url: string) => {
    const { body } = await stack.as('admin', service, 'GET', url)
    return (Object.values(body as object).find(Array.isArray) as { id: string }[])[0]!.id
  }
  const service = await find('identity', '/v3/projects?name=service')
  replay.bind('23b9b85208c24307a73a017c8c16dc10', service)
  replay.bind('a1d24cbe4b854b28aaea6b452fd45d75', await find('identity', '/v3/projects?name=demo'))
  replay.bind('26bc0102f7604d71b472e695d05e93b4', await find('identity', '/v3/users?name=octavia'))
  replay.bind('8ed73f9f634342599a14601ebb73263d', await find('identity', '/v3/users?name=demo'))
  replay.bind('17a75178-e736-4d6a-9689-7f8df10cf458', await find('network', '/v2.0/networks?name=lb-mgmt-net'))
  replay.bind('6ae40e80-e17d-4dbf-a5de-fab34a2f7c29', await find('network', '/v2.0/subnets?name=lb-mgmt-subnet'))
  replay.bind('b6625a3c-c43d-4c61-b234-97a8c287b214', await find('network', '/v2.0/networks?name=private'))
  replay.bind('35994aa3-db1a-4936-b7c2-b942f835e6da', await find('network', '/v2.0/subnets?name=private-subnet'))
  // The recorded tenant's network had one subnet.
  const v6 = await find('network', '/v2.0/subnets?name=ipv6-private-subnet')
  expect((await stack.as('admin', 'network', 'DELETE', `/v2.0/subnets/${v6}`)).status).toBe(204)

  const user = await stack.as('admin', 'identity', 'POST', '/v3/users', { user: { name: 'nova', password: 'nova' } })
  const nova = (user.body as { user: { id: string } }).user.id
  for (const role of ['admin', 'member', 'reader', 'service', 'creator']) {
    const id = await find('identity', `/v3/roles?name=${role}`)
    const granted = await stack.as('admin', 'identity', 'PUT', `/v3/projects/${service}/users/${nova}/roles/${id}`)
    expect(granted.status).toBe(204)
  }

  const group = await stack.as('octavia', 'network', 'POST', '/v2.0/security-groups', {
    security_group: { name: 'lb-mgmt-sec-grp' },
  })
  const group_id = (group.body as { security_group: { id: string } }).security_group.id
  replay.bind('46bba384-3d95-4af1-8c83-dbe87067c094', group_id)
  for (const [protocol, port] of [
    ['icmp', null],
    ['tcp', 22],
    ['tcp', 9443],
  ]) {
    const rule = {
      security_group_id: group_id,
      direction: 'ingress',
      protocol,
      port_range_min: port,
      port_range_max: port,
    }
    const made = await stack.as('octavia', 'network', 'POST', '/v2.0/security-group-rules', {
      security_group_rule: rule,
    })
    expect(made.status).toBe(201)
  }

  const image = await stack.as('octavia', 'image', 'POST', '/v2/images', {
    name: 'amphora-x64',
    disk_format: 'raw',
    container_format: 'bare',
    visibility: 'private',
    tags: ['amphora'],
    'owner_specified.openstack.md5': '',
    'owner_specified.openstack.sha256': '',
    'owner_specified.openstack.object': 'images/amphora-x64',
  })
  const image_id = (image.body as { id: string }).id
  replay.bind('4b8550a1-710e-4453-a282-64baa0345203', image_id)
  // left there by earlier runs, before the recording
  for (let n = 0; n < 4; n++) {
    const secret = { name: 'pass', secret_type: 'passphrase', payload: 'secret', payload_content_type: 'text/plain' }
    expect((await stack.as('demo', 'key_manager', 'POST', '/v1/secrets', secret)).status).toBe(201)
  }
  const upload = await stack.send('image', 'PUT', `/v2/images/${image_id}/file`, {
    headers: { 'x-auth-token': await stack.token('octavia'), 'content-type': 'application/octet-stream' },
    body: new Uint8Array(4096),
  })
  expect(upload.status).toBe(204)
  // A token stands in the body of one recorded exchange as it was.
  const unscoped = readRecording('keystone').find(exchange => exchange.label === 'token: from token, scoped')!
  const { token } = (unscoped.request.body as { auth: { identity: { token: { id: string } } } }).auth.identity
  replay.bind(token.id, '$TOKEN4')
  await until(
    () => stack.as('octavia', 'image', 'GET', `/v2/images/${image_id}`),
    answer => (answer.body as { status: string }).status === 'active',
  )
}
