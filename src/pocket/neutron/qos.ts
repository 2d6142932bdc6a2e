/** QoS policies: which of them holds for a port, what it limits, and what ports refuse to have. */
import type { FastifyRequest } from 'fastify'
import type { FabricPort } from '../fabric/fabric.ts'
import { Refusal } from '../service.ts'
import type { Store } from '../store.ts'
import type { Desk } from './desk.ts'
import type { Network, Port, QosPolicy } from './documents.ts'

/** What the port may send and receive. A limit of 0 is none, as with Neutron's own switches. */
export function bandwidthOf(store: Store, port: Port): FabricPort['bandwidth'] {
  const rules = policyOf(store, port)?.rules ?? []
  const limit = (direction: 'egress' | 'ingress') => {
    const rule = rules.find(one => one.type === 'bandwidth_limit' && one.direction === direction)
    return rule?.max_kbps ? { max_kbps: rule.max_kbps, max_burst_kbps: rule.max_burst_kbps ?? 0 } : null
  }
  return { egress: limit('egress'), ingress: limit('ingress') }
}

/** Its own policy, else its network's. */
function policyOf(store: Store, port: Port): QosPolicy | undefined {
  // ports of the cloud's own services are spared their network's, as Neutron spares them
  const spared = /^(network|neutron):/.test(port.device_owner)
  const inherited = spared ? null : store.get<Network>('network', port.network_id)?.qos_policy_id
  const id = port.qos_policy_id ?? inherited
  return id ? store.get<QosPolicy>('qos_policy', id) : undefined
}

/** The ports for which the policy holds. */
export function portsUnder(store: Store, policy_id: string): Port[] {
  return store.all<Port>('port').filter(port => policyOf(store, port)?.id === policy_id)
}

/** What new networks of the project get. */
export function defaultPolicy(store: Store, project_id: string): QosPolicy | undefined {
  return store.all<QosPolicy>('qos_policy').find(policy => policy.is_default && policy.project_id === project_id)
}

/** A port is refused a policy with a rule that its switch cannot keep. */
export function checkSupport(port: Port, policy: QosPolicy | undefined): void {
  const beyond = policy?.rules.find(rule => rule.type !== 'bandwidth_limit')
  if (beyond) throw new Refusal(409, 'QosRuleNotSupported', `Rule ${beyond.type} is not supported by port ${port.id}`)
}

/** The same for the policy that holds for it. */
export function checkOwnSupport(store: Store, port: Port): void {
  checkSupport(port, policyOf(store, port))
}

/** A request may give a policy that the asker sees, and take away one that he sees: what an administrator has laid upon
 *  a tenant's port stays there. */
export function checkPolicyWish(
  desk: Desk,
  request: FastifyRequest,
  wishes: Record<string, unknown>,
  before: Port | Network | null = null,
): void {
  if (!('qos_policy_id' in wishes)) return
  const identity = desk.who(request)
  if (wishes.qos_policy_id) desk.find('qos_policy', String(wishes.qos_policy_id), identity)
  const old = before?.qos_policy_id && desk.store.get<QosPolicy>('qos_policy', before.qos_policy_id)
  if (old && old.id !== wishes.qos_policy_id && !desk.visible('qos_policy', old, identity))
    throw new Refusal(
      403,
      'PolicyRemoveAuthorizationError',
      `Failed to remove provided policy ${old.id} because you are not authorized.`,
    )
}
