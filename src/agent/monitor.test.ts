/** Health monitors against real members: who is asked how, what is found out, and that changes and reloads keep it. */
import { spawn } from 'node:child_process'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AmphoraClient } from '../amphora/client.ts'
import type { MemberInput } from '../amphora/haproxy/listener.ts'
import type { MonitorInput } from '../amphora/haproxy/monitor.ts'
import type { Change } from '../amphora/haproxy/sample.ts'
import { member, type Sample, sampleConfig, tcpMonitor } from './sample.ts'
import { Sandbox, until } from './sandbox.ts'

const sandbox = new Sandbox()
let client: AmphoraClient
beforeAll(async () => {
  client = await sandbox.begin()
  await sandbox.plugVip(client)
  const argv = sandbox.inside(['ip', 'netns', 'exec', 'lan', process.execPath, '-e', tlsServer])
  const server = spawn(argv[0]!, argv.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise(resolve => server.stdout.once('data', resolve))
})
afterAll(async () => {
  await client?.close()
  await sandbox.close()
})

const id = 'monitored'
const http = { type: 'HTTP', http_method: 'GET', url_path: '/health', expected_codes: '200' }

async function apply(members: MemberInput[], monitor: Change<MonitorInput>, listener: Sample['listener'] = {}) {
  const pool = { health_monitor: { ...tcpMonitor, ...monitor } }
  await client.uploadUnit(id, sampleConfig({ id, members, listener, pool }))
  const { status } = await client.listener(id)
  return (status === 'ACTIVE' ? await client.reloadUnit(id) : await client.startUnit(id)).applied
}

const members = async () => (await client.listener(id)).pools?.[0]?.members
const become = (wanted: Record<string, string>) =>
  until(async () => JSON.stringify(await members()) === JSON.stringify(wanted), JSON.stringify(wanted))

/** Nothing listens there. */
const deaf = { protocol_port: 81 }

describe('an HTTP monitor', () => {
  test('finds out who answers, and requests go there alone', async () => {
    expect(await apply([member(1), member(2, deaf)], http)).toBe('start')
    await become({ 'member-1': 'UP', 'member-2': 'DOWN' })
    expect(await sandbox.answers('http://10.0.0.10/', 6)).toEqual({ '10.0.0.11': 6 })
  })

  test('asks members that are added at run time too', async () => {
    expect(await apply([member(1), member(2, deaf), member(3), member(4, deaf)], http)).toBe('runtime')
    await become({ 'member-1': 'UP', 'member-2': 'DOWN', 'member-3': 'UP', 'member-4': 'DOWN' })
    expect(await apply([member(1), member(2, { ...deaf, backup: true })], http)).toBe('runtime')
    expect(await members()).toEqual({ 'member-1': 'UP', 'member-2': 'DOWN' })
  })

  test('keeps over a reload what it has found out', async () => {
    const slow = { ...http, delay: 3_600 }
    expect(await apply([member(1), member(2, deaf)], slow, { timeout_client_data: 40_000 })).toBe('reload')
    expect(await members()).toEqual({ 'member-1': 'UP', 'member-2': 'DOWN' })
    const disabled = { admin_state_up: false, weight: 7 }
    expect(await apply([member(1, disabled), member(3)], slow, { timeout_client_data: 40_000 })).toBe('runtime')
    // What the socket had set is not what the next configuration says.
    expect(await apply([member(1), member(3)], slow, { timeout_client_data: 41_000 })).toBe('reload')
    await become({ 'member-1': 'UP', 'member-3': 'UP' })
    expect(await sandbox.answers('http://10.0.0.10/', 6)).toEqual({ '10.0.0.11': 3, '10.0.0.13': 3 })
  })

  test.each(['10.0.0.12', 'fd00::11'])('may ask elsewhere, at %s, which changes at run time', async monitor_address => {
    await sandbox.exec(['ip', '-n', 'amphora-haproxy', 'addr', 'replace', 'fd00::5/64', 'dev', 'eth1', 'nodad'])
    const elsewhere = (monitor_port: number) => [member(1, { monitor_address, monitor_port })]
    await apply(elsewhere(81), http)
    await become({ 'member-1': 'DOWN' })
    expect(await apply(elsewhere(80), http)).toBe('runtime')
    await become({ 'member-1': 'UP' })
    const moved = [member(1, { monitor_address: monitor_address.replace(/.$/, '9'), monitor_port: 80 })]
    expect(await apply(moved, http)).toBe('runtime')
    await become({ 'member-1': 'DOWN' })
  })

  test('expects the codes that it is told', async () => {
    await apply([member(1)], { ...http, expected_codes: '201,204' })
    await become({ 'member-1': 'DOWN' })
    await apply([member(1)], { ...http, expected_codes: '200-204', http_version: 1.1, domain_name: 'www.example.org' })
    await become({ 'member-1': 'UP' })
  })

  test('waits as long as its timeout, although traffic may connect longer', async () => {
    await apply([member(1)], { ...http, url_path: '/mute', timeout: 1, delay: 3 }, { timeout_member_connect: 5_000 })
    await become({ 'member-1': 'DOWN' })
  })
})

describe('other monitors', () => {
  test('TCP', async () => {
    await apply([member(1), member(2, deaf)], { type: 'TCP' })
    await become({ 'member-1': 'UP', 'member-2': 'DOWN' })
  })

  test.each(['TLS-HELLO', 'HTTPS'])('%s: a whole handshake', async type => {
    await apply([member(1, { protocol_port: 443 }), member(2)], type === 'HTTPS' ? { ...http, type } : { type })
    await become({ 'member-1': 'UP', 'member-2': 'DOWN' })
  })

  test('PING, as the user that haproxy runs as, in both families', async () => {
    const nobody = member(3, { address: '10.0.0.99' })
    await apply([member(1), member(2, { address: 'fd00::11' }), nobody], { type: 'PING', timeout: 3, delay: 3 })
    await sandbox.exec(['ip', '-n', 'amphora-haproxy', 'addr', 'replace', 'fd00::5/64', 'dev', 'eth1', 'nodad'])
    await become({ 'member-1': 'UP', 'member-2': 'UP', 'member-3': 'DOWN' })
    const lighter = [member(1, { weight: 2 }), member(2, { address: 'fd00::11' }), nobody]
    expect(await apply(lighter, { type: 'PING', timeout: 3, delay: 3 })).toBe('runtime')
    expect(await apply([member(1), member(4), nobody], { type: 'PING', timeout: 3, delay: 3 })).toBe('reload')
    await become({ 'member-1': 'UP', 'member-3': 'DOWN', 'member-4': 'DOWN' })
  })
})

const tlsServer = `
const pem = require('fs').readFileSync('/etc/octavia/certs/server.pem')
require('https').createServer({ cert: pem, key: pem }, (_, response) => response.end()).listen(443, () => console.log('here'))
`
