/** UDP listeners as virtual servers: a golden file per behaviour, each checked by keepalived. UPDATE_GOLDEN=1 writes them. */
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ListenerInput } from '../haproxy/listener.ts'
import type { MonitorInput } from '../haproxy/monitor.ts'
import type { DatagramListener } from '../nftables/datagram-listener.ts'
import { input, listenerOf, member, monitor, pool, sourceIp } from '../nftables/sample.ts'
import { renderVirtualServers, shortOfVirtualServers } from './virtual-servers.ts'

const surroundings = { namespace: 'amphora-haproxy', check_script: '/var/lib/octavia/lvs/check/udp_check.sh' }
const six = { vip_address: 'fd00::10' }
const member6 = member(3, { address: 'fd00::11' })
const asked = (change: Partial<MonitorInput>) => input({}, pool([member(1)], { health_monitor: monitor(change) }))
const http = { type: 'HTTP', http_method: 'GET', url_path: '/health', expected_codes: '200' } as const

const cases: Record<string, ListenerInput> = {
  'round-robin': input(),
  'least-connections': input({}, pool([member(1), member(2)], { lb_algorithm: 'LEAST_CONNECTIONS' })),
  'source-ip': input({}, pool([member(1), member(2)], { lb_algorithm: 'SOURCE_IP' })),
  weights: input({}, pool([member(1, { weight: 3 }), member(2, { weight: 0 })])),
  'connection-limit': input({ connection_limit: 2_000 }),
  'disabled-member': input({}, pool([member(1), member(2, { admin_state_up: false })])),
  'disabled-listener': input({ admin_state_up: false }),
  'disabled-load-balancer': input({}, pool(), { admin_state_up: false }),
  'disabled-pool': input({}, pool([member(1)], { admin_state_up: false })),
  'no-pool': input({}, null),
  'no-members': input({}, pool([])),
  'only-disabled-members': input({}, pool([member(1, { admin_state_up: false })])),
  ipv6: input({}, pool([member6]), six),
  'two-vips-of-one-family': input({}, pool(), { additional_vips: ['10.0.1.10'] }),
  'both-families': input({}, pool([member(1), member6]), { additional_vips: ['fd00::10'] }),
  'members-of-the-other-family': input({}, pool([member6])),
  persistence: input({}, pool([member(1)], { session_persistence: sourceIp() })),
  'persistence-by-network': input({}, pool([member(1)], { session_persistence: sourceIp(60, '255.255.255.0') })),
  'persistence-ipv6': input({}, pool([member6], { session_persistence: sourceIp(60, 'ffff:ffff::') }), six),
  'persistence-of-both-families': input({}, pool([member(1), member6], { session_persistence: sourceIp(60) }), {
    additional_vips: ['fd00::10'],
  }),
  'udp-connect': asked({}),
  'udp-connect-elsewhere': input(
    {},
    pool([member(1, { monitor_address: '10.9.0.1', monitor_port: 99 })], { health_monitor: monitor() }),
  ),
  'udp-connect-ipv6': input({}, pool([member6], { health_monitor: monitor() }), six),
  'disabled-monitor': asked({ admin_state_up: false }),
  tcp: asked({ type: 'TCP', delay: 7, timeout: 4, max_retries_down: 2 }),
  http: asked(http),
  'http-several-codes': asked({ ...http, expected_codes: '200, 202' }),
  'http-range-of-codes': asked({ ...http, expected_codes: '200-204' }),
  'http-of-a-host': asked({ ...http, http_version: 1.1, domain_name: 'www.example.com' }),
  'http-odd-path': asked({ ...http, url_path: "/a$_PWD/~SEQ(x,1,3)'!*?q={%20}&r=#" }),
  'http-other-method': asked({ ...http, http_method: 'HEAD' }),
}

const golden = path.join(import.meta.dirname, 'golden-virtual-servers')

describe('golden', () => {
  test.each(Object.entries(cases))('%s', (name, of) => {
    const file = path.join(golden, `${name}.conf`)
    const text = renderVirtualServers(listenerOf(of), surroundings)
    if (process.env.UPDATE_GOLDEN) fs.writeFileSync(file, text)
    expect(text).toBe(fs.readFileSync(file, 'utf8'))
  })

  test('every file has its case', () => {
    const names = Object.keys(cases).map(name => `${name}.conf`)
    expect(fs.readdirSync(golden).toSorted()).toEqual(names.toSorted())
  })
})

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'virtual-servers-'))
const check_script = path.join(folder, 'udp_check.sh')
beforeAll(() => fs.writeFileSync(check_script, '#!/bin/sh\n', { mode: 0o755 }))
afterAll(() => fs.rmSync(folder, { recursive: true }))

/** What the genuine program thinks of it. Without the namespace that the text names it reads nothing, and accepts it. */
function checked(text: string): { status: number | null; said: string } {
  const file = path.join(folder, 'keepalived.conf')
  fs.writeFileSync(file, text)
  const script = 'mount -t tmpfs run /run && ip netns add amphora-haproxy && exec keepalived -t -C -f "$0"'
  const argv = ['--user', '--map-root-user', '--net', '--mount', 'sh', '-c', script, file]
  const { status, stdout, stderr } = spawnSync('unshare', argv, { encoding: 'utf8' })
  return { status, said: stdout + stderr }
}

describe('keepalived', () => {
  test.each(Object.entries(cases))('accepts %s', (_, of) => {
    expect(checked(renderVirtualServers(listenerOf(of), { ...surroundings, check_script }))).toEqual({
      status: 0,
      said: '',
    })
  })

  test('is heard when it does not', () => {
    const text = renderVirtualServers(listenerOf(input()), surroundings).replace('lb_kind NAT', 'lb_kind nonsense')
    expect(checked(text).status).not.toBe(0)
  })

  test('reads what a tenant has chosen as one word', () => {
    const paths = fc.string({ unit: fc.constantFrom(...'$!\'()*+,;=:@~#{}"\\ \tSEQinclude_PWD%20'), maxLength: 40 })
    fc.assert(
      fc.property(paths, text => {
        const pool6 = pool([member(1)], { health_monitor: monitor({ ...http, url_path: '/' }) })
        const listener = listenerOf(input({}, pool6))
        listener.default_pool!.health_monitor!.url_path = `/${text}`
        expect(checked(renderVirtualServers(listener, surroundings))).toEqual({ status: 0, said: '' })
      }),
      { numRuns: 40 },
    )
  })
})

/** Lines with the number of their words. */
const shape = (text: string) => text.split('\n').map(line => line.trim().split(/\s+/).length)

test('whatever a string is, it stays in its word or is refused', () => {
  const hostile = fc.oneof(
    fc.string({ unit: 'binary', minLength: 1 }),
    fc.string({ unit: fc.constantFrom(...'0.:/ \n{}#!"%$~\\'), minLength: 1 }),
  )
  const of = { ...http, http_version: 1.1, domain_name: 'www.example.com' } as const
  const fresh = () =>
    listenerOf(input({}, pool([member(1)], { health_monitor: monitor(of), session_persistence: sourceIp(9) })))
  const places: ((listener: DatagramListener, text: string) => void)[] = [
    (listener, text) => Object.assign(listener, { id: text }),
    (listener, text) => Object.assign(listener, { vip_address: text }),
    (listener, text) => Object.assign(listener, { additional_vips: [text] }),
    (listener, text) => Object.assign(listener.default_pool!, { id: text }),
    (listener, text) => Object.assign(listener.default_pool!, { lb_algorithm: text }),
    (listener, text) => Object.assign(listener.default_pool!.session_persistence!, { persistence_granularity: text }),
    (listener, text) => Object.assign(listener.default_pool!.members[0]!, { id: text }),
    (listener, text) => Object.assign(listener.default_pool!.members[0]!, { address: text }),
    (listener, text) => Object.assign(listener.default_pool!.members[0]!, { monitor_address: text }),
    (listener, text) => Object.assign(listener.default_pool!.health_monitor!, { type: text }),
    (listener, text) => Object.assign(listener.default_pool!.health_monitor!, { url_path: text }),
    (listener, text) => Object.assign(listener.default_pool!.health_monitor!, { http_method: text }),
    (listener, text) => Object.assign(listener.default_pool!.health_monitor!, { domain_name: text }),
    (listener, text) => Object.assign(listener.default_pool!.health_monitor!, { expected_codes: text }),
  ]
  const known = new Set(shape(renderVirtualServers(fresh(), surroundings)))
  fc.assert(
    fc.property(fc.constantFrom(...places), hostile, (place, text) => {
      const listener = fresh()
      place(listener, text)
      try {
        const rendered = renderVirtualServers(listener, surroundings)
        for (const words of shape(rendered)) expect(known).toContain(words)
        expect(rendered).toMatch(/^[\x20-\x7e\n]*$/)
        expect(rendered.match(/\{/g)?.length).toBe(rendered.match(/\}/g)?.length)
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError)
      }
    }),
    { numRuns: 2_000 },
  )
})

describe('what keepalived cannot do is told', () => {
  test.each([
    ['nothing', input(), []],
    ['other family', cases['members-of-the-other-family']!, [/another IP version than the VIPs get nothing: fd00::11/]],
    ['nothing where it has a VIP', cases['both-families']!, []],
    ['backups', input({}, pool([member(1, { backup: true })])), [/knows no backup members/]],
    ['a method', cases['http-other-method']!, [/does not ask by HEAD/]],
  ])('%s', (_, of, words) => {
    expect(shortOfVirtualServers(listenerOf(of))).toEqual(words.map(each => expect.stringMatching(each)))
  })
})
