/** A UDP listener by nftables alone: its members are in its rules, and the agent asks them how they are. */
import type { ReportedPool } from '../amphora/heartbeat.ts'
import { type DatagramListener, shortOfVips } from '../amphora/nftables/datagram-listener.ts'
import { mapsOf } from '../amphora/nftables/listener-table.ts'
import { keeping, rulesetOf } from '../amphora/nftables/ruleset.ts'
import { scriptsOf } from '../amphora/nftables/script.ts'
import type { Answered } from './beat.ts'
import { type DatagramDriver, type DriverOptions, type Kept, keep, readKept } from './datagram-driver.ts'
import { MemberHealth } from './member-health.ts'
import type { Prober } from './prober.ts'

export class DatagramRules implements DatagramDriver {
  readonly #options: DriverOptions & { prober: Prober }
  readonly #health = new MemberHealth()
  #document: DatagramListener | null = null

  constructor(options: DriverOptions & { prober: Prober }) {
    this.#options = options
  }

  check(document: DatagramListener): Promise<void> {
    return this.#options.kernel.check(scriptsOf(rulesetOf(document, new Set()), null, '0'))
  }

  shortcomings(document: DatagramListener): string[] {
    return [
      ...(document.default_pool?.lb_algorithm === 'LEAST_CONNECTIONS'
        ? ['LEAST_CONNECTIONS: nftables cannot compare members, so they take turns by their weights']
        : []),
      ...shortOfVips(document),
    ]
  }

  async bring(document: DatagramListener, text: string): Promise<void> {
    this.#health.keepFor(document)
    await this.#bring(document, text)
    this.#watch(document)
  }

  async resume(document: DatagramListener, { text, down }: Kept): Promise<void> {
    this.#health.recall(document, down)
    await this.#bring(document, text)
    this.#watch(document)
  }

  async leave(): Promise<void> {
    this.#options.prober.watch(this.#options.id, [], () => {})
    this.#document = null
    this.#health.clear()
  }

  async look(document: DatagramListener): Promise<Answered> {
    if (!(await this.#options.rules.count())) {
      // somebody has flushed the rules
      this.#mend().catch(error => this.#complain(error))
      return null
    }
    const sessions = await this.#options.kernel.sessions(document)
    const full = document.connection_limit > 0 && sessions >= document.connection_limit
    return { status: full ? 'FULL' : 'OPEN', sessions, pools: await this.pools(document) }
  }

  async pools(document: DatagramListener): Promise<Record<string, ReportedPool>> {
    return this.#health.poolsOf(document)
  }

  /** The kernel goes on by itself. */
  letGo(): void {}

  async #bring(document: DatagramListener, text: string): Promise<void> {
    const { rules, kernel, folder } = this.#options
    const down = new Set(this.#health.down)
    const wanted = rulesetOf(document, down)
    // flows that IPVS began lead nowhere, even those to members that stay
    const others = rules.now !== null && mapsOf(rules.now).length === 0
    await keep(folder, { text, down: [...down] })
    await rules.bring(wanted)
    this.#document = document
    // after the rules: whoever is sent on must not find the same member again
    await kernel.forget(document, others ? [] : keeping(document, down))
  }

  #mend(): Promise<void> {
    return this.#options.turn.take(async () => {
      const [document, kept] = [this.#document, await readKept(this.#options.folder)]
      if (document === null || kept === null) return
      await this.#options.rules.recall()
      await this.#bring(document, kept.text)
    })
  }

  #watch(document: DatagramListener): void {
    const health = this.#health
    this.#options.prober.watch(this.#options.id, health.ordersFor(document), (member_id, word, meant) => {
      if (health.agrees(member_id, word)) health.note(member_id, word)
      else this.#options.turn.take(() => this.#follow(member_id, word, meant)).catch(error => this.#complain(error))
    })
  }

  /** While it waited for its turn the member may have come to be asked otherwise, or to answer otherwise. */
  async #follow(member_id: string, word: string, meant: () => boolean): Promise<void> {
    if (!meant()) return
    const [document, kept] = [this.#document, await readKept(this.#options.folder)]
    if (document === null || kept === null || !this.#health.expects(member_id)) return
    this.#options.log('a member changes', { listener: this.#options.id, member: member_id, word })
    this.#health.turn(member_id, word)
    try {
      await this.#bring(document, kept.text)
    } finally {
      this.#health.note(member_id, word)
    }
  }

  #complain(error: unknown): void {
    this.#options.log('the rules of a listener could not be mended', {
      listener: this.#options.id,
      error: String(error),
    })
  }
}
