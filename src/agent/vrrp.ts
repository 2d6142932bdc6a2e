/** keepalived of this amphora: its files, its supervision, and the mark by which it learns that haproxy has died. */
import fs from 'node:fs'
import path from 'node:path'
import type { VrrpDetails } from '../amphora/rest.ts'
import { type Answer, etagOf, md5Of, Refusal, warningHeader } from './answer.ts'
import { run } from './command.ts'
import { Daemon, killGroup, until } from './daemon.ts'
import { readIfThere, writeWhole } from './files.ts'
import type { Log } from './log.ts'
import { ensureNamespace, inside } from './namespace.ts'
import { quietly } from './quiet.ts'
import { roleOf, vipsIn } from './role.ts'
import { Turn } from './turn.ts'
import { writeCheckScript, writeHaproxyCheck } from './vrrp-scripts.ts'

/** Its folder holds `octavia-keepalived.conf` (what was uploaded last), `octavia-keepalived.running.conf` (what
 *  keepalived reads), `applied` (the digest of the upload that runs), `enabled` (it is to run after a reboot) and
 *  `haproxy_down` (1 while a haproxy that is to serve does not). */
export class Vrrp {
  readonly #options: VrrpOptions
  readonly #folder: string
  readonly #daemon: Daemon
  readonly #turn = new Turn()
  #enabled = false
  #resumed = false
  #applied: string | null = null
  #vips: string[] = []
  #down: boolean | null = null
  /** keepalived could not watch the mark when it was started. */
  #blind = false
  #asked: string | null = null
  /** Since when keepalived is to run and does not. */
  #dead_since_ms: number | null = null

  constructor(options: VrrpOptions) {
    this.#options = options
    this.#folder = path.join(options.base_path, 'vrrp')
    const pid_file = this.#file('octavia-keepalived.pid')
    const child_file = this.#file('octavia-keepalived.vrrp.pid')
    const config_file = this.#file('octavia-keepalived.running.conf')
    this.#daemon = new Daemon({
      name: 'keepalived',
      argv: () => ['keepalived', '-n', '-l', '-P', '-f', config_file, '-p', pid_file, '-r', child_file],
      pid_file,
      writes_pid_file: true,
      log_file: this.#file('octavia-keepalived.log'),
      log: options.log,
      died: pid => {
        this.#dead_since_ms ??= Date.now()
        // A child that outlived it would keep the VIP, and keep the next one from starting.
        killGroup(pid, 'SIGTERM')
      },
      restart: () => this.#turn.take(async () => void (await this.#begin())),
    })
  }

  /** PUT /vrrp/upload. What runs stays as it is. */
  upload(body: Buffer): Promise<Answer> {
    return this.#turn.take(async () => {
      fs.mkdirSync(this.#folder, { recursive: true })
      await this.#writeScripts()
      const file = this.#file('octavia-keepalived.conf')
      await writeWhole(file, body, 0o644)
      await ensureNamespace()
      const test = await run(inside(['keepalived', '-t', '-P', '-f', file]))
      const warnings = test.code === 0 ? [] : test.stderr.trim().split('\n')
      return { status: 200, body: { message: 'OK' }, headers: { ETag: etagOf(body), ...warningHeader(warnings) } }
    })
  }

  /** PUT /vrrp/<action>. */
  act(action: string): Promise<Answer> {
    const wanted = action.toLowerCase()
    if (wanted !== 'start' && wanted !== 'stop' && wanted !== 'reload') {
      throw new Refusal(400, { message: 'Invalid Request', details: `Unknown action: ${action}` })
    }
    return this.#turn.take(async () => {
      try {
        const warnings = wanted === 'stop' ? await this.#stop() : await this.#apply()
        return {
          status: 202,
          body: { message: 'OK', details: `keepalived ${wanted === 'stop' ? 'stop' : wanted}ed` },
          headers: warningHeader(warnings),
        }
      } catch (error) {
        const details = (error as Error).message
        throw new Refusal(500, { message: `Failed to ${wanted} keepalived service`, details })
      }
    })
  }

  /** After a start of the agent, and after its listeners' resume: takes over what runs, or starts it if it is to run. */
  resume(): Promise<void> {
    return this.#turn.take(async () => {
      this.#resumed = true
      if ((await readIfThere(this.#file('octavia-keepalived.conf'))) === null) return
      await this.#writeScripts()
      this.#enabled = (await readIfThere(this.#file('enabled'))) !== null
      if (!this.#enabled) return
      this.#applied = await readIfThere(this.#file('applied'))
      this.#vips = vipsIn((await readIfThere(this.#file('octavia-keepalived.running.conf'))) ?? '')
      if (this.#daemon.adopt()) return
      this.#dead_since_ms = Date.now()
      await this.#begin()
    })
  }

  /** The agent ends; keepalived goes on. */
  letGo(): void {
    this.#daemon.letGo()
  }

  /** Is called at the moment when a listener dies, and whenever one comes, serves or goes. */
  note(): void {
    if (!this.#resumed || !fs.existsSync(this.#folder)) return
    this.#mark(this.#options.listeners().some(each => !each.serving))
  }

  /** After a listener has come or gone: the script asks those that are to serve. */
  async noteListeners(): Promise<void> {
    if (!this.#resumed || !fs.existsSync(this.#file('check_script.sh'))) return
    await this.#turn.take(() => this.#writeHaproxyCheck())
  }

  details(): VrrpDetails {
    const pid = this.#daemon.pid
    return pid === null ? { role: null, etag: null } : { role: roleOf(pid, this.#vips), etag: this.#applied }
  }

  /** keepalived is to run and has not come back: another amphora should have the VIP, and somebody should know. */
  get failed(): boolean {
    return this.#dead_since_ms !== null && Date.now() - this.#dead_since_ms > GRACE_MS
  }

  async #writeScripts(): Promise<void> {
    await writeCheckScript(this.#folder, this.#options.agent)
    this.#asked = null
    await this.#writeHaproxyCheck()
    this.#down = null
    this.note()
  }

  async #writeHaproxyCheck(): Promise<void> {
    const sockets = this.#options.listeners().map(each => each.socket)
    const asked = sockets.toSorted().join(' ')
    if (asked === this.#asked) return
    await writeHaproxyCheck(this.#folder, sockets.toSorted())
    this.#asked = asked
  }

  /** Renamed into place, which keepalived notices like a write; it never reads half of it. */
  #mark(down: boolean): void {
    if (down === this.#down) return
    const file = this.#file('haproxy_down')
    fs.writeFileSync(`${file}.writing`, down ? '1\n' : '0\n')
    fs.renameSync(`${file}.writing`, file)
    if (this.#down !== null) this.#options.log(down ? 'the VIP is given up' : 'the VIP may come back')
    this.#down = down
    if (!this.#blind || !this.#enabled) return
    // Its end says the same to the others; a script would not: without setgroups, keepalived runs none and calls it good.
    const follow = async () => {
      if (!this.#enabled) return
      if (this.#down) await this.#daemon.stop()
      else if (this.#daemon.pid === null) await this.#begin()
    }
    this.#turn.take(follow).catch(error => this.#options.log('keepalived does not follow', { error: String(error) }))
  }

  async #apply(): Promise<string[]> {
    const uploaded = await readIfThere(this.#file('octavia-keepalived.conf'))
    if (uploaded === null) throw new Error('no configuration was uploaded')
    if (!this.#enabled) await writeWhole(this.#file('enabled'), '')
    this.#enabled = true
    await writeWhole(this.#file('octavia-keepalived.running.conf'), uploaded, 0o644)
    return this.#begin()
  }

  /** Starts it, or makes the one that runs read its configuration again: it keeps its role, and announces the VIP anew
   *  if it has it. Returns what had to give way. */
  async #begin(): Promise<string[]> {
    const running = (await readIfThere(this.#file('octavia-keepalived.running.conf'))) ?? ''
    this.#vips = vipsIn(running)
    let blind = cannotWatch(await this.#load())
    if (blind) {
      raiseLimit()
      blind = cannotWatch(await this.#load())
    }
    this.#blind = blind
    this.#applied = md5Of(running)
    await writeWhole(this.#file('applied'), this.#applied)
    this.#dead_since_ms = null
    if (!blind) return []
    if (this.#down) await this.#daemon.stop()
    const warning = 'keepalived cannot watch a file here (inotify instances): it is stopped while haproxy is down'
    this.#options.log(warning, { limit: 'fs.inotify.max_user_instances' })
    return [warning]
  }

  /** What keepalived says while it starts or reads its configuration again. */
  async #load(): Promise<string> {
    const from = this.#daemon.listen()
    let pid = this.#daemon.pid
    if (pid !== null) process.kill(pid, 'SIGHUP')
    else {
      fs.rmSync(this.#file('octavia-keepalived.vrrp.pid'), { force: true })
      pid = await this.#daemon.start()
    }
    const done = () => /Startup complete|Reload complete/.test(this.#daemon.said(from)) || this.#daemon.pid !== pid
    await until(done, LOAD_MS)
    const said = this.#daemon.said(from)
    if (this.#daemon.pid !== pid) throw new Error(said || 'keepalived ended without a word')
    return said
  }

  /** It tells the others that it goes (an advert of priority 0) and takes the VIP off before it ends. */
  async #stop(): Promise<string[]> {
    fs.rmSync(this.#file('enabled'), { force: true })
    this.#enabled = false
    this.#dead_since_ms = null
    const sockets = this.#options.listeners().flatMap(each => (each.serving ? [each.socket] : []))
    const { pid } = this.#daemon
    if (pid === null || this.details().role === 'BACKUP') await this.#daemon.stop()
    else await quietly({ vips: this.#vips, sockets, pid, log: this.#options.log }, () => this.#daemon.stop())
    this.#applied = null
    return []
  }

  #file(name: string): string {
    return path.join(this.#folder, name)
  }
}

export type VrrpOptions = {
  base_path: string
  /** The command line of the agent itself, for the check. */
  agent: string[]
  /** Those that are to serve. */
  listeners: () => { socket: string; serving: boolean }[]
  log: Log
}

/** The supervisor's chance to bring it back before heartbeats cease. */
const GRACE_MS = 3_000
const LOAD_MS = 3_000

function cannotWatch(said: string): boolean {
  return said.includes('Unable to monitor track files')
}

/** keepalived takes one inotify instance. Where this machine's limit is another's to set, it stays. */
function raiseLimit(): void {
  for (const file of ['/proc/sys/fs/inotify/max_user_instances', '/proc/sys/user/max_inotify_instances']) {
    try {
      if (Number(fs.readFileSync(file, 'utf8')) < INSTANCES) fs.writeFileSync(file, String(INSTANCES))
    } catch {
      // Not ours to raise.
    }
  }
}

const INSTANCES = 8_192
