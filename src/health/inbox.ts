/** The inbox: of each amphora the newest beat that is still to be written. Bounded, however long that takes. */
import { hash } from 'node:crypto'
import type { Heartbeat } from '../amphora/heartbeat.ts'
import type { Beat } from '../store/heartbeats.ts'
import type { Counted } from '../store/statistics.ts'
import type { Counts } from './counts.ts'

/** A beat with what it said. */
export type Letter = Beat & {
  source: string
  /** Of what it reported, except counters. */
  digest: string
  /** As it came: it takes a fraction of the memory of what it says, which is needed again only when it is something new. */
  frame: Buffer
  counted: Counted[]
}

/** What is remembered of each amphora between its beats. */
type Known = { source: string; start_number: number | null; seq: number; counted: string }

/** Collects letters between two batches. A sender is *known* once the store has confirmed its address; what others say
 *  waits for that apart, so that it cannot displace what the amphora itself said. */
export class Inbox {
  readonly #known = new Map<string, Known>()
  readonly #counts: Counts
  #letters = new Map<string, Letter>()
  #strangers = new Map<string, Letter>()

  constructor(counts: Counts) {
    this.#counts = counts
  }

  get size(): number {
    return this.#letters.size + this.#strangers.size
  }

  put(message: Heartbeat, source: string, frame: Buffer): void {
    const letter = letterOf(message, source, frame)
    const known = this.#known.get(letter.amphora_id)
    if (known?.source === source) {
      if (!isNewer(letter, known)) {
        this.#counts.dropped.replayed++
        return
      }
      known.start_number = letter.start_number
      known.seq = letter.seq
      this.#letters.set(letter.amphora_id, merged(this.#letters.get(letter.amphora_id), letter))
      return
    }
    const key = `${letter.amphora_id} ${source}`
    const earlier = this.#strangers.get(key)
    if (earlier ? !isNewer(letter, earlier) : this.#strangers.size >= most_strangers)
      this.#counts.dropped[earlier ? 'replayed' : 'overrun']++
    else this.#strangers.set(key, merged(earlier, letter))
  }

  /** Takes everything out. */
  drain(): { letters: Letter[]; strangers: Letter[] } {
    const drained = { letters: [...this.#letters.values()], strangers: [...this.#strangers.values()] }
    this.#letters = new Map()
    this.#strangers = new Map()
    return drained
  }

  /** Takes back what could not be written; what came meanwhile is newer. */
  restore({ letters, strangers }: { letters: readonly Letter[]; strangers: readonly Letter[] }): void {
    for (const letter of letters) {
      const later = this.#letters.get(letter.amphora_id)
      this.#letters.set(letter.amphora_id, later ? merged(letter, later) : letter)
    }
    for (const letter of strangers) {
      const key = `${letter.amphora_id} ${letter.source}`
      const later = this.#strangers.get(key)
      if (later || this.#strangers.size < most_strangers)
        this.#strangers.set(key, later ? merged(letter, later) : letter)
    }
  }

  /** The sender is the amphora. */
  confirm({ amphora_id, source, start_number, seq }: Letter): void {
    this.#known.set(amphora_id, { source, start_number, seq, counted: '' })
  }

  forget(amphora_id: string): void {
    this.#known.delete(amphora_id)
  }

  /** What of the letter's counters is to be written: nothing, if they are those that were written last. */
  news(letter: Letter): Counted[] {
    if (this.#known.get(letter.amphora_id)?.counted !== countersOf(letter)) return letter.counted
    return letter.counted.filter(
      one => one.counts === 'added' && one.bytes_in + one.bytes_out + one.total_connections + one.request_errors > 0,
    )
  }

  written(letters: readonly Letter[]): void {
    for (const letter of letters) {
      const known = this.#known.get(letter.amphora_id)
      if (known) known.counted = countersOf(letter)
    }
  }
}

/** Of all amphorae of a large cloud at once, which are all strangers after a start. */
const most_strangers = 50_000

function letterOf(message: Heartbeat, source: string, frame: Buffer): Letter {
  const { id, seq, ottavia } = message
  return {
    amphora_id: id,
    source,
    start_number: ottavia?.start ?? null,
    seq,
    boot_id: ottavia?.boot_id ?? null,
    role: ottavia?.role ?? null,
    digest: digestOf(message),
    frame,
    counted: countedIn(message),
  }
}

/** A restart of a genuine agent begins at a lower sequence, and is not told from an old datagram. */
function isNewer(
  next: { start_number: number | null; seq: number },
  last: { start_number: number | null; seq: number },
): boolean {
  if (next.start_number === null && last.start_number === null) return next.seq !== last.seq
  if (next.start_number === null || last.start_number === null) return true
  return next.start_number > last.start_number || (next.start_number === last.start_number && next.seq > last.seq)
}

/** The later letter, with what the earlier one counted where that would be lost. */
function merged(earlier: Letter | undefined, later: Letter): Letter {
  const pending = earlier?.counted.filter(one => one.counts === 'added') ?? []
  if (pending.length === 0) return later
  const counted = new Map(pending.map(one => [one.listener_id, one]))
  for (const one of later.counted) {
    const before = counted.get(one.listener_id)
    counted.set(one.listener_id, before && one.counts === 'added' ? sum(before, one) : one)
  }
  return { ...later, counted: [...counted.values()] }
}

function sum(a: Counted, b: Counted): Counted {
  return {
    ...b,
    bytes_in: a.bytes_in + b.bytes_in,
    bytes_out: a.bytes_out + b.bytes_out,
    total_connections: a.total_connections + b.total_connections,
    request_errors: a.request_errors + b.request_errors,
  }
}

/** Everything that statuses or facts are compared with, in the message's own order. */
function digestOf({ listeners, pools, ottavia }: Heartbeat): string {
  let text = ottavia ? `${ottavia.role} ${ottavia.keepalived}` : ''
  const addPools = (reported: Heartbeat['pools']) => {
    for (const key in reported) {
      const { status, members } = reported[key]!
      text += `\n${key} ${status}`
      for (const id in members) text += `\n${id} ${members[id]}`
    }
  }
  for (const id in listeners) {
    text += `\n${id} ${listeners[id]!.status}`
    addPools(listeners[id]!.pools)
  }
  addPools(pools)
  if (ottavia) for (const id in ottavia.digests) text += `\n${id} ${ottavia.digests[id]}`
  return hash('md5', text, 'base64')
}

function countedIn({ id, ver = 0, listeners, ottavia }: Heartbeat): Counted[] {
  const counted: Counted[] = []
  for (const listener_id in ottavia?.counters ?? listeners) {
    const stats = listeners[listener_id]?.stats
    const { rx, tx, totconns, ereq = 0 } = ottavia?.counters[listener_id] ?? stats!
    counted.push({
      listener_id,
      amphora_id: id,
      counts: ottavia ? 'total' : ver >= 3 ? 'added' : 'since_start',
      bytes_in: rx,
      bytes_out: tx,
      active_connections: stats?.conns ?? 0,
      total_connections: totconns,
      request_errors: ereq,
    })
  }
  return counted
}

function countersOf({ counted }: Letter): string {
  let text = ''
  for (const one of counted)
    text += `${one.listener_id} ${one.bytes_in} ${one.bytes_out} ${one.active_connections} ${one.total_connections} ${one.request_errors}\n`
  return text.length > 100 ? hash('md5', text, 'base64') : text
}
