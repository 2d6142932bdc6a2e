/** What all haproxies of each listener have counted since it was made, over their restarts and the agent's. */
import fs from 'node:fs/promises'
import path from 'node:path'
import type { Log } from './log.ts'
import { type Counters, none } from './statistics.ts'
import { Turn } from './turn.ts'

/** A worker counts from zero, and says who it is: the sum over all of them is the listener's. */
export class Totals {
  readonly #file: string
  readonly #log: Log
  readonly #listeners = new Map<string, Kept>()
  readonly #turn = new Turn()
  #saved = ''

  constructor(file: string, log: Log) {
    this.#file = file
    this.#log = log
  }

  async load(): Promise<void> {
    try {
      const record = JSON.parse(await fs.readFile(this.#file, 'utf8')) as Record<string, Kept>
      for (const [id, each] of Object.entries(record)) this.#listeners.set(id, each)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#log('counters begin anew', { error: String(error) })
    }
  }

  note(listener_id: string, worker: string, counters: Counters): void {
    const record = this.#listeners.get(listener_id) ?? { ended: none, workers: {} }
    this.#listeners.set(listener_id, record)
    record.workers[worker] = over(record.workers[worker] ?? none, counters, Math.max)
  }

  /** Of all that were ever counted and not forgotten. */
  ids(): string[] {
    return [...this.#listeners.keys()]
  }

  of(listener_id: string): Counters {
    const record = this.#listeners.get(listener_id)
    return record === undefined ? none : sum([record.ended, ...Object.values(record.workers)])
  }

  /** Adds the workers that have ended to one sum: they cannot be heard of again. */
  settle(listener_id: string, ended: (worker: string) => boolean): void {
    const record = this.#listeners.get(listener_id)
    if (record === undefined) return
    for (const [worker, counters] of Object.entries(record.workers)) {
      if (!ended(worker)) continue
      record.ended = sum([record.ended, counters])
      delete record.workers[worker]
    }
  }

  forget(listener_id: string): void {
    this.#listeners.delete(listener_id)
  }

  /** Renamed into place, not forced to disk: a power cut costs some seconds' counters, a write every second a disk. */
  save(): Promise<void> {
    return this.#turn.take(async () => {
      const text = JSON.stringify(Object.fromEntries(this.#listeners))
      if (text === this.#saved) return
      await fs.mkdir(path.dirname(this.#file), { recursive: true })
      await fs.writeFile(`${this.#file}.writing`, text, { mode: 0o640 })
      await fs.rename(`${this.#file}.writing`, this.#file)
      this.#saved = text
    })
  }
}

type Kept = { ended: Counters; workers: Record<string, Counters> }

function sum(all: Counters[]): Counters {
  return all.reduce((one, other) => over(one, other, (a, b) => a + b), none)
}

/** Field by field. */
export function over(one: Counters, other: Counters, operate: (a: number, b: number) => number): Counters {
  return {
    tx: operate(one.tx, other.tx),
    rx: operate(one.rx, other.rx),
    totconns: operate(one.totconns, other.totconns),
    ereq: operate(one.ereq, other.ereq),
  }
}
