/** The agent's other process, inside the namespace, where members are: it asks them for UDP listeners, all its life. */
import { createInterface } from 'node:readline'
import { type Check, type CheckOrder, makeCheck } from './checks.ts'

/** `agent probe-members`: reads orders and writes findings, a line of JSON each. Ends with its input, and so with the
 *  agent, however that ends. */
export async function probeMembers(): Promise<void> {
  const all = new Map<string, Map<string, Watch>>()
  for await (const line of createInterface({ input: process.stdin })) {
    const { listener_id, orders } = JSON.parse(line) as Orders
    const former = all.get(listener_id) ?? new Map<string, Watch>()
    const next = new Map<string, Watch>()
    for (const order of orders) {
      const { member_id, since } = order
      const key = `${member_id} ${since}`
      const report = (word: string) => write({ listener_id, member_id, since, word })
      next.set(key, former.get(key) ?? new Watch(order, report))
    }
    for (const [key, watch] of former) if (!next.has(key)) watch.end()
    all.set(listener_id, next)
  }
  process.exit()
}

export const PROBE_MODE = 'probe-members'

/** `since`: the number of the orders with which it began to be asked so. */
export type Order = CheckOrder & { since: number }
/** All that is to be asked for a listener from now on. */
export type Orders = { listener_id: string; orders: Order[] }
/** What one member has come to be: "UP", "DOWN", or on the way "UP 1/3", "DOWN 1/2", as haproxy says it. */
export type Finding = { listener_id: string; member_id: string; since: number; word: string }

function write(finding: Finding): void {
  process.stdout.write(`${JSON.stringify(finding)}\n`)
}

/** Asks one member again and again: `fall` bad answers in a row make it DOWN, `rise` good ones UP. */
class Watch {
  readonly #order: CheckOrder
  readonly #report: (word: string) => void
  readonly #check: Check
  #down: boolean
  /** Answers in a row that say otherwise. */
  #otherwise = 0
  #word: string
  #timer: NodeJS.Timeout | null
  #ended = false

  constructor(order: CheckOrder, report: (word: string) => void) {
    this.#order = order
    this.#report = report
    this.#check = makeCheck(order)
    this.#down = order.down
    this.#word = order.down ? 'DOWN' : 'UP'
    // a thousand members are not asked in one moment
    this.#timer = setTimeout(() => this.#next(), Math.random() * FIRST_MS)
  }

  end(): void {
    this.#ended = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#check.end()
  }

  async #next(): Promise<void> {
    const { monitor } = this.#order
    const began_ms = performance.now()
    const good = await this.#check.ask()
    if (this.#ended) return
    this.#note(good)
    const wait_ms = began_ms + Math.max(1, monitor.delay) * 1_000 - performance.now()
    this.#timer = setTimeout(() => this.#next(), Math.max(0, wait_ms))
  }

  #note(good: boolean): void {
    const { max_retries: rise, max_retries_down: fall } = this.#order.monitor
    this.#otherwise = good === this.#down ? this.#otherwise + 1 : 0
    const needed = this.#down ? rise : fall
    if (this.#otherwise >= needed) {
      this.#down = !this.#down
      this.#otherwise = 0
    }
    const state = this.#down ? 'DOWN' : 'UP'
    // haproxy counts down what is left of a member that fails, and up what a coming one has
    const word =
      this.#otherwise === 0 ? state : `${state} ${this.#down ? this.#otherwise : needed - this.#otherwise}/${needed}`
    if (word !== this.#word) this.#report(word)
    this.#word = word
  }
}

const FIRST_MS = 200
