/** Who is next in a rollout. */
import { expect, test } from 'vitest'
import type { Standing } from '../store/rollouts.ts'
import { nextOf } from './rollout.ts'

const standing = (load_balancer_id: string, fields: Partial<Standing> = {}): Standing => ({
  load_balancer_id,
  outdated: 2,
  under_way: false,
  healthy: true,
  trouble: null,
  ...fields,
})
const ids = (standings: Standing[], batch: number, paused = false) =>
  nextOf(standings, { batch, paused }).next.map(one => one.load_balancer_id)

test('as many begin as the batch has room for', () => {
  const all = [standing('a'), standing('b'), standing('c')]
  expect(ids(all, 1)).toEqual(['a'])
  expect(ids(all, 2)).toEqual(['a', 'b'])
  expect(ids([standing('a', { under_way: true }), standing('b'), standing('c')], 2)).toEqual(['b'])
})

test('one that is through but does not beat yet holds its place', () => {
  expect(ids([standing('a', { outdated: 0, healthy: false }), standing('b')], 1)).toEqual([])
})

test('one that is not healthy before its turn waits, and others go first', () => {
  const all = [standing('a', { healthy: false }), standing('b')]
  expect(ids(all, 1)).toEqual(['b'])
  expect(nextOf([standing('a', { healthy: false })], { batch: 1, paused: false }).through).toBe(false)
})

test('paused, none begins; it is through when every amphora has the image and all are well', () => {
  expect(ids([standing('a')], 1, true)).toEqual([])
  expect(nextOf([standing('a', { outdated: 0 })], { batch: 1, paused: false }).through).toBe(true)
  expect(nextOf([standing('a', { outdated: 0, under_way: true })], { batch: 1, paused: false }).through).toBe(false)
})
