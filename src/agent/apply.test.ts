/** How configurations get into force under traffic, and what becomes of those that cannot. */
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AmphoraClient } from '../amphora/client.ts'
import { member, type Sample, sampleConfig } from './sample.ts'
import { Sandbox, until } from './sandbox.ts'

const sandbox = new Sandbox()
let client: AmphoraClient
beforeAll(async () => {
  client = await sandbox.begin()
  await sandbox.plugVip(client)
})
afterAll(async () => {
  await client?.close()
  await sandbox.close()
})

const url = 'http://10.0.0.10/'

async function apply(sample: Sample) {
  await client.uploadUnit(sample.id, sampleConfig(sample))
  const { status } = await client.listener(sample.id)
  return (status === 'ACTIVE' ? await client.reloadUnit(sample.id) : await client.startUnit(sample.id)).applied
}

describe('under traffic', () => {
  const id = 'busy'
  const two = [member(1), member(2)]

  test('neither members that come and go nor reloads make a request fail', async () => {
    expect(await apply({ id, members: two })).toBe('start')
    const load = sandbox.load(url)
    const applied = []
    for (const timeout_client_data of [40_000, 41_000, 42_000]) {
      const listener = { timeout_client_data }
      applied.push(await apply({ id, members: two, listener }))
      applied.push(await apply({ id, members: [...two, member(3)], listener }))
      applied.push(await apply({ id, members: [member(1), member(3, { weight: 2 })], listener }))
      applied.push(await apply({ id, members: [member(1, { admin_state_up: false }), member(3)], listener }))
    }
    const { answered, failed } = await load.end()
    expect(failed).toEqual([])
    expect(answered).toBeGreaterThan(100)
    const each = ['reload', 'runtime', 'runtime', 'runtime']
    expect(applied).toEqual([...each, ...each, ...each])
  })

  test('old workers end when their connections have', async () => {
    await until(() => sandbox.pidsOf('/busy/haproxy.running.cfg').length === 2, 'the old workers to end')
  })

  test('many changes at once end as the last of them', async () => {
    const all = Array.from({ length: 12 }, (_, n) => member(1 + (n % 3), { weight: 1 + n }))
    await Promise.all(all.map(each => client.uploadUnit(id, sampleConfig({ id, members: [each] }))))
    const results = await Promise.all(all.map(() => client.reloadUnit(id)))
    expect(results.map(each => each.applied).filter(each => each !== 'none')).toHaveLength(1)
    const members = (await client.listener(id)).pools?.[0]?.members ?? {}
    expect(Object.values(members)).toContain('no check')
    expect(await sandbox.answers(url, 2)).toEqual({ '10.0.0.13': 2 })
  })
})

describe('a member is added at run time', () => {
  const kinds: Record<string, Omit<Sample, 'id' | 'members'>> = {
    'to a balancer by connections': { pool: { lb_algorithm: 'LEAST_CONNECTIONS' } },
    'to a balancer by source': { pool: { lb_algorithm: 'SOURCE_IP' } },
    'to a pool that keeps clients by source': { pool: { session_persistence: { type: 'SOURCE_IP' } } },
    'to a pool that keeps clients by a cookie of its own': { pool: { session_persistence: { type: 'HTTP_COOKIE' } } },
    'to a pool that keeps clients by the application’s cookie': {
      pool: { session_persistence: { type: 'APP_COOKIE', cookie_name: 'sid' } },
    },
    'to a TCP listener': { listener: { protocol: 'TCP' }, pool: { protocol: 'TCP' } },
    'with the PROXY protocol': { pool: { protocol: 'PROXYV2' } },
  }

  test.each(Object.entries(kinds))('%s', async (_, kind) => {
    const id = 'kind'
    const listener = { ...kind.listener, protocol_port: 8080 }
    await apply({ ...kind, id, listener, members: [member(1)] })
    expect(await apply({ ...kind, id, listener, members: [member(1), member(2), member(3, { backup: true })] })).toBe(
      'runtime',
    )
    expect(await apply({ ...kind, id, listener, members: [member(2)] })).toBe('runtime')
    if (kind.pool?.protocol !== 'PROXYV2') {
      expect(await sandbox.answers('http://10.0.0.10:8080/', 2)).toEqual({ '10.0.0.12': 2 })
    }
  })

  test('and a client with its cookie stays where it was', async () => {
    const shared = {
      id: 'kind',
      listener: { protocol_port: 8080 },
      pool: { session_persistence: { type: 'HTTP_COOKIE' } },
    }
    await apply({ ...shared, members: [member(1)] })
    const jarFile = path.join(sandbox.folder, 'jar')
    const jar = ['-b', jarFile, '-c', jarFile]
    expect((await sandbox.curl('http://10.0.0.10:8080/', '-c', jarFile)).stdout).toBe('10.0.0.11')
    expect(await apply({ ...shared, members: [member(1), member(2), member(3)] })).toBe('runtime')
    for (let i = 0; i < 4; i++) expect((await sandbox.curl('http://10.0.0.10:8080/', ...jar)).stdout).toBe('10.0.0.11')
    expect(Object.keys(await sandbox.answers('http://10.0.0.10:8080/', 6)).length).toBe(3)
    // Newly started, haproxy still knows the cookie: it is made of the address and the pool's key.
    await client.stopUnit('kind')
    await client.startUnit('kind')
    for (let i = 0; i < 4; i++) expect((await sandbox.curl('http://10.0.0.10:8080/', ...jar)).stdout).toBe('10.0.0.11')
  })
})

describe('what cannot be', () => {
  const id = 'unlucky'

  test('a port that is taken: the old configuration serves on, and the next try may succeed', async () => {
    expect(await apply({ id, members: [member(1)], listener: { protocol_port: 81 } })).toBe('start')
    const squatter = 'require("net").createServer().listen(82, "10.0.0.10").on("listening", () => console.log("here"))'
    const argv = sandbox.inside(['ip', 'netns', 'exec', 'amphora-haproxy', process.execPath, '-e', squatter])
    const taken = spawn(argv[0]!, argv.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] })
    await new Promise(resolve => taken.stdout.once('data', resolve))
    await expect(apply({ id, members: [member(2)], listener: { protocol_port: 82 } })).rejects.toMatchObject({
      status: 500,
      kind: 'unavailable',
      message: 'Error reloading haproxy',
      details: expect.stringMatching(/cannot bind socket/),
    })
    expect(await sandbox.answers('http://10.0.0.10:81/', 2)).toEqual({ '10.0.0.11': 2 })
    expect(await apply({ id, members: [member(3)], listener: { protocol_port: 81 } })).toBe('runtime')
    expect(await sandbox.answers('http://10.0.0.10:81/', 2)).toEqual({ '10.0.0.13': 2 })
    await sandbox.exec(['kill', ...sandbox.pidsOf('createServer().listen(82').map(String)])
    expect(await apply({ id, members: [member(2)], listener: { protocol_port: 82 } })).toBe('reload')
    expect(await sandbox.answers('http://10.0.0.10:82/', 2)).toEqual({ '10.0.0.12': 2 })
  })

  test('an agent that ended in the middle: what runs is not known, so it is reloaded', async () => {
    const sample = { id, members: [member(2)], listener: { protocol_port: 82 } }
    expect(await apply(sample)).toBe('none')
    await sandbox.exec(['rm', '/var/lib/octavia/unlucky/applied'])
    expect(await apply(sample)).toBe('reload')
    expect(await apply(sample)).toBe('none')
  })

  test('more connections than the process may have files: fewer, and the controller is told', async () => {
    const connection_limit = 900_000
    const text = sampleConfig({ id, members: [member(2)], listener: { protocol_port: 82, connection_limit } })
    const { warning } = await client.uploadUnit(id, text)
    const hard = Number(/^Max open files\s+\S+\s+(\S+)/m.exec(fs.readFileSync('/proc/self/limits', 'utf8'))?.[1])
    if (hard < 2_000_000) expect(warning).toContain(`maxconn ${connection_limit} lowered to`)
    await client.reloadUnit(id)
    expect(await sandbox.answers('http://10.0.0.10:82/', 1)).toEqual({ '10.0.0.12': 1 })
  })
})

test('the agent’s log holds no secrets', () => {
  const log = fs.readFileSync(path.join(sandbox.folder, 'agent.log'), 'utf8')
  expect(log).toContain('"answered"')
  expect(log).not.toContain('PRIVATE KEY')
})
