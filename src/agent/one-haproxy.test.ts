/** REST 1.0 of the bundled agent: one haproxy for all listeners of a load balancer, with real traffic through it. */
import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AmphoraClient } from '../amphora/client.ts'
import type { ListenerInput, MemberInput } from '../amphora/haproxy/listener.ts'
import { listenerSample, poolSample } from '../amphora/haproxy/sample.ts'
import { renderLoadBalancer } from '../amphora/haproxy/unit.ts'
import { member } from './sample.ts'
import { MEMBER_MAC, Sandbox, serving, until, VIP_MAC } from './sandbox.ts'

const sandbox = new Sandbox()
let client: AmphoraClient
beforeAll(async () => {
  await (await sandbox.begin()).close()
  client = await sandbox.client('controllers', '1.0')
})
afterAll(async () => {
  await client?.close()
  await sandbox.close()
})

const LB = '1bbbbbbb-0000-4000-8000-000000000001'
const [A, B, C] = ['a', 'b', 'c'].map(name => `${name.repeat(8)}-0000-4000-8000-000000000001`) as [
  string,
  string,
  string,
]
const POOL = 'dddddddd-0000-4000-8000-000000000001'
const VIP = '10.0.0.10'

/** A listener of that id on that port, to a pool that all of them share. */
const on = (id: string, protocol_port: number, members: MemberInput[], change: object = {}): ListenerInput => ({
  base_path: '/var/lib/octavia',
  load_balancer: { id: LB, vip_address: VIP, admin_state_up: true },
  listener: listenerSample({ id, protocol_port, ...change }),
  default_pool: poolSample({ id: POOL, members }),
})
const textOf = (...listeners: ListenerInput[]) =>
  renderLoadBalancer({ base_path: '/var/lib/octavia', load_balancer_id: LB, listeners, peers: null })

async function apply(text: string) {
  await client.uploadUnit(LB, text)
  return (await client.reloadUnit(LB)).applied
}
const answerer = async (port: number) => (await sandbox.curl(`http://${VIP}:${port}/`)).stdout
const haproxies = () => sandbox.pidsOf(`/var/lib/octavia/${LB}/haproxy.running.cfg`)

describe('who it is', () => {
  test('is told in the words of 1.0', async () => {
    expect(await client.own('GET', '/')).toEqual({ api_version: '1.0' })
    expect(await client.info()).toEqual({
      hostname: expect.any(String),
      haproxy_version: expect.stringMatching(/^\d+\.\d+/),
      api_version: '1.0',
      keepalived_version: expect.stringMatching(/^\d+\.\d+/),
      ipvsadm_version: '',
    })
    expect(await client.details()).toMatchObject({
      api_version: '1.0',
      cpu_count: expect.any(Number),
      load: [expect.stringMatching(/^\d/), expect.any(String), expect.any(String)],
      listeners: [],
      haproxy_count: 0,
      lvs_listener_process_count: 0,
      active_tuned_profiles: [],
    })
  })
})

describe('plugging', () => {
  test('several VIPs are told of, and a network may be plugged again', async () => {
    const vip = { subnet_cidr: '10.0.0.0/24', gateway: '10.0.0.1', mac_address: VIP_MAC, vrrp_ip: '10.0.0.5' }
    const further = { ip_address: 'fd00::10', subnet_cidr: 'fd00::/64', gateway: null }
    const details = `VIPs plugged on interface eth1: ${VIP}, fd00::10`
    const request = { ...vip, additional_vips: [further] }
    expect(await client.plugVip(VIP, request)).toEqual({ message: 'OK', details })
    await expect(client.plugVip(VIP, request)).rejects.toMatchObject({ kind: 'conflict' })
    const network = { mac_address: MEMBER_MAC, fixed_ips: [{ ip_address: '10.1.0.5', subnet_cidr: '10.1.0.0/24' }] }
    expect(await client.plugNetwork(network)).toMatchObject({ details: 'Plugged on interface eth2' })
    expect(await client.plugNetwork(network)).toMatchObject({ details: 'Updated existing interface eth2' })
    expect(await client.interface('10.1.0.5')).toEqual({ message: 'OK', interface: 'eth2' })
  })
})

describe('a load balancer', () => {
  const members = [member(1), member(2)]

  test('that is not there is told of as such, but for its end', async () => {
    const absent = { status: 404, message: 'Loadbalancer Not Found', details: `No loadbalancer with UUID: ${LB}` }
    await expect(client.unitConfig(LB)).rejects.toMatchObject(absent)
    await expect(client.reloadUnit(LB)).rejects.toMatchObject(absent)
    await expect(client.datagramConfig(LB)).rejects.toMatchObject({ status: 404, message: 'UDP Listener Not Found' })
    expect(await client.deleteUnit(LB)).toEqual({ message: 'OK' })
    await expect(client.listener(LB)).rejects.toMatchObject({ status: 405 })
  })

  test('that haproxy does not understand is refused with the line', async () => {
    const wrong = textOf(on(A, 80, members), on(B, 81, members)).replace(/( +)bind 10.0.0.10:81/, '$1bind nonsense')
    const line = wrong.split('\n').findIndex(each => each.includes('bind nonsense')) + 1
    await expect(client.uploadUnit(LB, wrong)).rejects.toMatchObject({
      kind: 'refused',
      message: 'Invalid request',
      details: expect.stringContaining(`haproxy.cfg.new:${line}]`),
    })
  })

  test('is started by reload, and all its listeners serve from one process', async () => {
    const text = textOf(on(A, 80, members), on(B, 81, members))
    expect(await apply(text)).toBe('start')
    expect(await client.unitConfig(LB)).toEqual({ cfg: text, etag: createHash('md5').update(text).digest('hex') })
    for (const port of [80, 81])
      expect(Object.keys(await sandbox.answers(`http://${VIP}:${port}/`, 4)).sort()).toEqual(['10.0.0.11', '10.0.0.12'])
    expect(haproxies()).toHaveLength(2) // master and worker
    expect(await client.listeners()).toEqual([A, B].map(uuid => ({ uuid, status: 'ACTIVE', type: 'HTTP' })))
    expect(await client.details()).toMatchObject({ haproxy_count: 1, listeners: [A, B] })
  })

  test('is given members and weights while it runs, each listener by itself', async () => {
    const changed = [member(1, { weight: 5 }), member(2), member(3)]
    const [master] = haproxies()
    expect(await apply(textOf(on(A, 80, changed), on(B, 81, members)))).toBe('runtime')
    expect(Object.keys(await sandbox.answers(`http://${VIP}/`, 14)).sort()).toEqual([
      '10.0.0.11',
      '10.0.0.12',
      '10.0.0.13',
    ])
    expect(Object.keys(await sandbox.answers(`http://${VIP}:81/`, 6)).sort()).toEqual(['10.0.0.11', '10.0.0.12'])
    expect(haproxies()[0]).toBe(master)
    expect(await apply(textOf(on(A, 80, changed), on(B, 81, members)))).toBe('none')
  })

  test('is reached by those alone whom the rules of its interface name, over a start of the agent too', async () => {
    const reached = async (...ports: number[]) =>
      Promise.all(ports.map(async port => (await sandbox.curl(`http://${VIP}:${port}/`, '--max-time', '2')).code === 0))
    await expect(client.interfaceRules('10.9.9.9', [])).rejects.toMatchObject({ status: 404 })
    for (const wrong of [
      { protocol: 'TCP', cidr: '10.0.0.0/8; flush ruleset', port: 80 },
      { protocol: 'TCP', port: 80 },
    ])
      await expect(client.interfaceRules(VIP, [wrong as never])).rejects.toMatchObject({ status: 400 })
    expect(await reached(80, 81)).toEqual([true, true])
    expect(await client.interfaceRules(VIP, [{ protocol: 'TCP', cidr: null, port: 80 }])).toEqual({ message: 'OK' })
    expect(await reached(80, 81)).toEqual([true, false])
    await sandbox.exec(['ip', 'netns', 'exec', 'amphora-haproxy', 'nft', 'flush', 'ruleset'])
    await sandbox.killAgent()
    sandbox.startAgent()
    await serving(client)
    expect(await reached(80, 81)).toEqual([true, false])
    const both = [80, 81, 82].map(port => ({ protocol: 'TCP', cidr: '10.0.0.0/24', port }) as const)
    await client.interfaceRules(VIP, both)
    expect(await reached(80, 81)).toEqual([true, true])
  })

  test('gets another listener, and loses one, without a failed request to the others', async () => {
    const load = sandbox.load(`http://${VIP}/`)
    expect(await apply(textOf(on(A, 80, members), on(B, 81, members), on(C, 82, members)))).toBe('reload')
    expect(await answerer(82)).toMatch(/^10\.0\.0\.1[12]$/)
    expect((await client.listeners()).map(each => each.uuid)).toEqual([A, B, C])
    expect(await apply(textOf(on(A, 80, members), on(C, 82, members)))).toBe('reload')
    expect((await client.listeners()).map(each => each.uuid)).toEqual([A, C])
    const { code } = await sandbox.curl(`http://${VIP}:81/`)
    expect(code).not.toBe(0)
    const { answered, failed } = await load.end()
    expect(failed).toEqual([])
    expect(answered).toBeGreaterThan(10)
  })

  test('survives the agent, and comes back when it dies', async () => {
    const [master] = haproxies()
    await sandbox.killAgent()
    expect(await answerer(80)).toMatch(/^10\.0\.0\.1[12]$/)
    sandbox.startAgent()
    await serving(client)
    expect(haproxies()[0]).toBe(master)
    expect((await client.listeners()).map(each => each.uuid)).toEqual([A, C])
    await sandbox.killAll([master!])
    await until(async () => (await sandbox.curl(`http://${VIP}:82/`)).code === 0, 'the traffic to come back')
  })

  test('keeps its certificates in a folder of its own; what is gone may go again', async () => {
    await client.uploadTlsFile(LB, 'one.pem', Buffer.from('certificate'))
    expect(sandbox.read(`/var/lib/octavia/certs/${LB}/one.pem`)).toBe('certificate')
    // what is there before the configuration that will name it is not taken for a leftover
    await sandbox.killAll(haproxies())
    await until(async () => (await sandbox.curl(`http://${VIP}:82/`)).code === 0, 'haproxy to come back')
    expect(sandbox.read(`/var/lib/octavia/certs/${LB}/one.pem`)).toBe('certificate')
    const file = `/1.0/loadbalancer/${LB}/certificates/one.pem`
    expect(await client.own('GET', file)).toEqual({ md5sum: createHash('md5').update('certificate').digest('hex') })
    expect(await client.own('DELETE', file)).toEqual({ message: 'OK' })
    expect(await client.own('DELETE', file)).toEqual({ message: 'OK' })
    await expect(client.own('GET', file)).rejects.toMatchObject({ status: 404, message: 'Certificate Not Found' })
  })

  test('is stopped, and goes with everything', async () => {
    expect(await client.stopUnit(LB)).toMatchObject({ message: 'OK' })
    expect((await client.listeners()).map(each => each.status)).toEqual(['OFFLINE', 'OFFLINE'])
    expect(await client.deleteUnit(LB)).toEqual({ message: 'OK' })
    expect(haproxies()).toEqual([])
    expect(sandbox.read(`/var/lib/octavia/${LB}.sock`)).toBeNull()
    expect(await client.listeners()).toEqual([])
  })
})
