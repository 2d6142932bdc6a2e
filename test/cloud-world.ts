/** A cloud in memory for the laws of flows: servers, ports, groups and agents, each call of which can be made to die. */
import { AgentError } from '../src/amphora/agent-error.ts'
import { CloudError } from '../src/cloud/openstack.ts'
import type { Amphora, UnitKind } from '../src/lbaas/amphora.ts'
import type { Agent, Clients } from '../src/providers/amphora/clients.ts'
import { Secret } from '../src/service/secret.ts'
import { agentCalls, type Box } from './agent-world.ts'

/** Where the controller dies: before the n-th call has its effect, or after it, with the answer lost. Late: the effect comes
 *  when its successors have made `behind` more calls, or are through with their work. */
export type Death = { call: number; when: 'before' | 'after' } | { call: number; when: 'late'; behind: number } | null

export class Died extends Error {}

type Port = Awaited<ReturnType<Clients['neutron']['createPort']>>
type Group = Awaited<ReturnType<Clients['neutron']['createSecurityGroup']>>
/** A certificate that is none, of that name. */
function bundleOf(ref: string, ask: (ref: string) => void): Awaited<ReturnType<Clients['certificates']['read']>> {
  ask(ref)
  return {
    certificate_pem: `certificate ${ref}`,
    private_key_pem: new Secret(`key ${ref}`),
    intermediates_pem: [],
    not_after: new Date(2e12),
  }
}

/** What exists outside the rows. `effects` counts the calls so far; `death` strikes once. */
export class CloudWorld {
  readonly servers = new Map<string, Box>()
  readonly ports = new Map<string, Port>()
  readonly groups = new Map<string, Group>()
  readonly server_groups = new Map<string, { id: string; name: string; policies: string[]; members: string[] }>()
  /** Amphorae that stand by for anybody, and what becomes of the row of one that was taken. */
  readonly spares: Amphora[] = []
  adopted: (spare: Amphora) => void = () => {}
  /** What is kept for load balancers, and what the key manager does when it is asked. */
  readonly vault = new Map<string, Secret>()
  certificate: (ref: string) => void = () => {}
  /** What one haproxy serves on new amphorae, and what it says of a text that it does not take. */
  unit: UnitKind = 'listener'
  refuses: (cfg: string) => string | null = () => null
  full = false // no server finds a host any more
  effects = 0
  death: Death = null
  #late: { due: number; effect: () => Promise<unknown> } | null = null
  #ids = 0
  #amphorae = 0

  constructor() {
    this.ports.set(
      'vip-port',
      this.#newPort({ id: 'vip-port', name: 'octavia-lb-lb', network_id: 'net', device_owner: 'Octavia' }),
    )
  }

  /** What must be the same however the way there was: names, links and configurations, without ids. */
  account(): unknown {
    const server = (id: string) => this.servers.get(id)?.name ?? id
    return {
      servers: [...this.servers.values()].map(box => ({
        ...{ vip: box.vip, rules: box.rules },
        keepalived: box.keepalived?.running ?? false,
        plugged: box.plugged.size,
        listeners: [...box.listeners].map(([id, l]) => [id, l.running, l.cfg, [...l.files].sort()]).sort(),
      })),
      vault: [...this.vault.keys()].sort(),
      ports: [...this.ports.values()]
        .map(p => [
          p.name.replace(/-amphora-\d+$/, ''),
          p.network_id,
          p.device_id ? server(p.device_id).replace(/-\d+$/, '') : '',
          p.security_groups.length,
        ])
        .sort(),
      server_groups: [...this.server_groups.values()].map(g => g.name),
      groups: [...this.groups.values()].map(g => [
        g.name,
        g.security_group_rules.map(r => `${r.protocol} ${r.port_range_min} ${r.remote_ip_prefix}`).sort(),
      ]),
    }
  }

  /** What is still under way arrives. */
  async arrive(): Promise<void> {
    const late = this.#late
    this.#late = null
    await late?.effect().catch(() => {}) // nobody hears that it failed
  }

  clients(): Clients {
    return {
      nova: this.mortal({
        server: async (id: string) => this.#shown(this.servers.get(id)),
        serversNamed: async (name: string) =>
          [...this.servers.values()].filter(b => b.name === name).map(b => this.#shown(b)!),
        serverGroup: async (id: string) => this.server_groups.get(id) ?? null,
        serverGroupsNamed: async (name: string) => [...this.server_groups.values()].filter(g => g.name === name),
        createServerGroup: async (name: string, policy: string) => {
          const id = `server-group-${this.#id()}`
          this.server_groups.set(id, { id, name, policies: [policy], members: [] })
          return id
        },
        deleteServerGroup: async (id: string) => void this.server_groups.delete(id),
        createServer: async ({ name, networks }: { name: string; networks?: { uuid: string }[] }) =>
          this.#boot(name, networks?.[0]?.uuid ?? 'mgmt'),
        deleteServer: async (id: string) => this.#end(id),
        interfaces: async (id: string) =>
          this.servers.has(id)
            ? [...this.ports.values()]
                .filter(p => p.device_id === id)
                .map(p => ({
                  port_id: p.id,
                  net_id: p.network_id,
                  mac_addr: p.mac_address,
                  port_state: 'ACTIVE',
                  fixed_ips: p.fixed_ips,
                }))
            : null,
        attach: async (server_id: string, port_id: string) => this.#attach(server_id, port_id),
        detach: async (server_id: string, port_id: string) => {
          const port = this.ports.get(port_id)
          if (port?.device_id !== server_id) return // accepted, and nothing happens
          this.#unplug(port)
          this.#change(port_id, { device_id: '', device_owner: '' })
        },
      }) as unknown as Clients['nova'],
      neutron: this.mortal({
        subnet: async (id: string) => ({
          id,
          name: id,
          project_id: 'p',
          network_id: 'net',
          cidr: '10.0.0.0/24',
          ip_version: 4 as const,
          gateway_ip: '10.0.0.1',
          host_routes: [],
        }),
        port: async (id: string) => this.ports.get(id) ?? null,
        ports: async (filter: Record<string, unknown>) =>
          [...this.ports.values()].filter(p => Object.entries(filter).every(([k, v]) => p[k as keyof Port] === v)),
        createPort: async (body: Partial<Port>) => this.#newPort(body),
        updatePort: async (id: string, body: Partial<Port>) => this.#change(id, body),
        deletePort: async (id: string) => this.deletePort(id),
        securityGroup: async (id: string) => this.groups.get(id) ?? null,
        securityGroups: async ({ name }: { name: string }) => [...this.groups.values()].filter(g => g.name === name),
        createSecurityGroup: async ({ name }: { name: string }) => this.#newGroup(name),
        deleteSecurityGroup: async (id: string) => this.#deleteGroup(id),
        createSecurityGroupRule: async (rule: Group['security_group_rules'][number]) => this.#rule(rule),
        deleteSecurityGroupRule: async (id: string) => {
          for (const g of this.groups.values()) g.security_group_rules = g.security_group_rules.filter(r => r.id !== id)
        },
      }) as unknown as Clients['neutron'],
      glance: this.mortal({
        imageTagged: async () => ({
          id: 'image',
          name: 'amphora',
          status: 'active',
          tags: [],
          created_at: '',
          owner: null,
        }),
      }) as unknown as Clients['glance'],
      agent: amphora => this.#agent(amphora.lb_network_ip),
      issueCertificate: async id => ({ pem: `certificate of ${id}`, expires_at: new Date(2e12) }),
      bootFiles: () => [],
      agentConfig: id => `configuration of ${id}`,
      choices: {
        image_owner_id: null,
        flavor_id: '65',
        network_ids: ['mgmt'],
        security_group_ids: ['mgmt-group'],
        ssh_key_name: null,
        unit: this.unit,
        boot_patience_s: 300,
        anti_affinity_policy: 'anti-affinity',
        vrrp: { advert_int_s: 1, priority: { MASTER: 254, BACKUP: 253 } },
      },
      certificates: this.mortal({
        read: async (ref: string) => bundleOf(ref, this.certificate),
        readAuthority: async (ref: string) => ({ certificates_pem: [`authority ${ref}`], revocations_pem: [] }),
      }) as unknown as Clients['certificates'],
      vault: this.mortal({
        keep: async (of: string, name: string, pem: Secret) => void this.vault.set(`${of} ${name}`, pem),
        fetch: async (of: string, name: string) => this.vault.get(`${of} ${name}`) ?? null,
        names: async () => [...this.vault.keys()].map(key => key.split(' ')[1]!),
        forget: async (of: string, names: string[]) => {
          for (const name of names) this.vault.delete(`${of} ${name}`)
        },
      }) as unknown as Clients['vault'],
      imageTag: async () => 'amphora',
      adoptSpare: async place => {
        const spare = this.spares.shift()
        if (!spare) return null
        Object.assign(spare, { ...place, status: 'ALLOCATED' })
        this.adopted(spare)
        return spare
      },
      newId: () => `amphora-${++this.#amphorae}`,
    }
  }

  /** The port goes, and its link out of the server that has it. */
  deletePort(id: string): void {
    const port = this.ports.get(id)
    if (port) this.#unplug(port)
    this.ports.delete(id)
  }

  #unplug(port: Port): void {
    const box = this.servers.get(port.device_id)
    box?.mac_addresses.delete(port.mac_address)
    if (box?.plugged.delete(port.mac_address) && box.vip && port.name.startsWith('octavia-lb-vrrp')) box.vip = null
  }

  /** The agent at a management address, if anybody answers there. */
  #agent(address: string | null): Agent {
    const box = () => {
      const port = [...this.ports.values()].find(
        p => p.network_id.startsWith('mgmt') && p.fixed_ips[0]?.ip_address === address,
      )
      const found = port && this.servers.get(port.device_id)
      if (!found || found.dead) throw new AgentError(0, 'unavailable', 'nobody answers')
      return found
    }
    return this.mortal(agentCalls(box, () => [...this.ports.values()], this.refuses)) as unknown as Agent
  }

  /** Every call counts; the one that the death names has its effect, or not yet, or not at all, and does not come back. */
  mortal<T extends Record<string, (...args: never[]) => Promise<unknown>>>(calls: T): T {
    const wrapped = Object.entries(calls).map(([name, call]) => [
      name,
      async (...args: never[]) => {
        const number = ++this.effects
        if (this.#late && number > this.#late.due) await this.arrive()
        const dies = this.death?.call === number ? this.death.when : null
        if (this.death?.when === 'late' && dies)
          this.#late = { due: number + this.death.behind, effect: () => call(...args) }
        if (dies === 'before' || dies === 'late') throw new Died()
        const result = await call(...args)
        if (dies === 'after') throw new Died()
        return result
      },
    ])
    return Object.fromEntries(wrapped) as T
  }

  #boot(name: string, network_id: string): string {
    if (this.full) throw new CloudError('compute', 403, 'forbidden', 'No valid host was found.', null)
    const id = `server-${this.#id()}`
    const nothing = {
      plugged: new Set<string>(),
      vip: null,
      keepalived: null,
      dead: false,
      listeners: new Map(),
      tls_files: new Map(),
    }
    this.servers.set(id, { id, name, mac_addresses: new Set(), ...nothing })
    const port = this.#newPort({ network_id, name: '', device_owner: 'compute:nova' })
    this.#change(port.id, { device_id: id })
    return id
  }

  #end(id: string): void {
    for (const port of [...this.ports.values()]) {
      if (port.device_id !== id) continue
      if (port.network_id.startsWith('mgmt')) this.ports.delete(port.id)
      else this.#change(port.id, { device_id: '', device_owner: '' })
    }
    this.servers.delete(id)
  }

  #shown(box: Box | undefined) {
    return box
      ? {
          id: box.id,
          name: box.name,
          status: 'ACTIVE',
          'OS-EXT-STS:task_state': null,
          addresses: {},
          flavor: { id: '65' },
          image: { id: 'image' },
        }
      : null
  }

  #attach(server_id: string, port_id: string): void {
    const port = this.ports.get(port_id)
    if (!port || !this.servers.has(server_id)) throw new CloudError('compute', 404, 'itemNotFound', 'not found', null)
    if (port.device_id !== '')
      throw new CloudError('compute', 409, 'conflictingRequest', `Port ${port_id} is still in use.`, null)
    this.#change(port_id, { device_id: server_id, device_owner: 'compute:nova' })
    this.servers.get(server_id)!.mac_addresses.add(port.mac_address)
  }

  #newPort(body: Partial<Port>): Port {
    const number = this.#id()
    const id = body.id ?? `port-${number}`
    const port: Port = {
      name: '',
      project_id: 'service',
      network_id: 'net',
      mac_address: `fa:16:3e:00:00:${number.toString(16).padStart(2, '0')}`,
      device_id: '',
      device_owner: '',
      security_groups: [],
      allowed_address_pairs: [],
      admin_state_up: true,
      status: 'DOWN',
      ...body,
      id,
      fixed_ips: [{ subnet_id: 'subnet', ip_address: body.fixed_ips?.[0]?.ip_address ?? `10.0.0.${number}` }],
    }
    this.ports.set(id, port)
    return port
  }

  #change(id: string, body: Partial<Port>): Port {
    const port = { ...this.ports.get(id)!, ...body, id }
    this.ports.set(id, port)
    return port
  }

  #newGroup(name: string): Group {
    const group: Group = { id: `group-${this.#id()}`, name, project_id: 'service', security_group_rules: [] }
    this.groups.set(group.id, group)
    return group
  }

  #deleteGroup(id: string): void {
    if ([...this.ports.values()].some(p => p.security_groups.includes(id)))
      throw new CloudError('network', 409, 'SecurityGroupInUse', 'in use', null)
    this.groups.delete(id)
  }

  #rule(rule: Group['security_group_rules'][number]) {
    const group = this.groups.get(rule.security_group_id)!
    const opens = (r: typeof rule) => `${r.protocol} ${r.port_range_min} ${r.remote_ip_prefix}`
    if (group.security_group_rules.some(known => opens(known) === opens(rule)))
      throw new CloudError('network', 409, 'SecurityGroupRuleExists', 'exists', null)
    const made = { ...rule, id: `rule-${this.#id()}` }
    group.security_group_rules = [...group.security_group_rules, made]
    return made
  }

  #id(): number {
    return ++this.#ids
  }
}
