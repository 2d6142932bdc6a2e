/** What a tenant wants of the ports that carry the VIP: security groups of its own beside ours, and a QoS policy. */
import { treeStep } from '../../../controller/flow.ts'
import type { Tree } from '../../../lbaas/tree.ts'
import type { Clients } from '../clients.ts'
import { serving } from '../serving.ts'

/** New ports are made with them; this is for changes of those that are there. */
export const vipPorts = treeStep<Clients>({
  title: 'ports of the VIP',
  upstream: 'ApplyQos',
  deadline_s: 60,
  done: ({ load_balancer }) => JSON.stringify(wanted(load_balancer)) === JSON.stringify(ordered(load_balancer)),
  ensure: async (tree, { clients }) => {
    const { load_balancer } = tree
    const { vip_port_id, vip_port_owned } = load_balancer
    const settings = vipPortSettings(load_balancer)
    for (const { vrrp_port_id } of serving(tree))
      if (vrrp_port_id) await clients.neutron.updatePort(vrrp_port_id, settings)
    if (vip_port_id && vip_port_owned) await clients.neutron.updatePort(vip_port_id, settings)
    return { load_balancer: { vip_port_settings: wanted(load_balancer) } }
  },
})

/** What the ports have. QoS is named only where a policy is or was wanted: not every cloud knows it. */
export function vipPortSettings(load_balancer: Tree['load_balancer']) {
  const { security_group_id, vip_sg_ids, vip_qos_policy_id, vip_port_settings } = load_balancer
  const shaped = vip_qos_policy_id !== null || (vip_port_settings?.qos_policy_id ?? null) !== null
  return {
    security_groups: [security_group_id!, ...vip_sg_ids],
    ...(shaped ? { qos_policy_id: vip_qos_policy_id } : {}),
  }
}

function wanted({ vip_sg_ids, vip_qos_policy_id }: Tree['load_balancer']): Tree['load_balancer']['vip_port_settings'] {
  if (vip_sg_ids.length === 0 && vip_qos_policy_id === null) return null
  return { security_groups: vip_sg_ids, qos_policy_id: vip_qos_policy_id }
}

/** As they are recorded; the order of keys is PostgreSQL's business. */
function ordered({ vip_port_settings: recorded }: Tree['load_balancer']): Tree['load_balancer']['vip_port_settings'] {
  return recorded && { security_groups: recorded.security_groups, qos_policy_id: recorded.qos_policy_id }
}
