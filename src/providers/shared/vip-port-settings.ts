/** What a tenant wants of the ports that carry the VIP: security groups of its own beside ours, and a QoS policy. */
import type { Tree } from '../../lbaas/tree.ts'

/** Have the ports that are there what is wanted? New ones are made with it. */
export function hasWantedSettings({ load_balancer }: Tree): boolean {
  return JSON.stringify(wantedSettings(load_balancer)) === JSON.stringify(ordered(load_balancer))
}

/** What the ports have. QoS is named only where a policy is or was wanted: not every cloud knows it. */
export function vipPortSettings(load_balancer: Tree['load_balancer']) {
  const { security_group_id, vip_sg_ids, vip_qos_policy_id, vip_port_settings } = load_balancer
  const shaped = vip_qos_policy_id !== null || (vip_port_settings?.qos_policy_id ?? null) !== null
  return {
    security_groups: [security_group_id!, ...vip_sg_ids],
    ...(shaped ? { qos_policy_id: vip_qos_policy_id } : {}),
  }
}

/** As it is to be recorded. */
export function wantedSettings({
  vip_sg_ids,
  vip_qos_policy_id,
}: Tree['load_balancer']): Tree['load_balancer']['vip_port_settings'] {
  if (vip_sg_ids.length === 0 && vip_qos_policy_id === null) return null
  return { security_groups: vip_sg_ids, qos_policy_id: vip_qos_policy_id }
}

/** The order of recorded keys is PostgreSQL's business. */
function ordered({ vip_port_settings: recorded }: Tree['load_balancer']): Tree['load_balancer']['vip_port_settings'] {
  return recorded && { security_groups: recorded.security_groups, qos_policy_id: recorded.qos_policy_id }
}
