/** Makes VIPs reachable from the host: each load balancer gets a port of the host's loopback, passed on to its VIP. */
import { type ChildProcess, fork } from 'node:child_process'
import net from 'node:net'
import path from 'node:path'

export type Vip = { load_balancer_id: string; network_id: string; address: string; port: number }

/** Gives the host's loopback ports to VIPs. The ports are kept over restarts by `remembered`. */
export class Publication {
  readonly #relays = new Map<string, ChildProcess>()
  readonly #ports = new Map<string, number>()
  readonly #hostOn: (network_id: string) => Promise<string>
  readonly #remembered: { get: (id: string) => number | undefined; set: (id: string, port: number) => void }

  /** `hostOn` answers with the namespace of a host on that network. */
  constructor(
    hostOn: (network_id: string) => Promise<string>,
    remembered: { get: (id: string) => number | undefined; set: (id: string, port: number) => void },
  ) {
    this.#hostOn = hostOn
    this.#remembered = remembered
  }

  /** The port of the host's loopback that leads to this load balancer; null while it has none. */
  portOf(load_balancer_id: string): number | null {
    return this.#ports.get(load_balancer_id) ?? null
  }

  /** Publishes a VIP, or leads its port to where it listens now. */
  async publish(vip: Vip): Promise<void> {
    const relay = await this.#relayOn(vip.network_id)
    const order = { relay: vip.load_balancer_id, host: vip.address, port: vip.port }
    if (this.#ports.has(vip.load_balancer_id)) {
      relay.send(order)
      return
    }
    const { handle, port } = await askForSocket(vip.load_balancer_id, this.#remembered.get(vip.load_balancer_id))
    this.#ports.set(vip.load_balancer_id, port)
    this.#remembered.set(vip.load_balancer_id, port)
    relay.send(order, handle, () => handle.close())
  }

  close(): void {
    for (const relay of this.#relays.values()) relay.disconnect()
  }

  async #relayOn(network_id: string): Promise<ChildProcess> {
    const known = this.#relays.get(network_id)
    if (known?.connected) return known
    const netns = await this.#hostOn(network_id)
    const relay = fork(path.join(import.meta.dirname, 'relay.ts'), [], {
      execPath: '/usr/bin/env',
      execArgv: ['ip', 'netns', 'exec', netns, process.execPath],
    })
    relay.on('error', () => {}) // the next publication starts another
    relay.once('exit', () => {
      this.#relays.delete(network_id)
      this.#ports.clear() // their sockets went with it
    })
    this.#relays.set(network_id, relay)
    return relay
  }
}

/** Asks the launcher, outside, for a listening socket of the host's loopback. */
function askForSocket(key: string, port: number | undefined): Promise<{ handle: net.Server; port: number }> {
  return new Promise((resolve, reject) => {
    const answered = (message: { published?: string; port?: number; error?: string }, handle: unknown) => {
      if (message.published !== key) return
      process.off('message', answered)
      if (handle instanceof net.Server) resolve({ handle, port: message.port! })
      else reject(new Error(`the host gave no port for ${key}: ${message.error}`))
    }
    process.on('message', answered)
    process.send!({ publish: key, port })
  })
}
