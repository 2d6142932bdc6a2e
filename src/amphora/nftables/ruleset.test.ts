/** The rules of a UDP listener: a golden file per behaviour, each of which nft accepts. UPDATE_GOLDEN=1 writes them. */
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ListenerInput, MemberInput, PoolInput } from '../haproxy/listener.ts'
import { datagramText, readDatagramListener } from './datagram-listener.ts'
import { rulesetOf } from './ruleset.ts'
import { input, listenerOf, member, pool, sourceIp } from './sample.ts'
import { ground, removal, scriptsOf } from './script.ts'

const six = { vip_address: 'fd00::10' }
const both = { additional_vips: ['fd00::10'] }
const six_of = (n: number) => member(n, { address: `fd00::${10 + n}` })
const cases: Record<string, { of: ListenerInput; down?: string[] }> = {
  'round-robin': { of: input() },
  weights: { of: input({}, pool([member(1, { weight: 3 }), member(2), member(3, { weight: 2 })])) },
  'weights-too-odd-for-turns': {
    of: input({}, pool([...Array(10)].map((_, n) => member(n, { weight: 247 + (n % 10) })))),
  },
  draining: { of: input({}, pool([member(1), member(2, { weight: 0 })])) },
  'disabled-member': { of: input({}, pool([member(1), member(2, { admin_state_up: false })])) },
  'member-down': { of: input({}, pool([member(1), member(2)])), down: [member(2).id] },
  'all-down': { of: input(), down: [member(1).id, member(2).id] },
  'backup-waits': { of: input({}, pool([member(1), member(2, { backup: true })])) },
  'backup-serves': { of: input({}, pool([member(1), member(2, { backup: true })])), down: [member(1).id] },
  'source-ip': { of: input({}, pool([member(1), member(2)], { lb_algorithm: 'SOURCE_IP' })) },
  'least-connections': { of: input({}, pool([member(1)], { lb_algorithm: 'LEAST_CONNECTIONS' })) },
  persistence: { of: input({}, pool([member(1), member(2)], { session_persistence: sourceIp() })) },
  'persistence-by-network': {
    of: input({}, pool([member(1)], { session_persistence: sourceIp(60, '255.255.255.0') })),
  },
  'persistence-without-members': { of: input({}, pool([], { session_persistence: sourceIp() })) },
  'persistence-ipv6': {
    of: input(
      {},
      pool([member(1, { address: 'fd00::11' })], { session_persistence: sourceIp(60, 'ffff:ffff::') }),
      six,
    ),
  },
  'allowed-cidrs': { of: input({ allowed_cidrs: ['10.0.0.0/8', '192.0.2.7/32', '10.1.0.0/16'] }) },
  'allowed-cidrs-of-the-other-family': { of: input({ allowed_cidrs: ['2001:db8::/32'] }) },
  'connection-limit': { of: input({ connection_limit: 2_000 }) },
  ipv6: { of: input({ allowed_cidrs: ['fd00::/8'] }, pool([member(1, { address: 'fd00::11' }), member(2)]), six) },
  'two-vips-of-one-family': { of: input({}, pool(), { additional_vips: ['10.0.1.10'] }) },
  'both-families': { of: input({}, pool([member(1, { weight: 3 }), member(2), six_of(3), six_of(4)]), both) },
  'both-families-the-first-vip-ipv6': {
    of: input({}, pool([member(1), six_of(2)]), { ...six, additional_vips: ['10.0.0.10', 'fd00:1::10'] }),
  },
  'both-families-source-ip': {
    of: input({}, pool([member(1), six_of(2), six_of(3)], { lb_algorithm: 'SOURCE_IP' }), both),
  },
  'both-families-persistence': {
    of: input({}, pool([member(1), six_of(2)], { session_persistence: sourceIp(60, '255.255.255.0') }), both),
  },
  'both-families-kept-out': {
    of: input(
      { connection_limit: 2_000, allowed_cidrs: ['10.0.0.0/8', 'fd00::/8'] },
      pool([member(1), six_of(2)]),
      both,
    ),
  },
  'both-families-one-kept-out': { of: input({ allowed_cidrs: ['10.0.0.0/8'] }, pool([member(1), six_of(2)]), both) },
  'both-families-one-down': { of: input({}, pool([member(1), six_of(2)]), both), down: [member(2).id] },
  'both-families-backups': {
    of: input({}, pool([member(1), member(2, { backup: true }), { ...six_of(3), backup: true }]), both),
  },
  'both-families-no-pool': { of: input({}, null, both) },
  'no-pool': { of: input({}, null) },
  'disabled-pool': { of: input({}, pool([member(1)], { admin_state_up: false })) },
}

const golden = path.join(import.meta.dirname, 'golden')
const textOf = (of: ListenerInput, down: string[] = []) =>
  scriptsOf(rulesetOf(listenerOf(of), new Set(down)), null, '0').join('')

describe('golden', () => {
  test.each(Object.entries(cases))('%s', (name, { of, down }) => {
    const file = path.join(golden, `${name}.nft`)
    const text = textOf(of, down)
    if (process.env.UPDATE_GOLDEN) fs.writeFileSync(file, text)
    expect(text).toBe(fs.readFileSync(file, 'utf8'))
    expect(checked(text)).toEqual({ status: 0, stderr: '' })
  })

  test('every file has its case', () => {
    const names = Object.keys(cases).map(name => `${name}.nft`)
    expect(fs.readdirSync(golden).toSorted()).toEqual(names.toSorted())
  })

  test('what every machine needs, and removals, are accepted too', () => {
    expect(checked(ground + ground + removal({ family: 'ip', table: 'udp_x' }))).toEqual({ status: 0, stderr: '' })
  })
})

const ids = fc.integer({ min: 0, max: 99 })
const weights = fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 256 }))
const members = fc.array(
  fc.record({ n: ids, weight: weights, admin_state_up: fc.boolean(), backup: fc.boolean(), six: fc.boolean() }),
  { maxLength: 12 },
)
const anyInput = fc
  .record({
    members,
    vips: fc.constantFrom(
      {},
      six,
      both,
      { additional_vips: ['10.0.1.10'] },
      { ...six, additional_vips: ['10.0.0.10'] },
    ),
    protocol_port: fc.integer({ min: 1, max: 65_535 }),
    connection_limit: fc.constantFrom(-1, 0, 1, 100_000, 2 ** 31),
    cidrs: fc.uniqueArray(
      fc.constantFrom('10.0.0.0/8', '10.1.0.0/16', '0.0.0.0/0', 'fd00::/8', '::/0', '192.0.2.1/32'),
    ),
    lb_algorithm: fc.constantFrom('ROUND_ROBIN', 'LEAST_CONNECTIONS', 'SOURCE_IP'),
    persistence: fc.option(fc.tuple(fc.option(fc.nat(100_000)), fc.constantFrom(null, '255.255.0.0', 'ffff::'))),
    enabled: fc.boolean(),
  })
  .map(({ members, vips, cidrs, persistence, enabled, lb_algorithm, ...listener }): ListenerInput => {
    const unique = new Map(members.map(each => [each.n, each]))
    const made = [...unique.values()].map(({ n, six, ...change }): MemberInput => {
      return member(n, { ...change, ...(six ? { address: `fd00::${n}:1` } : {}) })
    })
    const session_persistence = persistence === null ? null : sourceIp(...persistence)
    const default_pool = pool(made, { lb_algorithm, session_persistence, admin_state_up: enabled })
    return input({ ...listener, allowed_cidrs: cidrs }, default_pool, vips)
  })

test('whatever the objects are, nft accepts the rules, and every change from one to another', () => {
  fc.assert(
    fc.property(anyInput, anyInput, ids, (before, after, down) => {
      const [first, second] = [before, after].map(each => rulesetOf(listenerOf(each), new Set([member(down).id])))
      const text = [...scriptsOf(first!, null, '0'), ...scriptsOf(second!, first!, '0')].join('')
      expect(checked(text)).toEqual({ status: 0, stderr: '' })
    }),
    { numRuns: 60 },
  )
})

test('a change ends where a fresh start would have', () => {
  fc.assert(
    fc.property(anyInput, anyInput, (before, after) => {
      const [first, second] = [before, after].map(each => rulesetOf(listenerOf(each), new Set()))
      const changed = [...scriptsOf(first!, null, '0'), ...scriptsOf(second!, first!, '0')].join('')
      expect(listed(changed)).toEqual(listed(scriptsOf(second!, null, '0').join('')))
    }),
    { numRuns: 30 },
  )
})

test('VIPs come and go by a difference while their families stay the same', () => {
  const scripts = (before: ListenerInput, after: ListenerInput) => {
    const [first, second] = [before, after].map(each => rulesetOf(listenerOf(each), new Set()))
    return scriptsOf(second!, first!, '0').join('')
  }
  const at = (...additional_vips: string[]) => input({}, pool([member(1), six_of(2)]), { additional_vips })
  expect(scripts(at(), at('10.0.1.10'))).not.toMatch(/ table | counter .* received| map /)
  expect(scripts(at('fd00::10'), at('fd00::20', 'fd00::30'))).not.toMatch(/ table | counter .* received| map /)
  const table = 'udp_57865deb_b8b6_45bc_a2d2_d231c7e011ae'
  expect(scripts(at(), at('fd00::10'))).toContain(`delete table ip ${table}\n`)
  expect(scripts(at('fd00::10'), at())).toContain(`delete table inet ${table}\n`)
})

test('no string of a tenant reaches the rules: it is refused, or it is not there', () => {
  const hostile = fc.string({ unit: fc.constantFrom(...' \n"\'\\#;{}$@'), minLength: 3 })
  fc.assert(
    fc.property(hostile, text => {
      const places: ListenerInput[] = [
        input({ id: text }),
        input({ allowed_cidrs: [text] }),
        input({ allowed_cidrs: [`10.0.0.0/${text}`] }),
        input({ protocol: text as 'UDP', insert_headers: { [text]: text } }),
        input({}, pool([member(1, { id: text })])),
        input({}, pool([member(1, { address: text })])),
        input({}, pool([member(1)], { id: text })),
        input({}, pool([member(1)], { session_persistence: sourceIp(1, text) })),
        input(
          {},
          pool([member(1)], { session_persistence: { ...sourceIp()!, type: text as 'SOURCE_IP', cookie_name: text } }),
        ),
        input({}, pool(), { vip_address: text }),
      ]
      for (const each of places) {
        let said: string
        try {
          said = textOf(each)
        } catch (error) {
          expect(error).toBeInstanceOf(RangeError)
          continue
        }
        expect(said).not.toContain(text)
      }
    }),
    { numRuns: 50 },
  )
})

test('the rendering itself lets nothing pass either, whoever read the document', () => {
  const good = listenerOf(
    input({ allowed_cidrs: ['10.0.0.0/8'] }, pool([member(1)], { session_persistence: sourceIp() })),
  )
  const evil = '10.0.0.1; flush ruleset'
  const withPool = (change: object) => ({ ...good, default_pool: { ...good.default_pool!, ...change } })
  const bad = [
    { ...good, id: evil },
    { ...good, vip_address: evil },
    { ...good, additional_vips: [evil] },
    { ...good, allowed_cidrs: [evil] },
    { ...good, protocol_port: evil as unknown as number },
    withPool({ members: [{ ...good.default_pool!.members[0]!, address: evil }] }),
    withPool({ members: [{ ...good.default_pool!.members[0]!, protocol_port: evil as unknown as number }] }),
  ]
  for (const each of bad) expect(() => rulesetOf(each, new Set())).toThrow(RangeError)
})

describe('the document', () => {
  test('is read as it was written, and is the same whatever the order of members', () => {
    fc.assert(
      fc.property(anyInput, each => {
        const text = datagramText(each)
        expect(`${JSON.stringify(readDatagramListener(text), null, 2)}\n`).toBe(text)
        const { default_pool } = each
        const turned: PoolInput = { ...default_pool!, members: default_pool!.members.toReversed() }
        expect(datagramText({ ...each, default_pool: turned })).toBe(text)
      }),
    )
  })

  test('is nothing but itself', () => {
    const text = datagramText(input())
    const changed = (change: object) => JSON.stringify({ ...JSON.parse(text), ...change })
    expect(() => readDatagramListener('{')).toThrow('not JSON')
    expect(() => readDatagramListener('virtual_server 10.0.0.1 53 {')).toThrow('not JSON')
    expect(() => readDatagramListener(changed({ form: 2 }))).toThrow('form is not 1')
    expect(() => readDatagramListener(changed({ protocol: 'SCTP' }))).toThrow('protocol is not UDP')
    expect(() => readDatagramListener(changed({ protocol_port: 0 }))).toThrow('protocol_port')
    expect(() => readDatagramListener(changed({ allowed_cidrs: ['10.0.0.0/33'] }))).toThrow('allowed_cidrs')
  })
})

function checked(text: string): { status: number | null; stderr: string } {
  const argv = ['--user', '--map-root-user', '--net', 'nft', '-c', '-f', '-']
  const { status, stderr } = spawnSync('unshare', argv, { input: text, encoding: 'utf8' })
  return { status, stderr }
}

/** What nft says of the tables, its blocks sorted: the order of chains says nothing. */
function listed(text: string): string[] {
  const argv = ['--user', '--map-root-user', '--net', 'sh', '-c', 'nft -f - && nft list ruleset']
  const { status, stdout, stderr } = spawnSync('unshare', argv, { input: text, encoding: 'utf8' })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  return stdout
    .split('\n\n')
    .map(block => block.replaceAll(/^table.*\n|^}\n?/gm, '').trim())
    .toSorted()
}
