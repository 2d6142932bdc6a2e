/** Suspicions: what amphorae report that does not fit what is recorded of them. */
import type { Amphora } from '../lbaas/amphora.ts'
import type { Witness } from '../lbaas/fold.ts'
import type { Tree } from '../lbaas/tree.ts'

/** Something that the controller is to look at, in words for the journal. */
export type Suspicion = { load_balancer_id: string; amphora_id: string; text: string }

/** Remembers what was odd in the last beat: it is a suspicion when it is so in two in a row, because a beat may be older
 *  than what was recorded just now. Asks for one load balancer more and more rarely while that does not help. */
export class Suspicions {
  readonly #odd = new Map<string, { text: string; beats: number }>()
  readonly #asked = new Map<string, { at_ms: number; wait_ms: number }>()

  /** Is there anything odd about this beat? Then the next one is to be looked at as well. */
  look(
    tree: Tree,
    beat: { amphora_id: string; digests: Record<string, string> | null },
    witnesses: readonly Witness[],
    now_ms: number,
  ): { odd: boolean; suspicion: Suspicion | null } {
    const { amphora_id } = beat
    const masters = mastersOf(tree, witnesses)
    const text = oddity(tree, beat, masters)
    if (text === null) {
      this.#odd.delete(amphora_id)
      return { odd: false, suspicion: null }
    }
    const beats = (this.#odd.get(amphora_id)?.beats ?? 0) + 1
    this.#odd.set(amphora_id, { text, beats })
    const load_balancer_id = tree.load_balancer.id
    // one that died as MASTER has said so for the last time: each of them must have repeated it beside the other
    const repeated = !masters.includes(amphora_id) || masters.every(id => (this.#odd.get(id)?.beats ?? 0) >= 2)
    const suspicion =
      beats >= 2 && repeated && this.mayAsk(load_balancer_id, now_ms) ? { load_balancer_id, amphora_id, text } : null
    return { odd: true, suspicion }
  }

  /** At most every 10 s, and after a while without trouble again as often. */
  mayAsk(load_balancer_id: string, now_ms: number): boolean {
    const last = this.#asked.get(load_balancer_id)
    if (last && now_ms - last.at_ms < last.wait_ms) return false
    const calm = last === undefined || now_ms - last.at_ms > 3 * last.wait_ms
    this.#asked.set(load_balancer_id, {
      at_ms: now_ms,
      wait_ms: calm ? least_wait_ms : Math.min(last.wait_ms * 2, most_wait_ms),
    })
    if (this.#asked.size > most_remembered) this.#asked.delete(this.#asked.keys().next().value!)
    return true
  }
}

const least_wait_ms = 10_000
const most_wait_ms = 600_000
const most_remembered = 10_000

function oddity(
  tree: Tree,
  { amphora_id, digests }: { amphora_id: string; digests: Record<string, string> | null },
  masters: readonly string[],
): string | null {
  const amphora = tree.amphorae.find(one => one.id === amphora_id)
  if (!amphora || !serves(amphora) || tree.load_balancer.provisioning_status.startsWith('PENDING_')) return null
  if (masters.includes(amphora_id)) return `two amphorae say that they are MASTER: ${masters.join(' and ')}`
  return digests === null ? null : mismatch(amphora, digests)
}

/** Those of a load balancer that say that they have the VIP, if they are several. */
function mastersOf(tree: Tree, witnesses: readonly Witness[]): string[] {
  const masters = witnesses.filter(one => one.alive && one.role === 'MASTER' && isServing(tree, one.amphora_id))
  return masters.length > 1 ? masters.map(one => one.amphora_id) : []
}

/** A unit that runs and should not, one that should and does not, or one that runs with another configuration. */
function mismatch({ applied, load_balancer_id }: Amphora, digests: Readonly<Record<string, string>>): string | null {
  const named = (id: string) => (id === load_balancer_id ? 'the haproxy of all listeners' : `listener ${id}`)
  for (const [id, { etag }] of Object.entries(applied)) {
    if (digests[id] === undefined) return `${named(id)} does not run, though its configuration was confirmed`
    if (etag !== null && etag !== digests[id]) return `${named(id)} runs with another configuration than confirmed`
  }
  const extra = Object.keys(digests).find(id => applied[id] === undefined)
  return extra === undefined ? null : `${named(extra)} runs, though it should not`
}

/** One that is still on the way to another's place runs nothing yet. */
function serves({ status, replaces }: Amphora): boolean {
  return status === 'ALLOCATED' && replaces === null
}

function isServing(tree: Tree, amphora_id: string): boolean {
  return tree.amphorae.some(one => one.id === amphora_id && serves(one))
}
