/** The VRRP port of one amphora, on the VIP's subnet. Ours if its name is octavia-lb-vrrp-<amphora>; kept across failovers. */
import { amphoraStep } from '../../../controller/flow.ts'
import { Transient } from '../../../controller/outcome.ts'
import { vipAddresses } from '../../../lbaas/load-balancer.ts'
import type { Tree } from '../../../lbaas/tree.ts'
import { wired } from '../../shared/plugging.ts'
import { vipPortSettings } from '../../shared/vip-port-settings.ts'
import type { Clients } from '../clients.ts'
import { attach, deleteTwinPorts, isAttached } from './ports.ts'

export const vrrpPort = amphoraStep<Clients>({
  title: 'attach VRRP port',
  upstream: 'PlugVIPPort',
  deadline_s: 120,
  done: amphora => amphora.vrrp_port_id !== null,
  look: async (amphora, _tree, { clients }) =>
    (await isAttached(clients, amphora.vrrp_port_id!, amphora.compute_id!))
      ? {}
      : { vrrp_port_id: null, vip_plugged: false, vrrp_applied: null, vrrp_interface: null },
  ensure: async (amphora, tree, context) => {
    const { neutron } = context.clients
    const lb = tree.load_balancer
    const name = vrrpPortName(amphora.id)
    const filter = { name, network_id: lb.vip_network_id! }
    const wanted = vrrpPortBody(tree)
    const known = (await neutron.ports(filter))[0]
    const port = known
      ? await neutron.updatePort(known.id, wanted)
      : await neutron.createPort({
          ...wanted,
          ...wired(lb.vip_vnic_type),
          name,
          network_id: lb.vip_network_id!,
          fixed_ips: subnetsOf(lb).map(subnet_id => ({ subnet_id })),
          admin_state_up: true,
          device_owner: 'Octavia',
        })
    const address = port.fixed_ips.find(ip => ip.subnet_id === lb.vip_subnet_id)?.ip_address
    if (!address) throw new Transient(`port ${port.id} has no address on the VIP's subnet`)
    await attach(context, amphora.compute_id!, port.id)
    await deleteTwinPorts(context.clients, filter, port.id)
    return {
      vrrp_port_id: port.id,
      vrrp_mac_address: port.mac_address,
      vrrp_ip: address,
      ha_ip: lb.vip_address,
      ha_port_id: lb.vip_port_id,
    }
  },
})

/** What a VRRP port has, whoever has it. */
export function vrrpPortBody({ load_balancer }: Tree) {
  return {
    allowed_address_pairs: vipAddresses(load_balancer).map(ip_address => ({ ip_address })),
    ...vipPortSettings(load_balancer),
  }
}

function subnetsOf({ vip_subnet_id, additional_vips }: Tree['load_balancer']): string[] {
  return [vip_subnet_id!, ...additional_vips.map(one => one.subnet_id)]
}

export function vrrpPortName(amphora_id: string): string {
  return `octavia-lb-vrrp-${amphora_id}`
}
