/** Ending a daemon in order: what was opened last is closed first, each within a limit. */
import type { Log } from './log.ts'

/** Collects what must be closed and closes it when the process is asked to end (SIGTERM, SIGINT, or its parent's channel
 *  closing); a second request ends at once. */
export class Stop {
  readonly #closers: { title: string; close: () => Promise<unknown> | unknown }[] = []
  readonly #log: Log
  #stopping: Promise<void> | null = null

  constructor(log: Log) {
    this.#log = log
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => this.#asked(signal))
    process.on('disconnect', () => this.#asked('the parent is gone'))
  }

  /** Has `close` called at the end, before everything that was added earlier. */
  add(title: string, close: () => Promise<unknown> | unknown): void {
    this.#closers.push({ title, close })
  }

  #asked(reason: string): void {
    if (this.#stopping) process.exit(1)
    this.#log.info({ reason }, 'stopping')
    this.#stopping = this.#closeAll().then(() => process.exit(0))
  }

  async #closeAll(): Promise<void> {
    for (const { title, close } of this.#closers.reverse()) {
      const limit = new Promise(resolve => setTimeout(resolve, 10_000).unref())
      try {
        await Promise.race([close(), limit])
      } catch (error) {
        this.#log.error({ err: error }, `${title} did not close in order`)
      }
    }
  }
}
