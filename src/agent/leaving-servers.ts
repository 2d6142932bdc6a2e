/** Servers of a haproxy that are out of service but still have connections: each goes with its last one. */
import type { Configuration } from './configuration.ts'
import { deleteLeft, leftOver } from './runtime.ts'
import type { Turn } from './turn.ts'

export class LeavingServers {
  readonly #socket: string
  readonly #turn: Turn
  /** `backend/server`. */
  readonly places = new Set<string>()
  #timer: NodeJS.Timeout | null = null

  /** Nothing else is to happen to that haproxy while they are deleted: they wait for its turn. */
  constructor(socket: string, turn: Turn) {
    this.#socket = socket
    this.#turn = turn
  }

  /** After a start of the agent: those that haproxy has, and the configuration lacks. */
  async recall(running: Configuration): Promise<void> {
    for (const place of await leftOver(this.#socket, running).catch(() => new Set<string>())) this.places.add(place)
    this.deleteLater()
  }

  /** Another worker has none. */
  clear(): void {
    this.places.clear()
  }

  deleteLater(): void {
    this.letGo()
    if (this.places.size === 0) return
    const again = () => this.#turn.take(() => deleteLeft(this.#socket, this.places))
    const next = () => this.deleteLater()
    this.#timer = setTimeout(() => again().then(next, next), AGAIN_MS).unref()
  }

  letGo(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }
}

const AGAIN_MS = 1_000
