/** Laws that hold for any sequence of requests: invariants, pureness, settling, and what the declarations promise. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { newAmphora } from './amphora.ts'
import { change, type Request } from './change.ts'
import { checkFields } from './check.ts'
import { declarations } from './declarations.ts'
import { Rejected } from './errors.ts'
import { brokenInvariants } from './invariants.ts'
import { isSettled, type Locking, settle } from './provisioning.ts'
import { accepted, type ChildResource, type Resource, shown, stateOf } from './resource.ts'
import { creates, sampleId, sampleTerms } from './sample.ts'
import { type Collection, childrenOf, collections, type Tree } from './tree.ts'

const resources: Resource[] = Object.values(declarations)

/** A step of a life: what is asked for, or how a pass of the controller ended. Numbers choose among what is there. */
const step = fc.oneof(
  fc.record({
    kind: fc.constant('listener' as const),
    port: fc.integer({ min: 80, max: 83 }),
    protocol: fc.constantFrom('HTTP', 'TCP', 'UDP'),
    pick: fc.nat(20),
  }),
  fc.record({
    kind: fc.constant('pool' as const),
    protocol: fc.constantFrom('HTTP', 'TCP', 'UDP'),
    pick: fc.nat(20),
    used: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('member' as const), pick: fc.nat(20), last: fc.integer({ min: 1, max: 4 }) }),
  fc.record({
    kind: fc.constant('monitor' as const),
    pick: fc.nat(20),
    type: fc.constantFrom('HTTP', 'TCP', 'PING', 'UDP-CONNECT'),
    url_path: fc.constantFrom(null, '/'),
  }),
  fc.record({
    kind: fc.constant('policy' as const),
    pick: fc.nat(20),
    pool: fc.option(fc.nat(20)),
    position: fc.constantFrom(1, 2, 3, 2_147_483_647),
  }),
  fc.record({ kind: fc.constant('rule' as const), pick: fc.nat(20) }),
  fc.record({ kind: fc.constant('move' as const), pick: fc.nat(20), position: fc.integer({ min: 1, max: 5 }) }),
  fc.record({ kind: fc.constant('repool' as const), pick: fc.nat(20), other: fc.option(fc.nat(20)) }),
  fc.record({ kind: fc.constant('rename' as const), pick: fc.nat(40) }),
  fc.record({ kind: fc.constant('delete' as const), pick: fc.nat(40) }),
  fc.record({ kind: fc.constant('failover' as const), pick: fc.option(fc.nat(3)) }),
  fc.record({ kind: fc.constant('cascade' as const), really: fc.nat(30) }),
  fc.record({
    kind: fc.constant('settle' as const),
    behind: fc.nat(4),
    failing: fc.array(fc.nat(40), { maxLength: 2 }),
  }),
)
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

function requestOf(tree: Tree, one: Exclude<Step, { kind: 'settle' }>): Request | null {
  const pick = <T>(objects: T[], n: number): T | undefined => objects[n % Math.max(objects.length, 1)]
  const children = childrenOf(tree)
  switch (one.kind) {
    case 'listener':
      return creates.listener({
        protocol: one.protocol,
        protocol_port: one.port,
        default_pool_id: pick([null, ...tree.pools], one.pick)?.id ?? null,
      })
    case 'pool':
      return creates.pool({
        protocol: one.protocol,
        listener_id: one.used ? (pick(tree.listeners, one.pick)?.id ?? null) : null,
      })
    case 'member': {
      const parent = pick(tree.pools, one.pick)
      return parent ? creates.member(parent.id, { address: `10.0.0.${one.last}` }) : null
    }
    case 'monitor': {
      const parent = pick(tree.pools, one.pick)
      return parent ? creates.monitor(parent.id, { type: one.type, url_path: one.url_path }) : null
    }
    case 'policy': {
      const parent = pick(tree.listeners, one.pick)
      const pool = one.pool === null ? undefined : pick(tree.pools, one.pool)
      const action = pool ? { action: 'REDIRECT_TO_POOL', redirect_pool_id: pool.id } : {}
      return parent ? creates.policy(parent.id, { ...action, position: one.position }) : null
    }
    case 'rule': {
      const parent = pick(tree.l7policies, one.pick)
      return parent ? creates.rule(parent.id) : null
    }
    case 'move': {
      const target = pick(tree.l7policies, one.pick)
      const fields = { position: one.position }
      return target ? { verb: 'update', resource: 'l7policy', id: target.id, fields } : null
    }
    case 'failover': {
      const target = one.pick === null ? tree.load_balancer : pick(tree.amphorae, one.pick)
      if (!target) return null
      return { verb: 'failover', resource: one.pick === null ? 'load_balancer' : 'amphora', id: target.id }
    }
    case 'repool': {
      const target = pick(tree.listeners, one.pick)
      const default_pool_id = one.other === null ? null : (pick(tree.pools, one.other)?.id ?? null)
      return target ? { verb: 'update', resource: 'listener', id: target.id, fields: { default_pool_id } } : null
    }
    case 'rename':
    case 'delete': {
      const target = pick(children, one.pick)
      if (!target) return null
      const fields = { admin_state_up: one.pick % 2 === 0 }
      const at = { resource: kindOf(tree, target), id: target.id } as const
      return one.kind === 'delete' ? { verb: 'delete', ...at } : ({ verb: 'update', ...at, fields } as Request)
    }
    case 'cascade':
      return one.really === 0
        ? { verb: 'delete', resource: 'load_balancer', id: tree.load_balancer.id, cascade: true }
        : null
  }
}

function kindOf(tree: Tree, object: { id: string }): ChildResource {
  const kinds = Object.entries(collections) as [ChildResource, Collection][]
  return kinds.find(([, name]) => (tree[name] as { id: string }[]).some(one => one.id === object.id))![0]
}

function live(steps: Step[], locking: Locking, check: (before: Tree, after: Tree, one: Step) => void): void {
  let tree = change(null, creates.loadBalancer(), sampleTerms(1))
  const row = { load_balancer_id: sampleId(1), role: 'STANDALONE', created_at: sampleTerms(1).now } as const
  tree = { ...tree, amphorae: [901, 902].map(n => newAmphora({ ...row, id: sampleId(n) })) }
  for (const [i, one] of steps.entries()) {
    const before = tree
    if (one.kind === 'settle') {
      const all = [tree.load_balancer, ...childrenOf(tree)]
      const failed = new Map(one.failing.map(n => [all[n % all.length]!.id, 'it failed']))
      const next = settle(tree, { generation: tree.load_balancer.generation - one.behind, failed })
      if (!next) return
      tree = next
    } else {
      const request = requestOf(tree, one)
      try {
        if (request) tree = change(tree, request, sampleTerms(i + 2, { locking }))
      } catch (error) {
        if (!(error instanceof Rejected)) throw error
      }
    }
    check(before, tree, one)
  }
}

describe('whatever is asked for, and however the passes end', () => {
  const lives = fc.tuple(fc.array(step, { maxLength: 40 }), fc.constantFrom<Locking>('queue', 'conflict'))

  test('an accepted request, and settling, keep every invariant', () => {
    fc.assert(
      fc.property(lives, ([steps, locking]) => {
        live(steps, locking, (_before, after) => expect(brokenInvariants(after)).toEqual([]))
      }),
      { numRuns: 500 },
    )
  })

  test('a change raises the generation by one and marks what it wrote; settling raises nothing', () => {
    fc.assert(
      fc.property(lives, ([steps, locking]) => {
        live(steps, locking, (before, after, one) => {
          if (before === after) return
          const generation = after.load_balancer.generation
          expect(generation - before.load_balancer.generation).toBe(one.kind === 'settle' ? 0 : 1)
          if (one.kind === 'settle') return
          const was = new Map(childrenOf(before).map(o => [o.id, o]))
          for (const object of childrenOf(after))
            if (
              JSON.stringify(was.get(object.id)) !== JSON.stringify(object) &&
              object.provisioning_status !== 'PENDING_DELETE'
            )
              expect(object).toMatchObject({ generation, provisioning_status: expect.stringMatching(/^PENDING_/) })
        })
      }),
    )
  })

  test('everything applied, nothing is pending and nothing on its way out is left', () => {
    fc.assert(
      fc.property(lives, ([steps, locking]) => {
        live(steps, locking, (_before, after) => {
          const end = settle(after, { generation: after.load_balancer.generation, failed: new Map() })
          if (!end) return expect(after.load_balancer.provisioning_status).toBe('PENDING_DELETE')
          expect(isSettled(end)).toBe(true)
          expect(brokenInvariants(end)).toEqual([])
        })
      }),
    )
  })
})

describe('declarations', () => {
  test('secrets are never shown, facts are never set by a request', () => {
    for (const { fields } of resources)
      for (const field of Object.values(fields))
        for (const dialect of ['octavia', 'neutron'] as const) {
          if (field.options.secret) expect(shown(field, dialect)).toBe(false)
          if (stateOf(field) !== 'intention' && stateOf(field) !== 'request')
            expect([accepted(field, 'POST', dialect), accepted(field, 'PUT', dialect)]).toEqual([false, false])
        }
  })

  test('what can be changed later is kept, and every default passes its own check', () => {
    for (const resource of resources)
      for (const [name, field] of Object.entries(resource.fields)) {
        if (field.options.change) expect(stateOf(field)).toBe('intention')
        if (field.options.change && field.options.default !== undefined)
          expect(checkFields(resource, 'PUT', 'octavia', { [name]: field.options.default })).toEqual({
            [name]: field.options.default,
          })
      }
  })

  test('any JSON is checked or refused, never a defect', () => {
    const word = fc.oneof(fc.constantFrom(...resources.flatMap(r => Object.keys(r.fields))), fc.string())
    const body = fc.oneof(
      fc.jsonValue(),
      fc.dictionary(word, fc.oneof(fc.jsonValue(), fc.constantFrom('80', 'true', 'HTTP', sampleId(1), '10.0.0.1'))),
    )
    fc.assert(
      fc.property(
        fc.constantFrom(...resources),
        fc.constantFrom('POST', 'PUT'),
        fc.constantFrom('octavia', 'neutron'),
        body,
        (resource, method, dialect, json) => {
          try {
            checkFields(resource, method as 'POST', dialect as 'octavia', json)
          } catch (error) {
            expect(error).toBeInstanceOf(Rejected)
            for (const text of [(error as Rejected).octavia().faultstring, (error as Rejected).neutron().message])
              expect(text).not.toContain('undefined')
          }
        },
      ),
      { numRuns: 2000 },
    )
  })
})
