/** The table that a UDP listener has in the kernel: what is in it, how it becomes what is wanted, and what it has counted. */
import { randomBytes } from 'node:crypto'
import path from 'node:path'
import { alike, type Ruleset, tableOf } from '../amphora/nftables/listener-table.ts'
import { fingerprintOf, scriptsOf } from '../amphora/nftables/script.ts'
import type { DatagramKernel } from './datagram-kernel.ts'
import { readIfThere, writeWhole } from './files.ts'
import type { Log } from './log.ts'
import type { Totals } from './totals.ts'

/** `rulesets.json` in the listener's folder has the rules in force and those that were to follow. */
export class RulesInForce {
  readonly #options: RulesOptions
  #now: Ruleset | null = null

  constructor(options: RulesOptions) {
    this.#options = options
  }

  get now(): Ruleset | null {
    return this.#now
  }

  /** Of the two that were kept the one that the kernel names; null when it has neither. */
  async recall(): Promise<void> {
    const { kernel, id } = this.#options
    const counted = await kernel.counted().catch(() => new Map<string, { force: string }>())
    const force = counted.get(tableOf(id))?.force
    this.#now = (await this.#kept()).find(each => fingerprintOf(each) === force) ?? null
  }

  /** On disk first: what is cut off here is completed after the agent's next start. */
  async bring(wanted: Ruleset): Promise<void> {
    const { kernel, log, id } = this.#options
    const inForce = this.#now
    await writeWhole(this.#file, JSON.stringify([inForce, wanted]))
    const born = randomBytes(6).toString('hex')
    // counters begin anew with the table
    const anew = inForce === null || !alike(inForce, wanted)
    if (anew) await this.count().catch(() => {})
    try {
      await kernel.apply(scriptsOf(wanted, inForce, born), wanted.family, anew)
    } catch (error) {
      if (anew) throw error
      log('the rules are made anew', { listener: id, error: String(error) })
      await this.count().catch(() => {})
      await kernel.apply(scriptsOf(wanted, null, born), wanted.family, true)
    }
    this.#now = wanted
  }

  /** Nothing of it stays in the kernel, even if it is not known what there is. */
  async withdraw(): Promise<void> {
    await this.count().catch(() => {})
    const families = new Set([this.#now, ...(await this.#kept())].flatMap(each => each?.family ?? []))
    const table = tableOf(this.#options.id)
    for (const family of families) await this.#options.kernel.remove({ family, table })
    this.#now = null
  }

  /** Whether the table is there. */
  async count(): Promise<boolean> {
    const { kernel, totals, id } = this.#options
    const counted = (await kernel.counted()).get(tableOf(id))
    if (counted === undefined) return false
    const { born, received: rx, sent: tx, flows: totconns } = counted
    totals.note(id, born, { rx, tx, totconns, ereq: 0 })
    totals.settle(id, worker => worker !== born)
    return true
  }

  async #kept(): Promise<Ruleset[]> {
    const kept = JSON.parse((await readIfThere(this.#file)) ?? '[]') as (Ruleset | null)[]
    return kept.filter(each => each !== null)
  }

  get #file(): string {
    return path.join(this.#options.folder, 'rulesets.json')
  }
}

export type RulesOptions = { id: string; folder: string; kernel: DatagramKernel; totals: Totals; log: Log }
