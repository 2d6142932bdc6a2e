/** Suspicions: two odd beats in a row, asked for ever more rarely while it does not help. */
import { describe, expect, test } from 'vitest'
import { type Amphora, newAmphora } from '../lbaas/amphora.ts'
import { settle } from '../lbaas/provisioning.ts'
import { sampleId, sampleTree } from '../lbaas/sample.ts'
import type { Tree } from '../lbaas/tree.ts'
import { Suspicions } from './suspicions.ts'

const [lb, listener, amphora, standby] = [1, 2, 50, 51].map(sampleId) as [string, string, string, string]
const [good, bad] = ['a'.repeat(32), 'b'.repeat(32)] as [string, string]

function tree(fields: Partial<Amphora> = {}): Tree {
  const row = (id: string): Amphora => ({
    ...newAmphora({ id, load_balancer_id: lb, role: 'MASTER', created_at: '2026-01-01T00:00:00Z' }),
    status: 'ALLOCATED',
    applied: { [listener]: { input: 'x', etag: good } },
  })
  return {
    ...settle(sampleTree(), { generation: 5, failed: new Map() })!,
    amphorae: [{ ...row(amphora), ...fields }, row(standby)],
  }
}

const beat = (digests: Record<string, string> | null) => ({ amphora_id: amphora, digests })
const witness = (amphora_id: string, role: 'MASTER' | 'BACKUP' | null = null) => ({
  amphora_id,
  alive: true as boolean,
  role,
  seen: null,
})
const quiet = [witness(amphora), witness(standby)]

/** What comes of so many equal beats. */
function concluded(beats: number, digests: Record<string, string> | null, of = tree(), witnesses = quiet) {
  const suspicions = new Suspicions()
  let result = suspicions.look(of, beat(digests), witnesses, 0)
  for (let n = 1; n < beats; n++) result = suspicions.look(of, beat(digests), witnesses, n * 1_000)
  return result
}

describe('digests', () => {
  test.each([
    ['another', { [listener]: bad }, `listener ${listener} runs with another configuration than confirmed`],
    ['none', {}, `listener ${listener} does not run, though its configuration was confirmed`],
    ['one too many', { [listener]: good, [sampleId(9)]: bad }, `listener ${sampleId(9)} runs, though it should not`],
  ])('%s, in two beats in a row, is a suspicion', (_, digests, text) => {
    expect(concluded(1, digests)).toEqual({ odd: true, suspicion: null })
    expect(concluded(2, digests)).toEqual({ odd: true, suspicion: { load_balancer_id: lb, amphora_id: amphora, text } })
  })

  test('of one haproxy for all listeners are told as such', () => {
    const shared = tree({ unit: 'load_balancer', applied: { [lb]: { input: 'x', etag: good } } })
    expect(concluded(2, { [lb]: good }, shared)).toEqual({ odd: false, suspicion: null })
    expect(concluded(2, {}, shared).suspicion?.text).toMatch(/^the haproxy of all listeners does not run/)
  })

  test.each([
    ['the confirmed one', { [listener]: good }, {}],
    ["a genuine agent's, which says none", null, {}],
    [
      'any, where the agent never told its own',
      { [listener]: bad },
      { applied: { [listener]: { input: 'x', etag: null } } },
    ],
    ['any of an amphora that is doomed', {}, { status: 'PENDING_DELETE' }],
    ['any of an amphora that is to take a place', {}, { replaces: standby }],
  ] as [string, Record<string, string> | null, Partial<Amphora>][])('%s is not', (_, digests, fields) => {
    expect(concluded(3, digests, tree(fields))).toEqual({ odd: false, suspicion: null })
  })

  test('are not compared while the load balancer is being changed', () => {
    const before = tree()
    before.load_balancer = { ...before.load_balancer, provisioning_status: 'PENDING_UPDATE' }
    expect(concluded(3, {}, before)).toEqual({ odd: false, suspicion: null })
  })

  test('one good beat between two odd ones begins anew', () => {
    const suspicions = new Suspicions()
    expect(suspicions.look(tree(), beat({}), quiet, 0).odd).toBe(true)
    expect(suspicions.look(tree(), beat({ [listener]: good }), quiet, 1_000).odd).toBe(false)
    expect(suspicions.look(tree(), beat({}), quiet, 2_000).suspicion).toBeNull()
  })
})

test('two that say MASTER are a suspicion when each has repeated it; one that died as such has not', () => {
  const running = { [listener]: good }
  const both = [witness(amphora, 'MASTER'), witness(standby, 'MASTER')]
  const after = (senders: string[], witnesses = both) => {
    const suspicions = new Suspicions()
    const heard = senders.map(amphora_id => suspicions.look(tree(), { amphora_id, digests: running }, witnesses, 0))
    return heard.at(-1)!.suspicion?.text ?? null
  }
  const text = `two amphorae say that they are MASTER: ${amphora} and ${standby}`
  expect(after([amphora])).toBeNull()
  expect(after([amphora, amphora, amphora])).toBeNull()
  expect(after([amphora, standby, amphora, standby])).toBe(text)
  const turns = [amphora, standby, amphora, standby]
  expect(after(turns, [both[0]!, witness(standby, 'BACKUP')])).toBeNull()
  expect(after(turns, [both[0]!, { ...both[1]!, alive: false }])).toBeNull()
})

test('the controller is asked at most every 10 s, then more rarely, and after calm as at first', () => {
  const suspicions = new Suspicions()
  const asked: number[] = []
  for (let s = 0; s < 200; s++) if (suspicions.mayAsk(lb, s * 1_000)) asked.push(s)
  expect(asked).toEqual([0, 10, 30, 70, 150])
  expect(suspicions.mayAsk(standby, 0)).toBe(true)
  expect(suspicions.mayAsk(lb, 1_000_000)).toBe(true)
  expect(suspicions.mayAsk(lb, 1_010_000)).toBe(true)
})
