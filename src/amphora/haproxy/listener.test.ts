/** The rendering of a listener: a golden file per branch, each of which haproxy accepts. UPDATE_GOLDEN=1 writes them. */
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { digestOf } from '../digest.ts'
import { words } from './language.ts'
import { type ListenerInput, type MemberInput, type PoolInput, renderListener } from './listener.ts'

const member = (n: number, change: Partial<MemberInput> = {}): MemberInput => ({
  id: `00000000-0000-4000-8000-00000000000${n}`,
  admin_state_up: true,
  address: `10.0.0.${10 + n}`,
  protocol_port: 80,
  weight: 1,
  backup: false,
  ...change,
})

const pool = (change: Partial<PoolInput> = {}): PoolInput => ({
  id: 'aaaaaaaa-0000-4000-8000-000000000001',
  admin_state_up: true,
  protocol: 'HTTP',
  lb_algorithm: 'ROUND_ROBIN',
  session_persistence: null,
  members: [member(1), member(2)],
  ...change,
})

const input = (
  listener: Partial<ListenerInput['listener']> = {},
  default_pool: PoolInput | null = pool(),
  load_balancer: Partial<ListenerInput['load_balancer']> = {},
): ListenerInput => ({
  base_path: '/var/lib/octavia',
  load_balancer: {
    id: '1bbbbbbb-0000-4000-8000-000000000001',
    vip_address: '10.0.0.10',
    admin_state_up: true,
    ...load_balancer,
  },
  listener: {
    id: '57865deb-b8b6-45bc-a2d2-d231c7e011ae',
    admin_state_up: true,
    protocol: 'HTTP',
    protocol_port: 80,
    connection_limit: -1,
    insert_headers: {},
    allowed_cidrs: null,
    timeout_client_data: 50_000,
    timeout_member_connect: 5_000,
    timeout_member_data: 50_000,
    timeout_tcp_inspect: 0,
    ...listener,
  },
  default_pool,
})

const cases: Record<string, ListenerInput> = {
  http: input(),
  https: input({ protocol: 'HTTPS', protocol_port: 443 }, pool({ protocol: 'HTTPS' })),
  tcp: input({ protocol: 'TCP', protocol_port: 22 }, pool({ protocol: 'TCP' })),
  'tcp-listener-http-pool': input({ protocol: 'TCP' }, pool({ protocol: 'HTTP' })),
  'proxy-pool': input({}, pool({ protocol: 'PROXY' })),
  'proxyv2-pool-on-tcp': input({ protocol: 'TCP' }, pool({ protocol: 'PROXYV2' })),
  'insert-headers': input({
    insert_headers: { 'X-Forwarded-For': 'True', 'X-Forwarded-Port': 'true', 'X-Forwarded-Proto': 'TRUE' },
  }),
  'insert-headers-false': input({ insert_headers: { 'X-Forwarded-For': 'false', 'X-Forwarded-Port': 'no' } }),
  'source-ip-persistence': input({}, pool({ session_persistence: { type: 'SOURCE_IP', cookie_name: null } })),
  'http-cookie-persistence': input({}, pool({ session_persistence: { type: 'HTTP_COOKIE', cookie_name: null } })),
  'app-cookie-persistence': input({}, pool({ session_persistence: { type: 'APP_COOKIE', cookie_name: 'JSESSIONID' } })),
  'hostile-cookie-name': input(
    {},
    pool({ session_persistence: { type: 'APP_COOKIE', cookie_name: 'a),\n  \'b" $c#' } }),
  ),
  'least-connections': input({}, pool({ lb_algorithm: 'LEAST_CONNECTIONS' })),
  'source-ip': input({}, pool({ lb_algorithm: 'SOURCE_IP' })),
  weights: input({}, pool({ members: [member(1, { weight: 0 }), member(2, { weight: 256 })] })),
  'backup-members': input({}, pool({ members: [member(1), member(2, { backup: true })] })),
  'disabled-members': input({}, pool({ members: [member(1), member(2, { admin_state_up: false })] })),
  'no-members': input({}, pool({ members: [] })),
  'no-pool': input({}, null),
  'disabled-pool': input({}, pool({ admin_state_up: false })),
  'disabled-listener': input({ admin_state_up: false }),
  'disabled-load-balancer': input({}, pool(), { admin_state_up: false }),
  'connection-limit': input({ connection_limit: 2_000 }),
  timeouts: input({
    timeout_client_data: 1,
    timeout_member_connect: 2,
    timeout_member_data: 3,
    timeout_tcp_inspect: 4,
  }),
  'timeouts-unset': input({
    timeout_client_data: null,
    timeout_member_connect: null,
    timeout_member_data: null,
    timeout_tcp_inspect: null,
  }),
  'allowed-cidrs': input({ allowed_cidrs: ['10.0.0.0/8', '192.0.2.7/32', '2001:db8::/32'] }),
  ipv6: input({}, pool({ members: [member(1, { address: 'fd36:53a8:d962::11' }), member(2)] }), {
    vip_address: 'fd36:53a8:d962::10',
  }),
}

const golden = path.join(import.meta.dirname, 'golden')

describe('golden', () => {
  test.each(Object.entries(cases))('%s', (name, each) => {
    const file = path.join(golden, `${name}.cfg`)
    const text = renderListener(each)
    if (process.env.UPDATE_GOLDEN) fs.writeFileSync(file, text)
    expect(text).toBe(fs.readFileSync(file, 'utf8'))
    const { status, stderr } = spawnSync('haproxy', ['-c', '-f', file], { encoding: 'utf8' })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  })

  test('every file has its case', () => {
    expect(fs.readdirSync(golden).toSorted()).toEqual(
      Object.keys(cases)
        .map(name => `${name}.cfg`)
        .toSorted(),
    )
  })
})

test('no string that reaches the renderer changes the text beyond its own word', () => {
  const shape = (each: ListenerInput) =>
    renderListener(each)
      .split('\n')
      .map(line => words(line).length)
  const hostile = fc.oneof(
    fc.string({ unit: 'binary', minLength: 1 }),
    fc.string({ unit: fc.constantFrom(...' \n"\'\\#'), minLength: 1 }),
  )
  const made = (text: string) =>
    input(
      { id: text, protocol: text, allowed_cidrs: [text], insert_headers: { [text]: text } },
      pool({
        id: text,
        members: [member(1, { id: text, address: text })],
        session_persistence: { type: 'APP_COOKIE', cookie_name: text },
      }),
      { vip_address: text },
    )
  fc.assert(
    fc.property(hostile, text => {
      expect(shape(made(text))).toEqual(shape(made('a')))
    }),
  )
})

test('the order of members changes neither text nor digest', () => {
  const turned = input({}, pool({ members: [member(2), member(1)] }))
  expect(renderListener(turned)).toBe(renderListener(input()))
  expect(digestOf(turned)).toBe(digestOf(input()))
})

test('the digest depends on every input and on the rendering version, and on nothing else', () => {
  const digests = new Set(Object.values(cases).map(each => digestOf(each)))
  expect(digests.size).toBe(Object.keys(cases).length)
  expect(digestOf(input(), 7)).not.toBe(digestOf(input(), 8))
  const { base_path, ...rest } = input()
  expect(digestOf({ ...rest, base_path })).toBe(digestOf(input()))
})
