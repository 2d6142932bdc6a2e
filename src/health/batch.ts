/** Batches: what has come in is written several times a second, a statement for each kind of thing. */
import type pg from 'pg'
import type { Log } from '../service/log.ts'
import * as heartbeats from '../store/heartbeats.ts'
import * as statistics from '../store/statistics.ts'
import { isRefusal, observation } from '../store/transaction.ts'
import type { Counts } from './counts.ts'
import { Folding } from './folding.ts'
import type { Inbox, Letter } from './inbox.ts'

/** Writes the inbox. */
export class Batch {
  readonly #pool: pg.Pool
  readonly #inbox: Inbox
  readonly #folding: Folding
  readonly #counts: Counts
  readonly #log: Log
  /** When each unknown sender was last complained about. */
  readonly #complaints = new Map<string, number>()

  constructor(parts: { pool: pg.Pool; inbox: Inbox; folding: Folding; counts: Counts; log: Log }) {
    this.#pool = parts.pool
    this.#inbox = parts.inbox
    this.#folding = parts.folding
    this.#counts = parts.counts
    this.#log = parts.log
  }

  /** Writes everything that is in the inbox. When that fails it is there again, and whatever came meanwhile. */
  async write(): Promise<void> {
    const { letters, strangers } = this.#inbox.drain()
    try {
      const accepted = strangers.length > 0 ? await this.#introduce(strangers) : []
      letters.push(...accepted)
      strangers.length = 0
      if (letters.length > 0) await this.#writeLetters(letters)
    } catch (error) {
      this.#counts.failed_batches++
      this.#inbox.restore({ letters, strangers })
      throw error
    }
  }

  /** Those of the strangers who are who they say. */
  async #introduce(strangers: readonly Letter[]): Promise<Letter[]> {
    const rows = await heartbeats.addressesOf(this.#pool, [...new Set(strangers.map(letter => letter.amphora_id))])
    const known = new Map(rows.map(row => [row.id, row]))
    const accepted = new Map<string, Letter>()
    for (const letter of strangers) {
      const { amphora_id, source } = letter
      const row = known.get(amphora_id)
      if (!row) this.#reject('unknown', letter, zombie)
      else if (row.lb_network_ip === source && row.watched) {
        this.#inbox.confirm(letter)
        accepted.set(amphora_id, letter)
      } else if (row.lb_network_ip !== null && row.lb_network_ip !== source)
        this.#reject(
          'foreign',
          letter,
          `a heartbeat came from an address that is not its amphora's (${row.lb_network_ip})`,
        )
      // what is left is still being made, and beats a little early
    }
    return [...accepted.values()]
  }

  /** What the database will not take is taken apart until the one is found that it will not; the others are written. */
  async #writeLetters(letters: readonly Letter[]): Promise<void> {
    try {
      await this.#writeOnce(letters)
    } catch (error) {
      if (!isRefusal(error)) throw error
      if (letters.length > 1) {
        const middle = letters.length >> 1
        await this.#writeLetters(letters.slice(0, middle))
        await this.#writeLetters(letters.slice(middle))
        return
      }
      this.#reject('refused', letters[0]!, `PostgreSQL refuses a heartbeat: ${(error as Error).message}`)
    }
  }

  async #writeOnce(letters: readonly Letter[]): Promise<void> {
    const by_id = new Map(letters.map(letter => [letter.amphora_id, letter]))
    // both in one transaction: a beat that was written is not fresh when it is tried again, and is not counted twice
    const heard = await observation(this.#pool, async tx => {
      const heard = await heartbeats.hear(tx, letters)
      await statistics.count(
        tx,
        heard.flatMap(one => this.#inbox.news(by_id.get(one.amphora_id)!)),
      )
      return heard
    })
    const written: Letter[] = []
    for (const one of heard) {
      const letter = by_id.get(one.amphora_id)!
      by_id.delete(one.amphora_id)
      if (one.status === 'DELETED') {
        this.#inbox.forget(one.amphora_id)
        this.#reject('unknown', letter, zombie)
        continue
      }
      written.push(letter)
      if (one.load_balancer_id === null) continue
      if (one.folded !== Folding.version(letter.digest, one.version)) this.#folding.want(one.load_balancer_id, letter)
      if (one.boot_id !== null && letter.boot_id !== null && one.boot_id !== letter.boot_id)
        this.#folding.rebooted(one.load_balancer_id, one.amphora_id)
    }
    this.#inbox.written(written)
    this.#counts.written += written.length
    if (by_id.size > 0) await this.#unheard([...by_id.values()])
  }

  /** They are not newer than what another process heard, or not watched any more. */
  async #unheard(letters: readonly Letter[]): Promise<void> {
    const rows = await heartbeats.addressesOf(
      this.#pool,
      letters.map(letter => letter.amphora_id),
    )
    const watched = new Set(rows.filter(row => row.watched).map(row => row.id))
    for (const { amphora_id } of letters) {
      if (watched.has(amphora_id)) this.#counts.dropped.replayed++
      else this.#inbox.forget(amphora_id)
    }
  }

  /** Counts, and complains about each at most once a minute. */
  #reject(why: 'unknown' | 'foreign' | 'refused', { amphora_id, source }: Letter, complaint: string): void {
    this.#counts.dropped[why]++
    const key = `${why} ${amphora_id} ${source}`
    const now_ms = performance.now()
    if (now_ms - (this.#complaints.get(key) ?? Number.NEGATIVE_INFINITY) < 60_000) return
    if (this.#complaints.size >= 1_000) this.#complaints.delete(this.#complaints.keys().next().value!)
    this.#complaints.set(key, now_ms)
    this.#log.warn({ amphora_id, source }, complaint)
  }
}

const zombie =
  'a server beats whose amphora is gone, or never was: delete the server amphora-<id>, or find out who lies'
