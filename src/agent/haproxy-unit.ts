/** One haproxy of this amphora, for a listener or for all of a load balancer: its files, and how a new configuration gets
 *  into force. */
import { createHash } from 'node:crypto'
import fs from 'node:fs/promises'
import path from 'node:path'
import type { Applied, ListenerDetails, ListenerEntry, ListenerStatus } from '../amphora/rest.ts'
import { type Answer, etagOf, md5Of, Refusal, warningHeader } from './answer.ts'
import type { LookedAt } from './beat.ts'
import { run } from './command.ts'
import { frontendsOf, parseConfiguration, typeOf } from './configuration.ts'
import { difference } from './difference.ts'
import { readIfThere, writeWhole } from './files.ts'
import { fitToMachine, type Machine } from './fit.ts'
import { LeavingServers } from './leaving-servers.ts'
import type { Log } from './log.ts'
import { alive } from './masters.ts'
import { OldWorker } from './old-worker.ts'
import { applyOperations, ask, verifyServers } from './runtime.ts'
import { serverStates } from './server-state.ts'
import { poolsOf, poolsOfListener, type Statistics, statisticsOf } from './statistics.ts'
import { Supervisor } from './supervisor.ts'
import type { TlsFiles } from './tls-files.ts'
import type { Totals } from './totals.ts'
import { Turn } from './turn.ts'

/** Its folder holds `haproxy.cfg` (what was uploaded last), `haproxy.running.cfg` (the same, fitted to this machine: what
 *  haproxy reads), `applied` (the digest of what haproxy is known to run) and `enabled` (it is to run after a reboot). */
export class HaproxyUnit {
  readonly id: string
  readonly #options: HaproxyUnitOptions
  readonly #folder: string
  readonly socket: string
  readonly #supervisor: Supervisor
  readonly #turn = new Turn()
  readonly #leaving: LeavingServers
  /** Those that its configuration has a frontend for. */
  #listeners: string[] = []
  #enabled = false
  /** It has served since it was enabled: what never did is not missed. */
  #served = false
  /** The digest of the upload that haproxy is known to run. */
  #digest: string | null = null

  constructor(id: string, options: HaproxyUnitOptions) {
    this.id = id
    this.#options = options
    this.#folder = path.join(options.base_path, id)
    this.socket = path.join(options.base_path, `${id}.sock`)
    this.#leaving = new LeavingServers(this.socket, this.#turn)
    this.#supervisor = new Supervisor({
      haproxy_cmd: options.haproxy_cmd,
      namespace: options.namespace,
      config_file: this.#file('haproxy.running.cfg'),
      pid_file: this.#file(`${id}.pid`),
      log_file: this.#file('haproxy.log'),
      socket: this.socket,
      master_socket: this.#file('master.sock'),
      peer: options.peer,
      log: options.log,
      died: options.note,
      restart: () => this.#turn.take(() => this.#start()),
    })
  }

  /** Checks the configuration with haproxy and keeps it; what runs stays as it is. */
  upload(body: Buffer): Promise<Answer> {
    return this.#turn.take(async () => {
      const { text, warnings } = fitToMachine(body.toString('utf8'), this.#options.machine)
      const beside = this.#file('haproxy.cfg.new')
      await writeWhole(beside, text)
      const { haproxy_cmd, peer } = this.#options
      const check = await run([haproxy_cmd, '-c', '-L', peer, '-f', beside])
      if (check.code !== 0) {
        await fs.rm(beside)
        await fs.rmdir(this.#folder).catch(() => {})
        throw new Refusal(400, { message: 'Invalid request', details: `${check.stdout}${check.stderr}`.trim() })
      }
      await writeWhole(this.#file('haproxy.cfg'), body)
      await fs.rm(beside)
      if (!this.#supervisor.running) this.#listeners = frontendsOf(text)
      return { status: 202, body: { message: 'OK' }, headers: { ETag: etagOf(body), ...warningHeader(warnings) } }
    })
  }

  async config(): Promise<Answer> {
    const body = await fs.readFile(this.#file('haproxy.cfg'))
    return { status: 200, body: body.toString('utf8'), headers: { ETag: etagOf(body), 'Content-Type': 'text/plain' } }
  }

  start(): Promise<Answer> {
    return this.#turn.take(async () => {
      const details = `Configuration file is valid\nhaproxy daemon for ${this.id} started`
      return this.#answer(details, await this.#apply('start'))
    })
  }

  reload(): Promise<Answer> {
    return this.#turn.take(async () => this.#answer(`Listener ${this.id} reloaded`, await this.#apply('reload')))
  }

  stop(): Promise<Answer> {
    return this.#turn.take(async () => {
      await this.#stop()
      return { status: 202, body: { message: 'OK', details: `Listener ${this.id} stoped` } }
    })
  }

  remove(): Promise<Answer> {
    return this.#turn.take(async () => {
      await this.#stop()
      await fs.rm(this.socket, { force: true })
      await fs.rm(path.join(this.#options.base_path, 'certs', this.id), { recursive: true, force: true })
      await fs.rm(this.#folder, { recursive: true, force: true })
      for (const listener of [this.id, ...this.#listeners]) this.#options.totals.forget(listener)
      this.#listeners = []
      return { status: 200, body: { message: 'OK' } }
    })
  }

  async exists(): Promise<boolean> {
    return (await readIfThere(this.#file('haproxy.cfg'))) !== null
  }

  get status(): ListenerStatus {
    if (this.#supervisor.running) return 'ACTIVE'
    return this.#enabled ? 'ERROR' : 'OFFLINE'
  }

  /** Null when it is not to serve. */
  get duty(): { socket: string; serving: boolean } | null {
    return this.#enabled && this.#served ? { socket: this.socket, serving: this.#supervisor.serving } : null
  }

  /** What a heartbeat tells of it; asks haproxy, and waits for its answer no longer than that. */
  async look(limit_ms: number): Promise<LookedAt> {
    const running = this.#supervisor.running
    const found = running ? await this.#count(limit_ms).catch(() => null) : null
    const listeners = this.#listeners.map(id => {
      const frontend = found?.frontends[id]
      if (!found || !frontend) return { id, answer: null }
      const { status, sessions } = frontend
      return { id, answer: { status, sessions, pools: poolsOfListener(found, id) } }
    })
    const missed = this.duty !== null && found === null
    return { id: this.id, listeners, digest: running ? this.#digest : null, missed }
  }

  async entries(): Promise<ListenerEntry[]> {
    const { status } = this
    const text = status === 'ACTIVE' ? await readIfThere(this.#file('haproxy.running.cfg')) : null
    const running = text === null ? null : parseConfiguration(text)
    return this.#listeners.map(uuid => ({ status, uuid, type: running === null ? '' : typeOf(running, uuid) }))
  }

  /** With the states of its pools when it runs. */
  async details(): Promise<ListenerDetails> {
    const [own] = await this.entries()
    const entry = own ?? { status: this.status, uuid: this.id, type: '' }
    return entry.status === 'ACTIVE' ? { ...entry, pools: await poolsOf(this.socket).catch(() => []) } : entry
  }

  /** After a start of the agent: takes over the haproxy that runs, or starts it if it is to run. */
  resume(): Promise<void> {
    return this.#turn.take(async () => {
      const running = await readIfThere(this.#file('haproxy.running.cfg'))
      this.#listeners = frontendsOf(running ?? (await readIfThere(this.#file('haproxy.cfg'))) ?? '')
      this.#enabled = (await readIfThere(this.#file('enabled'))) !== null
      if (!this.#enabled) return
      const applied = await readIfThere(this.#file('applied'))
      this.#served = applied !== null
      this.#digest = applied?.split(' ')[1] ?? null
      if (!this.#supervisor.adopt()) await (running === null ? this.#apply('start') : this.#start())
      else if (running !== null) {
        await this.#leaving.recall(parseConfiguration(running))
      }
    })
  }

  /** The agent ends; haproxy goes on. */
  letGo(): void {
    this.#supervisor.letGo()
    this.#leaving.letGo()
  }

  async #answer(details: string, { applied, warnings }: Outcome): Promise<Answer> {
    this.#options.count(applied)
    return {
      status: 202,
      body: { message: 'OK', details },
      headers: { 'X-Ottavia-Applied': applied, ...warningHeader(warnings) },
    }
  }

  /** Brings what was uploaded last into force by the smallest means: nothing, the socket, a new worker, a new haproxy. */
  async #apply(action: 'start' | 'reload'): Promise<Outcome> {
    const uploaded = await fs.readFile(this.#file('haproxy.cfg'), 'utf8')
    const { text, warnings } = fitToMachine(uploaded, this.#options.machine)
    try {
      await this.#enable()
      const digest = md5Of(uploaded)
      const applied = this.#supervisor.running ? await this.#change(text, digest) : await this.#begin(text, digest)
      return { applied, warnings }
    } catch (error) {
      throw new Refusal(500, { message: `Error ${action}ing haproxy`, details: (error as Error).message })
    }
  }

  async #begin(text: string, digest: string): Promise<Applied> {
    await writeWhole(this.#file('haproxy.running.cfg'), text)
    this.#digest = digest
    await this.#start()
    return 'start'
  }

  async #change(text: string, digest: string): Promise<Applied> {
    const running = (await readIfThere(this.#file('haproxy.running.cfg'))) ?? ''
    const wanted = parseConfiguration(text)
    const known = (await readIfThere(this.#file('applied')))?.split(' ')[0] === digestOf(running)
    // A reload or an operation was under way when the agent ended last: who knows what haproxy runs.
    const found = known ? difference(parseConfiguration(running), wanted) : reloadBecause('what runs is not known')
    if (found.kind === 'none') {
      if (digest === this.#digest) return 'none'
      await writeWhole(this.#file('haproxy.running.cfg'), text)
      await this.#recordApplied(text, digest)
      return 'none'
    }
    let reason = found.kind === 'reload' ? found.reason : ''
    if (found.kind === 'runtime') {
      try {
        await applyOperations(this.socket, found.operations, this.#leaving.places)
        await verifyServers(this.socket, wanted, this.#leaving.places)
        await writeWhole(this.#file('haproxy.running.cfg'), text)
        await this.#recordApplied(text, digest)
        this.#leaving.deleteLater()
        return 'runtime'
      } catch (error) {
        reason = (error as Error).message
      }
    }
    this.#options.log('reloading haproxy', { unit: this.id, reason })
    await writeWhole(this.#file('haproxy.running.cfg'), text)
    const said = await ask(this.socket, 'show servers state').catch(() => '')
    await writeWhole(this.#file('servers-state'), serverStates(said, wanted))
    const old = await OldWorker.hold(this.socket)
    try {
      await this.#supervisor.reload()
    } catch (error) {
      await writeWhole(this.#file('haproxy.running.cfg'), running)
      // Some operations may have been applied, so what runs is not known.
      if (found.kind === 'runtime') await fs.rm(this.#file('applied'), { force: true })
      old?.release()
      throw error
    }
    this.#leaving.clear()
    void old?.follow(
      found => this.#note(found),
      () => this.#options.totals.save(),
    )
    await this.#recordApplied(text, digest)
    return 'reload'
  }

  async #start(): Promise<void> {
    await fs.rm(this.#file('servers-state'), { force: true })
    await this.#supervisor.start()
    this.#leaving.clear()
    this.#served = true
    this.#options.note()
    await this.#recordApplied((await readIfThere(this.#file('haproxy.running.cfg'))) ?? '', this.#digest)
  }

  async #stop(): Promise<void> {
    await fs.rm(this.#file('enabled'), { force: true })
    if (this.#supervisor.running) await this.#count(1_000).catch(() => {})
    this.#enabled = false
    this.#served = false
    this.#options.note()
    this.#leaving.letGo()
    await this.#supervisor.stop()
    this.#leaving.clear()
  }

  async #enable(): Promise<void> {
    if (!this.#enabled) await writeWhole(this.#file('enabled'), '')
    this.#enabled = true
  }

  async #recordApplied(text: string, digest: string | null): Promise<void> {
    this.#digest = digest
    const listeners = frontendsOf(text)
    for (const gone of this.#listeners.filter(id => !listeners.includes(id))) this.#options.totals.forget(gone)
    this.#listeners = listeners
    await writeWhole(this.#file('applied'), `${digestOf(text)}${digest === null ? '' : ` ${digest}`}`)
    // What was uploaded since then may name others.
    const uploaded = this.#file('haproxy.cfg')
    await this.#options.tls_files.prune(this.id, [text, (await readIfThere(uploaded)) ?? ''], uploaded)
  }

  async #count(limit_ms: number): Promise<Statistics> {
    const found = await statisticsOf(this.socket, this.#leaving.places, limit_ms)
    this.#note(found)
    for (const id of this.#listeners) this.#options.totals.settle(id, worker => !alive(Number.parseInt(worker, 10)))
    return found
  }

  #note({ worker, frontends }: Statistics): void {
    for (const id of this.#listeners) {
      const frontend = frontends[id]
      if (frontend) this.#options.totals.note(id, worker, frontend.counters)
    }
  }

  #file(name: string): string {
    return path.join(this.#folder, name)
  }
}

export type HaproxyUnitOptions = {
  base_path: string
  haproxy_cmd: string
  namespace?: string
  peer: string
  machine: Machine
  tls_files: TlsFiles
  log: Log
  /** Counts how configurations got into force. */
  count: (applied: Applied) => void
  totals: Totals
  /** Called at the moment when it dies, and whenever it serves or is to serve no more. */
  note: () => void
}

type Outcome = { applied: Applied; warnings: string[] }

function reloadBecause(reason: string): { kind: 'reload'; reason: string } {
  return { kind: 'reload', reason }
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
