/** The agent's side of its process inside the namespace: there while a UDP listener has a monitor, and only then. */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { isDeepStrictEqual } from 'node:util'
import type { CheckOrder } from './checks.ts'
import type { Log } from './log.ts'
import { ensureNamespace, inside } from './namespace.ts'
import { type Finding, type Order, type Orders, PROBE_MODE } from './probe.ts'

export class Prober {
  readonly #agent: string[]
  readonly #log: Log
  readonly #wanted = new Map<string, { orders: Order[]; report: Report }>()
  #since = 0
  #child: ChildProcess | null = null
  #starting = false
  #ended = false

  /** `agent`: the command line of the agent itself. */
  constructor(agent: string[], log: Log) {
    this.#agent = agent
    this.#log = log
  }

  /** From now on these are asked for the listener, and no others. Words are reported when they change. */
  watch(listener_id: string, asked: CheckOrder[], report: Report): void {
    const orders = continued(this.#wanted.get(listener_id)?.orders ?? [], asked, ++this.#since)
    if (orders.length > 0) this.#wanted.set(listener_id, { orders, report })
    else if (!this.#wanted.delete(listener_id)) return
    if (this.#wanted.size === 0) this.#child?.stdin?.end()
    else if (this.#child?.stdin?.writable) this.#tell({ listener_id, orders })
    else if (this.#child === null) void this.#start()
  }

  /** The agent ends. */
  end(): void {
    this.#ended = true
    this.#child?.stdin?.end()
  }

  async #start(): Promise<void> {
    if (this.#starting || this.#ended) return
    this.#starting = true
    await ensureNamespace().catch(error => this.#log('members cannot be asked', { error: String(error) }))
    this.#starting = false
    if (this.#ended || this.#wanted.size === 0) return
    const argv = inside([...this.#agent, PROBE_MODE])
    const child = spawn(argv[0]!, argv.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#child = child
    child.stdin.on('error', () => {})
    child.on('error', error => this.#log('members cannot be asked', { error: String(error) }))
    child.once('close', () => {
      this.#child = null
      // it ended because nobody was left, and now somebody is; or it died
      if (this.#wanted.size > 0) setTimeout(() => this.#start(), AGAIN_MS).unref()
    })
    createInterface({ input: child.stdout }).on('line', line => this.#hear(JSON.parse(line) as Finding))
    for (const [listener_id, { orders }] of this.#wanted) this.#tell({ listener_id, orders })
  }

  #tell(orders: Orders): void {
    this.#child?.stdin?.write(`${JSON.stringify(orders)}\n`)
  }

  #hear({ listener_id, member_id, since, word }: Finding): void {
    const order = () =>
      this.#wanted.get(listener_id)?.orders.find(each => each.member_id === member_id && each.since === since)
    const heard = order()
    if (heard === undefined) return // who is asked no more, or otherwise by now
    // what a next process has to begin with
    const down = word.startsWith('DOWN')
    heard.down = down
    this.#wanted.get(listener_id)!.report(member_id, word, () => order()?.down === down)
  }
}

/** What is asked as it was goes on, with what was found out; the rest begins with what the caller knows. Whoever began
 *  anew reports differences from that alone, so what was said before it must not be taken for its word. */
export function continued(former: Order[], asked: CheckOrder[], since: number): Order[] {
  return asked.map(order => {
    const same = former.find(each =>
      isDeepStrictEqual({ ...each, down: null }, { ...order, down: null, since: each.since }),
    )
    return same ?? { ...order, since }
  })
}

/** `meant`: whether it is still asked as it was when that was found out, and nothing else was found out since. */
type Report = (member_id: string, word: string, meant: () => boolean) => void

const AGAIN_MS = 500
