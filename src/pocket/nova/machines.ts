/** The life of servers: building, booting again, ending. Rows say what should run; this brings it about on the machine. */
import type { Fabric } from '../fabric/fabric.ts'
import type { Faults } from '../faults.ts'
import { treeOf } from '../glance/glance.ts'
import type { Port } from '../neutron/documents.ts'
import type { Ports } from '../neutron/ports.ts'
import { Refusal, timestamp } from '../service.ts'
import { drop, keep, type Store } from '../store.ts'
import type { Server, ServerGroup } from './documents.ts'
import { flavors } from './flavors.ts'

export type MachineParts = {
  store: Store
  fabric: Fabric
  ports: Ports
  faults: Faults
  images_dir: string
  log: (text: string, fields: Record<string, unknown>) => void
}

/** Pretended hosts, so that anti-affinity means something. */
export const hosts = ['pocket-1', 'pocket-2', 'pocket-3']

/** How long a real cloud believes in a host that has died (measured: about a minute), and blocks an attach. */
const dead_host_attach_ms = 60_000

export class Machines {
  readonly #parts: MachineParts
  readonly #ending = new Set<string>()

  constructor(parts: MachineParts) {
    this.#parts = parts
    // a server whose first process ends is a machine that was powered off from inside
    parts.fabric.onExit(server_id => void this.#poweredOff(server_id))
  }

  /** After a start of the cloud: what should run is booted again, what was being built is built again. */
  async resume(): Promise<void> {
    const { store, fabric } = this.#parts
    const running = await fabric.running()
    const due = store
      .all<Server>('server')
      .filter(s => s.status !== 'SHUTOFF' && s.status !== 'ERROR' && !running.has(s.id))
    const queue = [...due]
    const lane = async () => {
      for (let server = queue.shift(); server; server = queue.shift()) {
        if (server.status === 'BUILD') await this.build(server.id)
        else await this.#boot(server).catch(error => this.#failed(server!.id, error))
      }
    }
    await Promise.all([lane(), lane()])
    for (const id of running) if (!store.get('server', id)) await fabric.destroy(id)
  }

  /** From BUILD to ACTIVE, or to ERROR with a fault. May be run again at any point. */
  async build(server_id: string): Promise<void> {
    try {
      let server = this.#current(server_id)
      if (!server) return
      const host = server.host ?? this.#schedule(server)
      if (host === null)
        return await this.#fail(server_id, 'No valid host was found. There are not enough hosts available.')
      server = await this.#change(server_id, { host, task_state: 'networking' })
      if (!server) return
      await this.#allocatePorts(server)
      server = await this.#change(server_id, { task_state: 'spawning' })
      if (!server) return
      await this.#boot(server)
    } catch (error) {
      await this.#failed(server_id, error)
    }
  }

  async reboot(server_id: string, kind: 'HARD_REBOOT' | 'REBOOT'): Promise<void> {
    const server = await this.#change(server_id, { status: kind, task_state: 'rebooting' })
    if (!server) return
    await this.#parts.fabric.shutdown(server_id)
    await this.#boot(server).catch(error => this.#failed(server_id, error))
  }

  async stop(server_id: string): Promise<void> {
    await this.#parts.fabric.shutdown(server_id)
    await this.#change(server_id, { status: 'SHUTOFF', task_state: null })
  }

  async start(server_id: string): Promise<void> {
    const server = this.#current(server_id)
    if (server) await this.#boot(server)
  }

  /** Ends the server, frees its ports, forgets it. On a host that is dead but believed to be up nothing happens. */
  async delete(server: Server): Promise<void> {
    const { store, fabric, ports, faults } = this.#parts
    if (faults.dead(server.host) && server.task_state !== 'deleting') {
      await this.#change(server.id, { task_state: 'deleting' })
      return
    }
    this.#ending.add(server.id)
    await this.#change(server.id, { task_state: 'deleting' })
    await fabric.destroy(server.id)
    for (const port of ports.ofServer(server.id)) await ports.unbind(port)
    await store.commit(drop('server', server.id))
    this.#ending.delete(server.id)
  }

  /** Plugs a port into a running server. Blocks, as Nova does while its compute service is asked. */
  async attach(server: Server, port: Port): Promise<Port> {
    const { fabric, ports, faults } = this.#parts
    if (faults.dead(server.host)) {
      await new Promise(resolve => setTimeout(resolve, dead_host_attach_ms))
      throw new Refusal(
        500,
        'computeFault',
        "Unexpected API Error.\n<class 'oslo_messaging.exceptions.MessagingTimeout'>",
      )
    }
    const bound = await ports.bind(port, server.id, server.host!)
    if ((await fabric.running()).has(server.id)) await fabric.plug(server.id, ports.fabricPort(bound))
    return bound
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

  /** The host with the fewest servers, less those that the group's policy forbids. */
  #schedule(server: Server): string | null {
    const { store, faults } = this.#parts
    if (faults.take('no_valid_host')) return null
    const others = store.all<Server>('server').filter(other => other.id !== server.id && other.host !== null)
    const load = (host: string) => others.filter(other => other.host === host).length
    const group = server.group_id ? store.get<ServerGroup>('server_group', server.group_id) : undefined
    const mates = new Set(others.filter(other => group && other.group_id === group.id).map(other => other.host))
    const up = hosts.filter(host => !faults.dead(host))
    const preferred =
      {
        'anti-affinity': up.filter(host => !mates.has(host)),
        'soft-anti-affinity': up.filter(host => !mates.has(host)),
        affinity: mates.size > 0 ? up.filter(host => mates.has(host)) : up,
        'soft-affinity': up.filter(host => mates.has(host)),
      }[group?.policy ?? ''] ?? up
    const candidates = preferred.length === 0 && group?.policy.startsWith('soft-') ? up : preferred
    return [...candidates].sort((a, b) => load(a) - load(b))[0] ?? null
  }

  /** In the order in which they were asked for. Ports that an earlier try made or bound are kept. */
  async #allocatePorts(server: Server): Promise<void> {
    const { store, ports } = this.#parts
    for (const wish of server.wanted_networks) {
      if ('port' in wish) {
        const port = store.get<Port>('port', wish.port)
        if (!port) throw new Refusal(404, 'itemNotFound', `Port id ${wish.port} could not be found.`)
        if (port.device_id !== server.id) await ports.bind(port, server.id, server.host!)
        continue
      }
      if (ports.ofServer(server.id).some(port => port.network_id === wish.uuid && port._made_by_nova)) continue
      const wishes = { network_id: wish.uuid, device_id: server.id, device_owner: 'compute:nova', _made_by_nova: true }
      const groups = server.security_groups.length > 0 ? { security_groups: server.security_groups } : {}
      const port = await ports.create(server.project_id, { ...wishes, ...groups })
      await ports.bind(port, server.id, server.host!)
    }
  }

  async #boot(server: Server): Promise<void> {
    const { fabric, ports, images_dir } = this.#parts
    const flavor = flavors.find(f => f.id === server.flavor_id)
    const own = ports.ofServer(server.id)
    const made = own.filter(port =>
      server.wanted_networks.some(w =>
        'port' in w ? w.port === port.id : w.uuid === port.network_id && port._made_by_nova,
      ),
    )
    const later = own.filter(port => !made.includes(port))
    await fabric.boot(
      {
        id: server.id,
        name: server.name,
        image_dir: treeOf(images_dir, server.image_id),
        files: server.personality.map(file => ({ path: file.path, contents: Buffer.from(file.contents, 'base64') })),
        user_data: server.user_data === null ? null : Buffer.from(server.user_data, 'base64'),
        memory_mb: flavor?.ram ?? 64,
      },
      made.map(port => ports.fabricPort(port)),
    )
    // what was attached to the running server is hardware without a configuration, after a reboot too
    for (const port of later) await fabric.plug(server.id, ports.fabricPort(port))
    if (this.#ending.has(server.id)) return
    const launched_at = `${new Date().toISOString().slice(0, 19)}.000000`
    await this.#change(server.id, {
      status: 'ACTIVE',
      task_state: null,
      launched_at: server.launched_at ?? launched_at,
    })
  }

  async #failed(server_id: string, error: unknown): Promise<void> {
    this.#parts.log('a server did not boot', { server_id, error: (error as Error).message })
    await this.#fail(server_id, (error as Error).message)
  }

  async #fail(server_id: string, message: string): Promise<void> {
    const fault = { code: 500, created: timestamp(), message, details: `pocket: ${message}` }
    await this.#change(server_id, { status: 'ERROR', task_state: null, fault })
  }

  async #poweredOff(server_id: string): Promise<void> {
    if (this.#ending.has(server_id)) return
    const server = this.#parts.store.get<Server>('server', server_id)
    if (server?.status === 'ACTIVE') await this.#change(server_id, { status: 'SHUTOFF', task_state: null })
  }
}
