/** A port on each network that has members and that the amphora does not reach yet; plugged into its namespace. */
import { amphoraStep } from '../../../controller/flow.ts'
import { memberNetworks, vnicType } from '../../../lbaas/tree.ts'
import { fixedIpsOf, plugged, pluggedPort, wired } from '../../shared/plugging.ts'
import type { Clients } from '../clients.ts'
import { unplugged } from './plug-vip.ts'
import { attach, deleteTwinPorts, isAttached } from './ports.ts'

export const memberPorts = amphoraStep<Clients>({
  title: 'plug member networks',
  upstream: 'AmphoraPostNetworkPlug',
  deadline_s: 120,
  done: (amphora, tree) =>
    [...memberNetworks(tree).keys()].every(id =>
      amphora.member_ports.some(port => port.network_id === id && port.plugged),
    ),
  look: async (amphora, _tree, { clients }) => {
    const there = await Promise.all(
      amphora.member_ports.map(port => isAttached(clients, port.port_id, amphora.compute_id!)),
    )
    // it stays on record: should its network not be wanted any more, the port itself may still have to go
    const ports = amphora.member_ports.map((port, index) => (there[index] ? port : unplugged(port)))
    return ports.some((port, index) => port.plugged !== amphora.member_ports[index]!.plugged)
      ? { member_ports: ports }
      : {}
  },
  ensure: async (amphora, tree, context) => {
    const { neutron, agent } = context.clients
    const ports = [...amphora.member_ports.filter(port => port.plugged)]
    for (const [network_id, subnet_ids] of memberNetworks(tree)) {
      if (ports.some(port => port.network_id === network_id)) continue
      const filter = { name: memberPortName(amphora.id), network_id }
      const port =
        (await neutron.ports(filter))[0] ??
        (await neutron.createPort({
          ...filter,
          ...wired(vnicType(tree, network_id)),
          fixed_ips: subnet_ids.map(subnet_id => ({ subnet_id })),
          admin_state_up: true,
          device_owner: 'Octavia',
          security_groups: [tree.load_balancer.security_group_id!],
        }))
      await attach(context, amphora.compute_id!, port.id)
      await deleteTwinPorts(context.clients, filter, port.id)
      const fixed_ips = await fixedIpsOf(port, context.clients)
      await plugged(() => agent(amphora).plugNetwork({ mac_address: port.mac_address, fixed_ips }))
      ports.push(pluggedPort(network_id, port))
    }
    return { member_ports: ports }
  },
})

/** One name for all of an amphora's member ports, as in the described system; their networks tell them apart. */
export function memberPortName(amphora_id: string): string {
  return `octavia-lb-member-${amphora_id}`
}
