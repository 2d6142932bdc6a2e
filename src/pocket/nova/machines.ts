/** The life of servers: building, booting again, ending. Rows say what should run; this brings it about on the machine. */
import type { Fabric } from '../fabric/fabric.ts'
import type { Faults } from '../faults.ts'
import { treeOf } from '../glance/glance.ts'
import type { Port } from '../neutron/documents.ts'
import type { Ports } from '../neutron/ports.ts'
import { Refusal, timestamp } from '../service.ts'
import { drop, keep, type Store } from '../store.ts'
import { configDrive } from './config-drive.ts'
import type { Server, ServerGroup } from './documents.ts'
import { flavors } from './flavors.ts'
import { chooseHost, hosts, type Placed } from './scheduler.ts'

export type MachineParts = {
  store: Store
  fabric: Fabric
  ports: Ports
  faults: Faults
  images_dir: string
  log: (text: string, fields: Record<string, unknown>) => void
}

/** What happens to one server happens one after another; a deletion makes what is under way end early. */
export class Machines {
  readonly #parts: MachineParts
  readonly #ending = new Set<string>()
  readonly #queues = new Map<string, Promise<unknown>>()
  #closed = false

  constructor(parts: MachineParts) {
    this.#parts = parts
    // a server whose first process ends is a machine that was powered off from inside
    parts.fabric.onExit(server_id => this.#behind(server_id, () => this.#poweredOff(server_id)))
  }

  /** After a start of the cloud: what should run is booted again, two at a time; what was being built, stopped or
   *  deleted goes on being so. */
  async resume(): Promise<void> {
    const { store, fabric } = this.#parts
    const running = await fabric.running()
    const queue = store.all<Server>('server')
    const lane = async () => {
      for (let server = queue.shift(); server && !this.#closed; server = queue.shift())
        await this.#resumeOne(server, running.has(server.id)).catch(error => this.#failed(server!.id, error))
    }
    await Promise.all([lane(), lane()])
    for (const id of running) if (!store.get('server', id)) await fabric.destroy(id)
  }

  /** Exits from now on are the machine's own end, not the servers'. Resolves when nothing is under way any more. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all(this.#queues.values())
  }

  /** From BUILD to ACTIVE, or to ERROR with a fault. May be run again at any point. */
  async build(server_id: string): Promise<void> {
    await this.#inOrder(server_id, async () => {
      try {
        let server = this.#current(server_id)
        if (server?.status !== 'BUILD') return
        const host = server.host ?? this.#schedule(server)
        if (host === null)
          return await this.#fail(server_id, 'No valid host was found. There are not enough hosts available.')
        server = await this.#change(server_id, { host, task_state: 'networking' })
        if (!server || !(await this.#allocatePorts(server))) return
        server = await this.#change(server_id, { task_state: 'spawning' })
        if (server && this.#current(server_id)) await this.#boot(server)
      } catch (error) {
        await this.#failed(server_id, error)
      }
    })
  }

  /** Answers when the intention is on disk; the rest happens behind it. */
  async reboot(server: Server, status: 'HARD_REBOOT' | 'REBOOT'): Promise<void> {
    const task_state = status === 'REBOOT' ? 'rebooting' : 'rebooting_hard'
    await this.#change(server.id, { status, task_state })
    this.#behind(server.id, async () => {
      await this.#parts.fabric.shutdown(server.id)
      const now = this.#current(server.id)
      if (now) await this.#boot(now)
    })
  }

  async stop(server: Server): Promise<void> {
    await this.#change(server.id, { task_state: 'powering-off' })
    this.#behind(server.id, () => this.#powerOff(server.id))
  }

  async start(server: Server): Promise<void> {
    await this.#change(server.id, { task_state: 'powering-on' })
    this.#behind(server.id, async () => {
      const now = this.#current(server.id)
      if (now) await this.#boot(now)
    })
  }

  /** Ends the server, frees its ports, forgets it, all behind the answer. While the cloud believes in a host that is
   *  dead, nothing happens beyond the promise. */
  async delete(server: Server): Promise<void> {
    const { faults, log } = this.#parts
    await this.#change(server.id, { task_state: 'deleting' })
    if (faults.believedAlive(server.host)) return
    this.#ending.add(server.id)
    void this.#inOrder(server.id, () => this.#remove(server.id)).catch(error => {
      this.#ending.delete(server.id)
      log('a server was not deleted', { server_id: server.id, error: String(error) })
    })
  }

  /** Binds the port and plugs it into the running server. On a dead host nobody answers, for as long as it is believed in. */
  async attach(server: Server, port_id: string): Promise<void> {
    const { fabric, ports, faults } = this.#parts
    if (faults.dead(server.host)) {
      await faults.untilForgotten(server.host)
      throw new Refusal(
        500,
        'computeFault',
        "Unexpected API Error.\n<class 'oslo_messaging.exceptions.MessagingTimeout'>",
      )
    }
    await this.#inOrder(server.id, async () => {
      if (!this.#current(server.id)) throw new Refusal(404, 'itemNotFound', `Instance ${server.id} could not be found.`)
      const port = await ports.bind(port_id, server.id, server.host!)
      if (!(await fabric.running()).has(server.id)) return
      try {
        await fabric.plug(server.id, ports.fabricPort(port))
      } catch (error) {
        await ports.unbind(port_id)
        throw error
      }
      await ports.linked(server.id, 'ACTIVE')
    })
  }

  /** A promise too: on a dead host nobody keeps it, and the port stays the server's. */
  detach(server: Server, port_id: string): void {
    if (this.#parts.faults.dead(server.host)) return
    this.#behind(server.id, () => this.#parts.ports.unbind(port_id))
  }

  /** The host's servers are gone from one moment to the next, and no row says so. */
  async hostDied(host: string): Promise<void> {
    const { store, fabric } = this.#parts
    for (const server of store.all<Server>('server')) if (server.host === host) await fabric.shutdown(server.id)
  }

  /** Hosts that were dead are back, and with them the servers that nobody deleted meanwhile. */
  async hostsReturned(): Promise<void> {
    await this.resume()
  }

  #inOrder<T>(server_id: string, work: () => Promise<T>): Promise<T> {
    const next = (this.#queues.get(server_id) ?? Promise.resolve()).then(work)
    const settled: Promise<void> = next
      .then(
        () => {},
        () => {},
      )
      .then(() => {
        if (this.#queues.get(server_id) === settled) this.#queues.delete(server_id)
      })
    this.#queues.set(server_id, settled)
    return next
  }

  /** Work that no request waits for: its failure becomes the server's. */
  #behind(server_id: string, work: () => Promise<void>): void {
    void this.#inOrder(server_id, work)
      .catch(error => this.#failed(server_id, error))
      .catch(error => this.#parts.log('a server was lost sight of', { server_id, error: String(error) }))
  }

  async #resumeOne(server: Server, runs: boolean): Promise<void> {
    if (server.task_state === 'deleting') return this.#inOrder(server.id, () => this.#remove(server.id))
    if (server.task_state === 'powering-off') return this.#inOrder(server.id, () => this.#powerOff(server.id))
    if (server.status === 'BUILD') return this.build(server.id)
    const up = server.status !== 'ERROR' && (server.status !== 'SHUTOFF' || server.task_state === 'powering-on')
    if (!up || this.#parts.faults.dead(server.host)) return
    // it has outlived the cloud: a port may have been bound to it, or its rules changed, in our last moment
    if (runs && server.task_state === null) return this.#inOrder(server.id, () => this.#plugAll(server.id))
    await this.#inOrder(server.id, async () => {
      const now = this.#current(server.id)
      if (now) await this.#boot(now)
    })
  }

  async #plugAll(server_id: string): Promise<void> {
    const { fabric, ports } = this.#parts
    for (const port of ports.ofServer(server_id)) await fabric.plug(server_id, ports.fabricPort(port))
    await ports.linked(server_id, 'ACTIVE')
  }

  async #remove(server_id: string): Promise<void> {
    const { store, fabric, ports } = this.#parts
    if (!store.get('server', server_id)) return
    await fabric.destroy(server_id)
    for (const port of ports.ofServer(server_id)) await ports.unbind(port.id)
    await store.commit(drop('server', server_id))
    this.#ending.delete(server_id)
  }

  async #powerOff(server_id: string): Promise<void> {
    await this.#parts.fabric.shutdown(server_id)
    await this.#parts.ports.linked(server_id, 'DOWN')
    await this.#change(server_id, { status: 'SHUTOFF', task_state: null })
  }

  async #poweredOff(server_id: string): Promise<void> {
    if (this.#closed || this.#current(server_id)?.status !== 'ACTIVE') return
    if ((await this.#parts.fabric.running()).has(server_id)) return
    await this.#parts.ports.linked(server_id, 'DOWN')
    await this.#change(server_id, { status: 'SHUTOFF', task_state: null })
  }

  #current(server_id: string): Server | undefined {
    return this.#ending.has(server_id) ? undefined : this.#parts.store.get<Server>('server', server_id)
  }

  async #change(server_id: string, fields: Partial<Server>): Promise<Server | undefined> {
    const server = this.#parts.store.get<Server>('server', server_id)
    if (!server) return undefined
    const after = { ...server, ...fields, updated: timestamp() } as Server
    await this.#parts.store.commit(keep('server', after))
    return after
  }

  #schedule(server: Server): string | null {
    const { store, faults } = this.#parts
    if (faults.takeNoValidHost()) return null
    const others = store.all<Server>('server').filter(other => other.id !== server.id && other.host !== null)
    const group = server.group_id ? store.get<ServerGroup>('server_group', server.group_id) : undefined
    const up = hosts.filter(host => !faults.dead(host))
    return chooseHost(up, others as (Server & Placed)[], group ?? null)
  }

  /** In the order in which they were asked for. Ports that an earlier try made or bound are kept: each is of the wish
   *  whose number it bears. False when the server is to end. */
  async #allocatePorts(server: Server): Promise<boolean> {
    const { ports } = this.#parts
    const taken = new Set<string>()
    for (const wish of server.wanted_networks) {
      if (!this.#current(server.id)) return false
      if ('port' in wish) {
        await ports.bind(wish.port, server.id, server.host!)
        continue
      }
      const known = ports
        .ofServer(server.id)
        .find(port => port._made_by_nova && port.network_id === wish.uuid && !taken.has(port.id))
      if (known) {
        taken.add(known.id)
        continue
      }
      const groups = server.security_groups.length > 0 ? { security_groups: server.security_groups } : {}
      const address = wish.fixed_ip ? { fixed_ips: [{ ip_address: wish.fixed_ip }] } : {}
      const port = await ports.createFor(server.id, server.host!, server.project_id, {
        network_id: wish.uuid,
        ...groups,
        ...address,
      })
      taken.add(port.id)
    }
    return this.#current(server.id) !== undefined
  }

  async #boot(server: Server): Promise<void> {
    const { fabric, ports, images_dir } = this.#parts
    const flavor = flavors.find(f => f.id === server.flavor_id)
    const own = ports.ofServer(server.id)
    // eth0, eth1, … in the order in which they were asked for
    const first: Port[] = []
    for (const wish of server.wanted_networks) {
      const fits = (port: Port) =>
        'port' in wish ? port.id === wish.port : port._at_boot && port.network_id === wish.uuid
      const port = own.find(one => fits(one) && !first.includes(one))
      if (port) first.push(port)
    }
    const later = own.filter(port => !first.includes(port))
    const files = server.personality.map(file => ({ path: file.path, contents: Buffer.from(file.contents, 'base64') }))
    const key = server.public_key
      ? [{ path: '/root/.ssh/authorized_keys', contents: Buffer.from(`${server.public_key.trim()}\n`) }]
      : []
    await fabric.boot(
      {
        id: server.id,
        name: server.name,
        image_dir: treeOf(images_dir, server.image_id),
        files: [...files, ...key],
        config_drive: server.config_drive ? configDrive(server) : [],
        user_data: server.user_data === null ? null : Buffer.from(server.user_data, 'base64'),
        memory_mb: flavor?.ram ?? 64,
      },
      first.map(port => ports.fabricPort(port)),
    )
    // what was attached to the running server is hardware without a configuration, after a reboot too
    for (const port of later) await fabric.plug(server.id, ports.fabricPort(port))
    if (!this.#current(server.id)) return
    await ports.linked(server.id, 'ACTIVE')
    const launched_at = server.launched_at ?? `${new Date().toISOString().slice(0, 19)}.000000`
    await this.#change(server.id, { status: 'ACTIVE', task_state: null, fault: null, launched_at })
  }

  /** What a refusal says is for everybody; what the machine says is for administrators, who see a fault's details. */
  async #failed(server_id: string, error: unknown): Promise<void> {
    const { message } = error as Error
    this.#parts.log('a server failed', { server_id, error: message })
    const shown =
      error instanceof Refusal ? message : `Build of instance ${server_id} aborted: the host could not boot it.`
    await this.#fail(server_id, shown, message)
  }

  async #fail(server_id: string, message: string, details = message): Promise<void> {
    const fault = { code: 500, created: timestamp(), message, details }
    await this.#change(server_id, { status: 'ERROR', task_state: null, fault })
  }
}
