/** Tells controllers at every interval that this amphora lives, and what it sees. */
import { randomUUID } from 'node:crypto'
import dgram from 'node:dgram'
import fs from 'node:fs/promises'
import { isIPv6 } from 'node:net'
import path from 'node:path'
import type { AgentSettings } from '../amphora/agent-config.ts'
import { encodeHeartbeat, type Heartbeat } from '../amphora/heartbeat.ts'
import { heartbeatOf, type SeenListener } from './beat.ts'
import { readIfThere, writeWhole } from './files.ts'
import type { Listeners } from './listeners.ts'
import type { Log } from './log.ts'
import { namespaceNumber } from './namespace.ts'
import { type Counters, none } from './statistics.ts'
import type { Totals } from './totals.ts'
import type { Vrrp } from './vrrp.ts'
import { noteAnswers } from './vrrp-scripts.ts'

/** It sends from outside the namespace, one datagram to one controller, the next one to the next. */
export class HeartbeatSender {
  readonly #options: SenderOptions
  #settings: AgentSettings
  readonly #sockets = new Map<'udp4' | 'udp6', dgram.Socket>()
  /** What was told of each listener in the last beat. */
  #told = new Map<string, Counters>()
  #seq = 0
  #start = 0
  #boot_id = ''
  #timer: NodeJS.Timeout | null = null
  #silent = false
  #ended = false

  constructor(options: SenderOptions) {
    this.#options = options
    this.#settings = options.settings
  }

  /** Resolves after the first beat. */
  async begin(): Promise<void> {
    const { totals, log } = this.#options
    if (!isTold(this.#settings)) log('no heartbeats: no key or no controller is configured')
    this.#start = await nextStart(path.join(this.#settings.base_path, 'starts'))
    this.#boot_id = await bootId('/run/ottavia-boot-id')
    this.#told = new Map(totals.ids().map(id => [id, totals.of(id)]))
    await this.#beat(performance.now())
  }

  /** Other controllers, another key or interval, from the next beat on, which comes at once. */
  configure(settings: AgentSettings): void {
    this.#settings = settings
    if (this.#timer === null) return // a beat is under way, or the first one is still to come
    clearTimeout(this.#timer)
    this.#timer = null
    void this.#beat(performance.now())
  }

  end(): void {
    this.#ended = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    for (const socket of this.#sockets.values()) socket.close()
  }

  async #beat(due_ms: number): Promise<void> {
    this.#timer = null
    await this.#tell(Math.min(1_000, this.#settings.heartbeat_interval_s * 500)).catch(error => {
      this.#options.log('a heartbeat failed', { error: String(error.stack ?? error) })
    })
    if (this.#ended) return
    const next_ms = Math.max(due_ms + this.#settings.heartbeat_interval_s * 1_000, performance.now())
    const wait_ms = Math.max(0, next_ms - performance.now())
    this.#timer = setTimeout(() => void this.#beat(next_ms), wait_ms).unref()
  }

  async #tell(limit_ms: number): Promise<void> {
    const { listeners, totals, vrrp, log } = this.#options
    const settings = this.#settings
    if (!isTold(settings)) return
    // The rule of the field: who cannot hold the VIP is to be replaced.
    if (vrrp.failed !== this.#silent) log(vrrp.failed ? 'no heartbeats: keepalived is dead' : 'heartbeats go on')
    this.#silent = vrrp.failed
    const seen = await listeners.look(limit_ms)
    if (!seen.some(each => each.missed)) await noteAnswers()
    await totals.save().catch(error => log('counters cannot be kept', { error: String(error) }))
    if (this.#silent || this.#ended) return
    const all = seen
      .flatMap(unit => unit.listeners)
      .map((each): SeenListener => {
        return { ...each, totals: totals.of(each.id), told: this.#told.get(each.id) ?? none }
      })
    const digests = Object.fromEntries(seen.flatMap(({ id, digest }) => (digest === null ? [] : [[id, digest]])))
    const { role, etag } = vrrp.details()
    const own = { start: this.#start, boot_id: await this.#bootId(), role, keepalived: etag, digests }
    const message = heartbeatOf(settings.heartbeat_form, {
      id: settings.amphora_id,
      seq: this.#seq,
      listeners: all,
      own,
    })
    // Of one that is absent nothing was told.
    for (const each of all) if (message.listeners[each.id] !== undefined) this.#told.set(each.id, each.totals)
    const destination = settings.controllers[this.#seq % settings.controllers.length]!
    this.#seq++
    await this.#send(framed(message, settings), destination)
  }

  /** What is plugged goes with a namespace as it does with a server that boots. */
  async #bootId(): Promise<string> {
    const { namespace } = this.#options.settings
    return namespace === undefined ? this.#boot_id : `${this.#boot_id}:${await namespaceNumber(namespace)}`
  }

  /** A datagram that is lost is nobody's fault: the next one goes elsewhere. */
  async #send(frame: Buffer, { host, port }: { host: string; port: number }): Promise<void> {
    const kind = isIPv6(host) ? 'udp6' : 'udp4'
    const socket = this.#sockets.get(kind) ?? dgram.createSocket(kind).unref()
    if (!this.#sockets.has(kind)) socket.on('error', () => {})
    this.#sockets.set(kind, socket)
    await new Promise<void>(resolve => socket.send(frame, port, host, () => resolve()))
  }
}

export type SenderOptions = {
  settings: AgentSettings
  listeners: Listeners
  totals: Totals
  vrrp: Vrrp
  log: Log
}

/** Is there anybody to be told, and a key to sign with? */
function isTold({ heartbeat_key, controllers }: AgentSettings): boolean {
  return heartbeat_key !== '' && controllers.length > 0
}

/** What does not fit into a datagram goes without the members. */
function framed(message: Heartbeat, { heartbeat_key, heartbeat_form }: AgentSettings): Buffer {
  const frame = encodeHeartbeat(message, heartbeat_key, heartbeat_form)
  if (frame.length <= LARGEST_BYTES) return frame
  const { pools: _, ...rest } = message
  return encodeHeartbeat(rest, heartbeat_key, heartbeat_form)
}

const LARGEST_BYTES = 65_507

/** How often the agent has been started on this disk. */
async function nextStart(file: string): Promise<number> {
  const start = (Number(await readIfThere(file)) || 0) + 1
  await writeWhole(file, `${start}\n`)
  return start
}

/** One for each boot: kept where nothing survives it. The kernel's own is another machine's too where servers share one. */
async function bootId(file: string): Promise<string> {
  const id = randomUUID()
  try {
    await fs.writeFile(file, `${id}\n`, { flag: 'wx' })
    return id
  } catch {
    return ((await readIfThere(file).catch(() => null)) ?? id).trim() || id
  }
}
