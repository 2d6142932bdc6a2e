/** Who gets what of the datagrams: each member its share by weight, as a list of slots. */

/** Slots for taking turns: each member as often as its weight says, and as evenly mixed as that allows. Null when that
 *  would be more than `MOST_TURNS`: then chance has to do. */
export function turns(shares: Share[]): number[] | null {
  const divisor = shares.reduce((found, { weight }) => greatestCommonDivisor(found, weight), 0)
  const counts = shares.map(({ weight }) => weight / divisor)
  if (counts.reduce((sum, each) => sum + each, 0) > MOST_TURNS) return null
  const places = counts.flatMap((count, member) => {
    return Array.from({ length: count }, (_, n) => ({ member, at: (n + 0.5) / count }))
  })
  return places.toSorted((a, b) => a.at - b.at || a.member - b.member).map(({ member }) => member)
}

/** Slots for clients that are told apart by a hash: when a member comes or goes, or changes its weight, only slots of its
 *  own change hands (rendezvous hashing, weighted). One of 128 members has 16 on average, one of 500 has 4; of 2,000 some
 *  have none. */
export function hashSlots(shares: Share[]): number[] {
  const wanted = 2 ** Math.ceil(Math.log2(shares.length * 16))
  const count = Math.min(Math.max(wanted, LEAST_HASH_SLOTS), MOST_HASH_SLOTS)
  return Array.from({ length: count }, (_, slot) => {
    let best = 0
    let least = Number.POSITIVE_INFINITY
    for (const [member, { number, weight }] of shares.entries()) {
      const chance = (mixed(number ^ mixed(slot + 1)) + 1) / 2 ** 32
      const score = -Math.log(chance) / weight
      if (score < least) [best, least] = [member, score]
    }
    return best
  })
}

/** `number` is the member's own, whoever else is there. Weights are above 0. */
export type Share = { number: number; weight: number }

export const MOST_TURNS = 2_048
const LEAST_HASH_SLOTS = 256
const MOST_HASH_SLOTS = 2_048

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b)
}

/** Every bit of the result depends on every bit of the value (the finalizer of MurmurHash3). */
function mixed(value: number): number {
  let bits = value | 0
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  return (bits ^ (bits >>> 16)) >>> 0
}
