/** The VIP: its port is bound to the host, whose link it becomes; a tenant's own port is given back as it was. */
import { linkName } from '../../../amphora/network-host.ts'
import type { Port } from '../../../cloud/neutron.ts'
import { amphoraStep, treeStep } from '../../../controller/flow.ts'
import { Transient } from '../../../controller/outcome.ts'
import type { Tree } from '../../../lbaas/tree.ts'
import { hasInterface, plugged } from '../../shared/plugging.ts'
import { hasWantedSettings, vipPortSettings, wantedSettings } from '../../shared/vip-port-settings.ts'
import type { Clients } from '../clients.ts'

export const bindVip = amphoraStep<Clients>({
  title: 'bind VIP port',
  upstream: 'plug_vip_port',
  deadline_s: 120,
  done: amphora => amphora.vip_plugged,
  look: async (amphora, tree, { clients }) => {
    const { vip_port_id, vip_address } = tree.load_balancer
    const port = await clients.neutron.port(vip_port_id!)
    const bound = port !== null && port['binding:host_id'] === amphora.network_host && port.admin_state_up
    return bound && (await hasInterface(clients.agent(amphora), vip_address!)) ? {} : { vip_plugged: false }
  },
  ensure: async (amphora, tree, { clients }) => {
    const { neutron } = clients
    const lb = tree.load_balancer
    const known = await neutron.port(lb.vip_port_id!)
    if (!known) throw new Transient(`waiting for VIP port ${lb.vip_port_id}`)
    // the cloud takes it from any other host: who is given up serves no more, whether it hears of that or not
    const port = await neutron.updatePort(known.id, {
      admin_state_up: true,
      'binding:host_id': amphora.network_host!,
      ...settingsOf(tree, known),
    })
    const subnet = await neutron.subnet(lb.vip_subnet_id!)
    const additional_vips = lb.additional_vips.map(({ subnet_id, ip_address }) => {
      const { cidr, gateway } = lb.vip_subnets[subnet_id]!
      return { ip_address: ip_address!, vrrp_ip: ip_address!, subnet_cidr: cidr, gateway }
    })
    await plugged(() =>
      clients.agent(amphora).plugVip(lb.vip_address!, {
        subnet_cidr: subnet?.cidr ?? lb.vip_subnet_cidr!,
        gateway: subnet ? subnet.gateway_ip : lb.vip_gateway,
        mac_address: port.mac_address,
        interface_name: linkName(port.id),
        host_routes: subnet?.host_routes ?? [],
        ...(additional_vips.length > 0 ? { additional_vips } : {}),
      }),
    )
    return { vip_plugged: true, ha_ip: lb.vip_address, ha_port_id: port.id }
  },
})

/** Changes of what the tenant wants of the port. */
export const vipSettings = treeStep<Clients>({
  title: 'settings of the VIP port',
  deadline_s: 60,
  done: hasWantedSettings,
  ensure: async (tree, { clients }) => {
    const port = await clients.neutron.port(tree.load_balancer.vip_port_id!)
    if (port) await clients.neutron.updatePort(port.id, settingsOf(tree, port))
    return { load_balancer: { vip_port_settings: wantedSettings(tree.load_balancer) } }
  },
})

/** A port that the tenant brought keeps the groups that it came with. */
function settingsOf({ load_balancer }: Tree, port: Port) {
  const { vip_port_settings, vip_port_owned } = load_balancer
  const { security_groups, ...shaping } = vipPortSettings(load_balancer)
  const former = vip_port_settings?.security_groups ?? []
  const own = vip_port_owned ? [] : port.security_groups.filter(id => !former.includes(id))
  return { ...shaping, security_groups: [...new Set([...own, ...security_groups])] }
}

/** A port that the tenant brought is bound to no host any more, and has his own groups alone. */
export const freeVip = treeStep<Clients>({
  title: 'unbind VIP port',
  upstream: 'unplug_vip_port',
  deadline_s: 60,
  done: ({ load_balancer: { vip_port_owned, gone } }) => vip_port_owned || gone.includes('vip_binding'),
  ensure: async (tree, { clients }) => {
    const { vip_port_id, security_group_id, vip_sg_ids, gone } = tree.load_balancer
    const port = await clients.neutron.port(vip_port_id!)
    const lent = [security_group_id, ...vip_sg_ids]
    const security_groups = port?.security_groups.filter(id => !lent.includes(id)) ?? []
    if (port) await clients.neutron.updatePort(port.id, { 'binding:host_id': '', security_groups })
    return { load_balancer: { gone: [...gone, 'vip_binding'] } }
  },
})
