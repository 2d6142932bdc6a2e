/** The VIP inside the amphora: its VRRP interface moves into the namespace amphora-haproxy and gets the addresses. */
import { AgentError } from '../../../amphora/agent-error.ts'
import { amphoraStep } from '../../../controller/flow.ts'
import type { Agent, Clients } from '../clients.ts'
import { pair } from '../serving.ts'

export const plugVip = amphoraStep<Clients>({
  title: 'plug VIP',
  upstream: 'AmphoraPostVIPPlug',
  deadline_s: 120,
  done: amphora => amphora.vip_plugged,
  look: async (amphora, tree, { clients }) => {
    // of a pair only the MASTER has the VIP
    const address = pair(tree) ? amphora.vrrp_ip! : tree.load_balancer.vip_address!
    if (await hasInterface(clients.agent(amphora), address)) return {}
    const member_ports = amphora.member_ports.map(unplugged)
    return { vip_plugged: false, member_ports, applied: {}, vrrp_applied: null, vrrp_interface: null }
  },
  ensure: async (amphora, tree, { clients }) => {
    const { vip_address, vip_subnet_id } = tree.load_balancer
    const subnet = await clients.neutron.subnet(vip_subnet_id!)
    await plugged(() =>
      clients.agent(amphora).plugVip(vip_address!, {
        subnet_cidr: subnet?.cidr ?? tree.load_balancer.vip_subnet_cidr!,
        gateway: subnet ? subnet.gateway_ip : tree.load_balancer.vip_gateway,
        mac_address: amphora.vrrp_mac_address!,
        vrrp_ip: amphora.vrrp_ip!,
        host_routes: subnet?.host_routes ?? [],
        ...(pair(tree) ? { topology: 'ACTIVE_STANDBY' as const } : {}),
      }),
    )
    return { vip_plugged: true }
  },
})

/** The described agent says 409 when the interface is in the namespace already: that is what we wanted. */
export async function plugged(call: () => Promise<unknown>): Promise<void> {
  try {
    await call()
  } catch (error) {
    if (!(error instanceof AgentError && error.kind === 'conflict' && /already exists/.test(error.message))) throw error
  }
}

export function unplugged<P extends { plugged: boolean }>(port: P): P {
  return { ...port, plugged: false }
}

async function hasInterface(agent: Agent, ip: string): Promise<boolean> {
  try {
    await agent.interface(ip)
    return true
  } catch (error) {
    if (error instanceof AgentError && error.kind === 'not_found') return false
    throw error
  }
}
