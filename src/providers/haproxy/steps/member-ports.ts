/** A port on each network that has members, bound to the host. They are the load balancer's: they move with it. */
import { linkName } from '../../../amphora/network-host.ts'
import { amphoraStep, treeStep } from '../../../controller/flow.ts'
import type { MemberPort } from '../../../lbaas/amphora.ts'
import { memberNetworks } from '../../../lbaas/tree.ts'
import { fixedIpsOf, hasInterface, plugged, pluggedPort } from '../../shared/plugging.ts'
import type { Clients } from '../clients.ts'

export const memberPorts = amphoraStep<Clients>({
  title: 'bind ports on member networks',
  deadline_s: 120,
  done: (amphora, tree) =>
    [...memberNetworks(tree).keys()].every(id => amphora.member_ports.some(p => p.network_id === id && p.plugged)),
  look: async (amphora, _tree, { clients }) => {
    const there = await Promise.all(
      amphora.member_ports.map(async ({ port_id, ip_address }) => {
        const bound = (await clients.neutron.port(port_id))?.['binding:host_id'] === amphora.network_host
        return bound && (await hasInterface(clients.agent(amphora), ip_address))
      }),
    )
    const ports = amphora.member_ports.map((port, n) => ({ ...port, plugged: port.plugged && there[n]! }))
    return ports.some((port, n) => port.plugged !== amphora.member_ports[n]!.plugged) ? { member_ports: ports } : {}
  },
  ensure: async (amphora, tree, { clients }) => {
    const { neutron } = clients
    const lb = tree.load_balancer
    const ports: MemberPort[] = amphora.member_ports.filter(port => port.plugged)
    for (const [network_id, subnet_ids] of memberNetworks(tree)) {
      if (ports.some(port => port.network_id === network_id)) continue
      const filter = { name: memberPortName(lb.id), network_id }
      const wanted = {
        'binding:host_id': amphora.network_host!,
        admin_state_up: true,
        security_groups: [lb.security_group_id!],
      }
      const known = (await neutron.ports(filter))[0]
      const port = known
        ? await neutron.updatePort(known.id, wanted)
        : await neutron.createPort({
            ...filter,
            ...wanted,
            fixed_ips: subnet_ids.map(subnet_id => ({ subnet_id })),
            device_id: `lb-${lb.id}`,
            device_owner: 'Octavia',
          })
      for (const twin of await neutron.ports(filter)) if (twin.id !== port.id) await neutron.deletePort(twin.id)
      const link = { mac_address: port.mac_address, interface_name: linkName(port.id) }
      const fixed_ips = await fixedIpsOf(port, clients)
      await plugged(() => clients.agent(amphora).plugNetwork({ ...link, fixed_ips }))
      ports.push(pluggedPort(network_id, port))
    }
    return { member_ports: ports }
  },
})

/** Networks without members any more: the port goes, and its link with it. */
export const dropNetworks = amphoraStep<Clients>({
  title: 'unbind networks without members',
  deadline_s: 60,
  done: (amphora, tree) => amphora.member_ports.every(port => memberNetworks(tree).has(port.network_id)),
  ensure: async (amphora, tree, { clients }) => {
    const wanted = memberNetworks(tree)
    for (const port of amphora.member_ports)
      if (!wanted.has(port.network_id)) await clients.neutron.deletePort(port.port_id)
    return { member_ports: amphora.member_ports.filter(port => wanted.has(port.network_id)) }
  },
})

export const releaseMemberPorts = treeStep<Clients>({
  title: 'delete ports on member networks',
  deadline_s: 60,
  done: tree => tree.load_balancer.gone.includes('member_ports'),
  ensure: async (tree, { clients }) => {
    const { id, gone } = tree.load_balancer
    for (const port of await clients.neutron.ports({ name: memberPortName(id) }))
      await clients.neutron.deletePort(port.id)
    return { load_balancer: { gone: [...gone, 'member_ports'] } }
  },
})

/** One name for all of them; their networks tell them apart. */
export function memberPortName(load_balancer_id: string): string {
  return `octavia-lb-member-${load_balancer_id}`
}
