/** UDP listeners on a machine of their own: monitors take members out and back, and what went through is counted. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { input, member, monitor } from '../amphora/nftables/sample.ts'
import { serving, until } from './sandbox.ts'
import { DatagramWorld } from './sandbox-datagrams.ts'

const world = new DatagramWorld()
const { sandbox, apply } = world
beforeAll(() => world.open())
afterAll(() => world.close())

const { id } = input().listener
const [one, two, three] = ['10.0.0.11', '10.0.0.12', '10.0.0.13']
const flows = (count: number, name: string) => Array.from({ length: count }, (_, n) => `${name}${n}`)

describe('monitors', () => {
  const asked = (type: 'UDP-CONNECT' | 'TCP' | 'HTTP', change = {}) => ({
    health_monitor: monitor({ type, ...change }),
  })

  test('UDP-CONNECT takes a dead member out, with its flows, and back', async () => {
    await apply([member(1), member(2)], asked('UDP-CONNECT', { max_retries_down: 2 }))
    const before = await world.lan.ask(flows(10, 'm'))
    expect(new Set(Object.values(before))).toEqual(new Set([one, two]))
    await world.lan.mute([two])
    await until(async () => (await world.words())[member(2).id] === 'DOWN', 'member 2 to be DOWN')
    expect(new Set(Object.values(await world.lan.ask(flows(10, 'm'))))).toEqual(new Set([one]))
    expect(await world.lan.shares(4)).toEqual({ [one]: 4 })
    expect(await world.client.listener(id)).toMatchObject({
      pools: [{ status: 'UP', members: { [member(1).id]: 'UP', [member(2).id]: 'DOWN' } }],
    })
    await world.lan.answer([two])
    await until(async () => (await world.words())[member(2).id] === 'UP', 'member 2 to be UP')
    expect(await world.lan.shares(4)).toEqual({ [one]: 2, [two]: 2 })
  })

  test('what they found out outlives changes of others, and the agent', async () => {
    await world.lan.mute([two])
    await until(async () => (await world.words())[member(2).id] === 'DOWN', 'member 2 to be DOWN')
    await apply([member(1), member(2), member(3)], asked('UDP-CONNECT', { max_retries_down: 2 }))
    expect(await world.lan.shares(6)).toEqual({ [one]: 3, [three]: 3 })
    const rules = await world.nft('list', 'ruleset')
    await sandbox.killAgent()
    sandbox.startAgent()
    await serving(world.client)
    expect(await world.lan.shares(6)).toEqual({ [one]: 3, [three]: 3 })
    expect((await world.nft('list', 'ruleset')).replaceAll(/packets \d+ bytes \d+/g, '')).toBe(
      rules.replaceAll(/packets \d+ bytes \d+/g, ''),
    )
    await world.lan.answer([two])
    await until(async () => (await world.lan.shares(6))[two] === 2, 'member 2 to serve again')
  })

  test('a machine that is not there is found out', async () => {
    const nobody = member(9, { address: '10.0.0.99' })
    await apply([member(1), nobody], asked('UDP-CONNECT'))
    await until(async () => (await world.words())[nobody.id] === 'DOWN', 'nobody to be DOWN')
  })

  test('TCP and HTTP ask as they do elsewhere', async () => {
    const web = { monitor_port: 80 }
    const deaf = { monitor_port: 81 }
    await apply([member(1, web), member(2, deaf)], asked('TCP'))
    await until(async () => (await world.words())[member(2).id] === 'DOWN', 'member 2 to be DOWN')
    expect((await world.words())[member(1).id]).toBe('UP')
    const http = { http_method: 'GET', url_path: '/', expected_codes: '201-204' }
    await apply([member(1, web), member(2, { monitor_port: 80, weight: 0 })], asked('HTTP', http))
    await until(async () => (await world.words())[member(1).id] === 'DOWN', 'member 1 to be DOWN')
    expect(Object.values((await world.beat()).pools!)[0]!.status).toBe('DOWN')
    await apply(
      [member(1, web), member(2, { ...web, weight: 0 })],
      asked('HTTP', { ...http, expected_codes: '200,302' }),
    )
    await until(async () => (await world.words())[member(1).id] === 'UP', 'member 1 to be UP')
    await until(async () => (await world.words())[member(2).id] === 'DRAIN', 'member 2 to drain')
    expect(await world.lan.shares(4)).toEqual({ [one]: 4 })
  })

  test('their process ends with the last of them', async () => {
    expect(sandbox.pidsOf('probe-members')).toHaveLength(1)
    await apply([member(1), member(2)])
    await until(() => sandbox.pidsOf('probe-members').length === 0, 'the process to end')
    const unasked = JSON.stringify({ [member(1).id]: 'no check', [member(2).id]: 'no check' })
    await until(
      async () => JSON.stringify(await world.words()) === unasked,
      'the heartbeat to say that nobody is asked',
    )
  })
})

describe('counters', () => {
  test('are what went through, in the words of heartbeats', async () => {
    const own = async () => (await world.next()).ottavia!.counters[id]!
    const before = await own()
    await world.lan.ask(flows(7, 'counted'))
    const { rx, tx, totconns, ereq } = await own()
    expect({ rx: rx - before.rx, tx: tx - before.tx, totconns: totconns - before.totconns, ereq }).toEqual({
      rx: 7 * (28 + 'hi'.length),
      tx: 7 * (28 + one.length),
      totconns: 7,
      ereq: 0,
    })
    await until(async () => (await world.beat()).listeners[id]!.stats.conns >= 7, 'the flows to be told')
    expect((await world.beat()).listeners[id]!.status).toBe('OPEN')
    expect((await world.beat()).ottavia!.digests[id]).toMatch(/^[0-9a-f]{32}$/)
  })

  test('go on over lost rules, which come back', async () => {
    const before = (await world.next()).ottavia!.counters[id]!
    await world.nft('flush', 'ruleset')
    await until(async () => (await world.nft('list', 'tables')).includes('udp_'), 'the rules to come back')
    expect(await world.lan.shares(4)).toEqual({ [one]: 2, [two]: 2 })
    await until(async () => (await world.beat()).ottavia!.counters[id]!.totconns >= before.totconns + 4, 'counters')
    expect((await world.beat()).ottavia!.counters[id]!.totconns).toBeLessThan(before.totconns + 20)
  })
})
