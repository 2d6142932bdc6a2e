/** Progress on the terminal: one line a step with its time; JSON lines where a program reads. */

/** Shows steps as they begin, and how long each took. Everything goes to standard error; results go to standard output. */
export class Progress {
  readonly #json: boolean
  readonly #begin_ms = performance.now()
  #step: { title: string; begin_ms: number } | null = null

  constructor(json: boolean) {
    this.#json = json
  }

  step(title: string): void {
    this.done()
    this.#step = { title, begin_ms: performance.now() }
    if (!this.#json && process.stderr.isTTY) process.stderr.write(`  … ${title}`)
  }

  /** The current step is over. */
  done(): void {
    if (!this.#step) return
    const { title, begin_ms } = this.#step
    this.#step = null
    const took_s = (performance.now() - begin_ms) / 1000
    if (this.#json) process.stderr.write(`${JSON.stringify({ step: title, took_s: Number(took_s.toFixed(2)) })}\n`)
    else
      process.stderr.write(`${process.stderr.isTTY ? '\r\x1b[K' : ''}  ✓ ${title.padEnd(58)} ${took_s.toFixed(1)} s\n`)
  }

  note(text: string): void {
    if (this.#json) process.stderr.write(`${JSON.stringify({ note: text })}\n`)
    else process.stderr.write(`${process.stderr.isTTY ? '\r\x1b[K' : ''}  · ${text}\n`)
  }

  /** Seconds since the beginning. */
  get elapsed_s(): number {
    return (performance.now() - this.#begin_ms) / 1000
  }
}
