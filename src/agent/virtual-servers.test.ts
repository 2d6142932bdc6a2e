/** UDP listeners of an operator who wants virtual servers: by IPVS where the kernel has it, else by nftables, which says so. */
import { type ChildProcess, spawn } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { datagramText } from '../amphora/nftables/datagram-listener.ts'
import { input, member, monitor, pool, sourceIp } from '../amphora/nftables/sample.ts'
import { serving, until } from './sandbox.ts'
import { DatagramWorld } from './sandbox-datagrams.ts'

/** To be had by root of a machine with the module only, and never in a user namespace. */
const ipvs = process.getuid?.() === 0 && fs.existsSync('/proc/net/ip_vs')
const world = new DatagramWorld()
const { sandbox, apply, applyText } = world
beforeAll(() => {
  sandbox.own_users = !ipvs
  sandbox.boot = { amphora_udp_driver: 'keepalived_lvs' }
  return world.open()
})
afterAll(() => world.close())

const { id } = input().listener
const [one, two] = ['10.0.0.11', '10.0.0.12']
const flows = (count: number, name: string) => Array.from({ length: count }, (_, n) => `${name}${n}`)
const files = `/var/lib/octavia/lvs/octavia-keepalivedlvs-${id}`
const keepaliveds = () => sandbox.pidsOf(`${files}.conf`)
/** The process that leads the others, by the file in which it says so. */
const leader = () => Number(sandbox.read(`${files}.pid`))

describe.skipIf(ipvs)('a kernel without IPVS', () => {
  test('has nftables serve, and the controller is told', async () => {
    const { warning } = await world.client.uploadDatagrams(id, datagramText(input()))
    expect(warning).toBe('keepalived_lvs: this kernel has no IPVS; nftables serves instead')
    expect(await world.client.startUnit(id)).toMatchObject({ applied: 'start', warning })
    expect(await world.lan.shares(4)).toEqual({ [one]: 2, [two]: 2 })
    expect(keepaliveds()).toEqual([])
    await until(async () => (await world.beat()).listeners[id]?.status === 'OPEN', 'a heartbeat of it')
  })

  test('is asked again after a start of the agent', async () => {
    await sandbox.killAgent()
    sandbox.startAgent()
    await serving(world.client)
    expect(await apply([member(1), member(2, { weight: 0 })])).toBe('runtime')
    expect(await world.lan.shares(2)).toEqual({ [one]: 2 })
    await world.client.deleteUnit(id)
  })
})

describe.skipIf(ipvs)('an agent that takes this kernel for one that has it', () => {
  let agent: Alone
  beforeAll(() => {
    agent = new Alone()
  })
  afterAll(() => agent.end())
  const disabled = datagramText(input({ admin_state_up: false }))

  test('starts a keepalived, brings it back when it dies, and leaves it alone when it ends itself', async () => {
    expect(await agent.call('upload', disabled)).toMatchObject({ status: 200, headers: { ETag: expect.any(String) } })
    expect(await agent.call('start')).toMatchObject({ status: 202, headers: { 'X-Ottavia-Applied': 'start' } })
    await until(() => leader() > 0, 'the pid file')
    const first = leader()
    expect(sandbox.read(`${files}.conf`)).toContain(`# Listener ${id} is disabled`)
    await sandbox.killAll([first])
    await until(() => leader() > 0 && leader() !== first && keepaliveds().includes(leader()), 'the next one')
    const second = leader()
    await agent.end()
    agent = new Alone()
    await agent.call('resume')
    expect(await agent.call('details')).toMatchObject({ status: 'ACTIVE', type: 'UDP' })
    expect(await agent.call('reload')).toMatchObject({ headers: { 'X-Ottavia-Applied': 'none' } })
    expect(keepaliveds()).toEqual([second])
    await agent.call('stop')
    expect(keepaliveds()).toEqual([])
    expect(sandbox.read(`${files}.conf`)).toBeNull()
    expect(await world.nft('list', 'ruleset')).toBe('')
  })

  test('has nftables serve after all, with the words of keepalived', async () => {
    await agent.call('upload', datagramText(input()))
    const { headers } = (await agent.call('start')) as { headers: Record<string, string> }
    expect(headers['X-Ottavia-Warning']).toMatch(
      /^keepalived_lvs: IPVS: Can't initialize ipvs: .*; nftables serves instead$/,
    )
    expect(await world.lan.shares(4)).toEqual({ [one]: 2, [two]: 2 })
    expect(keepaliveds()).toEqual([])
    await agent.call('remove')
    expect(await world.nft('list', 'ruleset')).toBe('')
  })
})

describe.skipIf(!ipvs)('a kernel with IPVS', () => {
  const table = () => sandbox.exec(['ip', 'netns', 'exec', 'amphora-haproxy', 'cat', '/proc/net/ip_vs'])
  const word = async (n: number) => (await world.words())[member(n).id]

  test('has virtual servers, and members have what their weights say', async () => {
    expect(await apply([member(1), member(2)])).toBe('start')
    expect(await table()).toMatch(/^UDP {2}0A00000A:0035 wrr/m)
    expect(await world.lan.shares(40)).toEqual({ [one]: 20, [two]: 20 })
    const first = leader()
    expect(await apply([member(1, { weight: 3 }), member(2)])).toBe('runtime')
    await until(async () => /0A00000B:14B4 +Masq +3/.test(await table()), 'the weight')
    expect(await world.lan.shares(40)).toEqual({ [one]: 30, [two]: 10 })
    expect(leader()).toBe(first)
  })

  test('keeps flows when something else changes, and ends those to a member that goes', async () => {
    await apply([member(1), member(2)])
    const before = await world.lan.ask(flows(20, 'stay'))
    await apply([member(1, { weight: 9 }), member(2), member(3)])
    await until(async () => (await table()).includes('0A00000D:14B4'), 'member 3')
    expect(await world.lan.ask(flows(20, 'stay'))).toEqual(before)
    await apply([member(1), member(3)])
    await until(async () => !(await table()).includes('0A00000C:14B4'), 'member 2 to go')
    await world.lan.ask(flows(20, 'stay'))
    const after = await world.lan.ask(flows(20, 'stay'))
    for (const [flow, who] of Object.entries(before)) expect(after[flow] === who).toBe(who === one)
  })

  test('counts what went through, in the words of heartbeats', async () => {
    const before = await world.counted()
    await world.lan.ask(flows(7, 'counted'))
    const { rx, tx, totconns } = await world.counted()
    expect({ rx: rx - before.rx, tx: tx - before.tx, totconns: totconns - before.totconns }).toEqual({
      rx: 7 * (28 + 'hi'.length),
      tx: 7 * (28 + one.length),
      totconns: 7,
    })
    await until(async () => (await world.beat()).listeners[id]!.stats.conns >= 7, 'the flows to be told')
  })

  test('lets no member have more flows than the limit', async () => {
    const far = member(4, { address: '10.1.0.11' })
    await apply([far], {}, { connection_limit: 3, protocol_port: 54 })
    const got = Object.values(await world.lan.ask(flows(5, 'limited'), { port: 54 }))
    expect(got.filter(who => who === '10.1.0.11')).toHaveLength(3)
    await until(async () => (await world.beat()).listeners[id]?.status === 'FULL', 'the heartbeat to say so')
  })

  test('has keepalived take a dead member out, and back', async () => {
    const patient = { health_monitor: monitor({ timeout: 5 }) }
    await apply([member(1), member(2)], patient)
    await until(async () => (await word(1)) === 'UP', 'member 1 to be UP')
    await world.lan.mute([two])
    await until(async () => (await word(2)) === 'DOWN', 'member 2 to be DOWN')
    expect(await world.lan.shares(4)).toEqual({ [one]: 4 })
    await apply([member(1, { weight: 2 }), member(2)], patient)
    await until(async () => /0A00000B:14B4 +Masq +2/.test(await table()), 'the weight')
    expect(await word(2)).toBe('DOWN')
    await world.lan.answer([two])
    await until(async () => (await word(2)) === 'UP', 'member 2 to be UP')
  })

  test.each([
    ['TCP', {}],
    ['HTTP', { http_method: 'GET', url_path: '/', expected_codes: '200,202' }],
  ] as const)('asks by %s', async (type, change) => {
    const members = [member(1, { monitor_port: 80 }), member(2, { monitor_port: 81 })]
    await apply(members, { health_monitor: monitor({ type, timeout: 5, ...change }) })
    await until(async () => (await word(2)) === 'DOWN', 'member 2 to be DOWN')
    expect(await word(1)).toBe('UP')
    expect(await table()).not.toContain('0A00000A:0036') // the port of the test before
  })

  test('remembers clients, and lets strangers wait', async () => {
    const { sources } = world
    await apply([member(1), member(2)], { session_persistence: sourceIp(600) }, { allowed_cidrs: ['10.0.0.100/30'] })
    expect(await table()).toMatch(/0A00000A:0035 wrr {2}persistent \d+ FFFFFFFF/)
    const once = async () => world.lan.ask(flows(4, `p${Math.random()}-`), { sources: sources.slice(0, 4) })
    expect(Object.values(await once())).toEqual(Object.values(await once()))
    expect(await world.lan.shares(2)).toEqual({ silence: 2 })
  })

  test('compares how many flows members have', async () => {
    // one that has not served on this port: flows of those that have are remembered
    const far = member(4, { address: '10.1.0.11' })
    await apply([member(1)], { lb_algorithm: 'LEAST_CONNECTIONS' })
    await world.lan.ask(flows(8, 'many'))
    await apply([member(1), far], { lb_algorithm: 'LEAST_CONNECTIONS' })
    await until(async () => (await table()).includes('0A01000B:14B4'), 'the other member')
    expect(await world.lan.shares(6)).toEqual({ '10.1.0.11': 6 })
  })

  test('takes datagrams at every VIP, of either family', async () => {
    for (const each of ['10.0.0.9/32', 'fd00::5/64', 'fd00::10/128'])
      await sandbox.exec(['ip', '-n', 'amphora-haproxy', 'addr', 'add', each, 'dev', 'eth1'])
    const members = [member(1), member(3, { address: 'fd00::11' })]
    await applyText(datagramText(input({}, pool(members), { additional_vips: ['10.0.0.9', 'fd00::10'] })))
    expect(await world.lan.shares(2)).toEqual({ [one]: 2 })
    expect(await world.lan.shares(2, { vip: '10.0.0.9' })).toEqual({ [one]: 2 })
    expect(await world.lan.shares(2, { vip: 'fd00::10', sources: ['fd00::1'] })).toEqual({ 'fd00::11': 2 })
  })

  test('goes on without the agent and without keepalived, which comes back', async () => {
    await apply([member(1), member(2)])
    const before = await world.lan.ask(flows(10, 'on'))
    const first = leader()
    await sandbox.killAgent()
    sandbox.startAgent()
    await serving(world.client)
    expect(leader()).toBe(first)
    expect(await world.lan.ask(flows(10, 'on'))).toEqual(before)
    await sandbox.killAll([first])
    await until(() => leader() > 0 && leader() !== first && keepaliveds().includes(leader()), 'the next one')
    await until(async () => (await world.lan.shares(2))[one] === 1, 'datagrams')
  })

  test('changes over when the operator does, both ways', async () => {
    const told = async (driver: string) => {
      await sandbox.killAgent()
      const file = '/etc/octavia/amphora-agent.conf'
      await sandbox.exec(['sed', '-i', `s/^amphora_udp_driver = .*/amphora_udp_driver = ${driver}/`, file])
      sandbox.startAgent()
      await serving(world.client)
    }
    await world.lan.ask(['over'])
    await told('nftables')
    expect(keepaliveds()).toEqual([])
    expect(await table()).not.toContain('UDP')
    expect(await world.lan.shares(2)).toEqual({ [one]: 1, [two]: 1 })
    expect((await world.lan.ask(['over'])).over).toMatch(/^10/)
    await told('keepalived_lvs')
    expect(await table()).toContain('0A00000A:0035 wrr')
    expect(await world.lan.shares(2)).toEqual({ [one]: 1, [two]: 1 })
    await world.lan.ask(['over'])
    expect((await world.lan.ask(['over'])).over).toMatch(/^10/)
  })

  test('is bare when the last listener goes', async () => {
    await world.client.deleteUnit(id)
    expect(keepaliveds()).toEqual([])
    expect(await table()).not.toContain('UDP')
    expect(await world.nft('list', 'ruleset')).toBe('')
    expect(await world.lan.ask(['last'])).toEqual({ last: 'ECONNREFUSED' })
  })
})

/** The listener without the agent around it, in the same machine, which believes in IPVS. */
class Alone {
  readonly #child: ChildProcess
  readonly #waiting: ((answer: unknown) => void)[] = []

  constructor() {
    const file = path.join(sandbox.folder, 'alone.mjs')
    fs.writeFileSync(file, program)
    const argv = sandbox.inside([process.execPath, file, import.meta.dirname, id])
    this.#child = spawn(argv[0]!, argv.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] })
    createInterface({ input: this.#child.stdout! }).on('line', line => this.#waiting.shift()!(JSON.parse(line)))
  }

  call(act: 'upload' | 'start' | 'reload' | 'stop' | 'remove' | 'resume' | 'details', body = ''): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#waiting.push(resolve)
      this.#child.once('exit', () => reject(new Error('the listener has ended')))
      this.#child.stdin!.write(`${JSON.stringify({ act, body })}\n`)
    })
  }

  async end(): Promise<void> {
    const { exitCode } = this.#child
    const ended = new Promise(resolve => this.#child.once('exit', resolve))
    this.#child.stdin!.end()
    if (exitCode === null) await ended
  }
}

const program = `import { createInterface } from 'node:readline'
const [, , folder, id] = process.argv
const of = name => import(folder + '/' + name + '.ts')
const { DatagramListener } = await of('datagram-listener')
const { DatagramKernel } = await of('datagram-kernel')
const { Prober } = await of('prober')
const { Totals } = await of('totals')
const log = () => {}
const listener = new DatagramListener(id, {
  base_path: '/var/lib/octavia', kernel: new DatagramKernel(), prober: new Prober([], log), log,
  ipvs: { lacking: async () => null, reloads: async () => true }, agent: [], count: () => {},
  totals: new Totals('/var/lib/octavia/stats_counters.json', log),
})
for await (const line of createInterface({ input: process.stdin })) {
  const { act, body } = JSON.parse(line)
  const answer = await listener[act](Buffer.from(body)).catch(error => ({ error: String(error) }))
  console.log(JSON.stringify(answer ?? null))
}
listener.letGo()
process.exit()
`
