/** haproxy.cfg of one process: a listener's own (REST 0.5), or one for all listeners of a load balancer (REST 1.0). */
import { word } from './language.ts'
import {
  endpoint,
  type Haproxy,
  hasTable,
  type ListenerInput,
  listenerSections,
  type PeersInput,
  type PoolInput,
  poolsIn,
  type Section,
} from './listener.ts'
import { monitorGlobals } from './monitor.ts'

/** Grows whenever one of the two writes something else for the same input. */
export const RENDERING_VERSION = 3

/** The text for one listener. It is written so that later changes can be applied to the running process (`level admin`),
 *  and leaves to the agent what depends on its machine: the global `maxconn`, whether user and group exist, and what
 *  monitors had found out before a reload. */
export function renderListener(input: ListenerInput): string {
  const peers = input.peers ?? null
  const unit = { id: input.listener.id, backend: (pool_id: string) => pool_id, peers_section: peers?.section ?? null }
  return textOf(input.base_path, unit, [input], peers)
}

/** The text for all of them: the same lines, but that backends bear their listener's name too, for pools may be shared. */
export function renderLoadBalancer({ base_path, load_balancer_id, listeners, peers }: LoadBalancerInput): string {
  const unit = {
    id: load_balancer_id,
    backend: (pool_id: string, listener_id: string) => `${pool_id}:${listener_id}`,
    peers_section: peers?.section ?? null,
  }
  const inputs = listeners.map(input => ({ ...input, base_path })).sort(byId)
  return textOf(base_path, unit, inputs, peers)
}

/** Pure as the listeners' own; in any order. */
export type LoadBalancerInput = {
  /** This and the peers stand in place of the listeners' own. */
  base_path: string
  load_balancer_id: string
  listeners: ListenerInput[]
  peers: PeersInput | null
}

/** The listener that a line of the text is of; null: of none, or of all. */
export function listenerAt(text: string, line_number: number): string | null {
  const head = text
    .split('\n')
    .slice(0, line_number)
    .findLast(line => /^\S/.test(line))
  return /^(?:frontend |backend [^:]+:)(\S+)$/.exec(head ?? '')?.[1] ?? null
}

function textOf(
  base_path: string,
  unit: Haproxy,
  listeners: readonly ListenerInput[],
  known: PeersInput | null,
): string {
  const pools = listeners.flatMap(poolsIn)
  const sections = [
    globals(base_path, unit, pools),
    defaults(),
    ...(known && pools.some(hasTable) ? [peers(known)] : []),
    ...listeners.flatMap(listener => listenerSections(listener, unit)),
  ]
  return sections.map(([head, ...lines]) => [head, ...lines.map(line => `    ${line}`), ''].join('\n')).join('\n')
}

function byId(a: ListenerInput, b: ListenerInput): number {
  return a.listener.id < b.listener.id ? -1 : 1
}

/** Requests are not logged: it costs 13-30 % of haproxy's time, and the statistics come from the socket.
 *  20 old processes at most: each that is kept by a slow download takes 4 MB. */
function globals(base_path: string, { id }: Haproxy, pools: readonly PoolInput[]): Section {
  return [
    'global',
    'daemon',
    'user nobody',
    'group nogroup',
    `stats socket ${word(`${base_path}/${id}.sock`)} mode 0600 level admin expose-fd listeners`,
    'mworker-max-reloads 20',
    'hard-stop-after 24h',
    ...monitorGlobals(pools, `${base_path}/${id}`),
  ]
}

/** Splicing saves five to seven times the CPU on large bodies; `splice-auto` does not. */
function defaults(): Section {
  return ['defaults', 'retries 3', 'option redispatch', 'option splice-request', 'option splice-response']
}

/** Section and port are told apart by who has a process of its own. */
function peers({ section, listener_peer_port, peers }: PeersInput): Section {
  const sorted = peers.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  return [
    `peers ${word(section)}`,
    ...sorted.map(({ name, address }) => `peer ${word(name)} ${endpoint(address, listener_peer_port)}`),
  ]
}
