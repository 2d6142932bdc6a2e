/** UDP listeners on a machine of their own: real datagrams through the VIP, and what becomes of flows when things change. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { datagramText } from '../amphora/nftables/datagram-listener.ts'
import { input, member, pool, sourceIp } from '../amphora/nftables/sample.ts'
import { sampleConfig, member as webMember } from './sample.ts'
import { serving, until } from './sandbox.ts'
import { DatagramWorld } from './sandbox-datagrams.ts'

const world = new DatagramWorld()
const { sandbox, apply, applyText } = world
beforeAll(() => world.open())
afterAll(() => world.close())

const { id } = input().listener
const [one, two, three] = ['10.0.0.11', '10.0.0.12', '10.0.0.13']
const sources = world.sources
const flows = (count: number, name: string) => Array.from({ length: count }, (_, n) => `${name}${n}`)

describe('the contract', () => {
  test('what was uploaded is kept byte by byte, is in force when it is started, and not twice', async () => {
    const text = datagramText(input())
    const { etag, warning } = await world.client.uploadDatagrams(id, text)
    expect(warning).toBeNull()
    expect(await world.client.datagramConfig(id)).toEqual({ document: text, etag })
    expect(await world.client.listener(id)).toMatchObject({ status: 'OFFLINE' })
    expect(await world.nft('list', 'tables')).not.toContain('udp_')
    expect(await world.client.startUnit(id)).toMatchObject({ applied: 'start' })
    expect(await world.client.reloadUnit(id)).toMatchObject({ applied: 'none' })
    expect(await world.client.listeners()).toEqual([{ status: 'ACTIVE', uuid: id, type: 'UDP' }])
    expect((await world.client.details()).listeners).toEqual([id])
  })

  test('what is no document is refused, and what runs stays', async () => {
    await expect(world.client.uploadDatagrams(id, 'virtual_server {')).rejects.toMatchObject({
      kind: 'refused',
      status: 400,
    })
    const other = datagramText(input({ id: 'other' }))
    await expect(world.client.uploadDatagrams(id, other)).rejects.toMatchObject({
      details: 'it is the document of other',
    })
    await expect(world.client.uploadUnit(id, 'global\n')).rejects.toMatchObject({ kind: 'refused' })
    expect(await world.lan.shares(2)).toEqual({ [one]: 1, [two]: 1 })
  })

  test('what this machine cannot give is told', async () => {
    const members = [member(1), member(2, { address: 'fd00::11' })]
    const text = datagramText(input({ id: 'odd' }, pool(members, { lb_algorithm: 'LEAST_CONNECTIONS' })))
    const { warning } = await world.client.uploadDatagrams('odd', text)
    expect(warning).toMatch(/take turns by their weights; .* get nothing: fd00::11/)
    await world.client.deleteUnit('odd')
  })
})

describe('members', () => {
  test('have what their weights say', async () => {
    expect(await world.lan.shares(40)).toEqual({ [one]: 20, [two]: 20 })
    expect(await apply([member(1, { weight: 3 }), member(2)])).toBe('runtime')
    expect(await world.lan.shares(40)).toEqual({ [one]: 30, [two]: 10 })
  })

  test('keep their flows when something else changes, and lose them when they go', async () => {
    await apply([member(1), member(2)])
    const before = await world.lan.ask(flows(20, 'stay'))
    expect(await apply([member(1, { weight: 9 }), member(2), member(3, { weight: 2 })])).toBe('runtime')
    expect(await world.lan.ask(flows(20, 'stay'))).toEqual(before)
    expect(await apply([member(1, { weight: 0 }), member(3)])).toBe('runtime')
    const after = await world.lan.ask(flows(20, 'stay'))
    for (const [flow, who] of Object.entries(before)) expect(after[flow]).toBe(who === one ? one : three)
    expect(await world.lan.shares(6)).toEqual({ [three]: 6 })
    expect(await apply([member(1, { admin_state_up: false }), member(3)])).toBe('runtime')
    expect(new Set(Object.values(await world.lan.ask(flows(20, 'stay'))))).toEqual(new Set([three]))
  })

  test('stand in only when they are backups and nobody else can', async () => {
    await apply([member(1), member(2, { backup: true })])
    expect(await world.lan.shares(6)).toEqual({ [one]: 6 })
    await apply([member(1, { weight: 0 }), member(2, { backup: true })])
    expect(await world.lan.shares(6)).toEqual({ [two]: 6 })
  })

  test('may be on another network, which the amphora has a port on', async () => {
    await apply([member(1), member(4, { address: '10.1.0.11' })])
    expect(await world.lan.shares(6)).toEqual({ [one]: 3, '10.1.0.11': 3 })
  })

  test('see the amphora, and clients see the VIP', async () => {
    await apply([member(1)])
    await world.lan.ask(['seen'])
    const tracked = await sandbox.exec(['ip', 'netns', 'exec', 'amphora-haproxy', 'conntrack', '-L', '-p', 'udp'])
    expect(tracked).toMatch(/src=10\.0\.0\.1 dst=10\.0\.0\.10 .*dport=53 src=10\.0\.0\.11 dst=10\.0\.0\.5 sport=5300/)
  })
})

describe('clients', () => {
  const spread = async () => {
    const names = flows(40, `c${Math.random()}`)
    const got = await world.lan.ask(names, { sources })
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
      async () =>
        !(await world.nft('list', 'map', 'ip', `udp_${id.replaceAll('-', '_')}`, 'clients')).includes('expires'),
      'oblivion',
    )
  })

  test('from elsewhere are not heard', async () => {
    await apply([member(1)], {}, { allowed_cidrs: ['10.0.0.100/32', '10.0.0.101/32'] })
    expect(await world.lan.shares(2, { sources })).toEqual({ [one]: 2 })
    expect(await world.lan.shares(2)).toEqual({ silence: 2 })
  })

  test('beyond the limit are turned away', async () => {
    expect(await apply([member(1)], {}, { connection_limit: 3, protocol_port: 54 })).toBe('runtime')
    const got = Object.values(await world.lan.ask(flows(5, 'limited'), { port: 54 }))
    expect(got.filter(who => who === one)).toHaveLength(3)
    expect(got.filter(who => who === 'ECONNREFUSED')).toHaveLength(2)
    await until(
      async () => (await world.beat()).listeners[id]?.status === 'FULL',
      'the heartbeat to say that it is full',
    )
  })
})

describe('where nobody can serve', () => {
  test('senders are told so, and the same flow finds a member that comes', async () => {
    await apply([])
    expect(await world.lan.ask(['hopeful'])).toEqual({ hopeful: 'ECONNREFUSED' })
    await apply([member(1)], { admin_state_up: false })
    expect(await world.lan.ask(['hopeful'])).toEqual({ hopeful: 'ECONNREFUSED' })
    await apply([member(1)])
    expect(await world.lan.ask(['hopeful'])).toEqual({ hopeful: one })
  })
})

describe('side by side', () => {
  test('several listeners, and one of haproxy on the same port, do not meet', async () => {
    await apply([member(1), member(2)])
    const other = input({ id: 'other', protocol_port: 54 }, pool([member(3)]))
    expect(await applyText(datagramText(other), 'other')).toBe('start')
    const tcp = sampleConfig({ id: 'tcp', members: [webMember(1)], listener: { protocol_port: 53 } })
    await world.client.uploadUnit('tcp', tcp)
    await world.client.startUnit('tcp')
    expect(await world.lan.shares(4, { port: 54 })).toEqual({ [three]: 4 })
    expect(await world.lan.shares(4)).toEqual({ [one]: 2, [two]: 2 })
    expect(await sandbox.answers('http://10.0.0.10:53/', 3)).toEqual({ [one]: 3 })
    const tracked = await sandbox.exec(['ip', 'netns', 'exec', 'amphora-haproxy', 'conntrack', '-L', '-p', 'tcp'])
    expect(tracked).toBe('')
    await world.client.deleteUnit('other')
    await world.client.deleteUnit('tcp')
    expect(await world.lan.shares(1, { port: 54 })).toEqual({ ECONNREFUSED: 1 })
    expect(await world.lan.shares(4)).toEqual({ [one]: 2, [two]: 2 })
  })

  test('what is not a datagram of a listener is not forwarded', async () => {
    const route = ['route', 'replace', '10.1.0.77/32', 'via', '10.0.0.5']
    await sandbox.exec(['ip', '-n', 'lan', ...route])
    expect(await world.lan.shares(1, { vip: '10.1.0.77', port: 9 })).toEqual({ silence: 1 })
    await sandbox.exec(['ip', '-n', 'lan', 'route', 'del', '10.1.0.77/32'])
  })

  test('a pool of 1,200 members comes, changes and goes', async () => {
    const many = [...Array(1_200)].map((_, n) => {
      return member(n, { id: `many-${n}`, address: `10.7.${n >> 8}.${n & 255}`, weight: n === 7 ? 1 : 0 })
    })
    const all = many.map(each => ({ ...each, weight: 1 }))
    expect(await apply([...all])).toBe('runtime')
    expect(await apply([...many, member(1)], { session_persistence: sourceIp() })).toBe('runtime')
    expect(await apply([...all], { lb_algorithm: 'SOURCE_IP' })).toBe('runtime')
    expect(await apply([member(1)])).toBe('runtime')
    expect(await world.lan.shares(3)).toEqual({ [one]: 3 })
    expect(await world.nft('list', 'ruleset')).not.toContain('10.7.')
    await world.client.stopUnit(id)
    expect(await apply([...all])).toBe('start')
    expect(await apply([member(1), member(2)])).toBe('runtime')
    expect(await world.lan.shares(4)).toEqual({ [one]: 2, [two]: 2 })
  })
})

test('both families have listeners on the same port', async () => {
  await sandbox.exec(['ip', '-n', 'amphora-haproxy', 'addr', 'add', 'fd00::5/64', 'dev', 'eth1', 'nodad'])
  await sandbox.exec(['ip', '-n', 'amphora-haproxy', 'addr', 'add', 'fd00::10/128', 'dev', 'eth1', 'nodad'])
  const six = input({ id: 'six' }, pool([member(1, { address: 'fd00::11' })]), { vip_address: 'fd00::10' })
  expect(await applyText(datagramText(six), 'six')).toBe('start')
  expect(await world.lan.shares(2, { vip: 'fd00::10', sources: ['fd00::1'] })).toEqual({ 'fd00::11': 2 })
  expect(await world.lan.shares(4)).toEqual({ [one]: 2, [two]: 2 })
  await world.client.deleteUnit('six')
  expect(await world.lan.shares(1, { vip: 'fd00::10', sources: ['fd00::1'] })).toEqual({ ECONNREFUSED: 1 })
  expect(await world.lan.shares(2)).toEqual({ [one]: 1, [two]: 1 })
})

test('after a reboot the rules are back', async () => {
  await apply([member(1), member(2)])
  await sandbox.killAgent()
  await sandbox.exec(['ip', 'netns', 'delete', 'amphora-haproxy'])
  await until(async () => !/to-(vip|members)/.test(await sandbox.exec(['ip', '-n', 'lan', 'link'])), 'the cables to go')
  await sandbox.plugCables()
  await world.plugSources()
  sandbox.startAgent()
  await serving(world.client)
  expect(await world.client.listeners()).toEqual([{ status: 'ACTIVE', uuid: id, type: 'UDP' }])
  await until(async () => (await world.lan.shares(2))[two] === 1, 'datagrams')
})

test('with the last listener everything goes, and nothing answers', async () => {
  await world.lan.ask(['last'])
  await world.client.stopUnit(id)
  expect(await world.client.listener(id)).toMatchObject({ status: 'OFFLINE' })
  expect(await world.lan.ask(['last'])).toEqual({ last: 'ECONNREFUSED' })
  await world.client.startUnit(id)
  expect(await world.lan.ask(['last'])).toEqual({ last: expect.stringMatching(/^10/) })
  await world.client.deleteUnit(id)
  expect(await world.lan.ask(['last'])).toEqual({ last: 'ECONNREFUSED' })
  expect(await world.nft('list', 'ruleset')).toBe('')
  expect(await sandbox.exec(['ip', 'netns', 'exec', 'amphora-haproxy', 'cat', '/proc/sys/net/ipv4/ip_forward'])).toBe(
    '0\n',
  )
  expect(await world.client.listeners()).toEqual([])
  expect(sandbox.read(`/var/lib/octavia/${id}`)).toBeNull()
  await until(async () => (await world.beat()).listeners[id] === undefined, 'heartbeats to forget it')
})
