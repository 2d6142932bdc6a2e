/** One UDP listener of this amphora: its files, its rules in the kernel, and which of its members are up. */
import { randomBytes } from 'node:crypto'
import fs from 'node:fs/promises'
import path from 'node:path'
import type { ReportedPool } from '../amphora/heartbeat.ts'
import { type DatagramListener as Document, readDatagramListener } from '../amphora/nftables/datagram-listener.ts'
import { keeping, type Ruleset, rulesetOf, tableOf } from '../amphora/nftables/ruleset.ts'
import { fingerprintOf, scriptsOf } from '../amphora/nftables/script.ts'
import type { Applied, ListenerDetails, ListenerEntry, ListenerStatus, PoolStatus } from '../amphora/rest.ts'
import { type Answer, etagOf, md5Of, Refusal, warningHeader } from './answer.ts'
import type { LookedAt } from './beat.ts'
import type { DatagramKernel } from './datagram-kernel.ts'
import { readIfThere, writeWhole } from './files.ts'
import type { Log } from './log.ts'
import { MemberHealth } from './member-health.ts'
import type { Prober } from './prober.ts'
import { folded } from './statistics.ts'
import type { Totals } from './totals.ts'
import { Turn } from './turn.ts'

/** The file by which a listener is known to be one of these. */
export const DATAGRAM_FILE = 'udp_listener.json'

/** Its folder holds `udp_listener.json` (what was uploaded last), `running.json` (the one in force, and who is down),
 *  `rulesets.json` (the rules in force and those that were to follow) and `enabled` (it is to run after a reboot). */
export class DatagramListener {
  readonly id: string
  readonly #options: DatagramListenerOptions
  readonly #folder: string
  readonly #turn = new Turn()
  #enabled = false
  /** What is in force. */
  #running: { document: Document; ruleset: Ruleset; digest: string } | null = null
  readonly #health = new MemberHealth()
  #last: Answered = null

  constructor(id: string, options: DatagramListenerOptions) {
    this.id = id
    this.#options = options
    this.#folder = path.join(options.base_path, id)
  }

  /** Checks the document, with nft too, and keeps it; what runs stays as it is. */
  upload(body: Buffer): Promise<Answer> {
    return this.#turn.take(async () => {
      try {
        const document = readDatagramListener(body.toString('utf8'))
        if (document.id !== this.id) throw new RangeError(`it is the document of ${document.id}`)
        await this.#options.kernel.check(scriptsOf(rulesetOf(document, new Set()), null, '0'))
        await writeWhole(this.#file(DATAGRAM_FILE), body)
        const headers = { ETag: etagOf(body), ...warningHeader(warningsOf(document)) }
        return { status: 200, body: { message: 'OK' }, headers }
      } catch (error) {
        throw new Refusal(400, { message: 'Invalid request', details: (error as Error).message })
      }
    })
  }

  async config(): Promise<Answer> {
    const body = await fs.readFile(this.#file(DATAGRAM_FILE))
    return { status: 200, body: body.toString('utf8'), headers: { ETag: etagOf(body), 'Content-Type': 'text/plain' } }
  }

  start(): Promise<Answer> {
    return this.#turn.take(() => this.#apply('start'))
  }

  reload(): Promise<Answer> {
    return this.#turn.take(() => this.#apply('reload'))
  }

  stop(): Promise<Answer> {
    return this.#turn.take(async () => {
      await this.#stop()
      return { status: 202, body: { message: 'OK', details: `keepalivedlvs listener ${this.id} stoped` } }
    })
  }

  remove(): Promise<Answer> {
    return this.#turn.take(async () => {
      await this.#stop()
      await fs.rm(this.#folder, { recursive: true, force: true })
      this.#options.totals.forget(this.id)
      return { status: 200, body: { message: 'OK' } }
    })
  }

  async exists(): Promise<boolean> {
    return (await readIfThere(this.#file(DATAGRAM_FILE))) !== null
  }

  get status(): ListenerStatus {
    if (!this.#enabled) return 'OFFLINE'
    return this.#running === null ? 'ERROR' : 'ACTIVE'
  }

  /** No process of its own can die. */
  get duty(): null {
    return null
  }

  /** What a heartbeat tells of it; waits for the kernel's answer no longer than that. Rules do not end because nft is slow:
   *  the answer before stands in for one that is late. */
  async look(limit_ms: number): Promise<LookedAt> {
    const late = new Promise<Answered>(resolve => {
      setTimeout(() => resolve(this.#last), limit_ms).unref()
    })
    const looking = this.#look().catch(() => null)
    void looking.then(answer => {
      this.#last = answer
    })
    const answer = this.#enabled ? await Promise.race([looking, late]) : null
    const digest = answer === null ? null : (this.#running?.digest ?? null)
    return { id: this.id, listeners: [{ id: this.id, answer }], digest, missed: false }
  }

  async entries(): Promise<ListenerEntry[]> {
    return [this.#entry]
  }

  get #entry(): ListenerEntry {
    const { status } = this
    return { status, uuid: this.id, type: status === 'ACTIVE' ? 'UDP' : '' }
  }

  /** With the states of its pool when it runs. */
  async details(): Promise<ListenerDetails> {
    const entry = this.#entry
    const pools = Object.entries(this.#pools()).map(([uuid, { status, members }]): PoolStatus => {
      const each = Object.entries(members).map(([id, word]) => [id, folded(word)])
      return { uuid, status, members: Object.fromEntries(each) }
    })
    return entry.status === 'ACTIVE' ? { ...entry, pools } : entry
  }

  /** After a start of the agent: what is in force stays in force, as far as it is what is wanted. */
  resume(): Promise<void> {
    return this.#turn.take(async () => {
      this.#enabled = (await readIfThere(this.#file('enabled'))) !== null
      if (!this.#enabled) return
      const kept = await this.#kept()
      const text = kept?.text ?? (await fs.readFile(this.#file(DATAGRAM_FILE), 'utf8'))
      const document = readDatagramListener(text)
      this.#health.recall(document, kept?.down ?? [])
      await this.#bring(document, text, await this.#inForce(document))
      this.#watch(document)
    })
  }

  /** The agent ends; the kernel goes on. */
  letGo(): void {}

  /** Brings what was uploaded last into force. */
  async #apply(action: 'start' | 'reload'): Promise<Answer> {
    try {
      const text = await fs.readFile(this.#file(DATAGRAM_FILE), 'utf8')
      const document = readDatagramListener(text)
      await writeWhole(this.#file('enabled'), '')
      this.#enabled = true
      const running = this.#running
      const applied: Applied = running === null ? 'start' : running.digest === md5Of(text) ? 'none' : 'runtime'
      if (applied !== 'none') {
        this.#health.keepFor(document)
        await this.#bring(document, text, running?.ruleset ?? null)
        this.#watch(document)
      }
      this.#options.count(applied)
      return {
        status: 202,
        body: { message: 'OK', details: `keepalivedlvs listener ${this.id} ${action}ed` },
        headers: { 'X-Ottavia-Applied': applied, ...warningHeader(warningsOf(document)) },
      }
    } catch (error) {
      throw new Refusal(500, { message: `Error ${action}ing keepalivedlvs`, details: (error as Error).message })
    }
  }

  /** On disk first: what is cut off here is completed after the agent's next start. */
  async #bring(document: Document, text: string, inForce: Ruleset | null): Promise<void> {
    const { kernel, log } = this.#options
    const down = new Set(this.#health.down)
    const wanted = rulesetOf(document, down)
    await writeWhole(this.#file('rulesets.json'), JSON.stringify([inForce, wanted]))
    await writeWhole(this.#file('running.json'), JSON.stringify({ text, down: [...down] }))
    const born = randomBytes(6).toString('hex')
    // counters begin anew with the table
    if (inForce === null) await this.#count().catch(() => {})
    try {
      await kernel.apply(scriptsOf(wanted, inForce, born), wanted.family, inForce === null)
    } catch (error) {
      if (inForce === null) throw error
      log('the rules are made anew', { listener: this.id, error: String(error) })
      await this.#count().catch(() => {})
      await kernel.apply(scriptsOf(wanted, null, born), wanted.family, true)
    }
    this.#running = { document, ruleset: wanted, digest: md5Of(text) }
    // after the rules: whoever is sent on must not find the same member again
    await kernel.forget(document, keeping(document, down))
  }

  async #stop(): Promise<void> {
    await fs.rm(this.#file('enabled'), { force: true })
    this.#enabled = false
    this.#options.prober.watch(this.id, [], () => {})
    const text = (await this.#kept())?.text
    const document = this.#running?.document ?? (text === undefined ? null : readDatagramListener(text))
    if (document !== null) {
      await this.#count().catch(() => {})
      const { kernel } = this.#options
      await kernel.remove(rulesetOf(document, new Set()))
      await kernel.forget(document, [])
    }
    this.#running = null
    this.#health.clear()
    await fs.rm(this.#file('running.json'), { force: true })
  }

  async #kept(): Promise<{ text: string; down: string[] } | null> {
    const json = await readIfThere(this.#file('running.json'))
    return json === null ? null : (JSON.parse(json) as { text: string; down: string[] })
  }

  /** Of the two that were kept the one that the kernel names; null when it has neither. */
  async #inForce(document: Document): Promise<Ruleset | null> {
    const counted = await this.#options.kernel.counted().catch(() => new Map<string, { force: string }>())
    const force = counted.get(tableOf(document.id))?.force
    const kept = JSON.parse((await readIfThere(this.#file('rulesets.json'))) ?? '[]') as (Ruleset | null)[]
    return kept.find(each => each !== null && fingerprintOf(each) === force) ?? null
  }

  async #look(): Promise<Answered> {
    const running = this.#running
    const there = await this.#count()
    if (running === null || !there) {
      // somebody has flushed the rules
      if (running !== null && running === this.#running) this.#mend().catch(error => this.#complain(error))
      return null
    }
    const { document } = running
    const sessions = await this.#options.kernel.sessions(document)
    const full = document.connection_limit > 0 && sessions >= document.connection_limit
    return { status: full ? 'FULL' : 'OPEN', sessions, pools: this.#pools() }
  }

  #mend(): Promise<void> {
    return this.#turn.take(async () => {
      if (this.#running === null) return
      const text = await this.#kept()
      if (text !== null)
        await this.#bring(this.#running.document, text.text, await this.#inForce(this.#running.document))
    })
  }

  /** Whether the table is there. */
  async #count(): Promise<boolean> {
    const { kernel, totals } = this.#options
    const counted = (await kernel.counted()).get(tableOf(this.id))
    if (counted === undefined) return false
    const { born, received: rx, sent: tx, flows: totconns } = counted
    totals.note(this.id, born, { rx, tx, totconns, ereq: 0 })
    totals.settle(this.id, worker => worker !== born)
    return true
  }

  #pools(): Record<string, ReportedPool> {
    return this.#running === null ? {} : this.#health.poolsOf(this.#running.document)
  }

  #watch(document: Document): void {
    const health = this.#health
    this.#options.prober.watch(this.id, health.ordersFor(document), (member_id, word, meant) => {
      if (health.agrees(member_id, word)) health.note(member_id, word)
      else this.#turn.take(() => this.#follow(member_id, word, meant)).catch(error => this.#complain(error))
    })
  }

  /** While it waited for its turn the member may have come to be asked otherwise, or to answer otherwise. */
  async #follow(member_id: string, word: string, meant: () => boolean): Promise<void> {
    if (!meant()) return
    const [running, kept] = [this.#running, await this.#kept()]
    if (running === null || kept === null || !this.#health.expects(member_id)) return
    this.#options.log('a member changes', { listener: this.id, member: member_id, word })
    this.#health.turn(member_id, word)
    try {
      await this.#bring(running.document, kept.text, running.ruleset)
    } finally {
      this.#health.note(member_id, word)
    }
  }

  #complain(error: unknown): void {
    this.#options.log('the rules of a listener could not be mended', { listener: this.id, error: String(error) })
  }

  #file(name: string): string {
    return path.join(this.#folder, name)
  }
}

type Answered = LookedAt['listeners'][number]['answer']

export type DatagramListenerOptions = {
  base_path: string
  kernel: DatagramKernel
  prober: Prober
  log: Log
  /** Counts how configurations got into force. */
  count: (applied: Applied) => void
  totals: Totals
}

/** What this machine cannot give, in plain words. */
function warningsOf({ vip_address, default_pool }: Document): string[] {
  if (default_pool === null) return []
  const others = default_pool.members.filter(each => each.address.includes(':') !== vip_address.includes(':'))
  return [
    ...(default_pool.lb_algorithm === 'LEAST_CONNECTIONS'
      ? ['LEAST_CONNECTIONS: nftables cannot compare members, so they take turns by their weights']
      : []),
    ...(others.length > 0
      ? [`members of another IP version than the VIP get nothing: ${others.map(each => each.address).join(', ')}`]
      : []),
  ]
}
