/** A listener in haproxy's words, as a pure function of its objects: a frontend, and a backend for each pool. */
import { isIP } from 'node:net'
import type { listener } from '../../lbaas/listener.ts'
import type { member } from '../../lbaas/member.ts'
import type { pool } from '../../lbaas/pool.ts'
import type { Rendered } from '../../lbaas/resource.ts'
import { METRICS_BACKEND, METRICS_SOCKET } from '../rest.ts'
import { type L7PolicyInput, policyLines } from './l7.ts'
import { fetchArgument, word } from './language.ts'
import { checkWords, connectTimeout, type MonitorInput, monitorLines, monitorOf } from './monitor.ts'
import { bindTls, clientHeaders, hsts, type ListenerFiles, type PoolFiles, serverTls } from './tls.ts'

/** Its frontend and backends. Names and descriptions of objects appear nowhere in them.
 *  They are written so that later changes can be applied to the running process (`hash-type consistent`,
 *  `dynamic-cookie-key`). */
export function listenerSections(input: ListenerInput, unit: Haproxy): Section[] {
  if (!isUp(input)) return []
  const pools = poolsIn(input)
  return [
    frontend(input, unit, new Set(pools.map(({ id }) => id))),
    ...(input.listener.protocol === 'PROMETHEUS' ? [metrics(input, unit)] : []),
    ...pools.map(pool => backend(input, unit, pool)),
  ]
}

/** The haproxy that the listener is part of: one of its own, or its load balancer's. */
export type Haproxy = {
  /** Its files bear this name. */
  id: string
  /** What a listener calls the backend of a pool: each has backends of its own. */
  backend: (pool_id: string, listener_id: string) => string
  /** Where amphorae tell each other of stick tables, if they do. */
  peers_section: string | null
}

/** What the text depends on, under the API's names. Objects that are being deleted are not in it. */
export type ListenerInput = {
  base_path: string
  load_balancer: { id: string; vip_address: string; admin_state_up: boolean; additional_vips?: string[] }
  listener: Rendered<typeof listener>
  default_pool: PoolInput | null
  /** What it terminates TLS with; nothing where it does not. */
  tls?: ListenerFiles
  /** In the order of their positions, and the pools that they redirect to, each once. */
  l7policies?: L7PolicyInput[]
  redirect_pools?: PoolInput[]
  /** The amphorae of a pair tell each other what is in their stick tables. Null for one that is alone. */
  peers?: PeersInput | null
}

export type PeersInput = {
  section: string
  listener_peer_port: number
  /** All of them, the amphora itself too: it finds itself by its name. */
  peers: { name: string; address: string }[]
}

export type PoolInput = Rendered<typeof pool> & {
  members: MemberInput[]
  health_monitor: MonitorInput | null
  /** What members are spoken to by TLS with; nothing where they are not. */
  tls?: PoolFiles
}
export type MemberInput = Rendered<typeof member>

/** Of a listener whose tenant sets none (upstream's default). */
export const DEFAULT_CONNECTION_LIMIT = 50_000

export type Section = [head: string, ...lines: string[]]

/** The pools that are up, each once; none where it is switched off. */
export function poolsIn(input: ListenerInput): PoolInput[] {
  const { default_pool, redirect_pools = [] } = input
  if (!isUp(input)) return []
  const others = redirect_pools.filter(({ id }) => id !== default_pool?.id)
  return [...(default_pool === null ? [] : [default_pool]), ...others].filter(({ admin_state_up }) => admin_state_up)
}

function isUp({ load_balancer, listener }: ListenerInput): boolean {
  return load_balancer.admin_state_up && listener.admin_state_up
}

/** Whether the pool remembers clients in a stick table. */
export function hasTable({ session_persistence }: PoolInput): boolean {
  return ['SOURCE_IP', 'APP_COOKIE'].includes(session_persistence?.type ?? '')
}

function frontend(input: ListenerInput, unit: Haproxy, backends: ReadonlySet<string>): Section {
  const { load_balancer, listener, default_pool, l7policies = [] } = input
  const backendOf = (pool_id: string) => unit.backend(pool_id, listener.id)
  const limit = listener.connection_limit ?? -1
  const cidrs = listener.allowed_cidrs ?? []
  return [
    `frontend ${word(listener.id)}`,
    `mode ${modeOf(listener.protocol)}`,
    `maxconn ${limit > 0 ? limit : DEFAULT_CONNECTION_LIMIT}`,
    ...[load_balancer.vip_address, ...(load_balancer.additional_vips ?? [])].map(
      vip => `bind ${endpoint(vip, listener.protocol_port)}${bindTls(input, folderOf(input, unit))}`,
    ),
    ...cidrs.map(cidr => `acl allowed_cidrs src -- ${word(cidr)}`),
    ...(cidrs.length > 0 ? ['tcp-request connection reject unless allowed_cidrs'] : []),
    `timeout client ${listener.timeout_client_data ?? 50_000}`,
    ...((listener.timeout_tcp_inspect ?? 0) > 0 ? [`tcp-request inspect-delay ${listener.timeout_tcp_inspect}`] : []),
    ...(listener.protocol === 'PROMETHEUS' ? metricsOnly(backendOf(METRICS_BACKEND)) : []),
    ...hsts(listener),
    ...policyLines(l7policies, backends, backendOf),
    ...(default_pool !== null && backends.has(default_pool.id)
      ? [`default_backend ${word(backendOf(default_pool.id))}`]
      : []),
  ]
}

function metricsOnly(backend: string): string[] {
  return ['http-request deny deny_status 404 unless { path /metrics }', `default_backend ${word(backend)}`]
}

/** Where the files lie that the listener's lines name. */
function folderOf({ base_path }: ListenerInput, { id }: Haproxy): string {
  return `${base_path}/certs/${id}`
}

/** The agent knows the figures of all listeners; each haproxy only those of its own. */
function metrics({ base_path, listener }: ListenerInput, unit: Haproxy): Section {
  return [
    `backend ${word(unit.backend(METRICS_BACKEND, listener.id))}`,
    'mode http',
    `timeout connect ${listener.timeout_member_connect ?? 5_000}`,
    `timeout server ${listener.timeout_member_data ?? 50_000}`,
    `server agent ${word(`unix@${base_path}/${METRICS_SOCKET}`)}`,
  ]
}

function backend(input: ListenerInput, unit: Haproxy, pool: PoolInput): Section {
  const { base_path, listener } = input
  const mode = pool.protocol.startsWith('PROXY') ? modeOf(listener.protocol) : modeOf(pool.protocol)
  return [
    `backend ${word(unit.backend(pool.id, listener.id))}`,
    `mode ${mode}`,
    ...(mode === 'http' ? ['http-reuse safe'] : []),
    ...balance(pool.lb_algorithm),
    ...persistence(pool, unit.peers_section),
    ...monitorLines(pool, base_path),
    ...(mode === 'http' ? [...headers(listener), ...clientHeaders(listener)] : []),
    'option allbackups',
    `timeout connect ${connectTimeout(pool, listener.timeout_member_connect ?? 5_000)}`,
    `timeout server ${listener.timeout_member_data ?? 50_000}`,
    ...pool.members
      .toSorted((a, b) => (a.id < b.id ? -1 : 1))
      .map(member => `${server(pool, member)}${serverTls(pool, folderOf(input, unit))}`),
  ]
}

function modeOf(protocol: string): 'http' | 'tcp' {
  return ['HTTP', 'TERMINATED_HTTPS', 'PROMETHEUS'].includes(protocol) ? 'http' : 'tcp'
}

/** haproxy takes the last colon for the port's, in IPv6 too; an address it cannot be is quoted like any word. */
export function endpoint(address: string, port: number): string {
  return isIP(address) === 0 ? word(`${address}:${port}`) : `${address}:${port}`
}

/** `source` by a map cannot take a server at run time; by a consistent hash it can. */
function balance(lb_algorithm: string): string[] {
  if (lb_algorithm === 'LEAST_CONNECTIONS') return ['balance leastconn']
  if (lb_algorithm === 'SOURCE_IP') return ['balance source', 'hash-type consistent']
  return ['balance roundrobin']
}

/** A server that is added at run time cannot be given a cookie: `dynamic` derives it from address, port and the key,
 *  alike on every amphora of the pool. */
function persistence({ id, session_persistence }: PoolInput, section: string | null): string[] {
  if (session_persistence === null) return []
  const cookie = fetchArgument(session_persistence.cookie_name ?? '')
  const shared = section === null ? '' : ` peers ${word(section)}`
  switch (session_persistence.type) {
    case 'SOURCE_IP':
      return [`stick-table type ipv6 size 10k${shared}`, 'stick on src']
    case 'HTTP_COOKIE':
      return [`dynamic-cookie-key ${word(id)}`, 'cookie SRV insert indirect nocache dynamic']
    case 'APP_COOKIE':
      return [
        `stick-table type string len 64 size 10k${shared}`,
        `stick store-response res.cook(${cookie})`,
        `stick match req.cook(${cookie})`,
      ]
    default:
      return []
  }
}

function headers({ insert_headers, protocol }: ListenerInput['listener']): string[] {
  const wanted = (name: string) => String(insert_headers[name] ?? '').toLowerCase() === 'true'
  const scheme = protocol === 'TERMINATED_HTTPS' ? 'https' : 'http'
  return [
    ...(wanted('X-Forwarded-For') ? ['option forwardfor'] : []),
    ...(wanted('X-Forwarded-Port') ? ['http-request set-header X-Forwarded-Port %[dst_port]'] : []),
    ...(wanted('X-Forwarded-Proto') ? [`http-request set-header X-Forwarded-Proto ${scheme}`] : []),
  ]
}

function server(pool: PoolInput, member: MemberInput): string {
  const versions: Readonly<Record<string, string>> = { PROXY: ' send-proxy', PROXYV2: ' send-proxy-v2' }
  const proxy = versions[pool.protocol] ?? ''
  const place = `${word(member.id)} ${endpoint(member.address, member.protocol_port)}`
  const check = checkWords(monitorOf(pool), member.monitor_address ?? null, member.monitor_port ?? null)
  const flags = `${proxy}${member.backup ? ' backup' : ''}${member.admin_state_up ? '' : ' disabled'}`
  return `server ${place} weight ${member.weight}${check}${flags}`
}
