/** UDP listeners on a machine of their own: real datagrams through the VIP, and what becomes of flows when things change. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AmphoraClient } from '../amphora/client.ts'
import type { ListenerInput, MemberInput, PoolInput } from '../amphora/haproxy/listener.ts'
import { datagramText } from '../amphora/nftables/datagram-listener.ts'
import { input, member, monitor, pool, sourceIp } from '../amphora/nftables/sample.ts'
import { MEMBER_MAC, Sandbox, serving, until } from './sandbox.ts'
import { Datagrams } from './sandbox-datagrams.ts'

const sandbox = new Sandbox()
sandbox.boot = { controller_ip_port_list: ['127.0.0.1:5555'], heartbeat_interval: 0.2, heartbeat_key: 'insecure' }
let client: AmphoraClient
let lan: Datagrams
let controller: Datagrams
const sources = [...Array(40)].map((_, n) => `10.0.0.${100 + n}`)

beforeAll(async () => {
  client = await sandbox.begin(async () => {
    controller = new Datagrams(sandbox, null)
    await controller.hear(5555)
  })
  await sandbox.plugVip(client)
  const fixed_ips = [{ ip_address: '10.1.0.5', subnet_cidr: '10.1.0.0/24' }]
  await client.plugNetwork({ mac_address: MEMBER_MAC, fixed_ips })
  for (const each of sources) await sandbox.exec(['ip', '-n', 'lan', 'addr', 'add', `${each}/24`, 'dev', 'to-vip'])
  lan = new Datagrams(sandbox)
  await lan.answer(['10.0.0.11', '10.0.0.12', '10.0.0.13', '10.1.0.11', 'fd00::11'])
})
afterAll(async () => {
  await client?.close()
  await sandbox.close()
})

const { id } = input().listener
const [one, two, three] = ['10.0.0.11', '10.0.0.12', '10.0.0.13']

/** As a controller does it; how it got into force. */
async function apply(
  members: MemberInput[],
  change: Partial<PoolInput> = {},
  listener: Partial<ListenerInput['listener']> = {},
) {
  return applyText(datagramText(input(listener, pool(members, change))))
}

async function applyText(text: string, listener = id) {
  await client.uploadDatagrams(listener, text)
  const { status } = await client.listener(listener)
  const { applied } = await (status === 'ACTIVE' ? client.reloadListener(listener) : client.startListener(listener))
  return applied
}

const nft = (...words: string[]) => sandbox.exec(['ip', 'netns', 'exec', 'amphora-haproxy', 'nft', ...words])
const beat = async () => (await controller.heard('insecure'))!
const words = async () => Object.values((await beat()).pools ?? {})[0]?.members ?? {}
/** Of a beat that began after the call. */
const next = async () => {
  const { seq } = await beat()
  await until(async () => (await beat()).seq >= seq + 2, 'a heartbeat')
  return beat()
}
const flows = (count: number, name: string) => Array.from({ length: count }, (_, n) => `${name}${n}`)

describe('the contract', () => {
  test('what was uploaded is kept byte by byte, is in force when it is started, and not twice', async () => {
    const text = datagramText(input())
    const { etag, warning } = await client.uploadDatagrams(id, text)
    expect(warning).toBeNull()
    expect(await client.datagramConfig(id)).toEqual({ document: text, etag })
    expect(await client.listener(id)).toMatchObject({ status: 'OFFLINE' })
    expect(await nft('list', 'tables')).not.toContain('udp_')
    expect(await client.startListener(id)).toMatchObject({ applied: 'start' })
    expect(await client.reloadListener(id)).toMatchObject({ applied: 'none' })
    expect(await client.listeners()).toEqual([{ status: 'ACTIVE', uuid: id, type: 'UDP' }])
    expect((await client.details()).listeners).toEqual([id])
  })

  test('what is no document is refused, and what runs stays', async () => {
    await expect(client.uploadDatagrams(id, 'virtual_server {')).rejects.toMatchObject({ kind: 'refused', status: 400 })
    const other = datagramText(input({ id: 'other' }))
    await expect(client.uploadDatagrams(id, other)).rejects.toMatchObject({ details: 'it is the document of other' })
    await expect(client.uploadListener(id, 'global\n')).rejects.toMatchObject({ kind: 'refused' })
    expect(await lan.shares(2)).toEqual({ [one]: 1, [two]: 1 })
  })

  test('what this machine cannot give is told', async () => {
    const members = [member(1), member(2, { address: 'fd00::11' })]
    const text = datagramText(input({ id: 'odd' }, pool(members, { lb_algorithm: 'LEAST_CONNECTIONS' })))
    const { warning } = await client.uploadDatagrams('odd', text)
    expect(warning).toMatch(/take turns by their weights; .* get nothing: fd00::11/)
    await client.deleteListener('odd')
  })
})

describe('members', () => {
  test('have what their weights say', async () => {
    expect(await lan.shares(40)).toEqual({ [one]: 20, [two]: 20 })
    expect(await apply([member(1, { weight: 3 }), member(2)])).toBe('runtime')
    expect(await lan.shares(40)).toEqual({ [one]: 30, [two]: 10 })
  })

  test('keep their flows when something else changes, and lose them when they go', async () => {
    await apply([member(1), member(2)])
    const before = await lan.ask(flows(20, 'stay'))
    expect(await apply([member(1, { weight: 9 }), member(2), member(3, { weight: 2 })])).toBe('runtime')
    expect(await lan.ask(flows(20, 'stay'))).toEqual(before)
    expect(await apply([member(1, { weight: 0 }), member(3)])).toBe('runtime')
    const after = await lan.ask(flows(20, 'stay'))
    for (const [flow, who] of Object.entries(before)) expect(after[flow]).toBe(who === one ? one : three)
    expect(await lan.shares(6)).toEqual({ [three]: 6 })
    expect(await apply([member(1, { admin_state_up: false }), member(3)])).toBe('runtime')
    expect(new Set(Object.values(await lan.ask(flows(20, 'stay'))))).toEqual(new Set([three]))
  })

  test('stand in only when they are backups and nobody else can', async () => {
    await apply([member(1), member(2, { backup: true })])
    expect(await lan.shares(6)).toEqual({ [one]: 6 })
    await apply([member(1, { weight: 0 }), member(2, { backup: true })])
    expect(await lan.shares(6)).toEqual({ [two]: 6 })
  })

  test('may be on another network, which the amphora has a port on', async () => {
    await apply([member(1), member(4, { address: '10.1.0.11' })])
    expect(await lan.shares(6)).toEqual({ [one]: 3, '10.1.0.11': 3 })
  })

  test('see the amphora, and clients see the VIP', async () => {
    await apply([member(1)])
    await lan.ask(['seen'])
    const tracked = await sandbox.exec(['ip', 'netns', 'exec', 'amphora-haproxy', 'conntrack', '-L', '-p', 'udp'])
    expect(tracked).toMatch(/src=10\.0\.0\.1 dst=10\.0\.0\.10 .*dport=53 src=10\.0\.0\.11 dst=10\.0\.0\.5 sport=5300/)
  })
})

describe('clients', () => {
  const spread = async () => {
    const names = flows(40, `c${Math.random()}`)
    const got = await lan.ask(names, { sources })
    return names.map(name => got[name]!)
  }

  test('of an address have one member with SOURCE_IP, and most keep it when another comes', async () => {
    await apply([member(1), member(2)], { lb_algorithm: 'SOURCE_IP' })
    const before = await spread()
    expect(await spread()).toEqual(before)
    expect(new Set(before).size).toBe(2)
    await apply([member(1), member(2), member(3)], { lb_algorithm: 'SOURCE_IP' })
    const after = await spread()
    for (const [n, who] of after.entries()) if (who !== three) expect(who).toBe(before[n])
    expect(after).toContain(three)
  })

  test('are remembered, until their member goes', async () => {
    const remembering = { session_persistence: sourceIp(600) }
    await apply([member(1), member(2)], remembering)
    const before = await spread()
    expect(before.filter(who => who === one)).toHaveLength(20)
    expect(await spread()).toEqual(before)
    await apply([member(1), member(2, { weight: 5 }), member(3)], remembering)
    expect(await spread()).toEqual(before)
    await apply([member(1), member(3)], remembering)
    const after = await spread()
    for (const [n, who] of after.entries()) expect(who === before[n] || before[n] === two).toBe(true)
    expect(await spread()).toEqual(after)
  })

  test('of one network are one client, for as long as is said', async () => {
    const remembering = { session_persistence: sourceIp(1, '255.255.255.0') }
    await apply([member(1), member(2)], remembering)
    expect(new Set(await spread()).size).toBe(1)
    await until(
      async () => !(await nft('list', 'map', 'ip', `udp_${id.replaceAll('-', '_')}`, 'clients')).includes('expires'),
      'oblivion',
    )
  })

  test('from elsewhere are not heard', async () => {
    await apply([member(1)], {}, { allowed_cidrs: ['10.0.0.100/32', '10.0.0.101/32'] })
    expect(await lan.shares(2, { sources })).toEqual({ [one]: 2 })
    expect(await lan.shares(2)).toEqual({ silence: 2 })
  })

  test('beyond the limit are turned away', async () => {
    expect(await apply([member(1)], {}, { connection_limit: 3, protocol_port: 54 })).toBe('runtime')
    const got = Object.values(await lan.ask(flows(5, 'limited'), { port: 54 }))
    expect(got.filter(who => who === one)).toHaveLength(3)
    expect(got.filter(who => who === 'ECONNREFUSED')).toHaveLength(2)
    await until(async () => (await beat()).listeners[id]?.status === 'FULL', 'the heartbeat to say that it is full')
  })
})

describe('where nobody can serve', () => {
  test('senders are told so, and the same flow finds a member that comes', async () => {
    await apply([])
    expect(await lan.ask(['hopeful'])).toEqual({ hopeful: 'ECONNREFUSED' })
    await apply([member(1)], { admin_state_up: false })
    expect(await lan.ask(['hopeful'])).toEqual({ hopeful: 'ECONNREFUSED' })
    await apply([member(1)])
    expect(await lan.ask(['hopeful'])).toEqual({ hopeful: one })
  })
})

describe('monitors', () => {
  const asked = (type: string, change = {}) => ({ health_monitor: monitor({ type, ...change }) })

  test('UDP-CONNECT takes a dead member out, with its flows, and back', async () => {
    await apply([member(1), member(2)], asked('UDP-CONNECT', { max_retries_down: 2 }))
    const before = await lan.ask(flows(10, 'm'))
    expect(new Set(Object.values(before))).toEqual(new Set([one, two]))
    await lan.mute([two])
    await until(async () => (await words())[member(2).id] === 'DOWN', 'member 2 to be DOWN')
    expect(new Set(Object.values(await lan.ask(flows(10, 'm'))))).toEqual(new Set([one]))
    expect(await lan.shares(4)).toEqual({ [one]: 4 })
    expect(await client.listener(id)).toMatchObject({
      pools: [{ status: 'UP', members: { [member(1).id]: 'UP', [member(2).id]: 'DOWN' } }],
    })
    await lan.answer([two])
    await until(async () => (await words())[member(2).id] === 'UP', 'member 2 to be UP')
    expect(await lan.shares(4)).toEqual({ [one]: 2, [two]: 2 })
  })

  test('what they found out outlives changes of others, and the agent', async () => {
    await lan.mute([two])
    await until(async () => (await words())[member(2).id] === 'DOWN', 'member 2 to be DOWN')
    await apply([member(1), member(2), member(3)], asked('UDP-CONNECT', { max_retries_down: 2 }))
    expect(await lan.shares(6)).toEqual({ [one]: 3, [three]: 3 })
    const rules = await nft('list', 'ruleset')
    await sandbox.killAgent()
    sandbox.startAgent()
    await serving(client)
    expect(await lan.shares(6)).toEqual({ [one]: 3, [three]: 3 })
    expect((await nft('list', 'ruleset')).replaceAll(/packets \d+ bytes \d+/g, '')).toBe(
      rules.replaceAll(/packets \d+ bytes \d+/g, ''),
    )
    await lan.answer([two])
    await until(async () => (await lan.shares(6))[two] === 2, 'member 2 to serve again')
  })

  test('a machine that is not there is found out', async () => {
    const nobody = member(9, { address: '10.0.0.99' })
    await apply([member(1), nobody], asked('UDP-CONNECT'))
    await until(async () => (await words())[nobody.id] === 'DOWN', 'nobody to be DOWN')
  })

  test('TCP and HTTP ask as they do elsewhere', async () => {
    const web = { monitor_port: 80 }
    const deaf = { monitor_port: 81 }
    await apply([member(1, web), member(2, deaf)], asked('TCP'))
    await until(async () => (await words())[member(2).id] === 'DOWN', 'member 2 to be DOWN')
    expect((await words())[member(1).id]).toBe('UP')
    const http = { http_method: 'GET', url_path: '/', expected_codes: '201-204' }
    await apply([member(1, web), member(2, { monitor_port: 80, weight: 0 })], asked('HTTP', http))
    await until(async () => (await words())[member(1).id] === 'DOWN', 'member 1 to be DOWN')
    expect(Object.values((await beat()).pools!)[0]!.status).toBe('DOWN')
    await apply(
      [member(1, web), member(2, { ...web, weight: 0 })],
      asked('HTTP', { ...http, expected_codes: '200,302' }),
    )
    await until(async () => (await words())[member(1).id] === 'UP', 'member 1 to be UP')
    await until(async () => (await words())[member(2).id] === 'DRAIN', 'member 2 to drain')
    expect(await lan.shares(4)).toEqual({ [one]: 4 })
  })

  test('their process ends with the last of them', async () => {
    expect(sandbox.pidsOf('probe-members')).toHaveLength(1)
    await apply([member(1), member(2)])
    await until(() => sandbox.pidsOf('probe-members').length === 0, 'the process to end')
    const unasked = JSON.stringify({ [member(1).id]: 'no check', [member(2).id]: 'no check' })
    await until(async () => JSON.stringify(await words()) === unasked, 'the heartbeat to say that nobody is asked')
  })
})

describe('counters', () => {
  test('are what went through, in the words of heartbeats', async () => {
    const own = async () => (await next()).ottavia!.counters[id]!
    const before = await own()
    await lan.ask(flows(7, 'counted'))
    const { rx, tx, totconns, ereq } = await own()
    expect({ rx: rx - before.rx, tx: tx - before.tx, totconns: totconns - before.totconns, ereq }).toEqual({
      rx: 7 * (28 + 'hi'.length),
      tx: 7 * (28 + one.length),
      totconns: 7,
      ereq: 0,
    })
    await until(async () => (await beat()).listeners[id]!.stats.conns >= 7, 'the flows to be told')
    expect((await beat()).listeners[id]!.status).toBe('OPEN')
    expect((await beat()).ottavia!.digests[id]).toMatch(/^[0-9a-f]{32}$/)
  })

  test('go on over lost rules, which come back', async () => {
    const before = (await next()).ottavia!.counters[id]!
    await nft('flush', 'ruleset')
    await until(async () => (await nft('list', 'tables')).includes('udp_'), 'the rules to come back')
    expect(await lan.shares(4)).toEqual({ [one]: 2, [two]: 2 })
    await until(async () => (await beat()).ottavia!.counters[id]!.totconns >= before.totconns + 4, 'counters')
    expect((await beat()).ottavia!.counters[id]!.totconns).toBeLessThan(before.totconns + 20)
  })
})

test('both families have listeners on the same port', async () => {
  await sandbox.exec(['ip', '-n', 'amphora-haproxy', 'addr', 'add', 'fd00::5/64', 'dev', 'eth1', 'nodad'])
  await sandbox.exec(['ip', '-n', 'amphora-haproxy', 'addr', 'add', 'fd00::10/128', 'dev', 'eth1', 'nodad'])
  const six = input({ id: 'six' }, pool([member(1, { address: 'fd00::11' })]), { vip_address: 'fd00::10' })
  expect(await applyText(datagramText(six), 'six')).toBe('start')
  expect(await lan.shares(2, { vip: 'fd00::10', sources: ['fd00::1'] })).toEqual({ 'fd00::11': 2 })
  expect(await lan.shares(4)).toEqual({ [one]: 2, [two]: 2 })
  await client.deleteListener('six')
  expect(await lan.shares(1, { vip: 'fd00::10', sources: ['fd00::1'] })).toEqual({ ECONNREFUSED: 1 })
  expect(await lan.shares(2)).toEqual({ [one]: 1, [two]: 1 })
})

test('after a reboot the rules are back', async () => {
  await apply([member(1), member(2)])
  await sandbox.killAgent()
  await sandbox.exec(['ip', 'netns', 'delete', 'amphora-haproxy'])
  await until(async () => !/to-(vip|members)/.test(await sandbox.exec(['ip', '-n', 'lan', 'link'])), 'the cables to go')
  await sandbox.plugCables()
  for (const each of sources) await sandbox.exec(['ip', '-n', 'lan', 'addr', 'add', `${each}/24`, 'dev', 'to-vip'])
  sandbox.startAgent()
  await serving(client)
  expect(await client.listeners()).toEqual([{ status: 'ACTIVE', uuid: id, type: 'UDP' }])
  await until(async () => (await lan.shares(2))[two] === 1, 'datagrams')
})

test('with the last listener everything goes, and nothing answers', async () => {
  await lan.ask(['last'])
  await client.stopListener(id)
  expect(await client.listener(id)).toMatchObject({ status: 'OFFLINE' })
  expect(await lan.ask(['last'])).toEqual({ last: 'ECONNREFUSED' })
  await client.startListener(id)
  expect(await lan.ask(['last'])).toEqual({ last: expect.stringMatching(/^10/) })
  await client.deleteListener(id)
  expect(await lan.ask(['last'])).toEqual({ last: 'ECONNREFUSED' })
  expect(await nft('list', 'ruleset')).toBe('')
  expect(await sandbox.exec(['ip', 'netns', 'exec', 'amphora-haproxy', 'cat', '/proc/sys/net/ipv4/ip_forward'])).toBe(
    '0\n',
  )
  expect(await client.listeners()).toEqual([])
  expect(sandbox.read(`/var/lib/octavia/${id}`)).toBeNull()
  await until(async () => (await beat()).listeners[id] === undefined, 'heartbeats to forget it')
})
