/** One haproxy and its supervision: started, reloaded, adopted after our own death, restarted after its own. */
import { type ChildProcess, spawn } from 'node:child_process'
import fs from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from './log.ts'
import { alive, masterOf, parentOf } from './masters.ts'
import { ensureNamespace, inside } from './namespace.ts'
import { ask } from './runtime.ts'

/** The master outlives the agent: it leads a session of its own and writes to a file. */
export class Supervisor {
  readonly #options: SupervisorOptions
  #master: number | null = null
  #wanted = false
  #started_ms = 0
  #deaths = 0
  #watch: NodeJS.Timeout | null = null

  constructor(options: SupervisorOptions) {
    this.#options = options
  }

  get running(): boolean {
    return this.#master !== null && alive(this.#master)
  }

  /** Takes over a master that runs already. From now on it is restarted when it dies. Returns whether there was one. */
  adopt(): boolean {
    this.#wanted = true
    const master = masterOf(this.#options.pid_file)
    if (master !== null) this.#follow(master, null)
    return master !== null
  }

  /** Resolves when a worker serves. Rejects with haproxy's words when it ends instead. */
  async start(): Promise<void> {
    this.#wanted = true
    if (this.running || this.adopt()) return
    await ensureNamespace()
    const from = this.#openLog()
    const { config_file, pid_file, peer, haproxy_cmd } = this.#options
    const argv = inside([haproxy_cmd, '-W', '-db', '-f', config_file, '-p', pid_file, '-L', peer])
    const output = fs.openSync(this.#options.log_file, 'a')
    const child = spawn(argv[0]!, argv.slice(1), { detached: true, stdio: ['ignore', output, output] })
    fs.closeSync(output)
    const spawned = await new Promise<boolean>(resolve => {
      child.once('spawn', () => resolve(true)).once('error', () => resolve(false))
    })
    if (!spawned) throw new Error(`${argv[0]} cannot be started`)
    child.unref()
    this.#follow(child.pid!, child)
    await this.#expectWorker(child.pid!, null, from)
  }

  /** A new worker takes the listening sockets over; the old one ends with its last connection. */
  async reload(): Promise<void> {
    const master = this.#master
    if (master === null || !alive(master)) return this.start()
    const from = this.#openLog()
    const former = await this.#worker(master)
    process.kill(master, 'SIGUSR2')
    await this.#expectWorker(master, former, from)
  }

  async stop(): Promise<void> {
    this.#wanted = false
    if (this.#watch !== null) clearInterval(this.#watch)
    const master = this.#master ?? masterOf(this.#options.pid_file)
    if (master !== null && alive(master)) {
      process.kill(master, 'SIGTERM')
      await until(() => !alive(master), STOP_MS)
      // Its session, with every old worker.
      if (alive(master)) process.kill(-master, 'SIGKILL')
      await until(() => !alive(master), STOP_MS)
    }
    this.#master = null
    fs.rmSync(this.#options.pid_file, { force: true })
  }

  /** The agent ends, haproxy goes on. */
  letGo(): void {
    this.#wanted = false
    if (this.#watch !== null) clearInterval(this.#watch)
  }

  #follow(master: number, child: ChildProcess | null): void {
    this.#master = master
    this.#started_ms = Date.now()
    fs.writeFileSync(this.#options.pid_file, `${master}\n`)
    if (this.#watch !== null) clearInterval(this.#watch)
    const died = () => {
      if (this.#watch !== null) clearInterval(this.#watch)
      if (this.#master !== master) return
      this.#master = null
      if (this.#wanted) this.#restart()
    }
    if (child !== null) child.once('exit', died)
    // Not our child: nobody tells us of its end.
    else this.#watch = setInterval(() => alive(master) || died(), ADOPTED_MS).unref()
  }

  /** At once; the more slowly the more often it dies within its first ten seconds. */
  #restart(): void {
    this.#deaths = Date.now() - this.#started_ms > SETTLED_MS ? 0 : this.#deaths + 1
    const wait_ms = this.#deaths === 0 ? 0 : Math.min(100 * 2 ** (this.#deaths - 1), SETTLED_MS)
    const { log, config_file } = this.#options
    log('haproxy died and is started again', { config_file, wait_ms })
    setTimeout(() => {
      if (!this.#wanted || this.running) return
      this.#options.restart().catch(error => {
        log('haproxy could not be started again', { config_file, error: String(error) })
        if (this.#wanted && !this.running) this.#restart()
      })
    }, wait_ms).unref()
  }

  async #expectWorker(master: number, former: number | null, log_from: number): Promise<void> {
    const deadline_ms = Date.now() + START_MS
    for (let wait_ms = 5; Date.now() < deadline_ms; wait_ms = Math.min(wait_ms * 1.5, 100)) {
      const worker = await this.#worker(master)
      if (worker !== null && worker !== former) return
      const said = this.#said(log_from)
      if (!alive(master) || /Loading failure/i.test(said)) throw new Error(said || 'haproxy ended without a word')
      await sleep(wait_ms)
    }
    throw new Error(`no worker answers after ${START_MS} ms. ${this.#said(log_from)}`)
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

  /** Where haproxy's next words will stand. */
  #openLog(): number {
    const { size } = fs.statSync(this.#options.log_file, { throwIfNoEntry: false }) ?? { size: 0 }
    if (size < LOG_BYTES) return size
    fs.truncateSync(this.#options.log_file)
    return 0
  }

  #said(log_from: number): string {
    try {
      return fs.readFileSync(this.#options.log_file).subarray(log_from).toString('utf8').trim().slice(-4_000)
    } catch {
      return ''
    }
  }
}

export type SupervisorOptions = {
  haproxy_cmd: string
  config_file: string
  pid_file: string
  log_file: string
  socket: string
  /** -L: the name among peers. */
  peer: string
  log: Log
  /** Starts it again, when its turn comes. */
  restart: () => Promise<void>
}

const START_MS = 10_000
const STOP_MS = 5_000
const SETTLED_MS = 10_000
const ADOPTED_MS = 100
const LOG_BYTES = 1_000_000

async function until(condition: () => boolean, deadline_ms: number): Promise<void> {
  for (let waited_ms = 0; !condition() && waited_ms < deadline_ms; waited_ms += 10) await sleep(10)
}
