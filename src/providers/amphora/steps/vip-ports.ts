/** Changes of what a tenant wants of the ports that carry the VIP. */
import { treeStep } from '../../../controller/flow.ts'
import { hasWantedSettings, vipPortSettings, wantedSettings } from '../../shared/vip-port-settings.ts'
import type { Clients } from '../clients.ts'
import { serving } from '../serving.ts'

/** New ports are made with them; this is for changes of those that are there. */
export const vipPorts = treeStep<Clients>({
  title: 'ports of the VIP',
  upstream: 'ApplyQos',
  deadline_s: 60,
  done: hasWantedSettings,
  ensure: async (tree, { clients }) => {
    const { load_balancer } = tree
    const { vip_port_id, vip_port_owned } = load_balancer
    const settings = vipPortSettings(load_balancer)
    for (const { vrrp_port_id } of serving(tree))
      if (vrrp_port_id) await clients.neutron.updatePort(vrrp_port_id, settings)
    if (vip_port_id && vip_port_owned) await clients.neutron.updatePort(vip_port_id, settings)
    return { load_balancer: { vip_port_settings: wantedSettings(load_balancer) } }
  },
})
