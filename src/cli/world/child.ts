/** A daemon of the stack, run as a child and started again when it ends unasked. */
import { type ChildProcess, spawn } from 'node:child_process'
import fs from 'node:fs'

export type DaemonOptions = {
  title: string
  argv: string[]
  env: Record<string, string>
  log_file: string
  /** Inherited descriptors that become fds 4, 5, … of the daemon (3 is Node's channel). */
  fds: number[]
}

/** Keeps one daemon running. `started` resolves at its first message `{ready: true}`. */
export class Daemon {
  readonly started: Promise<void>
  readonly #options: DaemonOptions
  #child: ChildProcess | null = null
  #stopping = false
  #wait_ms = 200

  constructor(options: DaemonOptions) {
    this.#options = options
    this.started = new Promise((resolve, reject) => this.#start(resolve, reject))
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Asks it to end, and ends it after 15 s. */
  async stop(): Promise<void> {
    this.#stopping = true
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise<void>(resolve => child.once('exit', () => resolve()))
    child.kill('SIGTERM')
    const limit = setTimeout(() => child.kill('SIGKILL'), 15_000)
    await gone
    clearTimeout(limit)
  }

  #start(ready: () => void, failed: (error: Error) => void): void {
    const { argv, env, fds, log_file, title } = this.#options
    const log = fs.openSync(log_file, 'a', 0o600)
    const child = spawn(argv[0]!, argv.slice(1), {
      stdio: ['ignore', log, log, 'ipc', ...fds],
      env: { ...process.env, ...env },
    })
    fs.closeSync(log)
    this.#child = child
    const born_ms = Date.now()
    child.on('message', (message: { ready?: boolean }) => {
      if (message.ready) ready()
    })
    child.once('error', failed)
    child.once('exit', (code, signal) => {
      failed(new Error(`${title} ended at its start (${signal ?? `status ${code}`}); see ${log_file}`))
      if (this.#stopping) return
      this.#wait_ms = Date.now() - born_ms > 10_000 ? 200 : Math.min(this.#wait_ms * 2, 5_000)
      setTimeout(() => {
        if (!this.#stopping) this.#start(ready, failed)
      }, this.#wait_ms)
    })
  }
}
