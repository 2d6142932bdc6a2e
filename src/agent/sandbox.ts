/** For tests: a machine of its own in throw-away namespaces, with the bundled agent, a network of members and a client. */
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { bootConfig } from '../amphora/agent-config.ts'
import {
  type Credentials,
  issueAmphora,
  issueController,
  makeAuthority,
  makeKeys,
  serverPem,
} from '../amphora/certificates.ts'
import { AmphoraClient, type AmphoraClientOptions } from '../amphora/client.ts'
import { type Outcome, run, succeed } from './command.ts'
import { firstProcess, load, relay, webServers } from './sandbox-programs.ts'

export const AMPHORA_ID = '57865deb-b8b6-45bc-a2d2-d231c7e011ae'
export const VIP_MAC = 'fa:16:3e:00:00:01'
export const MEMBER_MAC = 'fa:16:3e:00:00:02'

/** Nothing in it touches the machine outside but a folder under the temporary one. `lan` is a namespace with the other
 *  ends of the amphora's cables: 10.0.0.1 and fd00::1 on the VIP's, 10.1.0.1 on the members', and web servers on
 *  10.0.0.11, .12, .13, fd00::11 and 10.1.0.11, port 80, that answer with their address. */
export class Sandbox {
  readonly folder = fs.mkdtempSync(path.join(os.tmpdir(), 'amphora-'))
  /** The first process, as seen from outside. */
  first_pid = 0
  agent: ChildProcess | null = null
  /** What it boots with, beyond its name and port. */
  boot: Omit<Parameters<typeof bootConfig>[0], 'amphora_id' | 'bind_port'> = {}
  own_users = true // false: as root of the machine itself, the only one to whom a kernel gives IPVS
  #world: ChildProcess | null = null
  #relay: net.Server | null = null
  #authorities: { amphorae: Credentials; controllers: Credentials } | null = null
  readonly amphora_id: string
  readonly #beside: Sandbox | null

  /** `beside`: another machine, open by then, whose `lan` it shares. */
  constructor(amphora_id = AMPHORA_ID, beside: Sandbox | null = null) {
    this.amphora_id = amphora_id
    this.#beside = beside
  }

  async open(): Promise<void> {
    const validity = {
      not_before: new Date(Date.now() - 60_000),
      not_after: new Date(Date.now() + 3_600_000),
      serial: '01',
    }
    const amphorae = await makeAuthority('amphorae', await makeKeys(), validity)
    const controllers = await makeAuthority('controllers', await makeKeys(), validity)
    this.#authorities = { amphorae, controllers }
    fs.writeFileSync(path.join(this.folder, 'server.pem'), serverPem(await this.amphoraCertificate()))
    fs.writeFileSync(path.join(this.folder, 'client_ca.pem'), controllers.certificate_pem)
    fs.writeFileSync(
      path.join(this.folder, 'amphora-agent.conf'),
      bootConfig({ ...this.boot, amphora_id: this.amphora_id, bind_port: 9876 }),
    )
    fs.writeFileSync(path.join(this.folder, 'first.sh'), firstProcess)
    fs.writeFileSync(path.join(this.folder, 'web.mjs'), webServers)
    fs.writeFileSync(path.join(this.folder, 'relay.mjs'), relay)
    fs.writeFileSync(path.join(this.folder, 'load.mjs'), load)
    const bundler = path.resolve(import.meta.dirname, '../../scripts/bundle-agent.mjs')
    await succeed([process.execPath, bundler, path.join(this.folder, 'agent.mjs')])
    const user = this.#beside === null && this.own_users ? ['--user', '--map-root-user'] : []
    const unshare = ['unshare', ...user, '--net', '--mount', '--pid', '--ipc', '--fork', '--kill-child']
    const lan = this.#beside === null ? 'own' : 'shared'
    const first = [...unshare, 'sh', path.join(this.folder, 'first.sh'), this.folder, process.execPath, lan]
    // A pid namespace inside the other's would show it our processes.
    const argv = this.#beside?.inside(first, ['-U', '--preserve-credentials', '-m']) ?? first
    this.#world = spawn(argv[0]!, argv.slice(1), { stdio: ['pipe', 'inherit', 'inherit'] })
    await until(() => {
      if (this.#world?.exitCode != null) throw new Error('the sandbox ended at once')
      return fs.existsSync(path.join(this.folder, 'relay'))
    }, 'the sandbox')
    this.first_pid = Number(fs.readFileSync(`/proc/${this.#world.pid}/task/${this.#world.pid}/children`, 'utf8'))
  }

  async close(): Promise<void> {
    this.#relay?.close()
    await this.kill()
    fs.rmSync(this.folder, { recursive: true })
  }

  /** Ends everything inside. */
  async kill(): Promise<void> {
    const world = this.#world
    if (world === null || world.exitCode !== null || world.signalCode !== null) return
    const gone = new Promise(resolve => world.once('exit', resolve))
    world.kill('SIGKILL') // nsenter takes nobody with it
    if (this.#beside !== null) process.kill(this.first_pid, 'SIGKILL')
    await gone
  }

  /** A command line that runs inside. */
  inside(argv: string[], namespaces = ['-U', '--preserve-credentials', '-m', '-n', '-p', '-i']): string[] {
    return ['nsenter', '-t', String(this.first_pid), ...namespaces.slice(this.own_users ? 0 : 2), ...argv]
  }

  exec(argv: string[]): Promise<string> {
    return succeed(this.inside(argv))
  }

  /** At once; one of them may have ended with another. */
  killAll(pids: number[]): Promise<Outcome> {
    return run(this.inside(['kill', '-9', ...pids.map(String)]))
  }

  /** One request from the network, with the answer's text. */
  curl(url: string, ...more: string[]): Promise<Outcome> {
    return run(this.inside(['ip', 'netns', 'exec', 'lan', 'curl', '-sS', '--max-time', '5', ...more, url]))
  }

  /** How often each of `count` requests was answered by whom. */
  async answers(url: string, count: number): Promise<Record<string, number>> {
    const tally: Record<string, number> = {}
    for (let i = 0; i < count; i++) {
      const { stdout, stderr } = await this.curl(url)
      const who = stdout || stderr.trim()
      tally[who] = (tally[who] ?? 0) + 1
    }
    return tally
  }

  /** Asks without a pause, over eight connections at a time and a new one for each request, until it is told to end. */
  load(url: string): { end: () => Promise<{ answered: number; failed: string[] }> } {
    const argv = this.inside(['ip', 'netns', 'exec', 'lan', process.execPath, path.join(this.folder, 'load.mjs'), url])
    const child = spawn(argv[0]!, argv.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] })
    let text = ''
    child.stdout.setEncoding('utf8').on('data', chunk => {
      text += chunk
    })
    const ended = new Promise(resolve => child.once('close', resolve))
    return {
      end: async () => {
        child.stdin.end()
        await ended
        return JSON.parse(text)
      },
    }
  }

  /** Puts the cables in, as a cloud does. They vanish with the namespace they are in. */
  async plugCables(): Promise<void> {
    const cables = [
      ['eth7', VIP_MAC, 'to-vip'],
      ['eth8', MEMBER_MAC, 'to-members'],
    ] as const
    for (const [name, mac, end] of cables) {
      await this.exec(['ip', 'link', 'add', name, 'address', mac, 'type', 'veth', 'peer', end, 'netns', 'lan'])
    }
    const lines = [
      ...['10.0.0.1/24', '10.0.0.11/24', '10.0.0.12/24', '10.0.0.13/24'].map(each => `addr add ${each} dev to-vip`),
      ...['fd00::1/64', 'fd00::11/64'].map(each => `addr add ${each} dev to-vip nodad`),
      ...['10.1.0.1/24', '10.1.0.11/24'].map(each => `addr add ${each} dev to-members`),
      'link set to-vip up',
      'link set to-members up',
    ]
    await succeed(this.inside(['ip', '-n', 'lan', '-batch', '-']), { input: `${lines.join('\n')}\n` })
  }

  /** The whole machine with its cables and an agent that serves; `beforehand` happens on it before the agent starts. */
  async begin(beforehand = async (): Promise<void> => {}): Promise<AmphoraClient> {
    await this.open()
    await this.plugCables()
    await beforehand()
    this.startAgent()
    const client = await this.client()
    await serving(client)
    return client
  }

  /** As a controller does it, 10.0.0.10. */
  async plugVip(client: AmphoraClient, topology: 'SINGLE' | 'ACTIVE_STANDBY' = 'SINGLE'): Promise<void> {
    const vip = { subnet_cidr: '10.0.0.0/24', gateway: '10.0.0.1', mac_address: VIP_MAC, vrrp_ip: '10.0.0.5' }
    await client.plugVip('10.0.0.10', { ...vip, ...(topology === 'SINGLE' ? {} : { topology }) })
  }

  /** Starts the agent; a client gets through when it serves. */
  startAgent(): void {
    const log = fs.openSync(path.join(this.folder, 'agent.log'), 'a')
    const argv = this.inside([process.execPath, path.join(this.folder, 'agent.mjs')])
    this.agent = spawn(argv[0]!, argv.slice(1), { stdio: ['ignore', log, log] })
    fs.closeSync(log)
  }

  /** Ends the agent without warning. What it has started ends by itself. */
  async killAgent(): Promise<void> {
    await this.killAll(this.pidsOf('agent.mjs'))
    await until(() => this.pidsOf('agent.mjs').length === 0, 'the agent to end')
  }

  /** Processes inside whose command line has the word, by their pid inside. */
  pidsOf(word: string): number[] {
    const proc = `/proc/${this.first_pid}/root/proc`
    const pids = fs.readdirSync(proc).filter(each => /^\d+$/.test(each))
    return pids
      .filter(each => commandLine(`${proc}/${each}`).includes(word))
      .map(Number)
      .toSorted((a, b) => a - b)
  }

  /** The text of a file inside, or null. */
  read(file: string): string | null {
    const place = `/proc/${this.first_pid}/root${file}`
    return fs.existsSync(place) ? fs.readFileSync(place, 'utf8') : null
  }

  amphoraCertificate(): Promise<Credentials> {
    return this.#issue('amphorae', this.amphora_id)
  }

  /** A client with a certificate of that authority; `controllers` is the right one. */
  async client(
    authority: 'controllers' | 'amphorae' = 'controllers',
    rest: AmphoraClientOptions['rest'] = '0.5',
  ): Promise<AmphoraClient> {
    const { certificate_pem, private_key_pem } = await this.#issue(authority, 'controller')
    return new AmphoraClient({
      host: '127.0.0.1',
      port: await this.#port(),
      amphora_id: this.amphora_id,
      rest,
      ca_pem: this.#authorities!.amphorae.certificate_pem,
      client_cert_pem: certificate_pem,
      client_key_pem: private_key_pem,
      request_timeout_ms: 30_000,
    })
  }

  async #issue(authority: 'controllers' | 'amphorae', name: string): Promise<Credentials> {
    const issue = name === this.amphora_id ? issueAmphora : issueController
    const serial = `00${randomBytes(8).toString('hex')}`
    const validity = { not_before: new Date(Date.now() - 60_000), not_after: new Date(Date.now() + 3_600_000), serial }
    return issue(name, await makeKeys(), this.#authorities![authority], validity)
  }

  /** A port outside that leads to the agent's: sockets of the file system know no network namespaces. */
  async #port(): Promise<number> {
    this.#relay ??= await new Promise<net.Server>(resolve => {
      const server = net.createServer(socket => {
        const on = net.connect(path.join(this.folder, 'relay'))
        socket.pipe(on).pipe(socket)
        for (const each of [socket, on]) {
          each.on('error', () => {})
          each.on('close', () => [socket, on].forEach(either => void either.destroy()))
        }
      })
      server.listen(0, '127.0.0.1', () => resolve(server))
    })
    return (this.#relay.address() as net.AddressInfo).port
  }
}

/** Waits until the agent answers. */
export function serving(client: AmphoraClient): Promise<void> {
  return until(() => client.info().then(Boolean, () => false), 'the agent')
}

/** Resolves when the condition holds. */
export async function until(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline_ms = Date.now() + 40_000
  while (!(await condition())) {
    if (Date.now() > deadline_ms) throw new Error(`waited in vain for ${what}`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

function commandLine(folder: string): string {
  try {
    return fs.readFileSync(`${folder}/cmdline`, 'utf8').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}
