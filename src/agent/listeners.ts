/** All listeners of this amphora: haproxy's, and those of datagrams. */
import fs from 'node:fs'
import path from 'node:path'
import type { ListenerEntry } from '../amphora/rest.ts'
import { type Answer, Refusal } from './answer.ts'
import { DATAGRAM_FILE, DatagramListener, type DatagramListenerOptions } from './datagram-listener.ts'
import { Listener, type ListenerOptions, type LookedAt } from './listener.ts'

export class Listeners {
  readonly #options: ListenersOptions
  /** Once known, always known: the turns of one id must not be taken in two places. */
  readonly #known = new Map<string, Listener | DatagramListener>()

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

  upload(listener_id: string, body: Buffer): Promise<Answer> {
    return this.#toUpload(listener_id, Listener).upload(body)
  }

  /** The document of a UDP listener. */
  uploadDatagrams(listener_id: string, body: Buffer): Promise<Answer> {
    return this.#toUpload(listener_id, DatagramListener).upload(body)
  }

  async config(listener_id: string): Promise<Answer> {
    return (await this.#existing(listener_id)).config()
  }

  async act(listener_id: string, action: string): Promise<Answer> {
    const wanted = action.toLowerCase()
    if (wanted !== 'start' && wanted !== 'stop' && wanted !== 'reload') {
      throw new Refusal(400, { message: 'Invalid Request', details: `Unknown action: ${action}` })
    }
    const listener = await this.#existing(listener_id)
    try {
      return await listener[wanted]()
    } finally {
      await this.#options.noted()
    }
  }

  async remove(listener_id: string): Promise<Answer> {
    const answer = await (await this.#existing(listener_id)).remove()
    await this.#options.noted()
    return answer
  }

  async details(listener_id: string): Promise<Answer> {
    return { status: 200, body: await (await this.#existing(listener_id)).details() }
  }

  /** Those that are to serve. */
  duties(): { socket: string; serving: boolean }[] {
    return [...this.#known.values()].flatMap(each => each.duty ?? [])
  }

  /** The sockets of haproxy's that run, by their ids. */
  sockets(): Map<string, string> {
    const running = [...this.#known.values()].filter(each => each instanceof Listener && each.status === 'ACTIVE')
    return new Map(running.map(each => [each.id, (each as Listener).socket]))
  }

  /** All that the agent knows, whether they run or not. */
  ids(): string[] {
    return [...this.#known.keys()]
  }

  /** What heartbeats tell of each. */
  async look(limit_ms: number): Promise<LookedAt[]> {
    return Promise.all((await this.#all()).map(each => each.look(limit_ms)))
  }

  async entries(): Promise<ListenerEntry[]> {
    return Promise.all((await this.#all()).map(each => each.entry()))
  }

  async #all(): Promise<(Listener | DatagramListener)[]> {
    const entries = await fs.promises.readdir(this.#options.base_path, { withFileTypes: true }).catch(() => [])
    const candidates = entries.filter(each => each.isDirectory()).map(each => this.#of(each.name))
    const present = await Promise.all(candidates.map(async each => ({ each, there: await each.exists() })))
    return present.filter(({ there }) => there).map(({ each }) => each)
  }

  /** One that is new is of the kind that its folder has. */
  #of(listener_id: string): Listener | DatagramListener {
    const datagrams = fs.existsSync(path.join(this.#options.base_path, listener_id, DATAGRAM_FILE))
    const Kind = datagrams ? DatagramListener : Listener
    const listener = this.#known.get(listener_id) ?? new Kind(listener_id, this.#options)
    this.#known.set(listener_id, listener)
    return listener
  }

  /** An id is of one kind for ever; one that was only asked for has none yet. */
  #toUpload<T extends Listener | DatagramListener>(
    listener_id: string,
    Kind: new (id: string, options: ListenersOptions) => T,
  ): T {
    const known = this.#known.get(listener_id)
    if (known instanceof Kind) return known
    if (fs.existsSync(path.join(this.#options.base_path, listener_id))) {
      throw new Refusal(400, { message: 'Invalid request', details: 'the listener is of another protocol' })
    }
    const listener = new Kind(listener_id, this.#options)
    this.#known.set(listener_id, listener)
    return listener
  }

  async #existing(listener_id: string): Promise<Listener | DatagramListener> {
    const listener = this.#of(listener_id)
    if (await listener.exists()) return listener
    throw new Refusal(404, { message: 'Listener Not Found', details: `No listener with UUID: ${listener_id}` })
  }
}

export type ListenersOptions = ListenerOptions &
  DatagramListenerOptions & {
    /** Called after an action has changed which listeners are to serve. */
    noted: () => Promise<void>
  }
