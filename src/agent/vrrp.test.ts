/** Two agents and their keepaliveds: who has the VIP, and when it moves. */
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { MemberInput } from '../amphora/haproxy/listener.ts'
import { peerName } from '../amphora/rest.ts'
import { member, type Sample, sampleConfig } from './sample.ts'
import { serving, until, VIP_MAC } from './sandbox.ts'
import { SandboxPair, VIP, VIP6, vrrpIp } from './sandbox-pair.ts'
import { Vrrp } from './vrrp.ts'
import { ANSWERED } from './vrrp-scripts.ts'

const pair = new SandboxPair()
beforeAll(() => pair.open())
afterAll(() => pair.close())

const L1 = 'aaaaaaaa-0000-4000-8000-000000000001'
const url = `http://${VIP}/`
const folder = '/var/lib/octavia/vrrp'
const cfg = sampleConfig({ id: L1, vip_address: VIP, members: [member(1)] })
const vrrpOf = async (n: number) => (await pair.clients[n]!.details()).vrrp
const answers = () => until(async () => (await pair.first.curl(url)).stdout === '10.0.0.11', 'an answer by the VIP')

const answersBySome = () => until(async () => (await pair.first.curl(url)).code === 0, 'an answer by the VIP')
const showTable = `
const socket = require('net').connect(process.argv[1], () => socket.write('show table pool-1\\n'))
socket.on('end', () => process.exit()).pipe(process.stdout)
`

describe('the contract', () => {
  test('nothing runs before something was uploaded', async () => {
    const [client] = pair.clients
    expect(await vrrpOf(0)).toEqual({ role: null, etag: null })
    await expect(client!.startVrrp()).rejects.toMatchObject({
      status: 500,
      message: 'Failed to start keepalived service',
      details: 'no configuration was uploaded',
    })
  })

  test('plugging leaves the VIP to keepalived', async () => {
    await Promise.all([pair.plugVip(0), pair.plugVip(1)])
    expect(await pair.holders()).toEqual([])
    expect(await pair.holders(vrrpIp(1))).toEqual([1])
    expect(pair.first.read('/etc/netns/amphora-haproxy/network/interfaces.d/eth1.cfg')).toContain(
      'iface eth1:0 inet static\n    address 10.0.0.10',
    )
    await expect(pair.plugVip(0)).rejects.toMatchObject({ kind: 'conflict' })
    expect(await pair.holders()).toEqual([])
  })

  test('an upload is kept byte by byte, and comes into force by its own call', async () => {
    const [client] = pair.clients
    const text = pair.keepalivedConfig(0)
    const etag = createHash('md5').update(text).digest('hex')
    expect(await client!.uploadVrrp(text)).toEqual({ etag, warning: null })
    expect(pair.first.read(`${folder}/octavia-keepalived.conf`)).toBe(text)
    const modes = await pair.first.exec([
      'stat',
      '-c',
      '%a',
      `${folder}/octavia-keepalived.conf`,
      `${folder}/check_script.sh`,
    ])
    expect(modes.trim().split('\n')).toEqual(['644', '755'])
    expect(await vrrpOf(0)).toEqual({ role: null, etag: null })
    expect(await client!.startVrrp()).toEqual({ message: 'OK', details: 'keepalived started' })
    await pair.awaitHolder(0)
    expect(await vrrpOf(0)).toEqual({ role: 'MASTER', etag })
    expect(await pair.holders(VIP6)).toEqual([0])
  })

  test('what keepalived thinks of an upload is told', async () => {
    const { warning } = await pair.clients[1]!.uploadVrrp('nonsense\n')
    expect(warning).toContain("Unknown keyword 'nonsense'")
  })

  test('an action that is none is refused', async () => {
    const vrrp = new Vrrp({ base_path: '/nowhere', agent: [], listeners: () => [], log: () => {} })
    const refused = await Promise.resolve()
      .then(() => vrrp.act('dance'))
      .catch(error => error.answer)
    expect(refused).toMatchObject({
      status: 400,
      body: { message: 'Invalid Request', details: 'Unknown action: dance' },
    })
  })

  test('the second stands by; a reload changes no role and announces the VIP', async () => {
    await pair.startVrrp(1)
    await until(async () => (await vrrpOf(1))?.role === 'BACKUP', 'the second to stand by')
    const neighbour = ['ip', '-n', 'lan', 'neigh']
    await pair.first.exec([...neighbour, 'replace', VIP, 'lladdr', '02:00:00:00:00:99', 'dev', 'vips', 'nud', 'stale'])
    await pair.clients[0]!.reloadVrrp()
    const known = () => pair.first.exec([...neighbour, 'show', VIP])
    await until(async () => (await known()).includes(VIP_MAC), 'the neighbour to hear of it')
    expect(await pair.clients[1]!.reloadVrrp()).toEqual({ message: 'OK', details: 'keepalived reloaded' })
    expect(await pair.holders()).toEqual([0])
    expect(await vrrpOf(0)).toMatchObject({ role: 'MASTER' })
  })
})

describe('the VIP', () => {
  test('is served by who has it, and the script asks the listeners that are to serve', async () => {
    for (const client of pair.clients) {
      await client.uploadUnit(L1, cfg)
      expect((await client.startUnit(L1)).applied).toBe('start')
    }
    await answers()
    for (const machine of pair.machines) {
      expect(machine.read(`${folder}/check_scripts/haproxy_check_script.sh`)).toContain(
        `\n${folder}/haproxy-vrrp-check /var/lib/octavia/${L1}.sock; exit $?\n`,
      )
      expect(await machine.exec([`${folder}/check_script.sh`])).toBe('')
    }
  })

  test('moves when haproxy is killed, however long its return takes', async () => {
    const running = `/var/lib/octavia/${L1}/haproxy.running.cfg`
    // It dies again whenever it is started.
    await pair.first.exec(['mv', running, `${running}.away`])
    await pair.first.killAll(pair.first.pidsOf(running))
    await pair.awaitHolder(1)
    await answers()
    expect(pair.first.read(`${folder}/haproxy_down`)).toBe('1\n')
    const check = () => pair.first.exec([`${folder}/check_script.sh`])
    await expect(check()).rejects.toThrow()
    // Heartbeats, which this agent does not send, ask it as well: what they heard a moment ago is believed.
    const heard = (ago_s: number) => [
      'sh',
      '-c',
      `read -r now rest < /proc/uptime; echo $((\${now%.*} - ${ago_s})) > ${ANSWERED}`,
    ]
    await pair.first.exec(heard(0))
    expect(await check()).toBe('')
    await pair.first.exec(heard(10))
    await expect(check()).rejects.toThrow()
    await pair.first.exec(['rm', ANSWERED])
    await pair.first.exec(['mv', `${running}.away`, running])
    await until(() => pair.first.read(`${folder}/haproxy_down`) === '0\n', 'haproxy to come back')
    // Whoever has it keeps it.
    expect(await pair.holders()).toEqual([1])
    expect(await vrrpOf(0)).toMatchObject({ role: 'BACKUP' })
  })

  test('moves when keepalived is stopped', async () => {
    expect(await pair.clients[1]!.stopVrrp()).toEqual({ message: 'OK', details: 'keepalived stoped' })
    await pair.awaitHolder(0)
    await answers()
    expect(await vrrpOf(1)).toEqual({ role: null, etag: null })
    await pair.clients[1]!.startVrrp()
    await until(async () => (await vrrpOf(1))?.role === 'BACKUP', 'the second to stand by')
  })

  test('moves without a request that fails when keepalived is stopped', async () => {
    const [holder] = await pair.holders()
    const later = pair.first.curl(`${url}later`)
    await until(async () => (await pair.first.curl('http://10.0.0.11/waiting')).stdout !== '0', 'the request')
    const moved = pair.clients[holder!]!.stopVrrp()
    const next = Array.from({ length: 20 }, () => pair.first.curl(url))
    expect(await later).toMatchObject({ code: 0 })
    for (const each of await Promise.all(next)) expect(each).toMatchObject({ code: 0 })
    await moved
    await pair.awaitHolder(1 - holder!)
    // Nothing of it stays that could keep clients out later.
    expect(
      await pair.machines[holder!]!.exec(['ip', 'netns', 'exec', 'amphora-haproxy', 'nft', 'list', 'tables']),
    ).toBe('')
    await pair.clients[holder!]!.startVrrp()
    await until(async () => (await vrrpOf(holder!))?.role === 'BACKUP', 'it to stand by')
  })

  test('a keepalived that is killed comes back, and never do both have the VIP for long', async () => {
    const before = pair.first.pidsOf('octavia-keepalived.pid')
    expect(before).toHaveLength(2)
    await pair.first.killAll(before)
    await until(() => pair.first.pidsOf('octavia-keepalived.pid').some(pid => !before.includes(pid)), 'keepalived')
    await until(async () => (await pair.holders()).length === 1, 'one to have the VIP')
    await answers()
    // Its parent alone: what it leaves is ended first.
    const former = pair.first.pidsOf('octavia-keepalived.pid')
    const [parent] = former
    await pair.first.exec(['kill', '-9', String(parent)])
    const fresh = () => {
      const pids = pair.first.pidsOf('octavia-keepalived.pid')
      return pids.length === 2 && !pids.some(pid => former.includes(pid))
    }
    await until(fresh, 'keepalived to come back')
    await until(async () => (await pair.holders()).length === 1, 'one to have the VIP')
    await until(async () => (await vrrpOf(0))?.role != null, 'keepalived to be known')
  })

  test('survives the agent, and the next agent takes keepalived over', async () => {
    const before = pair.first.pidsOf('octavia-keepalived.pid')
    const holders = await pair.holders()
    await pair.first.killAgent()
    await answers()
    expect(await pair.holders()).toEqual(holders)
    pair.first.startAgent()
    await serving(pair.clients[0]!)
    expect(pair.first.pidsOf('octavia-keepalived.pid')).toEqual(before)
    const etag = createHash('md5').update(pair.keepalivedConfig(0)).digest('hex')
    expect(await vrrpOf(0)).toEqual({ role: holders[0] === 0 ? 'MASTER' : 'BACKUP', etag })
  })

  test('of clients that come back is what it was: their table is on both', async () => {
    const table = (members: MemberInput[]) => {
      const names = pair.machines.map((machine, n) => ({ name: peerName(machine.amphora_id), address: vrrpIp(n) }))
      const pool: Sample['pool'] = { session_persistence: { type: 'SOURCE_IP', cookie_name: null } }
      const peers = { section: `${L1.replaceAll('-', '')}_peers`, listener_peer_port: 1025, peers: names }
      return sampleConfig({ id: L1, vip_address: VIP, members, pool, peers })
    }
    const three = table([member(1), member(2), member(3)])
    for (const client of pair.clients) {
      await client.uploadUnit(L1, three)
      await client.reloadUnit(L1)
    }
    const [holder] = await pair.holders()
    const kept = (n: number) =>
      pair.machines[n]!.exec([process.execPath, '-e', showTable, `/var/lib/octavia/${L1}.sock`])
    const { stdout } = await pair.first.curl(url)
    await until(async () => (await kept(1 - holder!)).includes('server_id'), 'the other to know the client')
    await pair.clients[holder!]!.stopVrrp()
    await pair.awaitHolder(1 - holder!)
    for (let i = 0; i < 4; i++) expect((await pair.first.curl(url)).stdout).toBe(stdout)
    await pair.clients[holder!]!.startVrrp()
    // A reload loses nobody either.
    await pair.clients[1 - holder!]!.uploadUnit(L1, three.replace('timeout client 50000', 'timeout client 40000'))
    expect((await pair.clients[1 - holder!]!.reloadUnit(L1)).applied).toBe('reload')
    for (let i = 0; i < 4; i++) expect((await pair.first.curl(url)).stdout).toBe(stdout)
  })

  test('moves where keepalived cannot watch a file, too', async () => {
    await until(async () => (await pair.holders()).length === 1, 'one to have the VIP')
    const [n] = await pair.holders()
    const limit = '/proc/sys/user/max_inotify_instances'
    const log = (m: number) => fs.readFileSync(path.join(pair.machines[m]!.folder, 'agent.log'), 'utf8')
    const set = (value: number) => `echo ${value} > ${limit}`
    await pair.machines[n!]!.exec(['sh', '-c', set(0)])
    // Where it may, the agent raises the limit.
    expect((await pair.clients[n!]!.reloadVrrp()).details).toBe('keepalived reloaded')
    expect(log(n!)).not.toContain('keepalived cannot watch a file here')
    const readOnly = `${set(0)}; mount --bind ${limit} ${limit}; mount -o remount,bind,ro ${limit}`
    await pair.machines[n!]!.exec(['sh', '-c', readOnly])
    await pair.clients[n!]!.reloadVrrp()
    expect(log(n!)).toContain('keepalived cannot watch a file here')
    expect(await pair.holders()).toEqual([n])
    const running = `/var/lib/octavia/${L1}/haproxy.running.cfg`
    await pair.machines[n!]!.exec(['mv', running, `${running}.away`])
    await pair.machines[n!]!.killAll(pair.machines[n!]!.pidsOf(running))
    await pair.awaitHolder(1 - n!)
    await pair.machines[n!]!.exec(['mv', `${running}.away`, running])
    await until(async () => (await vrrpOf(n!))?.role === 'BACKUP', 'it to stand by')
    await pair.machines[n!]!.exec(['sh', '-c', `umount ${limit}; ${set(1_000)}`])
    await pair.clients[n!]!.reloadVrrp()
  })

  test('comes back after the machine has been off, if it had been started', async () => {
    const [n] = await pair.holders()
    const machine = pair.machines[n!]!
    await machine.killAgent()
    const all = [...machine.pidsOf('octavia-keepalived.pid'), ...machine.pidsOf('haproxy.running.cfg')]
    await machine.killAll(all)
    await machine.exec(['ip', 'netns', 'delete', 'amphora-haproxy'])
    await pair.awaitHolder(1 - n!)
    await pair.plugCable(n!)
    machine.startAgent()
    await until(async () => (await vrrpOf(n!).catch(() => null))?.role === 'BACKUP', 'it to stand by')
    expect(await pair.holders()).toEqual([1 - n!])
    expect(await pair.holders(vrrpIp(n!))).toEqual([n])
    await pair.clients[1 - n!]!.stopVrrp()
    await pair.awaitHolder(n!)
    await answersBySome()
    await pair.clients[1 - n!]!.startVrrp()
  })

  test('moves when the whole machine is killed', async () => {
    if ((await pair.holders())[0] === 0) {
      await pair.clients[0]!.stopVrrp()
      await pair.awaitHolder(1)
      await pair.clients[0]!.startVrrp()
    }
    await until(async () => (await vrrpOf(0))?.role === 'BACKUP', 'the first to stand by')
    await pair.second.kill()
    await until(async () => (await vrrpOf(0))?.role === 'MASTER', 'the first to have the VIP')
    await answersBySome()
  })
})
