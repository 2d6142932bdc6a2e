/** Health monitors: their rules, and what they make of members. */
import { describe, expect, test } from 'vitest'
import { change, type Request } from './change.ts'
import { Rejected } from './errors.ts'
import { assertInvariants } from './invariants.ts'
import { settle } from './provisioning.ts'
import { applied, creates, sampleId, sampleTerms, sampleTree } from './sample.ts'
import type { Tree } from './tree.ts'

const [lb, listener, pool, member] = [1, 2, 3, 4].map(sampleId) as [string, string, string, string]
const monitor = sampleId(6)
const settled = (tree: Tree) => settle(tree, { generation: tree.load_balancer.generation, failed: new Map() })!
const monitored = () => settled(applied([creates.monitor(pool)], settled(sampleTree()), 6))

function accept(tree: Tree, request: Request, n = 10): Tree {
  const made = change(tree, request, sampleTerms(n))
  assertInvariants(made)
  return made
}

/** What the tenant of the Octavia dialect is told. */
function refusal(tree: Tree, request: Request, terms = sampleTerms(10)): string {
  try {
    assertInvariants(change(tree, request, terms))
  } catch (error) {
    if (error instanceof Rejected) return error.octavia().faultstring
    throw error
  }
  return 'accepted'
}

describe('a monitor', () => {
  test('makes its pool, the listeners that use it, and the load balancer pending; members are left alone', () => {
    const tree = accept(settled(sampleTree()), creates.monitor(pool), 6)
    expect(tree.health_monitors).toMatchObject([
      { id: monitor, provisioning_status: 'PENDING_CREATE', operating_status: 'OFFLINE', generation: 6 },
    ])
    for (const one of [tree.load_balancer, tree.listeners[0], tree.pools[0]])
      expect(one).toMatchObject({ provisioning_status: 'PENDING_UPDATE', generation: 6 })
    expect(tree.members[0]).toMatchObject({ provisioning_status: 'ACTIVE', generation: 4 })
    expect(settled(tree).health_monitors[0]).toMatchObject({
      provisioning_status: 'ACTIVE',
      operating_status: 'ONLINE',
    })
  })

  test('that speaks HTTP asks for GET / and 200 where it is not told; another does not', () => {
    const asked = (type: string) => applied([creates.monitor(pool, { type })], sampleTree(), 6).health_monitors[0]
    expect(asked('HTTPS')).toMatchObject({ http_method: 'GET', url_path: '/', expected_codes: '200' })
    expect(asked('TCP')).toMatchObject({ http_method: null, url_path: null, expected_codes: null })
    const reset: Request = { verb: 'update', resource: 'health_monitor', id: monitor, fields: { url_path: null } }
    const tree = applied([creates.monitor(pool, { url_path: '/up?x=1' })], sampleTree(), 6)
    expect(tree.health_monitors[0]!.url_path).toBe('/up?x=1')
    expect(accept(tree, reset).health_monitors[0]!.url_path).toBe('/')
  })

  test('is the only one of its pool, until it goes', () => {
    const tree = monitored()
    expect(refusal(tree, creates.monitor(pool))).toBe('This pool already has a health monitor')
    const gone = accept(tree, { verb: 'delete', resource: 'health_monitor', id: monitor }, 7)
    expect(gone.pools[0]).toMatchObject({ provisioning_status: 'PENDING_UPDATE', generation: 7 })
    expect(refusal(gone, { verb: 'delete', resource: 'health_monitor', id: monitor })).toBe(
      `Health Monitor ${monitor} is immutable and cannot be updated.`,
    )
    const again = accept(gone, creates.monitor(pool, { type: 'TCP' }), 8)
    expect(settled(again).health_monitors.map(one => one.id)).toEqual([sampleId(8)])
  })

  test('goes with its pool, and with its load balancer', () => {
    const status = 'PENDING_DELETE'
    for (const request of [
      { verb: 'delete', resource: 'pool', id: pool },
      { verb: 'delete', resource: 'load_balancer', id: lb, cascade: true },
    ] as const)
      expect(accept(monitored(), request).health_monitors).toMatchObject([{ id: monitor, provisioning_status: status }])
    const gone = accept(monitored(), { verb: 'delete', resource: 'pool', id: pool })
    expect(settled(gone).health_monitors).toEqual([])
    expect(refusal(gone, creates.monitor(pool))).toBe(`Pool ${pool} is immutable and cannot be updated.`)
    expect(refusal(monitored(), creates.monitor(listener))).toBe(`Pool ${listener} not found.`)
  })

  test.each([
    [{ timeout: 9 }, 'accepted'],
    [{ type: 'TLS-HELLO' }, 'accepted'],
    [{ type: 'TCP', url_path: '/x' }, 'url_path is not a valid option for health monitors of type TCP'],
    [{ type: 'PING', http_method: 'GET' }, 'http_method is not a valid option for health monitors of type PING'],
    [
      { type: 'HTTP', expected_codes: '299-200' },
      'Validation failure: A range of codes must begin with the lower one.',
    ],
    [{ type: 'TCP', expected_codes: '200' }, 'expected_codes is not a valid option for health monitors of type TCP'],
    [{ domain_name: 'a.example', http_version: 1.1 }, 'accepted'],
    [
      { domain_name: 'a.example' },
      "Validation failure: 'http_version' must be specified when 'domain_name' is provided.",
    ],
    [
      { domain_name: 'a.example', http_version: 1.0 },
      'http_version 1.0 is not a valid option for health monitors HTTP 1.1 domain name health check',
    ],
    [{ type: 'UDP-CONNECT' }, 'Validation failure: The UDP-CONNECT type is only supported for pools of type UDP/SCTP.'],
  ])('%j: %s', (body, expected) => {
    expect(refusal(sampleTree(), creates.monitor(pool, body))).toBe(expected)
  })

  test.each([
    [{ type: 'UDP-CONNECT' }, 'accepted'],
    [{ type: 'HTTP' }, 'accepted'],
    [
      { type: 'UDP-CONNECT', delay: 2 },
      'Validation failure: The request delay value 2 should be larger than 3 for UDP-CONNECT health monitor type.',
    ],
    [
      { type: 'PING' },
      'Validation failure: The associated pool protocol is UDP, so only a UDP-CONNECT/SCTP/TCP/HTTP health monitor is supported.',
    ],
  ])('of a UDP pool, %j: %s', (body, expected) => {
    const tree = applied([creates.pool({ protocol: 'UDP' })], sampleTree(), 6)
    expect(refusal(tree, creates.monitor(sampleId(6), body))).toBe(expected)
  })

  test('by PING is the operator’s to allow; one that is there can be changed', () => {
    const terms = sampleTerms(10, { ping_allowed: false })
    expect(refusal(sampleTree(), creates.monitor(pool, { type: 'PING' }), terms)).toBe(
      'The selected type is not allowed in this deployment: PING',
    )
    const tree = applied([creates.monitor(pool, { type: 'PING' })], sampleTree(), 6)
    const fields = { delay: 9 }
    expect(refusal(tree, { verb: 'update', resource: 'health_monitor', id: monitor, fields }, terms)).toBe('accepted')
  })
})

describe('members', () => {
  const statusAfter = (tree: Tree) => settled(tree).members.map(one => one.operating_status)

  test('of a monitored pool are OFFLINE until they were heard of, and keep what was heard', () => {
    const tree = accept(monitored(), creates.member(pool, { address: '10.0.0.23' }))
    expect(tree.members.at(-1)!.operating_status).toBe('OFFLINE')
    tree.members[0]!.operating_status = 'ERROR'
    expect(statusAfter(tree)).toEqual(['ERROR', 'NO_MONITOR', 'OFFLINE'])
  })

  test('forget what a monitor said when it goes, or is switched off; they drain on', () => {
    const tree = monitored()
    tree.members[0]!.operating_status = 'ERROR'
    tree.members[1]!.operating_status = 'DRAINING'
    const expected = ['NO_MONITOR', 'DRAINING']
    expect(statusAfter(accept(tree, { verb: 'delete', resource: 'health_monitor', id: monitor }))).toEqual(expected)
    const fields = { admin_state_up: false }
    const off = accept(tree, { verb: 'update', resource: 'health_monitor', id: monitor, fields })
    expect(statusAfter(off)).toEqual(expected)
    expect(settled(off).health_monitors[0]!.operating_status).toBe('OFFLINE')
    const down: Request = { verb: 'update', resource: 'member', parent_id: pool, id: member, fields }
    expect(statusAfter(accept(tree, down))).toEqual(['OFFLINE', 'DRAINING'])
  })
})
