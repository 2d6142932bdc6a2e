/** Health and statistics with real traffic: what is counted, who is in rotation, and when silence means nothing. */
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { deflateSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { encodeHeartbeat } from '../../src/amphora/heartbeat.ts'
import { daemonOf, processesBelow, processesOf } from './accounting.ts'
import type { Made } from './api.ts'
import { Failing, Ground, type Port } from './failing.ts'
import { Inside } from './inside.ts'
import { startLoad } from './load.ts'
import { eventually, Stack } from './stack.ts'

const stack = new Stack(undefined, undefined, { OTTAVIA_METRICS_BIND_PORT: '9100' })
let ground: Ground
/** demo-lb, a pair without a monitor. */
let pair: Failing
/** A single amphora, before the web servers of the demonstration and one that fails. */
let watched: Failing
let flaky: Made

beforeAll(async () => {
  await stack.up()
  ground = await Ground.of(stack)
  pair = await demonstration()
  watched = await ground.make('watched', await ground.admin.singleAmphora())
  flaky = await watched.add({ address: await flakyServer() })
  await Promise.all([pair.whole(), watched.whole()])
})
afterAll(() => stack.remove())

describe('with all in order', () => {
  test.concurrent('every connection and byte is counted once, whatever is reloaded, killed or replaced', async () => {
    // haproxy counts a little more for the start of each answer, and always the same
    const of_each = await passing(async () => {})
    expect(of_each.other_bytes_out).toBeGreaterThan(0)
    expect(of_each.other_bytes_out).toBeLessThan(50)

    const reload = await passing(async () => {
      const change = { listener: { timeout_client_data: 40_000 } }
      expect((await ground.demo.octavia('PUT', `listeners/${pair.listener.id}`, change)).status).toBe(200)
      await ground.demo.settled(pair.id)
    })
    expect(reload).toEqual(of_each)

    const inside = await Inside.of(stack, pair.id, 'MASTER')
    const killed = await inside.haproxies(pair.listener.id)
    await inside.end('haproxy')
    await eventually('haproxy runs again', async () => {
      const now = await inside.haproxies(pair.listener.id)
      return now.length === 2 && now.every(pid => !killed.includes(pid))
    })
    await pair.whole()
    expect(await passing(async () => {})).toEqual(of_each)

    const before = await statistics()
    const told = async (...command: string[]) => {
      const body = JSON.parse(await stack.client('admin', ...command, '-f', 'json')) as Record<string, unknown>
      return Object.keys(before).map(name => Number(body[name]))
    }
    const { MASTER, BACKUP } = await pair.whole()
    const [by_neutron, by_octavia, first, second] = await Promise.all([
      told('neutron', 'lbaas-loadbalancer-stats', 'demo-lb'),
      told('openstack', 'loadbalancer', 'stats', 'show', 'demo-lb'),
      ...[MASTER, BACKUP].map(({ id }) => told('openstack', 'loadbalancer', 'amphora', 'stats', 'show', id)),
    ])
    expect(by_neutron).toEqual(Object.values(before))
    expect(by_octavia).toEqual(by_neutron)
    expect(first!.map((number, n) => number + second![n]!)).toEqual(by_neutron)

    const failover = await passing(async () => {
      await stack.client('admin', 'openstack', 'loadbalancer', 'failover', 'demo-lb')
      await pair.whole(MASTER, BACKUP)
    })
    expect(failover).toEqual(of_each)
  })

  test.concurrent('a member whose server dies leaves rotation, and comes back', async () => {
    const timing = ['--delay', '2', '--timeout', '2', '--max-retries', '2']
    const create = ['openstack', 'loadbalancer', 'healthmonitor', 'create', '--max-retries-down', '2', ...timing]
    await stack.client('demo', ...create, '--type', 'HTTP', '--url-path', '/', '--wait', watched.pool.id)
    await read({ flaky: 'ONLINE', pool: 'ONLINE', lb: 'ONLINE' })
    await outOfRotation()

    const { body } = await ground.demo.octavia<{ healthmonitors: Made[] }>('GET', 'healthmonitors')
    expect((await ground.demo.octavia('DELETE', `healthmonitors/${body.healthmonitors[0]!.id}`)).status).toBe(204)
    await read({ flaky: 'NO_MONITOR', pool: 'ONLINE', lb: 'ONLINE' })
    await ground.demo.settled(watched.id)
    await stack.client(
      'demo',
      'neutron',
      'lbaas-healthmonitor-create',
      ...timing,
      '--type',
      'TCP',
      '--pool',
      watched.pool.id,
    )
    await read({ flaky: 'ONLINE', pool: 'ONLINE', lb: 'ONLINE' })
    await outOfRotation()

    const member = `pools/${watched.pool.id}/members/${flaky.id}`
    const set = async (admin_state_up: boolean) => {
      expect((await ground.demo.octavia('PUT', member, { member: { admin_state_up } })).status).toBe(200)
      await ground.demo.settled(watched.id)
    }
    await set(false)
    await read({ flaky: 'OFFLINE', pool: 'ONLINE', lb: 'ONLINE' })
    expect(Object.keys(await stack.answers(watched.url, 6))).not.toContain('hello from flaky')
    await set(true)
    await read({ flaky: 'ONLINE', pool: 'ONLINE', lb: 'ONLINE' })
  })
})

test('frames that are forged, cut or sent again change nothing', async () => {
  const daemon = daemonOf(stack, 'all')
  const { MASTER } = await pair.whole()
  const before = await shownStatuses(pair)
  const toml = fs.readFileSync(path.join(stack.dir, 'ottavia.toml'), 'utf8')
  const option = (name: string) => new RegExp(`^${name} = "(.*)"`, 'm').exec(toml)![1]!
  const listener = pair.listener.id
  const totals = { tx: 1e9, rx: 1e9, totconns: 1e9, ereq: 1e9 }
  const message = {
    id: MASTER.id,
    seq: 0, // a beat that has been: the first of the agent's first start
    ver: 3,
    listeners: { [listener]: { status: 'DOWN', stats: { ...totals, conns: 1 } } },
    pools: { [`${pair.pool.id}:${listener}`]: { status: 'DOWN', members: {} } },
    ottavia: {
      ...{ start: 1, boot_id: 'another', role: 'BACKUP' as const, counters: { [listener]: totals } },
      ...{ digests: {}, keepalived: null },
    },
  }
  const again = encodeHeartbeat(message, option('heartbeat_key'), '1.0')
  const next = { ...message, ottavia: { ...message.ottavia, start: 1_000 } }
  const altered = encodeHeartbeat(next, option('heartbeat_key'), '1.0')
  altered[20]! ^= 1
  const frames = [
    again,
    altered,
    ...(['1.0', '0.5'] as const).map(form => encodeHeartbeat(next, 'another key', form)),
    encodeHeartbeat(next, option('heartbeat_key'), '0.5').subarray(1),
    ...[0, 1, 31, 32, 63, 64, 65, again.length - 1].map(length => again.subarray(0, length)),
    Buffer.concat([deflateSync(Buffer.alloc(40 << 20)), Buffer.alloc(64, 'a')]),
  ]
  const [ip, port] = option('controller_ip_port_list').split(':')
  const program = `const socket = require('dgram').createSocket('udp4')
    const frames = require('fs').readFileSync(0, 'utf8').split(' ').map(text => Buffer.from(text, 'base64'))
    let left = 50 * frames.length
    for (let n = 0; n < 50; n++) for (const frame of frames)
      socket.send(frame, ${port}, '${ip}', error => { if (error) throw error; if (--left === 0) socket.close() })`
  const send = stack.command('exec', '--network', 'lb-mgmt-net', '--', process.execPath, '-e', program)
  const child = spawn(send[0]!, send.slice(1), { stdio: ['pipe', 'inherit', 'inherit'] })
  child.stdin.end(frames.map(frame => frame.toString('base64')).join(' '))
  expect(await new Promise(resolve => child.once('exit', resolve))).toBe(0)
  for (const why of ['truncated', 'forged', 'foreign', 'replayed'])
    await eventually(`${why} frames are dropped`, async () => (await dropped(why)) > 0)
  await passing(async () => {}) // beats come in and are counted
  expect(await shownStatuses(pair)).toEqual(before)
  expect((await statistics()).bytes_out).toBeLessThan(1e9)
  expect(daemonOf(stack, 'all')).toBe(daemon)
  expect((await pair.whole()).MASTER).toEqual(MASTER)
})

test('two health processes replace a silent amphora once', async () => {
  const program = path.resolve(import.meta.dirname, '../../src/cli/ottavia.ts')
  const serve = [process.execPath, program, 'serve', 'health', '--config', path.join(stack.dir, 'ottavia.toml')]
  const command = stack.command('exec', '--', 'nsenter', '--net=/proc/1/ns/net', ...serve)
  const env = { ...process.env, OTTAVIA_HEALTH_MANAGER_BIND_PORT: '5556' }
  const second = spawn(command[0]!, command.slice(1), { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let told = ''
  for (const stream of [second.stdout, second.stderr]) stream.on('data', chunk => (told += chunk))
  await eventually('the second listens', async () => told.includes('listened long enough'))
  const { MASTER, BACKUP } = await pair.whole()
  const [port] = await ground.portsOf(BACKUP.compute_id, BACKUP.lb_network_ip)
  const load = await startLoad(stack, pair.url, 20)
  await setUp(port!, false)
  const after = await pair.whole(BACKUP)
  expect(await load.stop()).toMatchObject({ failed: 0, errors: {} })
  expect(after.MASTER).toEqual(MASTER)
  await ground.balanced()
  const given_up = [...(await pair.explanation()).matchAll(/silent amphora .*it is given up/g)]
  expect(given_up).toHaveLength(1)
  const { pid } = processesBelow(second.pid!).find(({ args }) => args.startsWith(serve.slice(0, 4).join(' ')))!
  process.kill(pid, 'SIGTERM')
  await new Promise(resolve => second.once('exit', resolve))
})

test('a database that is away for longer than the time-out costs no amphora', async () => {
  const before = [await pair.whole(), await watched.whole()]
  const silences = givenUp()
  const log = wholeLog()
  const load = await startLoad(stack, pair.url, 20)
  const servers = processesOf(stack).filter(({ args }) => /postgres/.test(args.split(' ')[0]!))
  expect(servers.length).toBeGreaterThan(3)
  for (const { pid } of servers) process.kill(pid, 'SIGSTOP')
  try {
    await new Promise(resolve => setTimeout(resolve, 30_000)) // the time-out is 6 s
  } finally {
    for (const { pid } of servers) process.kill(pid, 'SIGCONT')
  }
  const since = () => wholeLog().slice(log.length)
  await eventually('judging goes on', async () => since().includes('listened long enough'))
  expect([await pair.whole(), await watched.whole()]).toEqual(before)
  expect(await load.stop()).toMatchObject({ failed: 0, errors: {} })
  expect(givenUp()).toBe(silences)
  expect(since()).not.toContain('none is replaced')
  await read({ flaky: 'ONLINE', pool: 'ONLINE', lb: 'ONLINE' })
  await eventually('demo-lb ONLINE', async () => (await pair.shown()).operating_status === 'ONLINE')
})

test('a management network that fails for all opens the breaker, and nobody is replaced', async () => {
  const before = [await pair.whole(), await watched.whole()]
  const silences = givenUp()
  const load = await startLoad(stack, pair.url, 20)
  const query = 'ports?name=octavia-health-manager-ottavia-listen-port'
  const [port] = (await ground.admin.network<{ ports: Port[] }>('GET', query)).body.ports
  await setUp(port!, false)
  const loud = /^Silent amphorae are not replaced since .*: 3 of 3 fell silent, and from 3 on/m
  await pair.says(loud)
  await watched.says(/silent amphora .*and not replaced: 3 of 3 amphorae fell silent within 6 s/)
  expect((await stack.run('explain', 'demo-lb')).stdout).toMatch(loud)
  expect(wholeLog()).toContain('none is replaced, because from 3 on it is rather a network that failed')
  await setUp(port!, true)
  await eventually('the breaker closes', async () => !/^Silent amphorae are/m.test(await pair.explanation()))
  expect([await pair.whole(), await watched.whole()]).toEqual(before)
  expect(await load.stop()).toMatchObject({ failed: 0, errors: {} })
  expect(givenUp()).toBe(silences)
  for (const lb of [pair, watched])
    await eventually('ONLINE again', async () => (await lb.shown()).operating_status === 'ONLINE')
})

/** demo-lb as a load balancer that is watched. */
async function demonstration(): Promise<Failing> {
  const names = { loadbalancers: 'demo-lb', listeners: 'demo-listener', pools: 'demo-pool' }
  const asked = Object.entries(names).map(async ([plural, name]) => {
    const { body } = await ground.demo.octavia<Record<string, Made[]>>('GET', `${plural}?name=${name}`)
    return body[plural]![0]!
  })
  const [lb, listener, pool] = await Promise.all(asked)
  return new Failing(ground, lb!, listener!, pool!)
}

/** A web server that is started again whenever it dies, as long as its parent runs. Resolves with its address. */
async function flakyServer(): Promise<string> {
  const script = path.join(stack.dir, 'flaky.sh')
  const answer = `require('http').createServer((q, a) => a.end('hello from flaky\\n')).listen(80, '::', () => console.log('SERVES'))`
  fs.writeFileSync(script, `#!/bin/sh\nwhile :; do node -e "${answer}"; done\n`)
  const { body } = await ground.demo.network<{ networks: { id: string }[] }>('GET', 'networks?name=private')
  const options = ['--flavor', 'm1.tiny', '--image', 'debian', '--nic', `net-id=${body.networks[0]!.id}`]
  await stack.client('demo', 'nova', 'boot', ...options, '--user-data', script, 'flaky')
  const console_log = ['nova', 'console-log', 'flaky']
  await eventually('flaky serves', async () => (await stack.client('demo', ...console_log)).includes('SERVES'))
  return (await stack.status()).servers.find(one => one.name === 'flaky')!.addresses[0]!
}

/** Kills it, and keeps it from coming back. Resolves with how to let it. */
async function kill(): Promise<() => Promise<void>> {
  const script = `for p in $(ls /proc | grep '^[0-9]*$'); do
  tr '\\0' ' ' 2>&- < /proc/$p/cmdline | grep -q 'node -e.*hello from [f]laky' && node=$p
done
parent=$(sed -n 's/^PPid:\\s*//p' /proc/$node/status)
kill -STOP $parent && kill -KILL $node && echo $parent`
  const { stdout, stderr } = await stack.exec('sh', '-c', script)
  expect(stdout, stderr).toMatch(/^\d+\n$/)
  return async () => expect((await stack.exec('kill', '-CONT', stdout.trim())).status).toBe(0)
}

async function outOfRotation(): Promise<void> {
  const letLive = await kill()
  await read({ flaky: 'ERROR', pool: 'DEGRADED', lb: 'DEGRADED' })
  const load = await startLoad(stack, watched.url, 20)
  await new Promise(resolve => setTimeout(resolve, 2_000))
  const seen = await load.stop()
  expect(seen).toMatchObject({ failed: 0, errors: {} })
  expect(Object.keys(seen.answers).sort()).toEqual(['hello from web1', 'hello from web2'])
  await letLive()
  await read({ flaky: 'ONLINE', pool: 'ONLINE', lb: 'ONLINE' })
  expect(Object.keys(await stack.answers(watched.url, 9))).toContain('hello from flaky')
}

/** Waits until the operating statuses of `watched` are these. */
async function read(expected: Record<'flaky' | 'pool' | 'lb', string>): Promise<void> {
  await eventually(JSON.stringify(expected), async () => {
    expect(await shownStatuses(watched)).toMatchObject(expected)
    return true
  })
}

async function shownStatuses(lb: Failing): Promise<Record<string, string>> {
  const pool_path = `pools/${lb.pool.id}`
  const [shown, pool, members] = await Promise.all([
    lb.shown(),
    ground.demo.octavia<{ pool: Made }>('GET', pool_path),
    ground.demo.octavia<{ members: Made[] }>('GET', `${pool_path}/members`),
  ])
  const statuses = members.body.members.map(one => [one.id === flaky.id ? 'flaky' : one.id, one.operating_status])
  return { lb: shown.operating_status, pool: pool.body.pool.operating_status, ...Object.fromEntries(statuses) }
}

async function statistics() {
  const { body } = await ground.demo.octavia<{ stats: Record<string, number> }>('GET', `loadbalancers/${pair.id}/stats`)
  const { total_connections, bytes_in, bytes_out } = body.stats
  return { total_connections: total_connections!, bytes_in: bytes_in!, bytes_out: bytes_out! }
}

/** Has requests pass through demo-lb while something happens, and for two seconds; waits until all of them are counted.
 *  Resolves with what was counted for each: the bytes that came in, and those that went out beyond headers and body. */
async function passing(happens: () => Promise<void>): Promise<{ bytes_in: number; other_bytes_out: number }> {
  const before = await statistics()
  const load = await startLoad(stack, pair.url, 50)
  await Promise.all([happens(), new Promise(resolve => setTimeout(resolve, 2_000))])
  const { requests, failed, body_bytes, head_bytes, errors } = await load.stop()
  expect({ failed, errors }).toEqual({ failed: 0, errors: {} })
  expect(body_bytes).toBe(requests * 'hello from web1\n'.length)
  const wanted = before.total_connections + requests
  const after = await eventually(
    `${wanted} connections`,
    async () => {
      const now = await statistics()
      if (now.total_connections !== wanted) throw new Error(JSON.stringify(now))
      return now
    },
    30,
  )
  const bytes_in = (after.bytes_in - before.bytes_in) / requests
  const other_bytes_out = (after.bytes_out - before.bytes_out - head_bytes - body_bytes) / requests
  return { bytes_in, other_bytes_out }
}

async function setUp(port: Port, admin_state_up: boolean): Promise<void> {
  expect((await ground.admin.network('PUT', `ports/${port.id}`, { port: { admin_state_up } })).status).toBe(200)
}

/** How many amphorae have been given up. */
function givenUp(): number {
  return [...wholeLog().matchAll(/an amphora is silent and is given up/g)].length
}

/** How many datagrams the health program has dropped for that reason. */
async function dropped(why: string): Promise<number> {
  const { stdout } = await stack.exec('nsenter', '--net=/proc/1/ns/net', 'curl', '-sS', 'http://127.0.0.1:9100/metrics')
  return Number(new RegExp(`^ottavia_\\w+\\{\\w+="${why}"\\} (\\d+)`, 'm').exec(stdout)![1])
}

function wholeLog(): string {
  return fs.readFileSync(path.join(stack.dir, 'log', 'ottavia.log'), 'utf8')
}
