/** The VIP: its port is bound to the host, whose link it becomes; a tenant's own port is given back as it was. */
import { AgentError } from '../../../amphora/agent-error.ts'
import { linkName } from '../../../amphora/network-host.ts'
import { amphoraStep, treeStep } from '../../../controller/flow.ts'
import { Transient } from '../../../controller/outcome.ts'
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
    return bound && (await has(() => clients.agent(amphora).interface(vip_address!))) ? {} : { vip_plugged: false }
  },
  ensure: async (amphora, tree, { clients }) => {
    const { neutron } = clients
    const lb = tree.load_balancer
    const known = await neutron.port(lb.vip_port_id!)
    if (!known) throw new Transient(`waiting for VIP port ${lb.vip_port_id}`)
    const groups = new Set([...(lb.vip_port_owned ? [] : known.security_groups), lb.security_group_id!])
    // the cloud takes it from any other host: who is given up serves no more, whether it hears of that or not
    const port = await neutron.updatePort(known.id, {
      admin_state_up: true,
      'binding:host_id': amphora.network_host!,
      security_groups: [...groups],
    })
    const subnet = await neutron.subnet(lb.vip_subnet_id!)
    await plugged(() =>
      clients.agent(amphora).plugVip(lb.vip_address!, {
        subnet_cidr: subnet?.cidr ?? lb.vip_subnet_cidr!,
        gateway: subnet ? subnet.gateway_ip : lb.vip_gateway,
        mac_address: port.mac_address,
        interface_name: linkName(port.id),
        host_routes: subnet?.host_routes ?? [],
      }),
    )
    return { vip_plugged: true, ha_ip: lb.vip_address, ha_port_id: port.id }
  },
})

/** A port that the tenant brought is bound to no host any more, and has his own groups alone. */
export const freeVip = treeStep<Clients>({
  title: 'unbind VIP port',
  upstream: 'unplug_vip_port',
  deadline_s: 60,
  done: ({ load_balancer: { vip_port_owned, gone } }) => vip_port_owned || gone.includes('vip_binding'),
  ensure: async (tree, { clients }) => {
    const { vip_port_id, security_group_id, gone } = tree.load_balancer
    const port = await clients.neutron.port(vip_port_id!)
    const security_groups = port?.security_groups.filter(id => id !== security_group_id) ?? []
    if (port) await clients.neutron.updatePort(port.id, { 'binding:host_id': '', security_groups })
    return { load_balancer: { gone: [...gone, 'vip_binding'] } }
  },
})

/** The agent says 409 when it is so already: that is what we wanted. */
export async function plugged(call: () => Promise<unknown>): Promise<void> {
  try {
    await call()
  } catch (error) {
    if (!(error instanceof AgentError && error.kind === 'conflict' && /already exists/.test(error.message))) throw error
  }
}

/** Whether what is asked about is there. */
export async function has(call: () => Promise<unknown>): Promise<boolean> {
  try {
    await call()
    return true
  } catch (error) {
    if (error instanceof AgentError && error.kind === 'not_found') return false
    throw error
  }
}
