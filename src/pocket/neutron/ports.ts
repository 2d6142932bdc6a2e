/** Ports: made, changed, bound to servers and hosts, deleted; and what the fabric is told of them. */
import { randomBytes } from 'node:crypto'
import type { Fabric, FabricPort, FabricRule } from '../fabric/fabric.ts'
import { Refusal } from '../service.ts'
import { type Change, drop, keep, type Store } from '../store.ts'
import { canonical, chooseAddresses, isAddress, isPrefix, type WantedIp } from './addresses.ts'
import { changed, type Network, newPort, type Port, type Rule, type SecurityGroup, type Subnet } from './documents.ts'
import { ensureDefaultGroup } from './groups.ts'
import type { Quotas } from './quotas.ts'

/** What a POST or PUT of a port may say. */
export type PortWishes = {
  name?: string
  project_id?: string
  tenant_id?: string
  network_id?: string
  mac_address?: string
  admin_state_up?: boolean
  device_id?: string
  device_owner?: string
  fixed_ips?: WantedIp[]
  allowed_address_pairs?: { ip_address: string; mac_address?: string }[]
  security_groups?: string[]
  port_security_enabled?: boolean
  qos_policy_id?: string | null
  'binding:host_id'?: string
  'binding:profile'?: Record<string, string>
  _made_by_nova?: boolean
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
    const changes: Change[] = []
    const { fixed_ips, allowed_address_pairs, ...fields } = wishes
    const mac_address = wishes.mac_address ? checkedMac(wishes.mac_address) : this.#freeMac()
    if (wishes.mac_address && this.#macTaken(network.id, mac_address))
      throw new Refusal(
        409,
        'MacAddressInUse',
        `Unable to complete operation for network ${network.id}. The mac address ${mac_address} is in use.`,
      )
    const secured = wishes.port_security_enabled ?? network.port_security_enabled !== false
    const port = newPort(project_id, {
      ...fields,
      network_id: network.id,
      mac_address,
      port_security_enabled: secured,
      fixed_ips: chooseAddresses(this.#subnets(network.id), mac_address, fixed_ips, (s, ip) =>
        this.#taken(s, ip, null),
      ),
      allowed_address_pairs: pairs(allowed_address_pairs ?? [], mac_address),
      security_groups: wishes.security_groups
        ? this.#checkedGroups(wishes.security_groups)
        : secured
          ? [ensureDefaultGroup(this.#store, project_id, changes).id]
          : [],
    })
    this.#quotas.check('port', project_id)
    if (port.device_owner === 'pocket:host') Object.assign(port, bound('pocket'))
    await this.#store.commit(...changes, keep('port', port))
    if (port.device_owner === 'pocket:host') await this.plugHost(port)
    await this.#tellPeers(port)
    return port
  }

  async update(port: Port, wishes: PortWishes): Promise<Port> {
    const { fixed_ips, allowed_address_pairs, ...fields } = wishes
    const mac = wishes.mac_address ?? port.mac_address
    const after = changed(port, {
      ...fields,
      ...(fixed_ips && {
        fixed_ips: chooseAddresses(this.#subnets(port.network_id), mac, fixed_ips, (s, ip) =>
          this.#taken(s, ip, port.id),
        ),
      }),
      ...(allowed_address_pairs && { allowed_address_pairs: pairs(allowed_address_pairs, mac) }),
      ...(wishes.security_groups && { security_groups: this.#checkedGroups(wishes.security_groups) }),
    })
    await this.#store.commit(keep('port', after))
    await this.#fabric.update(this.fabricPort(after))
    if (fixed_ips || wishes.security_groups) await this.#tellPeers(after)
    return after
  }

  async delete(port: Port): Promise<void> {
    await this.#store.commit(drop('port', port.id))
    await this.#fabric.unplug(port.id)
    await this.#tellPeers(port)
  }

  /** A port that belongs to a server from now on. */
  async bind(port: Port, server_id: string, host: string): Promise<Port> {
    const after = changed(port, {
      device_id: server_id,
      device_owner: 'compute:nova',
      ...bound(host),
      status: 'ACTIVE',
    })
    await this.#store.commit(keep('port', after))
    return after
  }

  /** The server has gone, or lets it go: a port that Nova made goes too, any other stays, free. */
  async unbind(port: Port): Promise<void> {
    if (port._made_by_nova) return this.delete(port)
    const after = changed(port, { device_id: '', device_owner: '', status: 'DOWN', ...unbound })
    await this.#store.commit(keep('port', after))
    await this.#fabric.unplug(port.id)
  }

  async plugHost(port: Port): Promise<void> {
    await this.#fabric.plugHost(port.device_id, port['binding:profile'].interface ?? 'eth0', this.fabricPort(port))
  }

  ofServer(server_id: string): Port[] {
    return this.#store
      .all<Port>('port')
      .filter(port => port.device_id === server_id && port.device_owner.startsWith('compute:'))
  }

  /** Tells the fabric of every port that has one of these groups, or whose rules name one. */
  async groupsChanged(group_ids: string[]): Promise<void> {
    const naming = this.#store
      .all<Rule>('rule')
      .filter(rule => rule.remote_group_id && group_ids.includes(rule.remote_group_id))
    const affected = new Set([...group_ids, ...naming.map(rule => rule.security_group_id)])
    const ports = this.#store.all<Port>('port').filter(port => port.security_groups.some(id => affected.has(id)))
    await Promise.all(ports.map(port => this.#fabric.update(this.fabricPort(port))))
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
    }
  }

  #fabricRule(rule: Rule): FabricRule {
    const { direction, ethertype, protocol, port_range_min, port_range_max } = rule
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

  /** Ports whose rules name one of this port's groups learn of its addresses. */
  async #tellPeers(port: Port): Promise<void> {
    const naming = this.#store
      .all<Rule>('rule')
      .filter(rule => rule.remote_group_id && port.security_groups.includes(rule.remote_group_id))
      .map(rule => rule.security_group_id)
    if (naming.length === 0) return
    const peers = this.#store.all<Port>('port').filter(p => p.security_groups.some(id => naming.includes(id)))
    await Promise.all(peers.map(peer => this.#fabric.update(this.fabricPort(peer))))
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

  #checkedGroups(ids: string[]): string[] {
    for (const id of ids)
      if (!this.#store.get<SecurityGroup>('group', id))
        throw new Refusal(404, 'SecurityGroupNotFound', `Security group ${id} does not exist`)
    return ids
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
  wanted: { ip_address?: string; mac_address?: string }[],
  mac_address: string,
): Port['allowed_address_pairs'] {
  return wanted.map(pair => {
    const ip = String(pair.ip_address)
    if (!isPrefix(ip)) throw new Refusal(400, 'HTTPBadRequest', `'${ip}' is not a valid IP address`)
    const mac = pair.mac_address ? checkedMac(pair.mac_address) : mac_address
    return { ip_address: isAddress(ip) ? canonical(ip) : ip, mac_address: mac }
  })
}

/** Goes into commands of the machine, so nothing but a MAC may pass. */
function checkedMac(mac: string): string {
  if (/^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$/.test(mac)) return mac.toLowerCase()
  throw new Refusal(
    400,
    'HTTPBadRequest',
    `Invalid input for mac_address. Reason: '${mac}' is not a valid MAC address.`,
  )
}
