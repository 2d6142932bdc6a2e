/** One haproxy and its supervision: when it serves, and how it is reloaded. */
import fs from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { Daemon } from './daemon.ts'
import type { Log } from './log.ts'
import { alive, parentOf } from './masters.ts'
import { ask } from './runtime.ts'

export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #daemon: Daemon
  #serving = false

  constructor(options: SupervisorOptions) {
    this.#options = options
    const { haproxy_cmd, config_file, pid_file, log_file, master_socket, peer, log, restart } = options
    const master = ['-S', `${master_socket},mode,600`]
    this.#daemon = new Daemon({
      name: 'haproxy',
      namespace: options.namespace,
      argv: () => [haproxy_cmd, '-W', '-db', ...master, '-f', config_file, '-p', pid_file, '-L', peer],
      pid_file,
      log_file,
      log,
      died: () => {
        this.#serving = false
        options.died()
      },
      restart,
    })
  }

  get running(): boolean {
    return this.#daemon.pid !== null
  }

  /** Runs, and has answered since it was started. */
  get serving(): boolean {
    return this.#serving && this.running
  }

  /** Takes over a master that runs already. From now on it is restarted when it dies. Returns whether there was one. */
  adopt(): boolean {
    this.#serving = this.#daemon.adopt()
    return this.#serving
  }

  /** Resolves when a worker serves. Rejects with haproxy's words when it ends instead. */
  async start(): Promise<void> {
    if (this.running || this.adopt()) return
    const from = this.#daemon.listen()
    await this.#expectWorker(await this.#daemon.start(), null, from)
    this.#serving = true
  }

  /** A new worker takes the listening sockets over; the old one ends with its last connection. */
  async reload(): Promise<void> {
    const master = this.#daemon.pid
    if (master === null) return this.start()
    const from = this.#daemon.listen()
    const former = await this.#worker(master)
    await this.#expectMaster()
    process.kill(master, 'SIGUSR2')
    await this.#expectWorker(master, former, from)
    this.#serving = true
  }

  async stop(): Promise<void> {
    this.#serving = false
    await this.#daemon.stop()
  }

  /** The agent ends, haproxy goes on. */
  letGo(): void {
    this.#daemon.letGo()
  }

  /** A master that has not quite finished its last reload would lose the signal (measured with 2.6: every second time
   *  that it came at once). It answers on its own socket only afterwards. */
  async #expectMaster(): Promise<void> {
    const deadline_ms = Date.now() + START_MS
    while (fs.existsSync(this.#options.master_socket) && Date.now() < deadline_ms) {
      const said = await ask(this.#options.master_socket, 'show proc;quit', START_MS).catch(() => '')
      if (said.includes('master')) return
      await sleep(10)
    }
  }

  async #expectWorker(master: number, former: number | null, log_from: number): Promise<void> {
    const deadline_ms = Date.now() + START_MS
    for (let wait_ms = 5; Date.now() < deadline_ms; wait_ms = Math.min(wait_ms * 1.5, 100)) {
      const worker = await this.#worker(master)
      if (worker !== null && worker !== former) return
      const said = this.#daemon.said(log_from)
      if (!alive(master) || /Loading failure/i.test(said)) throw new Error(said || 'haproxy ended without a word')
      await sleep(wait_ms)
    }
    throw new Error(`no worker answers after ${START_MS} ms. ${this.#daemon.said(log_from)}`)
  }

  /** The pid of the worker behind the socket, if it is this master's: a former one may still hold it. */
  async #worker(master: number): Promise<number | null> {
    try {
      const pid = Number(/^Pid: (\d+)$/m.exec(await ask(this.#options.socket, 'show info'))?.[1])
      return parentOf(pid) === master ? pid : null
    } catch {
      return null
    }
  }
}

export type SupervisorOptions = {
  haproxy_cmd: string
  namespace?: string
  config_file: string
  pid_file: string
  log_file: string
  socket: string
  /** The master's own. */
  master_socket: string
  /** -L: the name among peers. */
  peer: string
  log: Log
  /** Called at the moment of its death when it is wanted. */
  died: () => void
  /** Starts it again, when its turn comes. */
  restart: () => Promise<void>
}

const START_MS = 10_000
