/** Shares: exact where turns are taken, right on average where a hash decides, and stable over changes. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { hashSlots, MOST_TURNS, type Share, turns } from './shares.ts'

const share = fc.record({ number: fc.integer({ min: 1, max: 0xffff_ffff }), weight: fc.integer({ min: 1, max: 256 }) })
const shares = fc.uniqueArray(share, { selector: each => each.number, minLength: 1, maxLength: 20 })

test('in every round of turns each member has what its weight says, well mixed', () => {
  fc.assert(
    fc.property(shares, all => {
      const slots = turns(all)
      const sum = all.reduce((so_far, { weight }) => so_far + weight, 0)
      if (slots === null) {
        expect(sum).toBeGreaterThan(MOST_TURNS)
        return
      }
      for (const [member, { weight }] of all.entries()) {
        expect(slots.filter(each => each === member).length * sum).toBe(weight * slots.length)
      }
    }),
  )
  expect(
    turns([
      { number: 1, weight: 100 },
      { number: 2, weight: 100 },
    ]),
  ).toEqual([0, 1])
  expect(
    turns([
      { number: 1, weight: 3 },
      { number: 2, weight: 1 },
    ]),
  ).toEqual([0, 0, 1, 0])
})

test('slots of a hash follow the weights', () => {
  const many: Share[] = [...Array(8)].map((_, n) => ({ number: (n + 1) * 7919, weight: n < 4 ? 1 : 3 }))
  const slots = hashSlots(many)
  const light = slots.filter(member => member < 4).length / slots.length
  expect(light).toBeGreaterThan(0.15)
  expect(light).toBeLessThan(0.35)
})

test('when a member goes, only its own slots change hands; when one comes, it takes and others give', () => {
  fc.assert(
    fc.property(shares, fc.nat(), (all, which) => {
      if (all.length < 2 || all.length > 16) return
      const gone = which % all.length
      const rest = all.filter((_, member) => member !== gone)
      const before = hashSlots(all)
      const after = hashSlots(rest)
      for (const [slot, member] of before.entries()) {
        if (member !== gone) expect(rest[after[slot]!]).toBe(all[member])
      }
    }),
  )
})
