/** UDP listeners with several VIPs: real datagrams of both families, each to members of its own, on a machine of their own. */
import fs from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ListenerInput, MemberInput, PoolInput } from '../amphora/haproxy/listener.ts'
import type { Change } from '../amphora/haproxy/sample.ts'
import { datagramText } from '../amphora/nftables/datagram-listener.ts'
import { input, member, monitor, pool, sourceIp } from '../amphora/nftables/sample.ts'
import { serving, until } from './sandbox.ts'
import { DatagramWorld } from './sandbox-datagrams.ts'

const world = new DatagramWorld()
const { sandbox } = world
const { id } = input().listener
const [one, two] = ['10.0.0.11', '10.0.0.12']
const [six_one, six_two] = ['fd00::11', 'fd00::12']
const six = (n: number, change: Change<MemberInput> = {}) => member(20 + n, { address: `fd00::${10 + n}`, ...change })
const four_members = [member(1), member(2)]
const six_members = [six(1), six(2)]
const vip6 = 'fd00::10'
const at6 = { vip: vip6, sources: ['fd00::1'] }
const second = { vip: '10.0.0.20' }
const sources6 = Array.from({ length: 40 }, (_, n) => `fd00::${100 + n}`)
const flows = (count: number, name: string) => Array.from({ length: count }, (_, n) => `${name}${n}`)
const both = ['10.0.0.20', vip6]

const textOf = (
  members: MemberInput[],
  of: Change<PoolInput> = {},
  listener: Change<ListenerInput['listener']> = {},
  additional_vips = both,
) => datagramText(input(listener, pool(members, of), { additional_vips }))
const apply = (...of: Parameters<typeof textOf>) => world.applyText(textOf(...of))
const rules = async () => (await world.nft('list', 'ruleset')).replaceAll(/packets \d+ bytes \d+/g, '')

beforeAll(async () => {
  await world.open()
  for (const each of ['10.0.0.20/32', 'fd00::5/64', 'fd00::10/128'])
    await sandbox.exec(['ip', '-n', 'amphora-haproxy', 'addr', 'add', each, 'dev', 'eth1', ...nodad(each)])
  for (const each of [six_two, ...sources6])
    await sandbox.exec(['ip', '-n', 'lan', 'addr', 'add', `${each}/64`, 'dev', 'to-vip', 'nodad'])
  await world.lan.answer([six_two])
})
afterAll(() => world.close())

const nodad = (address: string) => (address.includes(':') ? ['nodad'] : [])

describe('every VIP', () => {
  test('sends what it gets to members of its own family, by their weights', async () => {
    const { warning } = await world.client.uploadDatagrams(id, textOf([...four_members, ...six_members]))
    expect(warning).toBeNull()
    expect(await apply([member(1, { weight: 3 }), member(2), ...six_members])).toBe('start')
    expect(await world.lan.shares(20)).toEqual({ [one]: 15, [two]: 5 })
    expect(await world.lan.shares(20, second)).toEqual({ [one]: 15, [two]: 5 })
    expect(await world.lan.shares(20, at6)).toEqual({ [six_one]: 10, [six_two]: 10 })
  })

  test('has members see the amphora, and clients see the VIP', async () => {
    await world.lan.ask(['seen'], at6)
    const argv = ['conntrack', '-L', '-p', 'udp', '-f', 'ipv6']
    const tracked = await sandbox.exec(['ip', 'netns', 'exec', 'amphora-haproxy', ...argv])
    // either address is its own; the kernel prefers one
    expect(tracked).toMatch(/src=fd00::1 dst=fd00::10 .*dport=53 src=fd00::1[12] dst=fd00::(5|10) sport=5300/)
  })

  test('keeps its flows when members of either family change, and ends those to one that goes', async () => {
    await apply([...four_members, ...six_members])
    const [before4, before6] = [await world.lan.ask(flows(10, 'f')), await world.lan.ask(flows(10, 's'), at6)]
    expect(await apply([...four_members, six(1)])).toBe('runtime')
    expect(await world.lan.ask(flows(10, 'f'))).toEqual(before4)
    expect(Object.values(before6)).toContain(six_two)
    expect(new Set(Object.values(await world.lan.ask(flows(10, 's'))))).toEqual(new Set([six_one]))
    expect(await apply([member(1, { admin_state_up: false }), member(2), six(1)])).toBe('runtime')
    expect(new Set(Object.values(await world.lan.ask(flows(10, 'f'))))).toEqual(new Set([two]))
    expect(new Set(Object.values(await world.lan.ask(flows(10, 's'))))).toEqual(new Set([six_one]))
  })

  test('tells senders when no member of its family can serve, whatever the other family has', async () => {
    await apply(four_members)
    expect(await world.lan.ask(['hopeful'], at6)).toEqual({ hopeful: 'ECONNREFUSED' })
    expect(await world.lan.shares(2)).toEqual({ [one]: 1, [two]: 1 })
    await apply([...four_members, six(1)])
    expect(await world.lan.ask(['hopeful'])).toEqual({ hopeful: six_one })
    // the kernel tells each client so only so often
    const { sources } = world
    await apply([six(1)])
    expect(await world.lan.shares(2, { sources })).toEqual({ ECONNREFUSED: 2 })
    expect(await world.lan.shares(2, { ...second, sources })).toEqual({ ECONNREFUSED: 2 })
    await apply([member(1), six(1, { backup: true })])
    expect(await world.lan.shares(2, at6)).toEqual({ [six_one]: 2 })
    await apply([])
    expect(await world.lan.shares(2, { sources })).toEqual({ ECONNREFUSED: 2 })
    expect(await world.lan.shares(2, { vip: vip6, sources: sources6 })).toEqual({ ECONNREFUSED: 2 })
  })

  test('leaves members without a VIP of their family alone, which is told', async () => {
    const text = textOf([...four_members, six(1)], {}, { id: 'odd' }, ['10.0.0.20'])
    const { warning } = await world.client.uploadDatagrams('odd', text)
    expect(warning).toBe('members of another IP version than the VIPs get nothing: fd00::11')
    await world.client.deleteUnit('odd')
  })
})

test('600 members of each family come, change and go', async () => {
  const crowd = (address: (n: number) => string, weight: number) =>
    [...Array(600)].map((_, n) =>
      member(n, { id: `of-${address(n).replaceAll(/[.:]/g, '-')}`, address: address(n), weight }),
    )
  const many = (weight: number) => [
    ...crowd(n => `10.7.${n >> 8}.${n & 255}`, weight),
    ...crowd(n => `fd00:7::${n}`, weight),
  ]
  const of = { lb_algorithm: 'SOURCE_IP', session_persistence: sourceIp() }
  await apply(four_members, {}, {}, [])
  expect(await apply(many(1), of)).toBe('runtime')
  expect(await apply([...many(0), member(1), six(1)], of)).toBe('runtime')
  expect(await world.lan.shares(2)).toEqual({ [one]: 2 })
  expect(await world.lan.shares(2, at6)).toEqual({ [six_one]: 2 })
  expect(await apply([...many(2), member(1)])).toBe('runtime')
  expect(await apply([member(1), six(1)])).toBe('runtime')
  expect(await rules()).not.toMatch(/10\.7\.|fd00:7::/)
  expect(await world.lan.shares(2, at6)).toEqual({ [six_one]: 2 })
  // no text was too long for the kernel
  expect(fs.readFileSync(path.join(sandbox.folder, 'agent.log'), 'utf8')).not.toContain('made anew')
})

describe('clients', () => {
  const spread = async (at: { vip?: string; sources: string[] }) => {
    const names = flows(40, `c${Math.random()}`)
    const got = await world.lan.ask(names, at)
    return names.map(name => got[name]!)
  }
  const [all4, all6] = [{ sources: world.sources }, { vip: vip6, sources: sources6 }]

  test.each([
    ['SOURCE_IP', { lb_algorithm: 'SOURCE_IP' }],
    ['persistence', { session_persistence: sourceIp(600) }],
  ])('of an address have one member with %s, in both families, at each VIP', async (_, of) => {
    await apply([...four_members, ...six_members], of)
    const [before4, before6] = [await spread(all4), await spread(all6)]
    expect(new Set(before4)).toEqual(new Set([one, two]))
    expect(new Set(before6)).toEqual(new Set([six_one, six_two]))
    expect([await spread(all4), await spread(all6)]).toEqual([before4, before6])
    expect(await spread({ ...all4, ...second })).toEqual(before4)
    // of those of the other family nothing is forgotten
    await apply([member(1), ...six_members], of)
    expect(await spread(all6)).toEqual(before6)
    expect(new Set(await spread(all4))).toEqual(new Set([one]))
  })

  test('of one network are one client, by a netmask of their family', async () => {
    await apply([...four_members, ...six_members], { session_persistence: sourceIp(600, '255.255.255.0') })
    expect(new Set(await spread(all4)).size).toBe(1)
    expect(new Set(await spread(all6)).size).toBe(2)
    await apply([...four_members, ...six_members], { session_persistence: sourceIp(600, 'ffff:ffff:ffff:ffff::') })
    expect(new Set(await spread(all4)).size).toBe(2)
    expect(new Set(await spread(all6)).size).toBe(1)
  })

  test('from elsewhere are not heard', async () => {
    const allowed_cidrs = ['10.0.0.100/32', 'fd00::100/128']
    await apply([member(1), six(1)], {}, { allowed_cidrs })
    expect(await world.lan.shares(1, { sources: ['10.0.0.100'] })).toEqual({ [one]: 1 })
    expect(await world.lan.shares(1, { vip: vip6, sources: ['fd00::100'] })).toEqual({ [six_one]: 1 })
    expect(await world.lan.shares(1)).toEqual({ silence: 1 })
    expect(await world.lan.shares(1, at6)).toEqual({ silence: 1 })
    await apply([member(1), six(1)], {}, { allowed_cidrs: ['10.0.0.0/8'] })
    expect(await world.lan.shares(1, second)).toEqual({ [one]: 1 })
    expect(await world.lan.shares(1, at6)).toEqual({ silence: 1 })
  })

  test('beyond the limit are turned away, whichever VIP they ask', async () => {
    expect(await apply([member(1), six(1)], {}, { connection_limit: 4, protocol_port: 54 })).toBe('runtime')
    const at = (vip: string, sources: string[]) => ({ vip, sources, port: 54 })
    expect(Object.values(await world.lan.ask(flows(2, 'l4'), at('10.0.0.10', ['10.0.0.1'])))).toEqual([one, one])
    const got = Object.values(await world.lan.ask(flows(4, 'l6'), at(vip6, sources6)))
    expect(got.filter(who => who === six_one)).toHaveLength(2)
    expect(got.filter(who => who === 'ECONNREFUSED')).toHaveLength(2)
    expect(await world.lan.shares(1, at('10.0.0.20', world.sources))).toEqual({ ECONNREFUSED: 1 })
    await until(async () => (await world.beat()).listeners[id]?.status === 'FULL', 'the heartbeat to say it is full')
    expect((await world.beat()).listeners[id]!.stats.conns).toBe(4)
  })
})

describe('monitors', () => {
  const asked = { health_monitor: monitor({ max_retries_down: 2 }) }

  test('take a member of either family out, with its flows, over a start of the agent, and back', async () => {
    await apply([...four_members, ...six_members], asked)
    await world.lan.ask(flows(10, 'm'), at6)
    await world.lan.mute([six_two])
    await until(async () => (await world.words())[six(2).id] === 'DOWN', 'a member to be DOWN')
    expect(new Set(Object.values(await world.lan.ask(flows(10, 'm'))))).toEqual(new Set([six_one]))
    const before = await rules()
    await sandbox.killAgent()
    sandbox.startAgent()
    await serving(world.client)
    expect(await world.lan.shares(4, at6)).toEqual({ [six_one]: 4 })
    expect(await world.lan.shares(4)).toEqual({ [one]: 2, [two]: 2 })
    expect(await rules()).toBe(before)
    await world.lan.answer([six_two])
    await until(async () => (await world.words())[six(2).id] === 'UP', 'it to be UP')
    expect(await world.lan.shares(4, at6)).toEqual({ [six_one]: 2, [six_two]: 2 })
  })
})

describe('counters', () => {
  test('are of all VIPs together', async () => {
    await apply([member(1), six(1)])
    const before = await world.counted()
    await world.lan.ask(flows(3, 'n4'))
    await world.lan.ask(flows(2, 'n6'), at6)
    const { rx, tx, totconns } = await world.counted()
    const [length4, length6] = [(text: string) => 28 + text.length, (text: string) => 48 + text.length]
    expect({ rx: rx - before.rx, tx: tx - before.tx, totconns: totconns - before.totconns }).toEqual({
      rx: 3 * length4('hi') + 2 * length6('hi'),
      tx: 3 * length4(one) + 2 * length6(six_one),
      totconns: 5,
    })
  })

  test('go on over lost rules, which come back', async () => {
    const before = await world.counted()
    await world.nft('flush', 'ruleset')
    await until(async () => (await world.nft('list', 'tables')).includes('inet udp_'), 'the rules to come back')
    expect(await world.lan.shares(2)).toEqual({ [one]: 2 })
    expect(await world.lan.shares(2, at6)).toEqual({ [six_one]: 2 })
    await until(async () => (await world.counted()).totconns === before.totconns + 4, 'counters')
  })
})

describe('when VIPs come and go', () => {
  const members = [...four_members, six(1)]
  /** What the flows got meanwhile, each outcome once. */
  const whileAsked = async (names: string[], change: () => Promise<unknown>) => {
    let changing = true
    const changed = change().finally(() => {
      changing = false
    })
    const outcomes = new Set<string>()
    while (changing) outcomes.add(JSON.stringify(await world.lan.ask(names)))
    await changed
    return [...outcomes].map(each => JSON.parse(each))
  }

  test('flows to those that stay stay, and the sum goes on', async () => {
    await apply(members, {}, {}, [])
    expect(await world.nft('list', 'tables')).not.toContain('inet udp_')
    const kept = await world.lan.ask(flows(10, 'k'))
    expect(await world.lan.ask(['early'], at6)).toEqual({ early: 'ECONNREFUSED' })
    const before = await world.counted()
    expect(await whileAsked(flows(10, 'k'), () => apply(members))).toEqual([kept])
    expect(await world.lan.ask(flows(10, 'k'))).toEqual(kept)
    expect(await world.lan.ask(['early'])).toEqual({ early: six_one })
    expect(await world.nft('list', 'tables')).not.toMatch(/ip6? udp_/)
    await until(async () => (await world.counted()).totconns === before.totconns + 1, 'the new flow to be counted')
    expect((await world.counted()).rx).toBeGreaterThan(before.rx)
    expect(await whileAsked(flows(10, 'k'), () => apply(members, {}, {}, ['10.0.0.20']))).toEqual([kept])
    expect(await world.lan.ask(flows(10, 'k'))).toEqual(kept)
    expect(await world.nft('list', 'tables')).not.toContain('inet udp_')
  })

  test('flows to those that go end', async () => {
    await apply(members)
    const kept = await world.lan.ask(flows(10, 'left'))
    await world.lan.ask(['g6'], at6)
    await world.lan.ask(['g20'], second)
    await apply(members, {}, {}, [])
    // the address is still the machine's, and nobody listens there
    expect(await world.lan.ask(['g6', 'g20'])).toEqual({ g6: 'ECONNREFUSED', g20: 'ECONNREFUSED' })
    expect(await world.lan.ask(flows(10, 'left'))).toEqual(kept)
  })

  test('an agent that takes over from one that knew the first VIP alone interrupts nobody', async () => {
    await apply(members, {}, {}, [])
    const kept = await world.lan.ask(flows(10, 'u'))
    const before = await world.counted()
    await sandbox.killAgent()
    const folder = `/var/lib/octavia/${id}`
    const text = textOf(members)
    for (const [file, content] of [
      ['running.json', JSON.stringify({ text, down: [] })],
      ['udp_listener.json', text],
    ])
      await sandbox.exec(['sh', '-c', 'printf %s "$1" > "$2"', 'sh', content!, `${folder}/${file}`])
    sandbox.startAgent()
    await serving(world.client)
    expect(await world.lan.ask(flows(10, 'u'))).toEqual(kept)
    expect(await world.lan.shares(2, at6)).toEqual({ [six_one]: 2 })
    await until(async () => (await world.counted()).totconns === before.totconns + 2, 'counters to go on')
  })
})

test('with the listener everything goes', async () => {
  await apply([member(1), six(1)])
  await world.lan.ask(['last4'])
  await world.lan.ask(['last6'], at6)
  await world.client.deleteUnit(id)
  expect(await world.lan.ask(['last4', 'last6'])).toEqual({ last4: 'ECONNREFUSED', last6: 'ECONNREFUSED' })
  expect(await world.nft('list', 'ruleset')).toBe('')
})
