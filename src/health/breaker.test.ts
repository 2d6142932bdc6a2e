/** When too many amphorae are silent at once. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { breaks, thresholdFor } from './breaker.ts'

const opens = (fleet: number, silent: number, given_up = 0, option = 0) => {
  const tally = { fleet, silent, given_up }
  return breaks(tally, thresholdFor(option, tally))
}

test.each([
  [1, 1, false],
  [2, 2, false],
  [3, 2, false],
  [3, 3, true],
  [6, 2, false],
  [6, 3, true],
  [9, 3, false],
  [9, 4, true],
  [100, 33, false],
  [100, 34, true],
])('of %i amphorae, %i silent: opens %s', (fleet, silent, opened) => {
  expect(opens(fleet, silent)).toBe(opened)
  expect(opens(fleet, silent - 1, 1)).toBe(opened)
})

test('an operator sets the number', () => {
  expect(opens(100, 5, 0, 5)).toBe(true)
  expect(opens(100, 4, 0, 5)).toBe(false)
  expect(opens(3, 3, 0, 4)).toBe(false)
})

test('any fleet can lose a pair; none loses more than a third, once it is larger than that', () => {
  fc.assert(
    fc.property(fc.nat(10_000), fc.nat(10_000), (fleet, silent) => {
      if (silent <= 2) expect(opens(fleet, silent)).toBe(false)
      else expect(opens(fleet, silent)).toBe(silent > fleet / 3)
    }),
  )
})
