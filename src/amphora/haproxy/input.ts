/** What a listener's configuration depends on, taken from its tree. */
import type { Listener } from '../../lbaas/listener.ts'
import { leaving, membersOf, poolOf, type Tree } from '../../lbaas/tree.ts'
import { peerName } from '../rest.ts'
import { hasTable, type ListenerInput, type PeersInput, type PoolInput } from './listener.ts'
import type { MonitorInput } from './monitor.ts'

/** Where an amphora keeps its listeners. */
const base_path = '/var/lib/octavia'

/** The rendering's input. What is on its way out is left away. */
export function listenerInput(tree: Tree, listener: Listener): ListenerInput {
  const { id, vip_address, admin_state_up } = tree.load_balancer
  const default_pool = poolInput(tree, listener)
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
    default_pool,
    peers: default_pool !== null && hasTable(default_pool) ? peersInput(tree, listener) : null,
  }
}

/** An amphora that is to be replaced gives its address to the one that takes its place, and stays until then. */
function peersInput(tree: Tree, listener: Listener): PeersInput | null {
  if (tree.load_balancer.topology !== 'ACTIVE_STANDBY') return null
  const named = tree.amphorae
    .filter(({ status, vrrp_ip }) => status !== 'DELETED' && vrrp_ip !== null)
    .map(({ id, status, vrrp_ip }) => ({ name: peerName(id), address: vrrp_ip!, doomed: status === 'PENDING_DELETE' }))
  const taken = new Set(named.filter(each => !each.doomed).map(each => each.address))
  const peers = named
    .filter(({ doomed, address }) => !doomed || !taken.has(address))
    .map(({ name, address }) => ({ name, address }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
  return { section: `${listener.id.replaceAll('-', '')}_peers`, listener_peer_port: listener.peer_port, peers }
}

function poolInput(tree: Tree, listener: Listener): PoolInput | null {
  const pool = poolOf(tree, listener.default_pool_id)
  if (!pool || leaving(pool)) return null
  const { id, admin_state_up, protocol, lb_algorithm, session_persistence } = pool
  const members = membersOf(tree, pool.id)
    .filter(member => !leaving(member))
    .map(({ id, admin_state_up, address, protocol_port, weight, backup, monitor_address, monitor_port }) => {
      return { id, admin_state_up, address, protocol_port, weight, backup, monitor_address, monitor_port }
    })
  const health_monitor = monitorInput(tree, pool.id)
  return { id, admin_state_up, protocol, lb_algorithm, session_persistence, members, health_monitor }
}

function monitorInput(tree: Tree, pool_id: string): MonitorInput | null {
  const monitor = tree.health_monitors.find(each => each.pool_id === pool_id && !leaving(each))
  if (monitor === undefined) return null
  const { admin_state_up, type, delay, timeout, max_retries, max_retries_down } = monitor
  const { http_method, url_path, expected_codes, domain_name, http_version } = monitor
  const counts = { delay, timeout, max_retries, max_retries_down }
  return { admin_state_up, type, ...counts, http_method, url_path, expected_codes, domain_name, http_version }
}
