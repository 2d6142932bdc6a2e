/** Heartbeats of the bundled agent, heard by two controllers; that all traffic is counted, whatever is restarted. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bootConfig } from '../amphora/agent-config.ts'
import type { AmphoraClient } from '../amphora/client.ts'
import { decodeHeartbeat, type Heartbeat } from '../amphora/heartbeat.ts'
import { renderKeepalived } from '../amphora/keepalived/vrrp.ts'
import { member, type Sample, sampleConfig } from './sample.ts'
import { AMPHORA_ID, Sandbox, serving, until } from './sandbox.ts'

const key = 'insecure'
const L1 = 'aaaaaaaa-0000-4000-8000-000000000001'
const POOL = 'bbbbbbbb-0000-4000-8000-000000000001'
const M1 = 'cccccccc-0000-4000-8000-000000000001'
const sandbox = new Sandbox()
sandbox.boot = {
  controller_ip_port_list: ['127.0.0.1:5555', '[::1]:5556'],
  heartbeat_interval: 0.1,
  heartbeat_key: key,
}
let client: AmphoraClient
let controllers: ChildProcess

beforeAll(async () => {
  client = await sandbox.begin(async () => {
    const argv = sandbox.inside([process.execPath, '-e', listeners, path.join(sandbox.folder, 'beats')])
    controllers = spawn(argv[0]!, argv.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] })
    await new Promise(resolve => controllers.stdout!.once('data', resolve))
    fs.writeFileSync(path.join(sandbox.folder, 'traffic.mjs'), traffic)
  })
  await sandbox.plugVip(client, 'ACTIVE_STANDBY')
  await sandbox.exec(['ip', '-n', 'amphora-haproxy', 'addr', 'add', '10.0.0.10/32', 'dev', 'eth1'])
})
afterAll(async () => {
  await client?.close()
  await sandbox.close()
})

/** A TCP listener, because there haproxy counts what the client sees. */
const cfg = (change: Partial<Sample> = {}) =>
  sampleConfig({
    id: L1,
    members: [member(1, { id: M1 })],
    ...change,
    listener: { protocol: 'TCP', ...change.listener },
    pool: { id: POOL, protocol: 'TCP', ...change.pool },
  })

type Heard = { port: number; message: Heartbeat }

function heard(): Heard[] {
  const text = fs.readFileSync(path.join(sandbox.folder, 'beats'), 'utf8')
  return text.split('\n').flatMap(line => {
    const [port, frame] = line.split(' ')
    if (frame === undefined) return []
    const decoded = decodeHeartbeat(Buffer.from(frame, 'base64'), key)
    if (!decoded.ok) throw new Error(decoded.why)
    return [{ port: Number(port), message: decoded.message }]
  })
}

const last = () => heard().at(-1)!.message

/** Of a beat that began after the call. */
async function next(): Promise<Heartbeat> {
  const count = heard().length
  await until(() => heard().length >= count + 2, 'a heartbeat')
  return last()
}

describe('beats', () => {
  test('go to one controller after the other, by both families, and are numbered', async () => {
    await until(() => heard().length >= 6, 'heartbeats')
    const first = heard().slice(0, 6)
    expect(first.map(each => each.message.seq)).toEqual([0, 1, 2, 3, 4, 5])
    expect(first.map(each => each.port)).toEqual([5555, 5556, 5555, 5556, 5555, 5556])
    expect(last()).toMatchObject({
      id: AMPHORA_ID,
      ver: 3,
      listeners: {},
      ottavia: { start: 1, role: null, counters: {}, digests: {}, keepalived: null },
    })
  })

  test('tell of listeners, pools, members and of what runs', async () => {
    await client.uploadUnit(L1, cfg())
    await client.startUnit(L1)
    await until(() => last().listeners[L1] !== undefined, 'the listener to be told')
    expect(last()).toMatchObject({
      listeners: { [L1]: { status: 'OPEN', stats: { conns: 0 } } },
      pools: { [`${POOL}:${L1}`]: { status: 'UP', members: { [M1]: 'no check' } } },
      ottavia: { digests: { [L1]: createHash('md5').update(cfg()).digest('hex') } },
    })
    // Kept, but not in force.
    const other = cfg({ listener: { timeout_client_data: 1_234 } })
    await client.uploadUnit(L1, other)
    expect((await next()).ottavia?.digests[L1]).toBe(createHash('md5').update(cfg()).digest('hex'))
    await client.reloadUnit(L1)
    expect((await next()).ottavia?.digests[L1]).toBe(createHash('md5').update(other).digest('hex'))
  })

  test('go on when a haproxy hangs', async () => {
    await until(() => sandbox.pidsOf(`${L1}/haproxy.running.cfg`).length === 2, 'the old worker to end')
    const pids = sandbox.pidsOf(`${L1}/haproxy.running.cfg`).map(String)
    await sandbox.exec(['kill', '-STOP', ...pids])
    await until(() => last().listeners[L1] === undefined, 'the listener to be missed')
    expect((await next()).ottavia?.counters[L1]).toBeDefined()
    await sandbox.exec(['kill', '-CONT', ...pids])
    await until(() => last().listeners[L1] !== undefined, 'the listener to be told again')
  })

  test('go on after a new certificate, and tell of another start after the agent’s', async () => {
    const { boot_id } = last().ottavia!
    await sandbox.killAgent()
    sandbox.startAgent()
    await serving(client)
    await until(() => last().ottavia?.start === 2, 'the next start')
    expect(last().ottavia?.boot_id).toBe(boot_id)
  })
})

describe('traffic', () => {
  let before: Heartbeat

  test('is counted to the byte over reloads, old workers, restarts of the agent and of haproxy', async () => {
    before = await next()
    const argv = sandbox.inside([
      'ip',
      'netns',
      'exec',
      'lan',
      process.execPath,
      path.join(sandbox.folder, 'traffic.mjs'),
    ])
    const load = spawn(argv[0]!, argv.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] })
    let told = ''
    load.stdout.setEncoding('utf8').on('data', chunk => {
      told += chunk
    })
    const done = new Promise(resolve => load.once('close', resolve))
    for (const timeout_client_data of [40_000, 41_000, 42_000]) {
      await client.uploadUnit(L1, cfg({ listener: { timeout_client_data } }))
      expect((await client.reloadUnit(L1)).applied).toBe('reload')
    }
    // Others than that lose what they count after the agent was killed.
    await until(() => sandbox.pidsOf(`${L1}/haproxy.running.cfg`).length === 2, 'the old workers to end')
    await sandbox.killAgent()
    sandbox.startAgent()
    await serving(client)
    await client.uploadUnit(L1, cfg({ listener: { timeout_client_data: 43_000 } }))
    expect((await client.reloadUnit(L1)).applied).toBe('reload')
    load.stdin.end()
    await done
    const { read, written, connections } = JSON.parse(told) as Record<'read' | 'written' | 'connections', number>
    expect(connections).toBeGreaterThan(20)
    const since = (field: 'tx' | 'rx' | 'totconns') =>
      last().ottavia!.counters[L1]![field] - before.ottavia!.counters[L1]![field]
    await until(() => since('totconns') === connections, 'all connections to be counted')
    await until(() => since('tx') === read && since('rx') === written, 'all bytes to be counted')
    // Whatever was told since: the parts add up to the whole.
    await client.stopUnit(L1)
    await client.startUnit(L1)
    await until(() => last().listeners[L1] !== undefined, 'haproxy to come back')
    expect([since('tx'), since('rx'), since('totconns')]).toEqual([read, written, connections])
    const [first, ...rest] = heard().filter(({ message }) => message.ottavia?.start === last().ottavia?.start)
    const parts = rest.reduce((sum, { message }) => sum + (message.listeners[L1]?.stats.totconns ?? 0), 0)
    const count = (message: Heartbeat) => message.ottavia!.counters[L1]!.totconns
    expect(parts).toBe(count(rest.at(-1)!.message) - count(first!.message))
  })

  test('of a worker that drains is counted to its last byte', async () => {
    before = await next()
    const slow = sandbox.curl('http://10.0.0.10/slow', '--max-time', '60', '-w', '\\n%{size_header} %{size_request}')
    await until(async () => (await sandbox.curl('http://10.0.0.11/waiting')).stdout === '1', 'the slow request')
    await client.uploadUnit(L1, cfg({ listener: { timeout_client_data: 44_000 } }))
    expect((await client.reloadUnit(L1)).applied).toBe('reload')
    await next()
    await sandbox.curl('http://10.0.0.11/go')
    expect((await slow).stdout).toContain('slow done')
    const size_request = Number((await slow).stdout.split(' ').at(-1))
    await until(() => sandbox.pidsOf(`${L1}/haproxy.running.cfg`).length === 2, 'the old worker to end')
    const now = (await next()).ottavia!.counters[L1]!
    const then = before.ottavia!.counters[L1]!
    expect(now.rx - then.rx).toBe(size_request)
    // Chunked: "slow " and "done", each in a frame, and the last one.
    const frames = '5\r\nslow \r\n4\r\ndone\r\n0\r\n\r\n'
    const size_header = Number((await slow).stdout.split('\n').at(-1)!.split(' ')[0])
    expect(now.tx - then.tx).toBe(size_header + frames.length)
  })
})

test('another configuration holds from the next beat on, and after the agent’s next start', async () => {
  const { start } = (await next()).ottavia!
  const boot = { ...sandbox.boot, amphora_id: AMPHORA_ID, bind_port: 9876 }
  const ports = async (wanted: number[]) => {
    const count = heard().length
    await until(() => heard().length >= count + 6, 'heartbeats')
    const told = new Set(
      heard()
        .slice(count + 2)
        .map(each => each.port),
    )
    return [...told].sort().join() === wanted.join()
  }
  await client.configure(bootConfig({ ...boot, controller_ip_port_list: ['[::1]:5556'], heartbeat_interval: 0.2 }))
  await until(() => ports([5556]), 'one controller alone to be told')
  expect(last().ottavia?.start).toBe(start)
  await sandbox.killAgent()
  sandbox.startAgent()
  await serving(client)
  await until(() => last().ottavia?.start === start + 1, 'the next start')
  expect(await ports([5556])).toBe(true)
  await client.configure(bootConfig(boot))
  await until(() => ports([5555, 5556]), 'both to be told again')
})

test('who cannot hold the VIP because keepalived is dead is silent', async () => {
  const text = renderKeepalived({
    base_path: '/var/lib/octavia',
    load_balancer_id: '1bbbbbbb-0000-4000-8000-000000000001',
    interface: 'eth1',
    vrrp_ip: '10.0.0.5',
    peers: ['10.0.0.6'],
    vrrp_id: 1,
    priority: 254,
    advert_int_s: 0.05,
    vips: [{ address: '10.0.0.10', prefix: '10.0.0.0/24', gateway: '10.0.0.1', host_routes: [] }],
  })
  await client.uploadVrrp(text)
  await client.startVrrp()
  const keepalived = createHash('md5').update(text).digest('hex')
  await until(() => last().ottavia?.role === 'MASTER', 'the role')
  await until(() => last().ottavia?.keepalived === keepalived, 'its digest')
  const program = (await sandbox.exec(['sh', '-c', 'realpath $(command -v keepalived)'])).trim()
  await sandbox.exec(['mount', '--bind', '/bin/false', program])
  await sandbox.killAll(sandbox.pidsOf('octavia-keepalived.pid'))
  const quiet = async () => {
    const count = heard().length
    await new Promise(resolve => setTimeout(resolve, 1_000))
    return heard().length === count
  }
  await until(quiet, 'silence')
  await sandbox.exec(['umount', program])
  const count = heard().length
  await until(() => heard().length > count, 'heartbeats to go on')
  await until(() => last().ottavia?.keepalived === keepalived, 'keepalived to be known')
})

const listeners = `
const fs = require('fs'), dgram = require('dgram')
let ready = 0
fs.writeFileSync(process.argv[1], '')
for (const [kind, host, port] of [['udp4', '127.0.0.1', 5555], ['udp6', '::1', 5556]]) {
  dgram.createSocket(kind).on('message', frame => {
    fs.appendFileSync(process.argv[1], port + ' ' + frame.toString('base64') + '\\n')
  }).bind(port, host, () => ++ready === 2 && console.log('here'))
}
`

/** Connections one after the other, four at a time, until told to end; what their sockets read and wrote. */
const traffic = `import net from 'node:net'
const sum = { read: 0, written: 0, connections: 0 }
let on = true
process.stdin.on('end', () => { on = false }).resume()
const once = () => new Promise((resolve, reject) => {
  const socket = net.connect(80, '10.0.0.10', () => socket.write('GET / HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n'))
  socket.on('error', reject).resume().on('close', () => {
    sum.read += socket.bytesRead
    sum.written += socket.bytesWritten
    sum.connections++
    resolve()
  })
})
await Promise.all(Array.from({ length: 4 }, async () => { while (on) await once() }))
console.log(JSON.stringify(sum))
`
