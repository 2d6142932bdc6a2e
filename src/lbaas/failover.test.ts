/** Failovers that are asked for: what they mark, and when they may be. */
import { describe, expect, test } from 'vitest'
import { newAmphora } from './amphora.ts'
import { change, type Request } from './change.ts'
import type { Rejected } from './errors.ts'
import { assertInvariants } from './invariants.ts'
import { settle } from './provisioning.ts'
import { sampleId, sampleTerms, sampleTree } from './sample.ts'
import type { Tree } from './tree.ts'

const lb = sampleId(1)
const [serving, doomed, other] = [901, 902, 903].map(sampleId) as [string, string, string]

/** Settled, with two amphorae that serve and one that is being replaced already. */
function pair(): Tree {
  const tree = settle(sampleTree(), { generation: 5, failed: new Map() })!
  const row = { load_balancer_id: lb, created_at: sampleTerms(1).now }
  return {
    ...tree,
    amphorae: [
      { ...newAmphora({ ...row, id: serving, role: 'MASTER' }), status: 'ALLOCATED' },
      { ...newAmphora({ ...row, id: doomed, role: 'BACKUP' }), status: 'PENDING_DELETE' },
      { ...newAmphora({ ...row, id: other, role: 'BACKUP' }), status: 'ALLOCATED' },
    ],
  }
}
const whole: Request = { verb: 'failover', resource: 'load_balancer', id: lb }
const one = (id: string): Request => ({ verb: 'failover', resource: 'amphora', id })
const marked = (tree: Tree) => tree.amphorae.filter(amphora => amphora.replace).map(amphora => amphora.id)

describe('a failover', () => {
  test('of a load balancer marks what is not being replaced yet, and makes it pending', () => {
    const tree = change(pair(), whole, sampleTerms(10))
    assertInvariants(tree)
    expect(marked(tree)).toEqual([serving, other])
    expect(tree.load_balancer).toMatchObject({ provisioning_status: 'PENDING_UPDATE', generation: 6 })
    expect(tree.listeners).toEqual(pair().listeners)
  })

  test('of an amphora marks that one', () => {
    expect(marked(change(pair(), one(other), sampleTerms(10)))).toEqual([other])
    expect(marked(change(pair(), one(doomed), sampleTerms(10)))).toEqual([])
    expect(() => change(pair(), one(sampleId(99)), sampleTerms(10))).toThrow(`Amphora ${sampleId(99)} not found.`)
  })

  test.each([
    ['PENDING_UPDATE', 'accepted', 'pending'],
    ['PENDING_CREATE', 'accepted', 'pending'],
    ['PENDING_DELETE', 'pending', 'pending'],
    ['ERROR', 'accepted', 'accepted'],
    ['ACTIVE', 'accepted', 'accepted'],
  ] as const)('while %s is %s in the queue, %s with conflicts', (provisioning_status, queued, conflicting) => {
    const tree = pair()
    tree.load_balancer = { ...tree.load_balancer, provisioning_status, reason: 'x' }
    const tried = (request: Request, locking: 'queue' | 'conflict') => {
      try {
        change(tree, request, sampleTerms(10, { locking }))
        return 'accepted'
      } catch (error) {
        return (error as Rejected).code
      }
    }
    for (const request of [whole, one(serving)]) {
      expect(tried(request, 'queue')).toBe(queued)
      expect(tried(request, 'conflict')).toBe(conflicting)
    }
  })
})
