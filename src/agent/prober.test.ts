/** Who goes on being asked, and who begins anew. */
import { expect, test } from 'vitest'
import { monitor } from '../amphora/nftables/sample.ts'
import type { CheckOrder } from './checks.ts'
import { continued } from './prober.ts'

const order = (member_id: string, change: Partial<CheckOrder> = {}): CheckOrder => ({
  ...{ member_id, place: `TCP ${member_id} 80`, address: '10.0.0.11', port: 80, down: false },
  ...{ monitor: monitor({ type: 'TCP' }), ...change },
})

test('what is asked as it was goes on with what was found out about it', () => {
  const former = continued([], [order('a'), order('b')], 1)
  former[0]!.down = true
  expect(continued(former, [order('a'), order('b')], 2)).toEqual(former)
})

test('what is asked otherwise begins anew, with what the caller knows', () => {
  const former = continued([], [order('a'), order('b')], 1)
  former[0]!.down = true
  const otherwise = monitor({ type: 'TCP', delay: 9 })
  const next = continued(former, [order('a', { monitor: otherwise }), order('b'), order('c', { down: true })], 2)
  expect(next.map(({ member_id, since, down }) => [member_id, since, down])).toEqual([
    ['a', 2, false],
    ['b', 1, false],
    ['c', 2, true],
  ])
})
