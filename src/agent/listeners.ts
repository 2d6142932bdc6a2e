/** All that serves on this amphora: haproxies, of a listener or a whole load balancer each, and listeners of datagrams. */
import fs from 'node:fs'
import path from 'node:path'
import type { ListenerEntry } from '../amphora/rest.ts'
import { type Answer, Refusal } from './answer.ts'
import type { LookedAt } from './beat.ts'
import { DATAGRAM_FILE, DatagramListener, type DatagramListenerOptions } from './datagram-listener.ts'
import { HaproxyUnit, type HaproxyUnitOptions } from './haproxy-unit.ts'

export class Listeners {
  readonly #options: ListenersOptions
  /** Once known, always known: the turns of one id must not be taken in two places. */
  readonly #known = new Map<string, Unit>()

  constructor(options: ListenersOptions) {
    this.#options = options
  }

  /** After a start of the agent: every listener that is to run, runs. */
  async resume(): Promise<void> {
    await Promise.all(
      (await this.#all()).map(each =>
        each.resume().catch(error => {
          this.#options.log('a listener does not come back', { listener: each.id, error: String(error) })
        }),
      ),
    )
  }

  letGo(): void {
    for (const each of this.#known.values()) each.letGo()
  }

  upload(unit_id: string, body: Buffer): Promise<Answer> {
    return this.#toUpload(unit_id, HaproxyUnit).upload(body)
  }

  /** The document of a UDP listener. */
  uploadDatagrams(listener_id: string, body: Buffer): Promise<Answer> {
    return this.#toUpload(listener_id, DatagramListener).upload(body)
  }

  async config(id: string, noun: Noun = 'Listener'): Promise<Answer> {
    return (await this.#existing(id, noun)).config()
  }

  async act(id: string, action: string, noun: Noun = 'Listener'): Promise<Answer> {
    const wanted = action.toLowerCase()
    if (wanted !== 'start' && wanted !== 'stop' && wanted !== 'reload') {
      throw new Refusal(400, { message: 'Invalid Request', details: `Unknown action: ${action}` })
    }
    const unit = await this.#existing(id, noun)
    try {
      return await unit[wanted]()
    } finally {
      await this.#options.noted()
    }
  }

  async remove(id: string): Promise<Answer> {
    const answer = await (await this.#existing(id)).remove()
    await this.#options.noted()
    return answer
  }

  /** Nothing serves here any more. */
  async removeAll(): Promise<void> {
    for (const { id } of await this.#all()) await this.remove(id)
  }

  async details(id: string): Promise<Answer> {
    return { status: 200, body: await (await this.#existing(id)).details() }
  }

  /** Those that are to serve. */
  duties(): { socket: string; serving: boolean }[] {
    return [...this.#known.values()].flatMap(each => each.duty ?? [])
  }

  /** The sockets of haproxy's that run, by their ids. */
  sockets(): Map<string, string> {
    const running = [...this.#known.values()].filter(each => each instanceof HaproxyUnit && each.status === 'ACTIVE')
    return new Map(running.map(each => [each.id, (each as HaproxyUnit).socket]))
  }

  /** What heartbeats tell of each. */
  async look(limit_ms: number): Promise<LookedAt[]> {
    return Promise.all((await this.#all()).map(each => each.look(limit_ms)))
  }

  async entries(): Promise<ListenerEntry[]> {
    return (await Promise.all((await this.#all()).map(each => each.entries()))).flat()
  }

  async #all(): Promise<Unit[]> {
    const entries = await fs.promises.readdir(this.#options.base_path, { withFileTypes: true }).catch(() => [])
    const candidates = entries.filter(each => each.isDirectory()).map(each => this.#of(each.name))
    const present = await Promise.all(candidates.map(async each => ({ each, there: await each.exists() })))
    return present.filter(({ there }) => there).map(({ each }) => each)
  }

  /** One that is new is of the kind that its folder has. */
  #of(id: string): Unit {
    const datagrams = fs.existsSync(path.join(this.#options.base_path, id, DATAGRAM_FILE))
    const Kind = datagrams ? DatagramListener : HaproxyUnit
    const unit = this.#known.get(id) ?? new Kind(id, this.#options)
    this.#known.set(id, unit)
    return unit
  }

  /** An id is of one kind for ever; one that was only asked for has none yet. */
  #toUpload<T extends Unit>(id: string, Kind: new (id: string, options: ListenersOptions) => T): T {
    const known = this.#known.get(id)
    if (known instanceof Kind) return known
    if (fs.existsSync(path.join(this.#options.base_path, id))) {
      throw new Refusal(400, { message: 'Invalid request', details: 'the listener is of another protocol' })
    }
    const unit = new Kind(id, this.#options)
    this.#known.set(id, unit)
    return unit
  }

  async #existing(id: string, noun: Noun = 'Listener'): Promise<Unit> {
    const unit = this.#of(id)
    if (await unit.exists()) return unit
    throw new Refusal(404, { message: `${noun} Not Found`, details: `No ${noun.toLowerCase()} with UUID: ${id}` })
  }
}

/** Units: what one configuration is for. */
type Unit = HaproxyUnit | DatagramListener

/** What the answer calls one that is not there. */
type Noun = 'Listener' | 'Loadbalancer' | 'UDP Listener'

export type ListenersOptions = HaproxyUnitOptions &
  DatagramListenerOptions & {
    /** Called after an action has changed which listeners are to serve. */
    noted: () => Promise<void>
  }
