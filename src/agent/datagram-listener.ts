/** One UDP listener of this amphora: its files, how it comes into force, and what is told of it. */
import fs from 'node:fs/promises'
import path from 'node:path'
import { type DatagramListener as Document, readDatagramListener } from '../amphora/nftables/datagram-listener.ts'
import type { Applied, ListenerDetails, ListenerEntry, ListenerStatus, PoolStatus } from '../amphora/rest.ts'
import { type Answer, etagOf, md5Of, Refusal, warningHeader } from './answer.ts'
import type { Answered, LookedAt } from './beat.ts'
import { type DatagramDriver, keepNothing, readKept } from './datagram-driver.ts'
import type { DatagramKernel } from './datagram-kernel.ts'
import { DatagramRules } from './datagram-rules.ts'
import { readIfThere, writeWhole } from './files.ts'
import type { Ipvs } from './ipvs.ts'
import type { Log } from './log.ts'
import type { Prober } from './prober.ts'
import { RulesInForce } from './rules-in-force.ts'
import { folded } from './statistics.ts'
import type { Totals } from './totals.ts'
import { Turn } from './turn.ts'
import { VirtualServers } from './virtual-servers.ts'

/** The file by which a listener is known to be one of these. */
export const DATAGRAM_FILE = 'udp_listener.json'

/** Its folder holds `udp_listener.json` (what was uploaded last), `running.json` (the one in force, and who is down),
 *  `rulesets.json` (the rules in force and those that were to follow) and `enabled` (it is to run after a reboot). How it is
 *  in force is decided anew with every document and with every start of the agent. */
export class DatagramListener {
  readonly id: string
  readonly #options: DatagramListenerOptions
  readonly #folder: string
  readonly #turn = new Turn()
  readonly #rules: RulesInForce
  readonly #nftables: DatagramRules
  readonly #virtual_servers: VirtualServers
  #enabled = false
  #running: { document: Document; digest: string; driver: DatagramDriver; warnings: string[] } | null = null
  #last: Answered = null

  constructor(id: string, options: DatagramListenerOptions) {
    this.id = id
    this.#options = options
    this.#folder = path.join(options.base_path, id)
    const own = { ...options, id, folder: this.#folder, turn: this.#turn }
    this.#rules = new RulesInForce(own)
    const ipvs = options.ipvs ?? { reloads: async () => false }
    this.#nftables = new DatagramRules({ ...own, rules: this.#rules })
    this.#virtual_servers = new VirtualServers({ ...own, rules: this.#rules, ipvs })
  }

  /** Checks the document, with the programs that will read it too, and keeps it; what runs stays as it is. */
  upload(body: Buffer): Promise<Answer> {
    return this.#turn.take(async () => {
      try {
        const document = readDatagramListener(body.toString('utf8'))
        if (document.id !== this.id) throw new RangeError(`it is the document of ${document.id}`)
        const { driver, warnings } = await this.#choose(document)
        if (driver === this.#nftables) await driver.check(document)
        await writeWhole(this.#file(DATAGRAM_FILE), body)
        const headers = { ETag: etagOf(body), ...warningHeader(warnings) }
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

  /** Another amphora should not have the VIP because of it: nftables needs no process that could die, and a keepalived that
   *  has died is back sooner than the VIP would have moved. */
  get duty(): null {
    return null
  }

  /** What a heartbeat tells of it; waits for the kernel's answer no longer than that. Rules do not end because nft is slow:
   *  the answer before stands in for one that is late. */
  async look(limit_ms: number): Promise<LookedAt> {
    const late = new Promise<Answered>(resolve => {
      setTimeout(() => resolve(this.#last), limit_ms).unref()
    })
    const running = this.#running
    const looking = running === null ? Promise.resolve(null) : running.driver.look(running.document).catch(() => null)
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
    if (this.#running === null || entry.status !== 'ACTIVE') return entry
    const { driver, document } = this.#running
    const pools = Object.entries(await driver.pools(document)).map(([uuid, { status, members }]): PoolStatus => {
      const each = Object.entries(members).map(([id, word]) => [id, folded(word)])
      return { uuid, status, members: Object.fromEntries(each) }
    })
    return { ...entry, pools }
  }

  /** After a start of the agent: what is in force stays in force, as far as it is what is wanted. */
  resume(): Promise<void> {
    return this.#turn.take(async () => {
      this.#enabled = (await readIfThere(this.#file('enabled'))) !== null
      if (!this.#enabled) return
      const uploaded = async () => ({ text: await fs.readFile(this.#file(DATAGRAM_FILE), 'utf8'), down: [] })
      const kept = (await readKept(this.#folder)) ?? (await uploaded())
      await this.#rules.recall()
      await this.#bring(kept.text, (driver, document) => driver.resume(document, kept))
    })
  }

  /** The agent ends; the kernel goes on. */
  letGo(): void {
    this.#running?.driver.letGo()
  }

  /** Brings what was uploaded last into force. */
  async #apply(action: 'start' | 'reload'): Promise<Answer> {
    try {
      const text = await fs.readFile(this.#file(DATAGRAM_FILE), 'utf8')
      await writeWhole(this.#file('enabled'), '')
      this.#enabled = true
      const running = this.#running
      const applied: Applied = running === null ? 'start' : running.digest === md5Of(text) ? 'none' : 'runtime'
      if (applied !== 'none') {
        const document = await this.#bring(text, (driver, document) => driver.bring(document, text))
        if (running !== null) await this.#options.kernel.abandon(running.document, document)
      }
      this.#options.count(applied)
      return {
        status: 202,
        body: { message: 'OK', details: `keepalivedlvs listener ${this.id} ${action}ed` },
        headers: { 'X-Ottavia-Applied': applied, ...warningHeader(this.#running?.warnings ?? []) },
      }
    } catch (error) {
      throw new Refusal(500, { message: `Error ${action}ing keepalivedlvs`, details: (error as Error).message })
    }
  }

  /** By the driver that is chosen; what the other one had goes. Virtual servers that do not come are no reason to fail. */
  async #bring(text: string, how: (driver: DatagramDriver, document: Document) => Promise<void>): Promise<Document> {
    const document = readDatagramListener(text)
    const choice = await this.#choose(document)
    const digest = md5Of(text)
    if (choice.driver === this.#virtual_servers) {
      await this.#nftables.leave()
      try {
        await how(this.#virtual_servers, document)
        this.#running = { document, digest, ...choice }
        return document
      } catch (error) {
        Object.assign(choice, this.#instead(document, (error as Error).message))
      }
    }
    await this.#virtual_servers.leave()
    await how(this.#nftables, document)
    this.#running = { document, digest, ...choice }
    return document
  }

  /** What the operator wants, where this machine can; the document is checked for that. */
  async #choose(document: Document): Promise<{ driver: DatagramDriver; warnings: string[] }> {
    const { ipvs } = this.#options
    const driver = this.#virtual_servers
    if (ipvs === null) return { driver: this.#nftables, warnings: this.#nftables.shortcomings(document) }
    const lacking = await ipvs.lacking().catch(error => (error as Error).message)
    if (lacking !== null) return this.#instead(document, lacking)
    const refused = await driver.check(document).then(
      () => null,
      error => (error as Error).message,
    )
    return refused === null ? { driver, warnings: driver.shortcomings(document) } : this.#instead(document, refused)
  }

  #instead(document: Document, why: string): { driver: DatagramDriver; warnings: string[] } {
    this.#options.log('nftables serves instead of keepalived', { listener: this.id, why })
    const words = `keepalived_lvs: ${why.replaceAll(/\s+/g, ' ').slice(0, 300)}; nftables serves instead`
    return { driver: this.#nftables, warnings: [words, ...this.#nftables.shortcomings(document)] }
  }

  async #stop(): Promise<void> {
    await fs.rm(this.#file('enabled'), { force: true })
    this.#enabled = false
    await this.#nftables.leave()
    await this.#virtual_servers.leave()
    const text = (await readKept(this.#folder))?.text
    const document = this.#running?.document ?? (text === undefined ? null : readDatagramListener(text))
    if (document !== null) {
      await this.#rules.withdraw()
      await this.#options.kernel.forget(document, [])
    }
    this.#running = null
    await keepNothing(this.#folder)
  }

  #file(name: string): string {
    return path.join(this.#folder, name)
  }
}

export type DatagramListenerOptions = {
  base_path: string
  kernel: DatagramKernel
  prober: Prober
  /** Null where the operator does not want virtual servers. */
  ipvs: Pick<Ipvs, 'lacking' | 'reloads'> | null
  /** The command line of the agent itself. */
  agent: string[]
  log: Log
  /** Counts how configurations got into force. */
  count: (applied: Applied) => void
  totals: Totals
}
