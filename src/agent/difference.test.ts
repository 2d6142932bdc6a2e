/** The difference between two configurations, and that applying it makes the one the other. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { MemberInput } from '../amphora/haproxy/listener.ts'
import type { MonitorInput } from '../amphora/haproxy/monitor.ts'
import { memberSample } from '../amphora/haproxy/sample.ts'
import { type Configuration, parseConfiguration } from './configuration.ts'
import { difference, type Operation } from './difference.ts'
import { type Sample, sampleConfig, tcpMonitor } from './sample.ts'

const member = fc.record({
  admin_state_up: fc.boolean(),
  address: fc.constantFrom('10.0.0.1', '10.0.0.2', 'fd00::1'),
  protocol_port: fc.integer({ min: 1, max: 3 }),
  weight: fc.integer({ min: 0, max: 3 }),
  backup: fc.boolean(),
  monitor_address: fc.constantFrom(null, '10.0.0.8', 'fd00::9'),
  monitor_port: fc.constantFrom(null, 81, 82),
})
const members: fc.Arbitrary<MemberInput[]> = fc
  .dictionary(fc.constantFrom('m1', 'm2', 'm3', 'm4'), member)
  .map(all => Object.entries(all).map(([id, each]) => ({ id, ...each })))

const rendered = (
  members: MemberInput[],
  listener: Sample['listener'] = {},
  health_monitor: MonitorInput | null = null,
) => sampleConfig({ id: 'l1', members, listener, pool: { health_monitor } })
const monitored = (members: MemberInput[]) => parseConfiguration(rendered(members, {}, tcpMonitor))
const configuration = (all: MemberInput[], change = {}) => parseConfiguration(rendered(all, change))
const one = memberSample({ id: 'm1', address: '10.0.0.1' })

/** What haproxy has after the operations, as `backend/server` → its line. */
function applied(running: Configuration, operations: Operation[]): Map<string, string> {
  const model = modelOf(running)
  for (const operation of operations) {
    if (operation.kind === 'global_maxconn' || operation.kind === 'frontend_maxconn') continue
    if (operation.kind === 'add' || operation.kind === 'replace') {
      const key = `${operation.backend}/${operation.server.name}`
      expect(model.has(key)).toBe(operation.kind === 'replace')
      model.set(key, { ...operation.server })
      continue
    }
    const key = `${operation.backend}/${operation.name}`
    const server = model.get(key)
    expect(server).toBeDefined()
    if (operation.kind === 'check_place') {
      for (const [word, value] of [
        ['addr', operation.address],
        ['port', operation.port],
      ] as const) {
        if (value !== null) server!.rest[server!.rest.indexOf(word) + 1] = value
      }
    }
    if (operation.kind === 'remove') model.delete(key)
    if (operation.kind === 'weight') server!.weight = operation.weight
    if (operation.kind === 'state') server!.disabled = operation.disabled
    if (operation.kind === 'address') Object.assign(server!, { address: operation.address, port: operation.port })
  }
  return new Map([...model].map(([key, server]) => [key, JSON.stringify(server)]))
}

function modelOf(configuration: Configuration) {
  return new Map(
    configuration.sections.flatMap(({ name, servers }) =>
      servers.map(each => [`${name}/${each.name}`, { ...each, rest: [...each.rest] }]),
    ),
  )
}

const sorted = (map: Map<string, string>) => [...map].toSorted()
const asText = (each: Configuration) =>
  sorted(new Map([...modelOf(each)].map(([key, server]) => [key, JSON.stringify(server)])))

test('applied to what runs, it is what is wanted', () => {
  fc.assert(
    fc.property(members, members, fc.constantFrom(configuration, monitored), (before, after, parsed) => {
      const [running, wanted] = [parsed(before), parsed(after)]
      const found = difference(running, wanted)
      expect(found.kind).not.toBe('reload')
      expect(found.kind === 'none').toBe(asText(running).join() === asText(wanted).join())
      const operations = found.kind === 'runtime' ? found.operations : []
      expect(sorted(applied(running, operations))).toEqual(asText(wanted))
    }),
  )
})

test('there is none between a configuration and itself', () => {
  fc.assert(
    fc.property(members, each => {
      expect(difference(configuration(each), configuration(each.toReversed()))).toEqual({ kind: 'none' })
    }),
  )
})

describe('is a reload when', () => {
  test.each<[string, string, RegExp]>([
    ['the port changes', rendered([one], { protocol_port: 81 }), /"bind" of frontend l1/],
    ['a header comes', rendered([one], { insert_headers: { 'X-Forwarded-For': 'true' } }), /lines of backend pool-1/],
    ['a timeout changes', rendered([one], { timeout_client_data: 1 }), /"timeout" of frontend l1/],
    ['the listener is disabled', rendered([one], { admin_state_up: false }), /sections come or go/],
    ['the pool is another', sampleConfig({ id: 'l1', members: [one], pool: { id: 'pool-2' } }), /default_backend/],
    ['a name would be two words on the socket', rendered([one, { ...one, id: 'a;show info' }]), /socket/],
  ])('%s', (_, wanted, reason) => {
    const found = difference(configuration([one]), parseConfiguration(wanted))
    expect(found).toEqual({ kind: 'reload', reason: expect.stringMatching(reason) })
  })

  test('a server has a cookie of its own', () => {
    const text = (name: string) => parseConfiguration(`backend b\n  server ${name} 10.0.0.1:80 cookie ${name}\n`)
    expect(difference(text('a'), text('b'))).toEqual({ kind: 'reload', reason: expect.stringContaining('cookie') })
  })

  test('there are more changes than a reload takes time', () => {
    const many = Array.from({ length: 201 }, (_, i) => ({ ...one, id: `n${i}` }))
    expect(difference(configuration([]), configuration(many)).kind).toBe('reload')
    expect(difference(configuration([]), configuration(many.slice(1))).kind).toBe('runtime')
  })

  test('a server line is not understood', () => {
    const text = (weight: number) =>
      parseConfiguration(`backend b\n  server a 10.0.0.1:80 resolvers weight ${weight}\n`)
    expect(difference(text(1), text(2)).kind).toBe('reload')
  })
})

test('where health is asked for changes at run time, and nothing else with it', () => {
  const at = (monitor_address: string, monitor_port: number) => monitored([{ ...one, monitor_address, monitor_port }])
  expect(difference(at('10.0.0.8', 81), at('10.0.0.9', 81))).toEqual({
    kind: 'runtime',
    operations: [{ kind: 'check_place', backend: 'pool-1', name: 'm1', address: '10.0.0.9', port: null }],
  })
  expect(difference(at('10.0.0.8', 81), monitored([one]))).toMatchObject({ operations: [{ kind: 'replace' }] })
  expect(difference(configuration([one]), monitored([one])).kind).toBe('reload')
})

test('servers that a program checks come and go by a reload, and change their weights without', () => {
  const pinged = (all: MemberInput[]) => parseConfiguration(rendered(all, {}, { ...tcpMonitor, type: 'PING' }))
  expect(difference(pinged([one]), pinged([])).kind).toBe('reload')
  expect(difference(pinged([]), pinged([one])).kind).toBe('reload')
  expect(difference(pinged([one]), pinged([{ ...one, weight: 9 }])).kind).toBe('runtime')
})

test('limits on connections change at run time', () => {
  const text = (global: number, limit: number) => {
    return parseConfiguration(`${rendered([one], { connection_limit: limit })}\nglobal\n  maxconn ${global}\n`)
  }
  expect(difference(text(9, 10), text(8, 20))).toEqual({
    kind: 'runtime',
    operations: [
      { kind: 'global_maxconn', maxconn: 8 },
      { kind: 'frontend_maxconn', frontend: 'l1', maxconn: 20 },
    ],
  })
})
