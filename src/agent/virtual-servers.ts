/** A UDP listener by IPVS: a keepalived of its own makes the virtual servers, and asks the members how they are. */
import fs from 'node:fs/promises'
import path from 'node:path'
import type { ReportedPool } from '../amphora/heartbeat.ts'
import { renderVirtualServers, shortOfVirtualServers } from '../amphora/keepalived/virtual-servers.ts'
import type { DatagramListener } from '../amphora/nftables/datagram-listener.ts'
import { guardOf } from '../amphora/nftables/guard.ts'
import { mapsOf } from '../amphora/nftables/listener-table.ts'
import { scriptsOf } from '../amphora/nftables/script.ts'
import type { Answered } from './beat.ts'
import { run } from './command.ts'
import { Daemon, killGroup, until } from './daemon.ts'
import { type DatagramDriver, type DriverOptions, type Kept, keep, readKept } from './datagram-driver.ts'
import { readIfThere, writeWhole } from './files.ts'
import type { Ipvs } from './ipvs.ts'
import { expectedVips, flowsOf, isServed, parseVirtualServers, poolsIn, type VirtualServer } from './ipvs-table.ts'
import { inside, NAMESPACE } from './namespace.ts'
import { udpCheckScript, writeUdpCheck } from './udp-check.ts'

/** Its files are in `lvs/` under the names that the described agent gives them. When keepalived is killed its child takes the
 *  members away before it ends itself; the next one, which is started at once, brings them back. */
export class VirtualServers implements DatagramDriver {
  readonly #options: VirtualServersOptions
  readonly #daemon: Daemon
  #document: DatagramListener | null = null

  constructor(options: VirtualServersOptions) {
    this.#options = options
    const { id, log, turn } = options
    const files = { vrrp: this.#file('vrrp.pid'), check: this.#file('check.pid') }
    const pid_file = this.#file('pid')
    this.#daemon = new Daemon({
      name: `keepalived of listener ${id}`,
      argv: () => {
        const pids = ['-p', pid_file, '-r', files.vrrp, '-c', files.check]
        // -C: of its two halves the one for virtual servers; a pair has a keepalived of its own for the other
        return ['keepalived', '-n', '-l', '-C', '-f', this.#file('conf'), ...pids]
      },
      pid_file,
      writes_pid_file: true,
      log_file: this.#file('log'),
      log,
      // a child that outlived it would go on to ask, and change what the next one has made
      died: pid => killGroup(pid, 'SIGTERM'),
      restart: () => turn.take(async () => void (await this.#start())),
    })
  }

  async check(document: DatagramListener): Promise<void> {
    await this.#options.kernel.check(scriptsOf(guardOf(document), null, '0'))
    await writeUdpCheck(this.#options.base_path, this.#options.agent)
    const beside = this.#file('conf.new')
    await writeWhole(beside, this.#textOf(document), 0o644)
    try {
      // inside, because where the namespace that it names is missing keepalived accepts anything
      const { code, stdout, stderr } = await run(inside(['keepalived', '-t', '-C', '-f', beside]))
      if (code !== 0) throw new Error(`${stdout}${stderr}`.trim() || `keepalived -t ends with ${code}`)
    } finally {
      await fs.rm(beside, { force: true })
    }
  }

  shortcomings(document: DatagramListener): string[] {
    return shortOfVirtualServers(document)
  }

  async bring(document: DatagramListener, text: string): Promise<void> {
    const { rules, kernel, folder, base_path, agent } = this.#options
    const guard = guardOf(document)
    const others = rules.now !== null && mapsOf(rules.now).length > 0
    await keep(folder, { text, down: [] })
    await writeUdpCheck(base_path, agent)
    await rules.bring(guard)
    await this.#serve(document)
    this.#document = document
    // flows that rules began lead past the virtual servers
    if (others) await kernel.forget(document, [])
  }

  async resume(document: DatagramListener, { text }: Kept): Promise<void> {
    this.#daemon.adopt()
    await this.bring(document, text)
  }

  async leave(): Promise<void> {
    this.#document = null
    if ((await readIfThere(this.#file('conf'))) === null) return
    await this.#daemon.stop()
    for (const each of ['conf', 'vrrp.pid', 'check.pid', 'log']) await fs.rm(this.#file(each), { force: true })
  }

  async look(document: DatagramListener): Promise<Answered> {
    if (!(await this.#options.rules.count())) this.#mend().catch(error => this.#complain(error))
    const table = await this.#table()
    if (table === null) return null
    const { sessions, full } = flowsOf(document, table)
    return { status: full ? 'FULL' : 'OPEN', sessions, pools: poolsIn(document, table) }
  }

  async pools(document: DatagramListener): Promise<Record<string, ReportedPool>> {
    return poolsIn(document, (await this.#table()) ?? [])
  }

  letGo(): void {
    this.#daemon.letGo()
  }

  /** Members that stay keep their flows: keepalived compares what it reads with what it had. Where no VIP and port of it
   *  stays it would leave the former virtual servers in the kernel, without members (measured with 2.2.7). */
  async #serve(document: DatagramListener): Promise<void> {
    const [former, wanted] = [await readIfThere(this.#file('conf')), this.#textOf(document)]
    await writeWhole(this.#file('conf'), wanted, 0o644)
    const { pid } = this.#daemon
    const from = this.#daemon.listen()
    if (pid !== null && former !== wanted) {
      const stay = placesIn(former ?? '').some(each => placesIn(wanted).includes(each))
      if (stay && (await this.#options.ipvs.reloads())) process.kill(pid, 'SIGHUP')
      else await this.#daemon.stop()
    }
    if (this.#daemon.pid === null) await this.#start()
    await this.#await(document, from)
  }

  async #start(): Promise<void> {
    for (const each of ['vrrp.pid', 'check.pid']) await fs.rm(this.#file(each), { force: true })
    await this.#daemon.start()
  }

  /** Rejects, with its words, when keepalived does not make the virtual servers. */
  async #await(document: DatagramListener, from: number): Promise<void> {
    const { pid } = this.#daemon
    const lost = () => this.#daemon.pid !== pid || pid === null
    if (expectedVips(document).length === 0) return
    let served = false
    for (let waited_ms = 0; !served && !lost() && waited_ms < SERVE_MS; waited_ms += LOOK_MS) {
      await until(lost, LOOK_MS)
      served = isServed(document, (await this.#table()) ?? [])
    }
    if (!served) throw new Error(complaintIn(this.#daemon.said(from)) ?? 'keepalived makes no virtual server')
  }

  /** As the kernel shows it to who lives in the namespace; null while keepalived does not run. */
  async #table(): Promise<VirtualServer[] | null> {
    const { pid } = this.#daemon
    if (pid === null) return null
    return parseVirtualServers((await readIfThere(`/proc/${pid}/net/ip_vs`)) ?? '')
  }

  /** Somebody has flushed the rules. */
  #mend(): Promise<void> {
    return this.#options.turn.take(async () => {
      const [document, kept] = [this.#document, await readKept(this.#options.folder)]
      if (document === null || kept === null) return
      await this.#options.rules.recall()
      await this.bring(document, kept.text)
    })
  }

  #complain(error: unknown): void {
    this.#options.log('the rules of a listener could not be mended', {
      listener: this.#options.id,
      error: String(error),
    })
  }

  #textOf(document: DatagramListener): string {
    return renderVirtualServers(document, {
      namespace: NAMESPACE,
      check_script: udpCheckScript(this.#options.base_path),
    })
  }

  #file(ending: string): string {
    const { base_path, id } = this.#options
    return path.join(base_path, 'lvs', `octavia-keepalivedlvs-${id}.${ending}`)
  }
}

export type VirtualServersOptions = DriverOptions & {
  ipvs: Pick<Ipvs, 'reloads'>
  /** The command line of the agent itself, for the check. */
  agent: string[]
}

/** The VIPs with their ports. */
function placesIn(conf: string): string[] {
  return conf.match(/^ {4}[0-9a-f.:]+ \d+$/gm) ?? []
}

/** The line that says what went wrong, without its date. */
function complaintIn(said: string): string | null {
  const line = said.split('\n').find(each => /IPVS:|[Cc]an't|[Ee]rror/.test(each))
  return line === undefined ? null : line.replace(/^\w{3} \w{3} [ \d]\d [\d:]{8} \d{4}: /, '')
}

const SERVE_MS = 3_000
const LOOK_MS = 50
