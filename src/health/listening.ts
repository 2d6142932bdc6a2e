/** Whether this process may judge who is silent: only who has listened for a whole time-out knows. */

/** Follows what would make silence ours: a socket that is not there, a database that does not answer, a process that was
 *  not run, a clock that jumped. All times are of a clock that never jumps, in milliseconds; except the database's. */
export class Listening {
  readonly #timeout_ms: number
  readonly #stall_ms: number
  readonly #obstacles = new Set<string>()
  #since_ms: number
  #tick_ms: number
  #clocks: { database_ms: number; own_ms: number } | null = null
  /** Why the time began anew last. */
  reason = 'it has just started'

  constructor(timeout_s: number, now_ms: number) {
    this.#timeout_ms = timeout_s * 1000
    this.#stall_ms = Math.min(this.#timeout_ms / 4, 5_000)
    this.#since_ms = now_ms
    this.#tick_ms = now_ms
  }

  /** To be called several times a second. */
  tick(now_ms: number): void {
    if (now_ms - this.#tick_ms > this.#stall_ms)
      this.#again(now_ms, `it did not run for ${Math.round(now_ms - this.#tick_ms)} ms`)
    this.#tick_ms = now_ms
  }

  /** Nothing is heard, or could be written, from now on until `cleared`. */
  hindered(obstacle: string, now_ms: number): void {
    this.#obstacles.add(obstacle)
    this.#again(now_ms, obstacle)
  }

  cleared(obstacle: string, now_ms: number): void {
    if (this.#obstacles.delete(obstacle)) this.#again(now_ms, `until just now ${obstacle}`)
  }

  /** The database's clock, as read at `now_ms`. */
  clock(database_ms: number, now_ms: number): void {
    const last = this.#clocks
    this.#clocks = { database_ms, own_ms: now_ms }
    if (last === null) return
    const jump_ms = database_ms - last.database_ms - (now_ms - last.own_ms)
    if (Math.abs(jump_ms) > this.#stall_ms)
      this.#again(now_ms, `the database's clock jumped by ${Math.round(jump_ms)} ms`)
  }

  /** Has it listened, unhindered, for a whole time-out? */
  mayJudge(now_ms: number): boolean {
    this.tick(now_ms)
    return this.#obstacles.size === 0 && now_ms - this.#since_ms >= this.#timeout_ms
  }

  #again(now_ms: number, reason: string): void {
    this.#since_ms = now_ms
    this.reason = reason
  }
}
