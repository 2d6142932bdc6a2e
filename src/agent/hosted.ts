/** The load balancers of a network host: each has a namespace and an agent of its own, and one folder that says so. */
import { mkdirSync } from 'node:fs'
import fs from 'node:fs/promises'
import type { Server } from 'node:http'
import path from 'node:path'
import type { AgentSettings } from '../amphora/agent-config.ts'
import { type HostedEntry, hostedPath, hostedPrefix, namespaceOf } from '../amphora/network-host.ts'
import { type Answer, frameworkError, Refusal } from './answer.ts'
import { type Agent, type Endpoint, makeAgent } from './endpoints.ts'
import { readIfThere, writeWhole } from './files.ts'
import type { Log } from './log.ts'
import { endThoseIn } from './masters.ts'
import { serveMetrics } from './metrics.ts'
import { ensureNamespace, namespaceNumber, removeNamespace } from './namespace.ts'
import { Turn } from './turn.ts'

/** Its folder holds `hosted.json` and what an amphora keeps in /var/lib/octavia. `number` is that of its namespace. */
type Hosted = HostedEntry & { agent: Agent; number: string; metrics: Server }

/** What becomes of one load balancer happens in order. After a start everything is put back; what runs is adopted. */
export class HostedLoadBalancers {
  readonly endpoints: Endpoint[]
  readonly #options: HostedOptions
  readonly #all = new Map<string, Hosted>()
  readonly #turns = new Map<string, Turn>()
  #closed = false

  constructor(options: HostedOptions) {
    this.#options = options
    mkdirSync(options.settings.base_path, { recursive: true })
    const one = new RegExp(`^${hostedPrefix(uuid)}$`)
    const below = new RegExp(`^${hostedPrefix(uuid)}(/.*)$`)
    this.endpoints = [
      { method: 'GET', path: /^\/info$/, answer: () => ({ status: 200, body: { name: options.name } }) },
      {
        method: 'GET',
        path: new RegExp(`^${hostedPath}$`),
        answer: async () => ({ status: 200, body: await this.#entries() }),
      },
      { method: 'PUT', path: one, answer: ([id], body) => this.#take(id!, amphoraIn(body)) },
      { method: 'DELETE', path: one, answer: ([id], body) => this.#drop(id!, amphoraIn(body)) },
      ...(['GET', 'PUT', 'POST', 'DELETE'] as const).map(method => ({
        method,
        path: below,
        answer: ([id, rest]: string[], body: Buffer) => this.#ask(id!, method, rest!, body),
      })),
    ]
  }

  /** Resolves when all that is to run, runs; interfaces that the cloud has not brought yet are waited for afterwards. */
  async resume(): Promise<void> {
    const { base_path } = this.#options.settings
    const folders = await fs.readdir(base_path)
    await Promise.all(
      folders.map(async folder => {
        const text = await readIfThere(path.join(base_path, folder, record_file)).catch(() => null)
        if (text === null) return
        const { number = null, ...entry } = JSON.parse(text) as HostedEntry & { number?: string }
        await this.#turnOf(entry.load_balancer_id)
          .take(() => this.#begin(entry, number))
          .catch(error => this.#options.log('a load balancer does not come back', { ...entry, error: String(error) }))
      }),
    )
  }

  /** This program ends, haproxy goes on. */
  letGo(): void {
    this.#closed = true
    for (const hosted of this.#all.values()) rest(hosted)
  }

  /** From now on it is that amphora. One that is here under another row stays as it is and beats for the new one; one
   *  whose namespace was lost begins anew. */
  #take(load_balancer_id: string, amphora_id: string): Promise<Answer> {
    return this.#turnOf(load_balancer_id).take(async () => {
      const known = this.#all.get(load_balancer_id)
      if (!known || known.amphora_id !== amphora_id || !(await isWhole(known))) {
        const record = path.join(this.#folderOf(load_balancer_id), record_file)
        const other = await readIfThere(record)
        if (other !== null && (JSON.parse(other) as HostedEntry).load_balancer_id !== load_balancer_id)
          throw new Refusal(409, { message: 'Conflict', details: `${record} is another load balancer's` })
        if (known) rest(known)
        await this.#begin({ load_balancer_id, amphora_id }, known?.number ?? null)
      }
      return { status: 200, body: { load_balancer_id, amphora_id } }
    })
  }

  /** Nothing of it stays; unless it is another amphora's by now. The record goes last: what was cut short is done again. */
  #drop(load_balancer_id: string, amphora_id: string): Promise<Answer> {
    return this.#turnOf(load_balancer_id).take(async () => {
      const known = this.#all.get(load_balancer_id)
      const folder = this.#folderOf(load_balancer_id)
      const record = await readIfThere(path.join(folder, record_file))
      // one that did not come back at the start is on record only
      const entry = record === null ? null : (JSON.parse(record) as HostedEntry & { number?: string })
      if (entry?.load_balancer_id === load_balancer_id && entry.amphora_id === amphora_id) {
        this.#all.delete(load_balancer_id)
        known?.agent.heartbeats.end()
        known?.metrics.close()
        if (known) await known.agent.listeners.removeAll()
        else if (entry.number) endThoseIn(entry.number, folder)
        await removeNamespace(namespaceOf(load_balancer_id))
        for (const name of await fs.readdir(folder))
          if (name !== record_file) await fs.rm(path.join(folder, name), { recursive: true, force: true })
        await fs.rm(folder, { recursive: true, force: true })
      }
      return { status: 200, body: { message: 'OK' } }
    })
  }

  async #ask(load_balancer_id: string, method: string, rest: string, body: Buffer): Promise<Answer> {
    const hosted = this.#all.get(load_balancer_id)
    if (!hosted) throw new Refusal(404, { message: 'Load Balancer Not Found', details: 'this host does not have it' })
    const here = hosted.agent.endpoints.filter(each => each.path.test(rest) && !foreign.test(rest))
    if (here.length === 0) throw frameworkError(404, 'The requested URL was not found on the server.')
    const endpoint = here.find(each => each.method === method)
    if (!endpoint) throw frameworkError(405, 'The method is not allowed for the requested URL.')
    return endpoint.answer(endpoint.path.exec(rest)!.slice(1), body)
  }

  /** `former`: the number of the namespace that it had last. */
  async #begin({ load_balancer_id, amphora_id }: HostedEntry, former: string | null): Promise<void> {
    const { settings, log } = this.#options
    const base_path = this.#folderOf(load_balancer_id)
    const own: AgentSettings = {
      ...settings,
      amphora_id,
      base_path,
      agent_server_network_dir: path.join(base_path, 'interfaces.d'),
      namespace: namespaceOf(load_balancer_id),
    }
    const tell: Log = (message, fields) => log(message, { load_balancer_id, ...fields })
    const namespace = namespaceOf(load_balancer_id)
    await ensureNamespace(namespace)
    const number = await namespaceNumber(namespace)
    if (former !== null && former !== number) endThoseIn(former, base_path)
    await writeWhole(path.join(base_path, record_file), JSON.stringify({ load_balancer_id, amphora_id, number }))
    const agent = await makeAgent(own, '', tell, async () => {})
    const metrics = await serveMetrics(base_path, () => agent.listeners.sockets(), false)
    const hosted = { load_balancer_id, amphora_id, agent, number, metrics }
    this.#all.set(load_balancer_id, hosted)
    await this.#restore(hosted, 0)
    await agent.listeners.resume()
    await agent.heartbeats.begin()
  }

  /** After a reboot the cloud may bring interfaces later than this program starts. */
  async #restore(hosted: Hosted, tried: number): Promise<void> {
    if (this.#closed || this.#all.get(hosted.load_balancer_id) !== hosted) return
    const missing = await hosted.agent.plugs.restore()
    if (missing.length === 0 || tried >= most_tries) return
    setTimeout(() => void this.#restore(hosted, tried + 1).catch(() => {}), again_ms).unref()
  }

  /** Those that are whole. */
  async #entries(): Promise<HostedEntry[]> {
    const all = [...this.#all.values()]
    const whole = await Promise.all(all.map(isWhole))
    return all
      .filter((_, index) => whole[index])
      .map(({ load_balancer_id, amphora_id }) => ({ load_balancer_id, amphora_id }))
  }

  #turnOf(load_balancer_id: string): Turn {
    const turn = this.#turns.get(load_balancer_id) ?? new Turn()
    this.#turns.set(load_balancer_id, turn)
    return turn
  }

  /** Half of the id: the path of a socket must fit into 108 bytes. `hosted.json` has all of it. */
  #folderOf(load_balancer_id: string): string {
    return path.join(this.#options.settings.base_path, load_balancer_id.slice(0, 18))
  }
}

export type HostedOptions = {
  /** Of the host. */
  name: string
  /** What all of its agents have in common; `base_path` is where their folders are. */
  settings: AgentSettings
  log: Log
}

const uuid = '([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})'
const record_file = 'hosted.json'
/** What amphorae have and a host does not: VRRP, datagrams, and a certificate and a configuration for each. */
const foreign = /^\/[\d.]+\/(vrrp|certificate|config)\b|\/udp_listener$/
const again_ms = 1_000
const most_tries = 300

/** Is its namespace the one that it began in? */
async function isWhole({ load_balancer_id, number }: Hosted): Promise<boolean> {
  return (await namespaceNumber(namespaceOf(load_balancer_id))) === number
}

function rest({ agent, metrics }: Hosted): void {
  metrics.close()
  metrics.closeAllConnections()
  agent.heartbeats.end()
  agent.listeners.letGo()
}

function amphoraIn(body: Buffer): string {
  try {
    const { amphora_id } = JSON.parse(body.toString('utf8')) as { amphora_id: unknown }
    if (typeof amphora_id === 'string' && new RegExp(`^${uuid}$`).test(amphora_id)) return amphora_id
  } catch {
    // no JSON
  }
  throw frameworkError(400, 'The body must be {"amphora_id": …}.')
}
