/** The VIP inside the amphora: its VRRP interface moves into the namespace amphora-haproxy and gets the addresses. */
import type { PlugVip } from '../../../amphora/rest.ts'
import { amphoraStep } from '../../../controller/flow.ts'
import type { Amphora } from '../../../lbaas/amphora.ts'
import type { Tree } from '../../../lbaas/tree.ts'
import { hasInterface, plugged } from '../../shared/plugging.ts'
import type { Clients } from '../clients.ts'
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
    const additional = await additionalVips(amphora, tree, clients)
    await plugged(() =>
      clients.agent(amphora).plugVip(vip_address!, {
        subnet_cidr: subnet?.cidr ?? tree.load_balancer.vip_subnet_cidr!,
        gateway: subnet ? subnet.gateway_ip : tree.load_balancer.vip_gateway,
        mac_address: amphora.vrrp_mac_address!,
        vrrp_ip: amphora.vrrp_ip!,
        host_routes: subnet?.host_routes ?? [],
        ...additional,
        ...(pair(tree) ? { topology: 'ACTIVE_STANDBY' as const } : {}),
      }),
    )
    return { vip_plugged: true }
  },
})

/** Only where there are any: the described agent knows of none. */
async function additionalVips(
  amphora: Amphora,
  { load_balancer }: Tree,
  { neutron }: Clients,
): Promise<Pick<PlugVip, 'additional_vips'>> {
  const { additional_vips, vip_subnets } = load_balancer
  if (additional_vips.length === 0) return {}
  const port = await neutron.port(amphora.vrrp_port_id!)
  return {
    additional_vips: additional_vips.map(({ subnet_id, ip_address }) => {
      const { cidr, gateway } = vip_subnets[subnet_id]!
      const own = port?.fixed_ips.find(one => one.subnet_id === subnet_id)?.ip_address
      return { ip_address: ip_address!, subnet_cidr: cidr, gateway, ...(own ? { vrrp_ip: own } : {}) }
    }),
  }
}

export function unplugged<P extends { plugged: boolean }>(port: P): P {
  return { ...port, plugged: false }
}
