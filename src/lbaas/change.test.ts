/** Changes: what each makes of the tree, and what it refuses. */
import { describe, expect, test } from 'vitest'
import { change, type Request } from './change.ts'
import { Rejected } from './errors.ts'
import { assertInvariants } from './invariants.ts'
import { isSettled, settle } from './provisioning.ts'
import { applied, creates, sample_subnet, sample_vip, sampleId, sampleTerms, sampleTree } from './sample.ts'
import { childrenOf, listenersUsing, memberNetworks, type Tree } from './tree.ts'

const [lb, listener, pool, member, member2] = [1, 2, 3, 4, 5].map(sampleId) as [string, string, string, string, string]
const settled = (tree: Tree) => settle(tree, { generation: tree.load_balancer.generation, failed: new Map() })!
const active = () => settled(sampleTree())
const statuses = (tree: Tree) =>
  Object.fromEntries(
    [tree.load_balancer, ...childrenOf(tree)].map(one => [
      Number(one.id.slice(-4)),
      `${one.provisioning_status} ${one.generation}`,
    ]),
  )

/** The code of the refusal. */
function refusal(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    if (error instanceof Rejected) return error.code
    throw error
  }
  return 'accepted'
}
const accept = (tree: Tree, request: Request, n = 10) => {
  const made = change(tree, request, sampleTerms(n))
  assertInvariants(made)
  return made
}

describe('creates', () => {
  test('the five commands make one tree, each object stamped with its generation', () => {
    const tree = sampleTree()
    assertInvariants(tree)
    expect(statuses(tree)).toEqual({
      1: 'PENDING_CREATE 5',
      2: 'PENDING_CREATE 5',
      3: 'PENDING_CREATE 5',
      4: 'PENDING_CREATE 4',
      5: 'PENDING_CREATE 5',
    })
    expect(tree.listeners[0]).toMatchObject({ default_pool_id: pool, peer_port: 1025, connection_limit: -1 })
    expect(tree.load_balancer).toMatchObject({ vip_address: sample_vip.address, vip_port_owned: true })
    expect(listenersUsing(tree, pool)).toEqual(tree.listeners)
  })

  test('a change leaves the tree that it was given as it was', () => {
    const tree = sampleTree()
    const copy = structuredClone(tree)
    accept(tree, { verb: 'delete', resource: 'pool', id: pool })
    accept(tree, creates.member(pool, { address: '10.0.0.23' }))
    expect(tree).toEqual(copy)
  })

  test('a member makes its pool, the listeners that use it, and the load balancer pending', () => {
    const tree = applied([creates.listener({ protocol_port: 81 })], active(), 6)
    const made = accept(settled(tree), creates.member(pool, { address: '10.0.0.23' }))
    expect(statuses(made)).toEqual({
      1: 'PENDING_UPDATE 7',
      2: 'PENDING_UPDATE 7',
      3: 'PENDING_UPDATE 7',
      4: 'ACTIVE 4',
      5: 'ACTIVE 5',
      6: 'ACTIVE 6',
      10: 'PENDING_CREATE 7',
    })
  })

  test('a listener’s port is taken per transport, and free when its holder goes', () => {
    const tree = active()
    expect(refusal(() => accept(tree, creates.listener({ protocol: 'TCP' })))).toBe('duplicate_listener')
    expect(refusal(() => accept(tree, creates.listener({ protocol: 'UDP' })))).toBe('accepted')
    const leaving = accept(tree, { verb: 'delete', resource: 'listener', id: listener }, 6)
    const both = accept(leaving, creates.listener(), 7)
    expect(both.listeners.map(one => one.peer_port)).toEqual([1025, 1026])
    expect(settled(both).listeners.map(one => one.id)).toEqual([sampleId(7)])
  })

  test('a member outside its subnet is warned about until it is in order', () => {
    const tree = accept(active(), creates.member(pool, { address: '172.16.0.1' }))
    expect(tree.members.at(-1)!.reason).toMatch(/^Warning: the address 172.16.0.1 is not in .* 10.0.0.0\/24/)
    expect(settled(tree).members.at(-1)!.reason).toMatch(/^Warning/)
    expect(settled(tree).members[0]!.reason).toBeNull()
  })

  test.each([
    ['169.254.169.254', sample_subnet, 'invalid_option'],
    ['fd00::1', sample_subnet, 'family_mismatch'],
    ['fd00::1', null, 'accepted'],
    ['10.0.0.21', sample_subnet, 'duplicate_member'],
  ])('a member at %s', (address, subnet, expected) => {
    expect(refusal(() => accept(active(), creates.member(pool, { address }, subnet)))).toBe(expected)
  })

  test('a member is another one on another monitor port', () => {
    expect(refusal(() => accept(active(), creates.member(pool, { address: '10.0.0.21', monitor_port: 8080 })))).toBe(
      'accepted',
    )
  })

  test.each([
    [creates.pool({ listener_id: listener }), 'listener_has_pool'],
    [creates.pool({ listener_id: sampleId(77) }), 'parents_differ'],
    [creates.listener({ protocol_port: 81, default_pool_id: sampleId(77) }), 'pool_elsewhere'],
    [creates.listener({ protocol_port: 81, protocol: 'HTTPS', default_pool_id: pool }), 'protocol_mismatch'],
    [creates.listener({ protocol_port: 81, protocol: 'PROMETHEUS', default_pool_id: pool }), 'prometheus_children'],
    [creates.listener({ protocol_port: 81, protocol: 'TERMINATED_HTTPS' }), 'no_certificate'],
    [creates.listener({ protocol_port: 81, allowed_cidrs: ['fd00::/64'] }), 'cidr_family'],
    [
      creates.listener({ protocol_port: 81, protocol: 'TCP', insert_headers: { 'X-Forwarded-For': 'true' } }),
      'not_allowed_with',
    ],
    [creates.listener({ protocol_port: 81, insert_headers: { 'X-Evil\n': 'true' } }), 'invalid_option'],
    [creates.listener({ protocol_port: 81, insert_headers: { 'X-Forwarded-For': 'yes' } }), 'invalid_option'],
    [creates.listener({ protocol_port: 81, insert_headers: { 'X-Forwarded-For': 'true' } }), 'accepted'],
    [creates.pool({ session_persistence: { type: 'APP_COOKIE' } }), 'persistence'],
    [creates.pool({ session_persistence: { type: 'HTTP_COOKIE', cookie_name: 'x' } }), 'persistence'],
    [creates.pool({ session_persistence: { type: 'SOURCE_IP', persistence_timeout: 5 } }), 'persistence'],
    [creates.pool({ protocol: 'UDP', session_persistence: { type: 'HTTP_COOKIE' } }), 'persistence'],
    [creates.pool({ protocol: 'UDP', session_persistence: { type: 'SOURCE_IP', persistence_timeout: 5 } }), 'accepted'],
    [creates.pool({ session_persistence: { type: 'APP_COOKIE', cookie_name: 'x' } }), 'accepted'],
  ])('%# is %s', (request, expected) => {
    expect(refusal(() => accept(active(), request))).toBe(expected)
  })

  test('every listener protocol takes the pool protocols of the table', () => {
    const pairs: [string, string][] = [
      ['TCP', 'HTTP HTTPS PROXY PROXYV2 TCP'],
      ['HTTP', 'HTTP PROXY PROXYV2'],
      ['HTTPS', 'HTTPS PROXY PROXYV2 TCP'],
      ['UDP', 'UDP'],
      ['SCTP', 'SCTP'],
    ]
    for (const [protocol, fitting] of pairs) {
      const tree = applied([creates.loadBalancer(), creates.listener({ protocol })])
      for (const one of ['HTTP', 'HTTPS', 'PROXY', 'PROXYV2', 'TCP', 'UDP', 'SCTP'])
        expect([
          protocol,
          one,
          refusal(() => accept(tree, creates.pool({ protocol: one, listener_id: listener }))),
        ]).toEqual([protocol, one, fitting.split(' ').includes(one) ? 'accepted' : 'protocol_mismatch'])
    }
  })
})

describe('updates', () => {
  test('what was never there stays PENDING_CREATE; what failed is tried again', () => {
    const update: Request = { verb: 'update', resource: 'listener', id: listener, fields: { name: 'x' } }
    expect(accept(sampleTree(), update).listeners[0]!.provisioning_status).toBe('PENDING_CREATE')
    const failed = settle(sampleTree(), { generation: 5, failed: new Map([[listener, 'haproxy refused it']]) })!
    expect(failed.listeners[0]).toMatchObject({ provisioning_status: 'ERROR', reason: 'haproxy refused it' })
    expect(failed.load_balancer.provisioning_status).toBe('ACTIVE')
    expect(accept(failed, update).listeners[0]).toMatchObject({
      provisioning_status: 'PENDING_UPDATE',
      reason: null,
      updated_at: sampleTerms(10).now,
    })
  })

  test('a listener can change its pool, or let go of it', () => {
    const tree = applied([creates.pool()], active(), 6)
    const fields = { default_pool_id: sampleId(6) }
    expect(accept(tree, { verb: 'update', resource: 'listener', id: listener, fields }).listeners[0]).toMatchObject(
      fields,
    )
    const none = { default_pool_id: null }
    expect(
      accept(tree, { verb: 'update', resource: 'listener', id: listener, fields: none }).listeners[0],
    ).toMatchObject(none)
  })
})

describe('deletes', () => {
  test('a pool takes its members along, and its listener can have another at once', () => {
    const gone = accept(active(), { verb: 'delete', resource: 'pool', id: pool }, 6)
    expect(gone.listeners[0]).toMatchObject({ default_pool_id: null, provisioning_status: 'PENDING_UPDATE' })
    expect(gone.members.map(one => one.provisioning_status)).toEqual(['PENDING_DELETE', 'PENDING_DELETE'])
    const again = accept(gone, creates.pool({ listener_id: listener }), 7)
    expect(settled(again)).toMatchObject({ pools: [{ id: sampleId(7) }], members: [] })
  })

  test('nothing is changed below what goes', () => {
    const gone = accept(active(), { verb: 'delete', resource: 'pool', id: pool })
    expect(refusal(() => accept(gone, creates.member(pool, { address: '10.0.0.9' })))).toBe('immutable')
    expect(refusal(() => accept(gone, { verb: 'delete', resource: 'pool', id: pool }))).toBe('immutable')
    expect(refusal(() => accept(gone, { verb: 'delete', resource: 'member', parent_id: pool, id: member }))).toBe(
      'immutable',
    )
    const fields = { default_pool_id: pool }
    expect(refusal(() => accept(gone, { verb: 'update', resource: 'listener', id: listener, fields }))).toBe(
      'immutable',
    )
  })

  test('later writes do not hold up what goes', () => {
    const going = accept(active(), { verb: 'delete', resource: 'listener', id: listener }, 6)
    expect(statuses(going)[2]).toBe('PENDING_DELETE 6')
    const later = accept(going, creates.member(pool, { address: '10.0.0.23' }), 7)
    expect(statuses(later)).toMatchObject({ 1: 'PENDING_UPDATE 7', 2: 'PENDING_DELETE 6', 3: 'PENDING_UPDATE 7' })
    expect(settle(later, { generation: 6, failed: new Map() })!.listeners).toEqual([])
  })

  test('a load balancer goes when its children are going, or takes them along', () => {
    const remove: Request = { verb: 'delete', resource: 'load_balancer', id: lb, cascade: false }
    expect(refusal(() => accept(active(), remove))).toBe('has_children')
    let tree = accept(active(), { verb: 'delete', resource: 'listener', id: listener })
    expect(refusal(() => accept(tree, remove))).toBe('has_children')
    tree = accept(tree, { verb: 'delete', resource: 'pool', id: pool })
    expect(accept(tree, remove).load_balancer.provisioning_status).toBe('PENDING_DELETE')
    const all = accept(sampleTree(), { ...remove, cascade: true })
    expect(new Set(Object.values(statuses(all)))).toEqual(new Set(['PENDING_DELETE 6']))
    expect(refusal(() => accept(all, { ...remove, cascade: true }))).toBe('pending')
    expect(refusal(() => accept(all, creates.listener({ protocol_port: 81 })))).toBe('immutable')
    expect(settle(all, { generation: 6, failed: new Map() })).toBeNull()
    expect(settle(all, { generation: 5, failed: new Map() })).toEqual(all)
  })
})

describe('settling', () => {
  test('what was written meanwhile stays pending, and the load balancer with it', () => {
    const later = accept(sampleTree(), creates.member(pool, { address: '10.0.0.23' }), 6)
    expect(statuses(settle(later, { generation: 5, failed: new Map() })!)).toEqual({
      1: 'PENDING_CREATE 6',
      2: 'PENDING_CREATE 6',
      3: 'PENDING_CREATE 6',
      4: 'ACTIVE 4',
      5: 'ACTIVE 5',
      6: 'PENDING_CREATE 6',
    })
    expect(isSettled(settled(later))).toBe(true)
  })

  test('settled objects are ONLINE when they are up, members wait for a monitor', () => {
    const tree = settled(applied([creates.listener({ protocol_port: 81, admin_state_up: false })], active(), 6))
    expect(
      [tree.load_balancer, ...tree.listeners, ...tree.pools, ...tree.members].map(one => one.operating_status),
    ).toEqual(['ONLINE', 'ONLINE', 'OFFLINE', 'ONLINE', 'NO_MONITOR', 'NO_MONITOR'])
  })

  test('what health saw is kept', () => {
    const tree = active()
    tree.listeners[0]!.operating_status = 'DEGRADED'
    expect(settled(tree).listeners[0]!.operating_status).toBe('DEGRADED')
  })

  test('a failed load balancer takes what was to be applied along', () => {
    const failed = settle(sampleTree(), { generation: 5, failed: new Map([[lb, 'no valid host']]) })!
    assertInvariants(failed)
    expect(failed.load_balancer).toMatchObject({ provisioning_status: 'ERROR', reason: 'no valid host' })
    expect(failed.members[0]!.reason).toBe('The load balancer is in ERROR: no valid host')
    expect(settled(failed)).toMatchObject({ load_balancer: { provisioning_status: 'ACTIVE', reason: null } })
  })

  test('a deletion that failed stays one, so that its port may be taken meanwhile', () => {
    const both = accept(
      accept(active(), { verb: 'delete', resource: 'listener', id: listener }, 6),
      creates.listener(),
      7,
    )
    const stuck = settle(both, { generation: 7, failed: new Map([[listener, 'the agent does not answer']]) })!
    assertInvariants(stuck)
    expect(stuck.listeners[0]).toMatchObject({
      provisioning_status: 'PENDING_DELETE',
      reason: 'the agent does not answer',
    })
    expect(stuck.load_balancer).toMatchObject({ provisioning_status: 'ERROR', reason: 'the agent does not answer' })
    expect(settled(stuck).listeners.map(one => one.id)).toEqual([sampleId(7)])
  })
})

describe('locking: conflict', () => {
  const terms = sampleTerms(10, { locking: 'conflict' })
  test.each([
    ['PENDING_UPDATE', 'immutable', 'pending'],
    ['PENDING_CREATE', 'immutable', 'pending'],
    ['PENDING_DELETE', 'immutable', 'pending'],
    ['ERROR', 'immutable', 'has_children'],
    ['ACTIVE', 'accepted', 'has_children'],
  ] as const)('while %s', (provisioning_status, changed, deleted) => {
    const tree = active()
    tree.load_balancer = { ...tree.load_balancer, provisioning_status, reason: 'x' }
    const tried = (request: Request) => refusal(() => change(tree, request, terms))
    expect(tried(creates.member(pool, { address: '10.0.0.23' }))).toBe(changed)
    expect(tried({ verb: 'update', resource: 'load_balancer', id: lb, fields: { name: 'x' } })).toBe(changed)
    expect(tried({ verb: 'delete', resource: 'member', parent_id: pool, id: member2 })).toBe(changed)
    expect(tried({ verb: 'delete', resource: 'load_balancer', id: lb, cascade: false })).toBe(deleted)
  })
})

test('networks that members need, besides the VIP’s', () => {
  const elsewhere = { network_id: sampleId(800), cidr: '10.9.0.0/24' }
  const requests = [1, 2].map(n => creates.member(pool, { address: `10.9.0.${n}` }, elsewhere))
  const tree = applied(requests, active(), 6)
  expect([...memberNetworks(tree)]).toEqual([[sampleId(800), [sample_vip.subnet_id]]])
  const { members } = tree
  const gone = { ...tree, members: members.map(one => ({ ...one, provisioning_status: 'PENDING_DELETE' as const })) }
  expect(memberNetworks(gone).size).toBe(0)
})
