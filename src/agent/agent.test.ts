/** The bundled agent on a machine of its own, driven by the controller's client, with real traffic through it. */
import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bootConfig } from '../amphora/agent-config.ts'
import { serverPem } from '../amphora/certificates.ts'
import type { AmphoraClient } from '../amphora/client.ts'
import type { ListenerInput, MemberInput } from '../amphora/haproxy/listener.ts'
import { run } from './command.ts'
import { member, sampleConfig } from './sample.ts'
import { AMPHORA_ID, MEMBER_MAC, Sandbox, serving, until, VIP_MAC } from './sandbox.ts'

const sandbox = new Sandbox()
let client: AmphoraClient
beforeAll(async () => {
  client = await sandbox.begin()
})
afterAll(async () => {
  await client?.close()
  await sandbox.close()
})

const L1 = 'aaaaaaaa-0000-4000-8000-000000000001'
const L2 = 'aaaaaaaa-0000-4000-8000-000000000002'
const VIP = '10.0.0.10'
const url = `http://${VIP}/`

const cfg = (members: MemberInput[], listener: Partial<ListenerInput['listener']> = {}, vip_address = VIP) =>
  sampleConfig({ id: L1, members, listener, vip_address })

/** As a controller does it; how it got into force. */
async function apply(text: string) {
  await client.uploadUnit(L1, text)
  const { status } = await client.listener(L1)
  const { applied } = await (status === 'ACTIVE' ? client.reloadUnit(L1) : client.startUnit(L1))
  return applied
}

const folderOf = (listener: string) => `/var/lib/octavia/${listener}`
const haproxies = (listener = L1) => sandbox.pidsOf(`${folderOf(listener)}/haproxy.running.cfg`)

describe('who may ask what', () => {
  test('tells what it is', async () => {
    expect(await client.info()).toEqual({
      hostname: expect.any(String),
      haproxy_version: expect.stringMatching(/^\d+\.\d+/),
      api_version: '0.5',
    })
    expect(await client.details()).toMatchObject({ active: true, networks: {}, listeners: [], haproxy_count: 0 })
  })

  test('a certificate of another authority, or none, is not let in', async () => {
    const stranger = await sandbox.client('amphorae')
    await expect(stranger.info()).rejects.toMatchObject({ name: 'AgentError', status: 0 })
    await stranger.close()
    const { code, stderr } = await run(sandbox.inside(['curl', '-sSk', 'https://127.0.0.1:9876/0.5/info']))
    expect({ code: code > 0, stderr }).toEqual({ code: true, stderr: expect.stringMatching(/alert|certificate/) })
  })

  test('what is not there, and what is not allowed, is told in the framework’s form', async () => {
    await expect(client.listener('../../etc')).rejects.toMatchObject({
      status: 404,
      message: expect.stringMatching(/^404/),
    })
    await expect(client.listener(L2)).rejects.toMatchObject({ status: 404, details: `No listener with UUID: ${L2}` })
    await expect(client.startVrrp()).rejects.toMatchObject({
      status: 500,
      message: 'Failed to start keepalived service',
    })
    await expect(client.startUnit(L2)).rejects.toMatchObject({ kind: 'not_found', message: 'Listener Not Found' })
    await expect(client.interface('nonsense')).rejects.toMatchObject({ status: 400, message: 'Invalid IP address' })
  })
})

describe('plugging', () => {
  const vip = { subnet_cidr: '10.0.0.0/24', gateway: '10.0.0.1', mac_address: VIP_MAC, vrrp_ip: '10.0.0.5' }

  test('an interface that is not there yet is waited for', async () => {
    const request = { ...vip, mac_address: 'fa:16:3e:ff:ff:ff' }
    await expect(client.plugVip(VIP, request)).rejects.toMatchObject({ status: 404, kind: 'not_ready' })
    expect(sandbox.read('/var/lib/octavia/plugged_interfaces')).toBeNull()
  })

  test('the VIP goes into the namespace as eth1, with its files', async () => {
    // A neighbour that remembers another machine under this address, as after a failover.
    const former = ['neigh', 'replace', VIP, 'lladdr', '02:00:00:00:00:99', 'dev', 'to-vip', 'nud', 'stale']
    await sandbox.exec(['ip', '-n', 'lan', ...former])
    expect(await client.plugVip(VIP, vip)).toEqual({ message: 'OK', details: `VIP ${VIP} plugged on interface eth1` })
    expect(await client.interface('10.0.0.5')).toEqual({ message: 'OK', interface: 'eth1' })
    expect(sandbox.read('/var/lib/octavia/plugged_interfaces')).toBe(`${VIP_MAC} eth1\n`)
    const network = '/etc/netns/amphora-haproxy/network'
    expect(sandbox.read(`${network}/interfaces`)).toContain(`source ${network}/interfaces.d/*.cfg`)
    expect(sandbox.read(`${network}/interfaces.d/eth1.cfg`)).toContain(
      'iface eth1:0 inet static\n    address 10.0.0.10',
    )
    expect(sandbox.read(`${network}/eth0.cfg`)).toBeNull()
    expect(await sandbox.exec(['ip', '-n', 'amphora-haproxy', 'route'])).toContain('default via 10.0.0.1 dev eth1')
    expect(await sandbox.exec(['ip', 'link'])).not.toContain(VIP_MAC)
    const neighbour = async () => sandbox.exec(['ip', '-n', 'lan', 'neigh', 'show', VIP])
    await until(async () => (await neighbour()).includes(VIP_MAC), 'the neighbour to hear of it')
  })

  test('again, it is so already; half of it lost, it is mended', async () => {
    await sandbox.exec(['ip', '-n', 'amphora-haproxy', 'addr', 'flush', 'dev', 'eth1'])
    await expect(client.plugVip(VIP, vip)).rejects.toMatchObject({
      kind: 'conflict',
      message: 'Interface already exists',
    })
    expect(await client.interface(VIP)).toMatchObject({ interface: 'eth1' })
    const moved = { ...vip, vrrp_ip: '10.0.0.6' }
    expect(await client.plugVip(VIP, moved)).toMatchObject({ message: 'OK' })
    await expect(client.interface('10.0.0.5')).rejects.toMatchObject({ kind: 'not_found' })
    expect(await client.plugVip(VIP, vip)).toMatchObject({ message: 'OK' })
  })

  test('a member’s network takes the next name', async () => {
    const request = { mac_address: MEMBER_MAC, fixed_ips: [{ ip_address: '10.1.0.5', subnet_cidr: '10.1.0.0/24' }] }
    expect(await client.plugNetwork(request)).toMatchObject({ details: 'Plugged on interface eth2' })
    await expect(client.plugNetwork(request)).rejects.toMatchObject({ kind: 'conflict' })
    expect(Object.keys((await client.details()).networks)).toEqual(['eth1', 'eth2'])
  })
})

describe('a listener', () => {
  test('that haproxy does not understand is refused in haproxy’s words, and leaves nothing', async () => {
    await expect(client.uploadUnit(L1, 'global\n  nonsense\n')).rejects.toMatchObject({
      status: 400,
      kind: 'refused',
      message: 'Invalid request',
      details: expect.stringContaining("unknown keyword 'nonsense'"),
    })
    await expect(client.unitConfig(L1)).rejects.toMatchObject({ kind: 'not_found' })
    expect(sandbox.read(`${folderOf(L1)}/haproxy.cfg.new`)).toBeNull()
  })

  test('is kept byte by byte, and started by its own call', async () => {
    const text = cfg([member(1), member(2)])
    const md5 = createHash('md5').update(text).digest('hex')
    const uploaded = await client.uploadUnit(L1, text)
    expect(uploaded.etag).toBe(md5)
    expect(await client.unitConfig(L1)).toEqual({ cfg: text, etag: md5 })
    expect(await client.listener(L1)).toEqual({ status: 'OFFLINE', uuid: L1, type: '' })
    const started = await client.startUnit(L1)
    expect(started).toMatchObject({ applied: 'start', details: expect.stringContaining(`daemon for ${L1} started`) })
    expect(await client.listener(L1)).toEqual({
      status: 'ACTIVE',
      uuid: L1,
      type: 'HTTP',
      pools: [{ uuid: 'pool-1', status: 'UP', members: { 'member-1': 'no check', 'member-2': 'no check' } }],
    })
    expect(await client.listeners()).toEqual([{ status: 'ACTIVE', uuid: L1, type: 'HTTP' }])
    expect(await sandbox.answers(url, 10)).toEqual({ '10.0.0.11': 5, '10.0.0.12': 5 })
  })

  test('a bad upload leaves the good one in force', async () => {
    await expect(client.uploadUnit(L1, cfg([member(1)]).replace('mode http', 'mode x'))).rejects.toMatchObject({
      status: 400,
    })
    expect((await client.reloadUnit(L1)).applied).toBe('none')
    expect(await sandbox.answers(url, 2)).toEqual({ '10.0.0.11': 1, '10.0.0.12': 1 })
  })

  test('members come, change and go without a reload', async () => {
    const before = haproxies()
    expect(await apply(cfg([member(1), member(2), member(3)]))).toBe('runtime')
    expect(await sandbox.answers(url, 9)).toEqual({ '10.0.0.11': 3, '10.0.0.12': 3, '10.0.0.13': 3 })
    expect(await apply(cfg([member(1, { weight: 3 }), member(3)]))).toBe('runtime')
    expect(await sandbox.answers(url, 8)).toEqual({ '10.0.0.11': 6, '10.0.0.13': 2 })
    expect(await apply(cfg([member(1, { admin_state_up: false }), member(3, { address: '10.0.0.12' })]))).toBe(
      'runtime',
    )
    expect(await sandbox.answers(url, 4)).toEqual({ '10.0.0.12': 4 })
    expect((await client.listener(L1)).pools?.[0]?.members).toEqual({ 'member-1': 'DOWN', 'member-3': 'no check' })
    expect(await apply(cfg([member(1), member(3, { backup: true })]))).toBe('runtime')
    expect(await sandbox.answers(url, 4)).toEqual({ '10.0.0.11': 4 })
    expect(await apply(cfg([]))).toBe('runtime')
    expect((await sandbox.answers(url, 1))['10.0.0.11']).toBeUndefined()
    const far = member(4, { address: '10.1.0.11' })
    expect(await apply(cfg([far, member(5, { address: 'fd00::11' })]))).toBe('runtime')
    // There is no way to the other one yet: haproxy turns to the next.
    expect(await sandbox.answers(url, 2)).toEqual({ '10.1.0.11': 2 })
    expect(await apply(cfg([member(1), member(2)]))).toBe('runtime')
    expect(haproxies()).toEqual(before)
    expect((await client.details()).applied).toMatchObject({ start: 1, reload: 0, runtime: 7, none: 1 })
  })

  test('a member that leaves finishes what it has begun, and then goes', async () => {
    const slow = sandbox.curl(`${url}slow`, '--max-time', '60')
    await until(async () => (await sandbox.curl('http://10.0.0.11/waiting')).stdout === '1', 'the slow request')
    const before = haproxies()
    expect(await apply(cfg([]))).toBe('runtime')
    await sandbox.curl('http://10.0.0.11/go')
    expect((await slow).stdout).toBe('slow done')
    const members = async () => (await client.listener(L1)).pools?.[0]?.members
    await until(async () => Object.keys((await members()) ?? { a: 1 }).length === 0, 'the members to be deleted')
    expect(await apply(cfg([member(1), member(2)]))).toBe('runtime')
    expect(haproxies()).toEqual(before)
  })

  test('what the socket cannot express is a reload, which refuses no one', async () => {
    const before = haproxies()
    const headers = { insert_headers: { 'X-Forwarded-For': 'true' } }
    expect(await apply(cfg([member(1), member(2)], headers))).toBe('reload')
    expect(await sandbox.answers(url, 4)).toEqual({ '10.0.0.11': 2, '10.0.0.12': 2 })
    expect(haproxies()[0]).toBe(before[0])
    expect(haproxies()).not.toEqual(before)
    expect(await apply(cfg([member(1), member(2)], headers))).toBe('none')
  })
})

describe('death', () => {
  const both = { '10.0.0.11': 2, '10.0.0.12': 2 }

  test('of haproxy: it is started again with what it ran', async () => {
    expect(await apply(cfg([member(1), member(2)]))).toBe('reload')
    const before = haproxies()
    for (const pid of before) await sandbox.exec(['kill', '-9', String(pid)]).catch(() => {})
    await until(async () => (await sandbox.curl(url)).code === 0, 'haproxy to come back')
    expect(await sandbox.answers(url, 4)).toEqual(both)
    expect(haproxies().filter(pid => before.includes(pid))).toEqual([])
    expect(await client.listener(L1)).toMatchObject({ status: 'ACTIVE' })
  })

  test('of a worker alone: likewise', async () => {
    const [, worker] = haproxies()
    await sandbox.exec(['kill', '-9', String(worker)])
    await until(async () => !haproxies().includes(worker!) && (await sandbox.curl(url)).code === 0, 'a new worker')
    expect(await sandbox.answers(url, 4)).toEqual(both)
  })

  test('of the agent: haproxy serves on, and the next agent takes it over as it is', async () => {
    const before = haproxies()
    await sandbox.killAgent()
    expect(await sandbox.answers(url, 4)).toEqual(both)
    sandbox.startAgent()
    await serving(client)
    expect(haproxies()).toEqual(before)
    expect(await client.listener(L1)).toMatchObject({ status: 'ACTIVE' })
    expect(await apply(cfg([member(1)]))).toBe('runtime')
    expect(haproxies()).toEqual(before)
    expect(await sandbox.answers(url, 2)).toEqual({ '10.0.0.11': 2 })
  })

  test('of a haproxy that the agent did not start itself: it is started again too', async () => {
    const before = haproxies()
    await sandbox.killAll(before)
    await until(async () => haproxies().length >= 2 && (await sandbox.curl(url)).code === 0, 'haproxy to come back')
  })

  test('of the whole machine: interfaces and listeners come back', async () => {
    expect(await apply(cfg([member(1), member(4, { address: '10.1.0.11' })]))).toBe('runtime')
    await sandbox.killAgent()
    await sandbox.killAll(haproxies())
    await until(() => haproxies().length === 0, 'haproxy to end')
    await sandbox.exec(['ip', 'netns', 'delete', 'amphora-haproxy'])
    await until(async () => !(await sandbox.exec(['ip', '-n', 'lan', 'link'])).includes('to-vip'), 'the cables to go')
    await sandbox.plugCables()
    // What a killed `ip netns add` leaves.
    await sandbox.exec(['touch', '/run/netns/amphora-haproxy'])
    sandbox.startAgent()
    await serving(client)
    expect(await client.interface('10.1.0.5')).toMatchObject({ interface: 'eth2' })
    expect(await sandbox.answers(url, 4)).toEqual({ '10.0.0.11': 2, '10.1.0.11': 2 })
  })
})

describe('in the end', () => {
  test('a new certificate is used at once, and one that is none is refused', async () => {
    await expect(client.renewCertificate('nonsense')).rejects.toMatchObject({ status: 400 })
    const renewed = await sandbox.amphoraCertificate()
    await client.renewCertificate(serverPem(renewed))
    expect(sandbox.read('/etc/octavia/certs/server.pem')).toBe(serverPem(renewed))
    const anew = await sandbox.client()
    expect(await anew.info()).toMatchObject({ api_version: '0.5' })
    await anew.close()
  })

  test('a new configuration of its own is kept, and one that is not for it is refused; traffic goes on', async () => {
    const boot = { amphora_id: AMPHORA_ID, bind_port: 9876, heartbeat_interval: 7 }
    for (const [text, details] of [
      ['[amphora_agent]\n', 'amphora_agent.amphora_id is missing'],
      [bootConfig({ ...boot, amphora_id: L2 }), `it is of amphora ${L2}, and this is ${AMPHORA_ID}`],
      [bootConfig({ ...boot, heartbeat_interval: 0 }), /heartbeat_interval is 0/],
    ] as const)
      await expect(client.configure(text)).rejects.toMatchObject({
        kind: 'refused',
        status: 400,
        message: 'Unable to update amphora-agent configuration.',
        details: typeof details === 'string' ? details : expect.stringMatching(details),
      })
    const pids = haproxies()
    await client.configure(bootConfig(boot))
    expect(sandbox.read('/etc/octavia/amphora-agent.conf')).toBe(bootConfig(boot))
    expect(haproxies()).toEqual(pids)
    expect(Object.values(await sandbox.answers(url, 4)).reduce((a, b) => a + b)).toBe(4)
  })

  test('a controller that has lost its claim changes nothing', async () => {
    await client.stopUnit(L1, { token: { load_balancer_id: 'lb1', value: 8n } })
    const older = { token: { load_balancer_id: 'lb1', value: 7n } }
    await expect(client.startUnit(L1, older)).rejects.toMatchObject({
      kind: 'conflict',
      message: 'A newer controller is at work',
    })
    expect(await client.listener(L1, older)).toEqual({ status: 'OFFLINE', uuid: L1, type: '' })
    expect((await client.startUnit(L1)).applied).toBe('start')
  })

  test('a listener that is deleted leaves nothing', async () => {
    expect(await client.deleteUnit(L1)).toEqual({ message: 'OK' })
    expect(haproxies()).toEqual([])
    expect(sandbox.read(folderOf(L1))).toBeNull()
    expect(sandbox.read(`/var/lib/octavia/${L1}.sock`)).toBeNull()
    expect(await client.listeners()).toEqual([])
    await expect(client.deleteUnit(L1)).rejects.toMatchObject({ kind: 'not_found' })
  })

  test('the VIP may be of IPv6', async () => {
    const request = { subnet_cidr: 'fd00::/64', gateway: 'fd00::1', mac_address: VIP_MAC, vrrp_ip: 'fd00::5' }
    // Started before its address is there, as in a failover.
    expect(await apply(cfg([member(1, { address: 'fd00::11' })], {}, 'fd00::10'))).toBe('start')
    expect(await client.plugVip('fd00::10', request)).toMatchObject({ message: 'OK' })
    expect(await client.interface('fd00:0::10')).toMatchObject({ interface: 'eth1' })
    expect(await sandbox.answers('http://[fd00::10]/', 2)).toEqual({ 'fd00::11': 2 })
    expect(await apply(cfg([member(2, { address: 'fd00::1' })], {}, 'fd00::10'))).toBe('runtime')
    expect(await sandbox.answers('http://[fd00::10]/', 2)).toEqual({ 'fd00::1': 2 })
  })
})
