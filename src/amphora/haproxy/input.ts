/** What a configuration of haproxy depends on, taken from the tree: a listener's, or a whole load balancer's. */
import { healthMonitor } from '../../lbaas/health-monitor.ts'
import { l7policy, policiesOf } from '../../lbaas/l7-policy.ts'
import { l7rule } from '../../lbaas/l7-rule.ts'
import { FIRST_PEER_PORT, type Listener, listener } from '../../lbaas/listener.ts'
import { vipAddresses } from '../../lbaas/load-balancer.ts'
import { member } from '../../lbaas/member.ts'
import { type Pool, pool } from '../../lbaas/pool.ts'
import { rendered } from '../../lbaas/resource.ts'
import { certificatesOf, terminates } from '../../lbaas/tls.ts'
import { leaving, membersOf, poolOf, type Tree } from '../../lbaas/tree.ts'
import { peerName } from '../rest.ts'
import type { L7PolicyInput } from './l7.ts'
import { hasTable, type ListenerInput, type PeersInput, type PoolInput, poolsIn } from './listener.ts'
import type { LoadBalancerInput } from './unit.ts'

/** Where an amphora keeps its listeners. */
const base_path = '/var/lib/octavia'

/** The rendering's input. What is on its way out is left away. */
export function listenerInput(tree: Tree, row: Listener): ListenerInput {
  const { id, vip_address, admin_state_up } = tree.load_balancer
  const [, ...others] = vipAddresses(tree.load_balancer)
  const default_pool = poolInput(tree, row.default_pool_id)
  const l7 = l7Input(tree, row)
  const pools = [...(default_pool === null ? [] : [default_pool]), ...(l7.redirect_pools ?? [])]
  return {
    base_path,
    load_balancer: {
      id,
      vip_address: vip_address!,
      admin_state_up,
      ...(others.length ? { additional_vips: others } : {}),
    },
    listener: rendered(listener, row),
    default_pool,
    ...listenerFiles(row),
    ...l7,
    peers: pools.some(hasTable) ? peersInput(tree, row.id, row.peer_port) : null,
  }
}

/** Of the listeners that it is to have: in ERROR one has another input than its rows say. */
export function loadBalancerInput(tree: Tree, listeners: readonly ListenerInput[]): LoadBalancerInput {
  const { id } = tree.load_balancer
  return {
    base_path,
    load_balancer_id: id,
    listeners: listeners.map(input => ({ ...input, peers: null })),
    peers: listeners.some(input => poolsIn(input).some(hasTable)) ? peersInput(tree, id, FIRST_PEER_PORT) : null,
  }
}

/** Nothing where there are no policies: what was applied before there were any is still what is meant. */
function l7Input(tree: Tree, listener: Listener): Pick<ListenerInput, 'l7policies' | 'redirect_pools'> {
  const policies = policiesOf(tree, listener)
  if (policies.length === 0) return {}
  const l7policies = policies.map((policy): L7PolicyInput => {
    const rules = tree.l7rules.filter(rule => rule.l7policy_id === policy.id && !leaving(rule)).sort(byId)
    return { ...rendered(l7policy, policy), rules: rules.map(rule => rendered(l7rule, rule)) }
  })
  const ids = new Set(policies.map(({ redirect_pool_id }) => redirect_pool_id))
  const redirect_pools = [...ids].map(id => poolInput(tree, id)).filter(pool => pool !== null)
  return { l7policies, redirect_pools: redirect_pools.sort(byId) }
}

function byId(a: { id: string }, b: { id: string }): number {
  return a.id < b.id ? -1 : 1
}

/** An amphora that is to be replaced gives its address to the one that takes its place, and stays until then. */
function peersInput(tree: Tree, unit_id: string, listener_peer_port: number): PeersInput | null {
  if (tree.load_balancer.topology !== 'ACTIVE_STANDBY') return null
  const named = tree.amphorae
    .filter(({ status, vrrp_ip }) => status !== 'DELETED' && vrrp_ip !== null)
    .map(({ id, status, vrrp_ip }) => ({ name: peerName(id), address: vrrp_ip!, doomed: status === 'PENDING_DELETE' }))
  const taken = new Set(named.filter(each => !each.doomed).map(each => each.address))
  const peers = named
    .filter(({ doomed, address }) => !doomed || !taken.has(address))
    .map(({ name, address }) => ({ name, address }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
  return { section: `${unit_id.replaceAll('-', '')}_peers`, listener_peer_port, peers }
}

function poolInput(tree: Tree, id: string | null): PoolInput | null {
  const row = poolOf(tree, id)
  if (!row || leaving(row)) return null
  const monitor = tree.health_monitors.find(one => one.pool_id === id && !leaving(one))
  const members = membersOf(tree, row.id)
    .filter(one => !leaving(one))
    .sort(byId)
    .map(one => rendered(member, one))
  const health_monitor = monitor ? rendered(healthMonitor, monitor) : null
  return { ...rendered(pool, row), members, health_monitor, ...poolFiles(row) }
}

/** What of its references has become files is rendered; the step before the upload sees to it that all have. */
function listenerFiles(row: Listener): Pick<ListenerInput, 'tls'> {
  if (!terminates(row)) return {}
  const certificates = certificatesOf(row).map(ref => fileOf(row, ref)!)
  const client_ca = fileOf(row, row.client_ca_tls_container_ref)
  return { tls: { certificates, client_ca, client_crl: fileOf(row, row.client_crl_container_ref) } }
}

function poolFiles(row: Pool): Pick<PoolInput, 'tls'> {
  if (!row.tls_enabled) return {}
  const ca = fileOf(row, row.ca_tls_container_ref)
  return { tls: { certificate: fileOf(row, row.tls_container_ref), ca, crl: fileOf(row, row.crl_container_ref) } }
}

/** Stands for a file that is still to be fetched. There is none of that name, so haproxy refuses a configuration that was
 *  uploaded too early, instead of verifying nobody. */
const unresolved = 'unresolved'

function fileOf({ tls_files }: Pick<Listener, 'tls_files'>, ref: string | null): string | null {
  return ref === null ? null : (tls_files[ref]?.name ?? unresolved)
}

/** The files that the rendered text names. */
export function filesOf({ tls, default_pool, redirect_pools = [] }: ListenerInput): string[] {
  const pools = [...(default_pool ? [default_pool] : []), ...redirect_pools].map(pool => pool.tls)
  const names = [tls?.client_ca, tls?.client_crl, ...pools.flatMap(of => [of?.certificate, of?.ca, of?.crl])]
  return [...new Set([...(tls?.certificates ?? []), ...names.filter(name => name !== null && name !== undefined)])]
}
