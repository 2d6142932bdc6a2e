/** The VIP's port: made by the API, since a POST must answer with its address; made again, with that address, when lost. */
import { treeStep } from '../../controller/flow.ts'
import type { SharedClients } from './clients.ts'
import { wired } from './plugging.ts'

export const vipPort = treeStep<SharedClients>({
  title: 'VIP port',
  upstream: 'AllocateVIP',
  deadline_s: 60,
  done: tree => tree.load_balancer.vip_port_id !== null,
  look: async (tree, { clients }) => {
    const { vip_port_id, vip_port_owned } = tree.load_balancer
    if (!vip_port_owned || (await clients.neutron.port(vip_port_id!))) return {}
    return { load_balancer: { vip_port_id: null } }
  },
  ensure: async (tree, { clients }) => {
    const lb = tree.load_balancer
    const name = vipPortName(lb.id)
    const filter = { name, network_id: lb.vip_network_id! }
    const port =
      (await clients.neutron.ports(filter))[0] ??
      (await clients.neutron.createPort({
        ...filter,
        project_id: lb.project_id,
        fixed_ips: [{ subnet_id: lb.vip_subnet_id!, ip_address: lb.vip_address! }],
        device_id: `lb-${lb.id}`,
        device_owner: 'Octavia',
        admin_state_up: false,
        ...wired(lb.vip_vnic_type),
      }))
    return { load_balancer: { vip_port_id: port.id } }
  },
})

/** The VIP port goes, if it is ours: a port that the tenant brought stays. */
export const releaseVipPort = treeStep<SharedClients>({
  title: 'delete VIP port',
  upstream: 'DeallocateVIP',
  deadline_s: 60,
  done: tree => !tree.load_balancer.vip_port_owned || tree.load_balancer.gone.includes('vip_port'),
  ensure: async (tree, { clients }) => {
    const lb = tree.load_balancer
    const named = await clients.neutron.ports({ name: vipPortName(lb.id) })
    const ids = new Set([...(lb.vip_port_id ? [lb.vip_port_id] : []), ...named.map(port => port.id)])
    for (const id of ids) await clients.neutron.deletePort(id)
    return { load_balancer: { gone: [...lb.gone, 'vip_port'] } }
  },
})

export function vipPortName(load_balancer_id: string): string {
  return `octavia-lb-${load_balancer_id}`
}
