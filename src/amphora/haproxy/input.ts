/** What a listener's configuration depends on, taken from its tree. */
import type { Listener } from '../../lbaas/listener.ts'
import { leaving, membersOf, poolOf, type Tree } from '../../lbaas/tree.ts'
import type { ListenerInput, PoolInput } from './listener.ts'

/** Where an amphora keeps its listeners. */
const base_path = '/var/lib/octavia'

/** The rendering's input. What is on its way out is left away. */
export function listenerInput(tree: Tree, listener: Listener): ListenerInput {
  const { id, vip_address, admin_state_up } = tree.load_balancer
  return {
    base_path,
    load_balancer: { id, vip_address: vip_address!, admin_state_up },
    listener: {
      id: listener.id,
      admin_state_up: listener.admin_state_up,
      protocol: listener.protocol,
      protocol_port: listener.protocol_port,
      connection_limit: listener.connection_limit,
      insert_headers: listener.insert_headers,
      allowed_cidrs: listener.allowed_cidrs,
      timeout_client_data: listener.timeout_client_data,
      timeout_member_connect: listener.timeout_member_connect,
      timeout_member_data: listener.timeout_member_data,
      timeout_tcp_inspect: listener.timeout_tcp_inspect,
    },
    default_pool: poolInput(tree, listener),
  }
}

function poolInput(tree: Tree, listener: Listener): PoolInput | null {
  const pool = poolOf(tree, listener.default_pool_id)
  if (!pool || leaving(pool)) return null
  const { id, admin_state_up, protocol, lb_algorithm, session_persistence } = pool
  const members = membersOf(tree, pool.id)
    .filter(member => !leaving(member))
    .map(({ id, admin_state_up, address, protocol_port, weight, backup }) => {
      return { id, admin_state_up, address, protocol_port, weight, backup }
    })
  return { id, admin_state_up, protocol, lb_algorithm, session_persistence, members }
}
