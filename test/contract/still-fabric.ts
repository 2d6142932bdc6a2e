/** A fabric that moves nothing and remembers what it was asked, for tests of the pocket cloud's APIs. */
import { type Fabric, FabricError, type FabricPort, type FabricServer } from '../../src/pocket/fabric/fabric.ts'

/** Boots can be held, so that a test sees a server being built, or refused. */
export class StillFabric implements Fabric {
  readonly calls: { name: keyof Fabric; argument: unknown }[] = []
  readonly networks = new Set<string>()
  /** Servers that run, with their ports in the order of plugging. */
  readonly servers = new Map<string, { server: FabricServer; ports: string[] }>()
  /** What the machine was last told of each port that it has. */
  readonly ports = new Map<string, FabricPort>()
  readonly hosts = new Map<string, { netns: string; interface_name: string }>()
  refusal: string | null = null
  #exits: ((server_id: string) => void)[] = []
  #gate: Promise<void> = Promise.resolve()
  #open = () => {}

  hold(): void {
    this.release()
    this.#gate = new Promise(resolve => {
      this.#open = resolve
    })
  }

  release(): void {
    this.#open()
    this.#gate = Promise.resolve()
  }

  /** The server's first process ends by itself. */
  exit(server_id: string): void {
    this.#end(server_id)
    for (const listener of this.#exits) listener(server_id)
  }

  /** The machine loses its power: what was written on disk is all that is left. */
  lose(): void {
    for (const id of [...this.servers.keys()]) this.#end(id)
    for (const known of [this.networks, this.ports, this.hosts]) known.clear()
    this.#exits = []
  }

  async ensureNetwork(network_id: string): Promise<void> {
    this.#note('ensureNetwork', network_id)
    this.networks.add(network_id)
  }

  async removeNetwork(network_id: string): Promise<void> {
    this.#note('removeNetwork', network_id)
    this.networks.delete(network_id)
  }

  async boot(server: FabricServer, ports: FabricPort[]): Promise<void> {
    this.#note('boot', server.id)
    await this.#gate
    this.#mayRefuse()
    if (this.servers.has(server.id)) return
    this.servers.set(server.id, { server, ports: ports.map(port => port.id) })
    for (const port of ports) this.#plugged(port)
  }

  async shutdown(server_id: string): Promise<void> {
    this.#note('shutdown', server_id)
    this.#end(server_id)
  }

  async destroy(server_id: string): Promise<void> {
    this.#note('destroy', server_id)
    this.#end(server_id)
  }

  async plug(server_id: string, port: FabricPort): Promise<void> {
    this.#note('plug', port.id)
    this.#mayRefuse()
    const found = this.servers.get(server_id)
    if (!found) throw new FabricError(`server ${server_id} does not run`)
    this.#plugged(port)
    if (!found.ports.includes(port.id)) found.ports.push(port.id)
  }

  async unplug(port_id: string): Promise<void> {
    this.#note('unplug', port_id)
    this.ports.delete(port_id)
    this.hosts.delete(port_id)
    for (const { ports } of this.servers.values()) {
      const at = ports.indexOf(port_id)
      if (at >= 0) ports.splice(at, 1)
    }
  }

  async update(port: FabricPort): Promise<void> {
    this.#note('update', port.id)
    if (this.ports.has(port.id)) this.ports.set(port.id, structuredClone(port))
  }

  async plugHost(netns: string, interface_name: string, port: FabricPort): Promise<void> {
    this.#note('plugHost', port.id)
    this.#mayRefuse()
    this.#plugged(port)
    this.hosts.set(port.id, { netns, interface_name })
  }

  async wire(netns: string, port: FabricPort): Promise<void> {
    this.#note('wire', port.id)
    this.#mayRefuse()
    this.#plugged(port)
    this.hosts.set(port.id, { netns, interface_name: `tap${port.id.slice(0, 11)}` })
  }

  async running(): Promise<Set<string>> {
    return new Set(this.servers.keys())
  }

  async console(server_id: string, length_bytes: number): Promise<string> {
    return `the console of ${server_id}\nsecond line\nthird line\n`.slice(-length_bytes)
  }

  onExit(listener: (server_id: string) => void): void {
    this.#exits.push(listener)
  }

  #note(name: keyof Fabric, argument: unknown): void {
    this.calls.push({ name, argument })
  }

  #mayRefuse(): void {
    if (this.refusal !== null) throw new FabricError(this.refusal)
  }

  #plugged(port: FabricPort): void {
    if (!this.networks.has(port.network_id)) throw new FabricError(`there is no network ${port.network_id}`)
    this.ports.set(port.id, structuredClone(port))
  }

  #end(server_id: string): void {
    for (const id of this.servers.get(server_id)?.ports ?? []) this.ports.delete(id)
    this.servers.delete(server_id)
  }
}
