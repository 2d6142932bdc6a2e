/** The laws of flows for provider haproxy: network hosts in memory, beside the cloud of the other rig. */
import { AgentError } from '../src/amphora/agent-error.ts'
import type { Provider } from '../src/controller/reconcile.ts'
import type { Clients, NetworkHosts, Place } from '../src/providers/haproxy/clients.ts'
import { due } from '../src/providers/haproxy/flows.ts'
import { agentCalls, type Box } from './agent-world.ts'
import { CloudWorld } from './cloud-world.ts'
import { classify, Rig } from './flow-rig.ts'

/** A namespace on a host, on behalf of that amphora. */
type Namespace = Box & { amphora_id: string }
type Host = { dead: boolean; namespaces: Map<string, Namespace> }

export class HostedWorld extends CloudWorld {
  readonly hosts = new Map<string, Host>()
  #amphorae_made = 0

  constructor(names: string[]) {
    super()
    for (const name of names) this.hosts.set(name, { dead: false, namespaces: new Map() })
  }

  override account(): unknown {
    return {
      hosts: [...this.hosts].map(([name, host]) => [
        name,
        [...host.namespaces.keys()].map(id => {
          const { vip, plugged, listeners, tls_files } = this.#namespace(name, id)!
          const running = [...listeners].map(([id, l]) => [id, l.running, l.cfg]).sort()
          return { id, vip, plugged: plugged.size, running, files: [...tls_files.keys()].sort() }
        }),
      ]),
      ports: [...this.ports.values()]
        .map(p => [p.name, p.network_id, p['binding:host_id'] ?? '', p.admin_state_up, p.security_groups.length])
        .sort(),
      groups: [...this.groups.values()].map(g => [
        g.name,
        g.security_group_rules.map(r => `${r.protocol} ${r.port_range_min} ${r.remote_ip_prefix}`).sort(),
      ]),
      vault: [...this.vault.keys()].sort(),
    }
  }

  hostedClients(): Clients {
    const { neutron, certificates, vault } = this.clients()
    const host = (name: string | null): Host => {
      const found = this.hosts.get(name ?? '')
      if (!found || found.dead) throw new AgentError(0, 'unavailable', 'nobody answers')
      return found
    }
    const calls: Omit<NetworkHosts, 'known'> = {
      answering: async () =>
        [...this.hosts].filter(([, one]) => !one.dead).map(([name]) => ({ name, address: `address of ${name}` })),
      has: async ({ id, load_balancer_id, network_host }) =>
        host(network_host).namespaces.get(load_balancer_id!)?.amphora_id === id,
      take: async ({ id, load_balancer_id, network_host }) => {
        const { namespaces } = host(network_host)
        const known = namespaces.get(load_balancer_id!)
        namespaces.set(load_balancer_id!, { ...(known ?? newBox(load_balancer_id!)), amphora_id: id })
      },
      drop: async ({ id, load_balancer_id, network_host }) => {
        const { namespaces } = host(network_host)
        if (namespaces.get(load_balancer_id!)?.amphora_id === id) namespaces.delete(load_balancer_id!)
      },
    }
    const agentOf = ({ load_balancer_id, network_host }: Place) =>
      this.mortal(
        agentCalls(
          () => {
            host(network_host)
            const found = this.#namespace(network_host!, load_balancer_id!)
            if (!found) throw new AgentError(404, 'not_found', 'Load Balancer Not Found')
            return found
          },
          () => [...this.ports.values()],
          this.refuses,
        ),
      ) as unknown as ReturnType<Clients['agent']>
    const known = [...this.hosts.keys()].map(name => ({ name, address: `address of ${name}` }))
    return {
      neutron,
      certificates,
      vault,
      hosts: { known, ...this.mortal(calls) },
      agent: agentOf,
      unit: this.unit,
      newId: () => `amphora-${++this.#amphorae_made}`,
    }
  }

  /** As the cloud has it by now: links of ports that are bound elsewhere, or are gone, are no more. */
  #namespace(host_name: string, load_balancer_id: string): Namespace | null {
    const found = this.hosts.get(host_name)?.namespaces.get(load_balancer_id)
    if (!found) return null
    const bound = [...this.ports.values()].filter(p => p['binding:host_id'] === host_name)
    found.mac_addresses = new Set(bound.map(port => port.mac_address))
    for (const mac of [...found.plugged]) if (!found.mac_addresses.has(mac)) found.plugged.delete(mac)
    if (![...this.ports.values()].some(p => p.name === 'octavia-lb-lb' && found.plugged.has(p.mac_address)))
      found.vip = null
    return found
  }
}

export class HostedRig extends Rig {
  override readonly world: HostedWorld

  constructor(names = ['net1', 'net2']) {
    super()
    this.world = new HostedWorld(names)
  }

  override provider(): Provider<unknown> {
    const clients = this.world.hostedClients()
    const haproxy: Provider<Clients> = { name: 'haproxy', due, clients: () => clients, classify }
    return haproxy as Provider<unknown>
  }

  /** The host falls silent, and the health side has seen it. */
  dies(name: string): void {
    this.world.hosts.get(name)!.dead = true
    this.silent('STANDALONE')
  }

  /** Meanwhile hosts come back, and everything that has its time is due. */
  override async wait(): Promise<void> {
    for (const host of this.world.hosts.values()) host.dead = false
    this.later = new Date(this.later!.getTime() + 120_000)
    await super.wait()
  }
}

function newBox(id: string): Box {
  const nothing = { mac_addresses: new Set<string>(), plugged: new Set<string>(), vip: null, keepalived: null }
  return { id, name: id, ...nothing, dead: false, listeners: new Map(), tls_files: new Map() }
}
