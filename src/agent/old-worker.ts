/** A worker that a reload has replaced: kept until its last connection has ended and its last byte is counted. */
import net from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseStatistics, type Statistics } from './statistics.ts'

/** haproxy forgets what a worker counted when the worker ends, and a worker ends with its last connection. One of its
 *  own socket counts as one, and stays with the worker that accepted it (measured with 2.6). */
export class OldWorker {
  readonly #socket: net.Socket
  #text = ''
  #answered: ((text: string | null) => void) | null = null

  private constructor(socket: net.Socket) {
    this.#socket = socket
    socket.setEncoding('utf8').on('data', text => {
      this.#text += text
      if (this.#text.endsWith(PROMPT)) this.#answer(this.#text.slice(0, -PROMPT.length))
    })
    socket.on('error', () => {})
    socket.on('close', () => this.#answer(null))
  }

  /** Takes hold of the worker that is behind the socket now, before the reload. Null when it does not answer. */
  static async hold(socket_path: string): Promise<OldWorker | null> {
    const worker = new OldWorker(net.connect(socket_path))
    if ((await worker.#ask('prompt')) !== null && (await worker.#ask('set timeout cli 1d')) !== null) return worker
    worker.release()
    return null
  }

  release(): void {
    this.#socket.destroy()
  }

  /** Calls `note` with what it counted until it has no connection left, then `keep`, and lets it end. */
  async follow(note: (found: Statistics) => void, keep: () => Promise<void>): Promise<void> {
    for (let quiet = 0; quiet < 2; await sleep(AGAIN_MS, undefined, { ref: false })) {
      // One by one: each answer ends with a prompt of its own.
      const about = await this.#ask('show info')
      const counted = about === null ? null : await this.#ask('show stat -1 1 -1')
      if (counted === null) break
      const found = parseStatistics(`${about}\n${counted}`, new Set())
      note(found)
      const idle = Object.values(found.frontends).every(({ sessions }) => sessions === 0)
      quiet = found.stopping && idle ? quiet + 1 : 0
    }
    await keep().catch(() => {})
    this.release()
  }

  #ask(command: string): Promise<string | null> {
    return new Promise(resolve => {
      const timer = setTimeout(() => this.#answer(null), ANSWER_MS).unref()
      this.#answered = text => {
        clearTimeout(timer)
        resolve(text)
      }
      this.#text = ''
      if (this.#socket.destroyed) this.#answer(null)
      else this.#socket.write(`${command}\n`)
    })
  }

  #answer(text: string | null): void {
    const answered = this.#answered
    this.#answered = null
    answered?.(text)
  }
}

const PROMPT = '\n> '
const AGAIN_MS = 200
const ANSWER_MS = 5_000
