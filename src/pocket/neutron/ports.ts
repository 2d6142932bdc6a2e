/** Ports: made, changed, bound to servers and hosts, deleted; and what the fabric is told of them. */
import { randomBytes } from 'node:crypto'
import type { Fabric, FabricPort, FabricRule } from '../fabric/fabric.ts'
import { Refusal } from '../service.ts'
import { drop, keep, type Store } from '../store.ts'
import { chooseAddresses, type WantedIp } from './addresses.ts'
import { changed, type Network, newPort, type Port, type Rule, type Subnet } from './documents.ts'
import { ensureDefaultGroup } from './groups.ts'
import { machineProtocol } from './protocols.ts'
import { bandwidthOf, checkOwnSupport } from './qos.ts'
import type { Quotas } from './quotas.ts'

/** What may be said of a port, in forms that are known to be right. */
export type PortWishes = {
  name?: string
  description?: string
  network_id?: string
  project_id?: string
  mac_address?: string
  admin_state_up?: boolean
  device_id?: string
  device_owner?: string
  fixed_ips?: WantedIp[]
  allowed_address_pairs?: { ip_address: string; mac_address?: string }[] | null
  security_groups?: string[] | null
  port_security_enabled?: boolean
  qos_policy_id?: string | null
  extra_dhcp_opts?: unknown[] | null
  'binding:host_id'?: string | null
  'binding:profile'?: Record<string, string> | null
  'binding:vnic_type'?: string
  _server_id?: string
  _made_by_nova?: boolean
  _at_boot?: boolean
}

/** Everything about ports. Changes are committed first and brought about on the machine then, so that a restart repeats
 *  what was cut short. */
export class Ports {
  readonly #store: Store
  readonly #fabric: Fabric
  readonly #quotas: Quotas

  constructor(store: Store, fabric: Fabric, quotas: Quotas) {
    this.#store = store
    this.#fabric = fabric
    this.#quotas = quotas
  }

  async create(project_id: string, wishes: PortWishes & { network_id: string }): Promise<Port> {
    const network = this.#store.get<Network>('network', wishes.network_id)
    if (!network) throw new Refusal(404, 'NetworkNotFound', `Network ${wishes.network_id} could not be found.`)
    const secured = wishes.port_security_enabled ?? network.port_security_enabled !== false
    const usual = secured && !wishes.security_groups ? await ensureDefaultGroup(this.#store, project_id) : null
    // From here to the commit nothing waits, so that two requests cannot take one address.
    this.#quotas.check('port', project_id)
    const { project_id: _, fixed_ips, ...fields } = wishes
    const mac_address = wishes.mac_address ?? this.#freeMac()
    if (wishes.mac_address && this.#macTaken(network.id, mac_address))
      throw new Refusal(
        409,
        'MacAddressInUse',
        `Unable to complete operation for network ${network.id}. The mac address ${mac_address} is in use.`,
      )
    const port = newPort(project_id, {
      ...fields,
      network_id: network.id,
      mac_address,
      port_security_enabled: secured,
      fixed_ips: chooseAddresses(this.#subnets(network.id), mac_address, fixed_ips, (s, ip) =>
        this.#taken(s, ip, null),
      ),
      allowed_address_pairs: pairs(wishes.allowed_address_pairs, mac_address),
      security_groups: wishes.security_groups ?? (usual ? [usual] : []),
      extra_dhcp_opts: wishes.extra_dhcp_opts ?? [],
      'binding:host_id': wishes['binding:host_id'] ?? '',
      'binding:profile': wishes['binding:profile'] ?? {},
      ...(wishes._server_id && bound(String(wishes['binding:host_id']))),
    })
    checkOwnSupport(this.#store, port)
    await this.#store.commit(keep('port', port))
    const made = port.device_owner === 'pocket:host' ? await this.#plugNewHost(port) : await this.#wire(port)
    await this.#tellPeers(port.security_groups)
    return made
  }

  async update(port: Port, wishes: PortWishes): Promise<Port> {
    const { fixed_ips, allowed_address_pairs, security_groups, extra_dhcp_opts, ...fields } = wishes
    const { 'binding:profile': profile, 'binding:host_id': host, ...plain } = fields
    const lists = {
      ...('allowed_address_pairs' in wishes && {
        allowed_address_pairs: pairs(allowed_address_pairs, port.mac_address),
      }),
      ...('security_groups' in wishes && { security_groups: security_groups ?? [] }),
      ...('extra_dhcp_opts' in wishes && { extra_dhcp_opts: extra_dhcp_opts ?? [] }),
      ...('binding:profile' in wishes && { 'binding:profile': profile ?? {} }),
      ...('binding:host_id' in wishes && { 'binding:host_id': host ?? '' }),
    }
    const after = changed(port, {
      ...plain,
      ...lists,
      ...(fixed_ips && {
        fixed_ips: chooseAddresses(this.#subnets(port.network_id), port.mac_address, fixed_ips, (s, ip) =>
          this.#taken(s, ip, port.id),
        ),
      }),
    })
    checkOwnSupport(this.#store, after)
    await this.#store.commit(keep('port', after))
    // what a host has is taken from it before another has it: two would answer for one address
    if (this.hostOf(port) !== null && this.hostOf(port) !== this.hostOf(after)) await this.#fabric.unplug(port.id)
    const wired = 'binding:host_id' in wishes ? await this.#wire(after) : after
    await this.#refresh(after.id)
    const groups = new Set([...port.security_groups, ...after.security_groups])
    if (fixed_ips || 'security_groups' in wishes || 'allowed_address_pairs' in wishes)
      await this.#tellPeers([...groups])
    return wired
  }

  async delete(port: Port): Promise<void> {
    await this.#store.commit(drop('port', port.id))
    await this.#fabric.unplug(port.id)
    await this.#tellPeers(port.security_groups)
  }

  /** Nova's own port for a server that is being built: made and bound in one commit, so that none is left over. */
  createFor(
    server_id: string,
    host: string,
    project_id: string,
    wishes: PortWishes & { network_id: string },
  ): Promise<Port> {
    return this.create(project_id, {
      ...wishes,
      device_id: server_id,
      device_owner: 'compute:nova',
      'binding:host_id': host,
      _server_id: server_id,
      _made_by_nova: true,
      _at_boot: true,
    })
  }

  /** A port that belongs to a server from now on. Refuses one that somebody else has. */
  async bind(port_id: string, server_id: string, host: string): Promise<Port> {
    const port = this.#store.get<Port>('port', port_id)
    if (!port) throw new Refusal(404, 'itemNotFound', `Port id ${port_id} could not be found.`)
    if (port._server_id === server_id) return port
    if (port._server_id !== null || (port.device_id !== '' && port.device_id !== server_id))
      throw new Refusal(409, 'conflictingRequest', `Port ${port_id} is still in use.`)
    const after = changed(port, {
      device_id: server_id,
      device_owner: 'compute:nova',
      _server_id: server_id,
      ...bound(host),
    })
    await this.#store.commit(keep('port', after))
    return after
  }

  /** The link of the server's ports is there, or is not. */
  async linked(server_id: string, status: 'ACTIVE' | 'DOWN'): Promise<void> {
    const due = this.ofServer(server_id).filter(port => port.status !== status)
    if (due.length > 0) await this.#store.commit(...due.map(port => keep('port', changed(port, { status }))))
  }

  /** The server has gone, or lets it go: a port that Nova made goes too, any other stays, free. */
  async unbind(port_id: string): Promise<void> {
    const port = this.#store.get<Port>('port', port_id)
    if (!port) return
    if (port._made_by_nova) return this.delete(port)
    const after = changed(port, { device_id: '', device_owner: '', status: 'DOWN', _server_id: null, ...unbound })
    await this.#store.commit(keep('port', after))
    await this.#fabric.unplug(port.id)
  }

  async plugHost(port: Port): Promise<void> {
    await this.#fabric.plugHost(port.device_id, port['binding:profile'].interface ?? 'eth0', this.fabricPort(port))
  }

  /** The network host that the port is bound to: a namespace of the machine that has a port of its own; null: none. What
   *  is a server's, or the machine's own, is bound in other ways. */
  hostOf(port: Port): string | null {
    const host = port['binding:host_id']
    if (host === '' || host === 'world' || port._server_id !== null || port.device_owner === 'pocket:host') return null
    const known = this.#store.all<Port>('port').some(p => p.device_owner === 'pocket:host' && p.device_id === host)
    return known ? host : null
  }

  /** Brings the link of a bound port to its host, as the L2 agent there would. Again where it is missing. */
  async wireHost(port: Port, host: string): Promise<void> {
    await this.#fabric.wire(host, this.fabricPort(port))
  }

  async #wire(port: Port): Promise<Port> {
    const host = this.hostOf(port)
    if (port._server_id !== null || (host === null && port['binding:vif_type'] === 'unbound')) return port
    if (host !== null) await this.wireHost(port, host)
    const bound_now = host === null ? { ...unbound, 'binding:host_id': port['binding:host_id'] } : bound(host)
    const after = changed(port, { status: host === null ? 'DOWN' : 'ACTIVE', ...bound_now })
    await this.#store.commit(keep('port', after))
    return after
  }

  /** What the machine refuses to plug is not kept: nobody would ever plug it again before the next start. */
  async #plugNewHost(port: Port): Promise<Port> {
    try {
      await this.plugHost(port)
    } catch (error) {
      await this.#store.commit(drop('port', port.id))
      throw error
    }
    const after = changed(port, { status: 'ACTIVE', ...bound('pocket') })
    await this.#store.commit(keep('port', after))
    return after
  }

  /** In the order of their making. */
  ofServer(server_id: string): Port[] {
    return this.#store.all<Port>('port').filter(port => port._server_id === server_id)
  }

  /** Tells the fabric of every port that has one of these groups: its rules are others now. */
  async groupsChanged(group_ids: string[]): Promise<void> {
    await this.follow(
      this.#store.all<Port>('port').filter(port => port.security_groups.some(id => group_ids.includes(id))),
    )
  }

  /** Tells the fabric of these ports: something that holds for them has changed. */
  async follow(ports: Port[]): Promise<void> {
    await Promise.all(ports.map(port => this.#refresh(port.id)))
  }

  /** The port as the machine needs it: addresses with their prefixes, rules with remote groups resolved. */
  fabricPort(port: Port): FabricPort {
    const network = this.#store.get<Network>('network', port.network_id)
    return {
      id: port.id,
      network_id: port.network_id,
      mac_address: port.mac_address,
      mtu: network?.mtu ?? 1450,
      fixed_ips: port.fixed_ips.map(({ subnet_id, ip_address }) => {
        const subnet = this.#store.get<Subnet>('subnet', subnet_id)!
        return { ip_address, prefix_length: Number(subnet.cidr.split('/')[1]), gateway_ip: subnet.gateway_ip }
      }),
      allowed_address_pairs: port.allowed_address_pairs,
      admin_state_up: port.admin_state_up,
      port_security_enabled: port.port_security_enabled,
      rules: this.#store
        .all<Rule>('rule')
        .filter(rule => port.security_groups.includes(rule.security_group_id))
        .map(rule => this.#fabricRule(rule)),
      bandwidth: bandwidthOf(this.#store, port),
    }
  }

  #fabricRule(rule: Rule): FabricRule {
    const { direction, ethertype, port_range_min, port_range_max } = rule
    const protocol = machineProtocol(rule.protocol, ethertype)
    const remote_ip_prefixes = rule.remote_group_id
      ? this.#store
          .all<Port>('port')
          .filter(port => port.security_groups.includes(rule.remote_group_id!))
          .flatMap(port => [...port.fixed_ips, ...port.allowed_address_pairs].map(ip => ip.ip_address))
      : rule.remote_ip_prefix
        ? [rule.remote_ip_prefix]
        : null
    return { direction, ethertype, protocol, port_range_min, port_range_max, remote_ip_prefixes }
  }

  /** Ports whose rules name one of these groups learn of its members' addresses. */
  async #tellPeers(group_ids: string[]): Promise<void> {
    const naming = this.#store
      .all<Rule>('rule')
      .filter(rule => rule.remote_group_id && group_ids.includes(rule.remote_group_id))
      .map(rule => rule.security_group_id)
    if (naming.length > 0) await this.groupsChanged(naming)
  }

  /** Tells the fabric how the port is meant to be by now; a port without a link needs nothing. */
  async #refresh(port_id: string): Promise<void> {
    const port = this.#store.get<Port>('port', port_id)
    if (port && (port._server_id !== null || port.device_owner === 'pocket:host' || this.hostOf(port) !== null))
      await this.#fabric.update(this.fabricPort(port))
  }

  #subnets(network_id: string): Subnet[] {
    return this.#store.all<Subnet>('subnet').filter(subnet => subnet.network_id === network_id)
  }

  #taken(subnet_id: string, ip_address: string, except: string | null): boolean {
    return this.#store
      .all<Port>('port')
      .some(
        port =>
          port.id !== except && port.fixed_ips.some(ip => ip.subnet_id === subnet_id && ip.ip_address === ip_address),
      )
  }

  #freeMac(): string {
    for (;;) {
      const mac = `fa:16:3e:${[...randomBytes(3)].map(byte => byte.toString(16).padStart(2, '0')).join(':')}`
      if (!this.#store.all<Port>('port').some(port => port.mac_address === mac)) return mac
    }
  }

  #macTaken(network_id: string, mac: string): boolean {
    return this.#store.all<Port>('port').some(port => port.network_id === network_id && port.mac_address === mac)
  }
}

function bound(host: string) {
  return {
    'binding:host_id': host,
    'binding:vif_type': 'bridge',
    'binding:vif_details': { connectivity: 'l2', port_filter: true, bound_drivers: { '0': 'pocket' } },
  }
}

const unbound = { 'binding:host_id': '', 'binding:vif_type': 'unbound', 'binding:vif_details': {} }

function pairs(
  wanted: { ip_address: string; mac_address?: string }[] | null | undefined,
  mac_address: string,
): Port['allowed_address_pairs'] {
  return (wanted ?? []).map(pair => ({ mac_address, ...pair }))
}
