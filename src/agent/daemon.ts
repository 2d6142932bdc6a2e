/** A program that outlives the agent: leads a session of its own, is adopted after our death, restarted after its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import fs from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from './log.ts'
import { alive, masterOf } from './masters.ts'
import { ensureNamespace, inside } from './namespace.ts'

/** It runs inside the namespace and writes to a file. Its command line must hold `-p` and the pid file: that is how the
 *  next agent knows it. */
export class Daemon {
  readonly #options: DaemonOptions
  #pid: number | null = null
  #wanted = false
  #started_ms = 0
  #deaths = 0
  #watch: NodeJS.Timeout | null = null
  #again: NodeJS.Timeout | null = null

  constructor(options: DaemonOptions) {
    this.#options = options
  }

  /** Of the process that runs, else null. */
  get pid(): number | null {
    return this.#pid !== null && alive(this.#pid) ? this.#pid : null
  }

  /** Takes over a process that runs already. From now on it is restarted when it dies. Returns whether there was one. */
  adopt(): boolean {
    this.#wanted = true
    const pid = masterOf(this.#options.pid_file, this.#options.namespace)
    if (pid !== null) this.#follow(pid, null)
    return pid !== null
  }

  /** Resolves with its pid when it has been started, which does not mean that it serves. */
  async start(): Promise<number> {
    this.#wanted = true
    await ensureNamespace(this.#options.namespace)
    fs.rmSync(this.#options.pid_file, { force: true })
    const argv = inside(this.#options.argv(), this.#options.namespace)
    const output = fs.openSync(this.#options.log_file, 'a')
    const child = spawn(argv[0]!, argv.slice(1), { detached: true, stdio: ['ignore', output, output] })
    fs.closeSync(output)
    const spawned = await new Promise<boolean>(resolve => {
      child.once('spawn', () => resolve(true)).once('error', () => resolve(false))
    })
    if (!spawned) throw new Error(`${argv[0]} cannot be started`)
    child.unref()
    this.#follow(child.pid!, child)
    return child.pid!
  }

  async stop(): Promise<void> {
    this.#wanted = false
    if (this.#watch !== null) clearInterval(this.#watch)
    const pid = this.#pid ?? masterOf(this.#options.pid_file, this.#options.namespace)
    if (pid !== null && alive(pid)) {
      process.kill(pid, 'SIGTERM')
      await until(() => !alive(pid), STOP_MS)
      // Its session, with every old worker.
      if (alive(pid)) killGroup(pid, 'SIGKILL')
      await until(() => !alive(pid), STOP_MS)
    }
    this.#pid = null
    fs.rmSync(this.#options.pid_file, { force: true })
  }

  /** The agent ends, the program goes on. */
  letGo(): void {
    this.#wanted = false
    if (this.#watch !== null) clearInterval(this.#watch)
  }

  /** Where its next words will stand. */
  listen(): number {
    const { size } = fs.statSync(this.#options.log_file, { throwIfNoEntry: false }) ?? { size: 0 }
    if (size < LOG_BYTES) return size
    fs.truncateSync(this.#options.log_file)
    return 0
  }

  said(from: number): string {
    try {
      return fs.readFileSync(this.#options.log_file).subarray(from).toString('utf8').trim().slice(-4_000)
    } catch {
      return ''
    }
  }

  #follow(pid: number, child: ChildProcess | null): void {
    this.#pid = pid
    this.#started_ms = Date.now()
    if (this.#options.writes_pid_file !== true) fs.writeFileSync(this.#options.pid_file, `${pid}\n`)
    if (this.#watch !== null) clearInterval(this.#watch)
    const died = () => {
      if (this.#watch !== null) clearInterval(this.#watch)
      if (this.#pid !== pid) return
      this.#pid = null
      if (!this.#wanted) return
      this.#options.died(pid)
      this.#restart()
    }
    if (child !== null) child.once('exit', died)
    // Not our child: nobody tells us of its end.
    else this.#watch = setInterval(() => alive(pid) || died(), ADOPTED_MS).unref()
  }

  /** At once; the more slowly the more often it dies within its first ten seconds. */
  #restart(): void {
    if (this.#again !== null) return
    this.#deaths = Date.now() - this.#started_ms > SETTLED_MS ? 0 : this.#deaths + 1
    const wait_ms = this.#deaths === 0 ? 0 : Math.min(100 * 2 ** (this.#deaths - 1), SETTLED_MS)
    const { log, name, pid_file } = this.#options
    log(`${name} died and is started again`, { pid_file, wait_ms })
    this.#again = setTimeout(() => {
      this.#again = null
      if (!this.#wanted || this.pid !== null) return
      this.#options.restart().catch(error => {
        log(`${name} could not be started again`, { pid_file, error: String(error) })
        if (this.#wanted && this.pid === null) this.#restart()
      })
    }, wait_ms).unref()
  }
}

export type DaemonOptions = {
  /** For the log. */
  name: string
  argv: () => string[]
  /** Left out, it is the amphora's one. */
  namespace?: string
  pid_file: string
  /** The program writes it itself, and does not start when it is there. */
  writes_pid_file?: boolean
  log_file: string
  log: Log
  /** Called at the moment of its death when it is wanted, before it is started again. */
  died: (pid: number) => void
  /** Starts it again, when its turn comes. */
  restart: () => Promise<void>
}

/** Sends a signal to all processes of the session that `pid` led. */
export function killGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal)
  } catch {
    // There is none left.
  }
}

export async function until(condition: () => boolean, deadline_ms: number): Promise<void> {
  for (let waited_ms = 0; !condition() && waited_ms < deadline_ms; waited_ms += 10) await sleep(10)
}

const STOP_MS = 5_000
const SETTLED_MS = 10_000
/** A look costs 20 µs. */
const ADOPTED_MS = 20
const LOG_BYTES = 1_000_000
