/** The agent's REST, version 0.5, with what 1.0 alone has: what controller and agent say to each other. Uploads are the
 *  raw bytes. */
import { createHash } from 'node:crypto'

/** The newer form, one haproxy per load balancer, lives beside it under `/1.0`. */
export const PREFIX = '/0.5'

/** What exists there alone is asked for there. */
export const NEWER_PREFIX = '/1.0'

export const paths = {
  interface: (ip: string) => `${PREFIX}/interface/${encodeURIComponent(ip)}`,
  info: `${PREFIX}/info`,
  details: `${PREFIX}/details`,
  listeners: `${PREFIX}/listeners`,
  listener: (listener_id: string) => `${PREFIX}/listeners/${listener_id}`,
  listenerAction: (listener_id: string, action: ListenerAction) => `${PREFIX}/listeners/${listener_id}/${action}`,
  listenerConfig: (listener_id: string) => `${PREFIX}/listeners/${listener_id}/haproxy`,
  listenerUpload: (amphora_id: string, listener_id: string) =>
    `${PREFIX}/listeners/${amphora_id}/${listener_id}/haproxy`,
  datagramConfig: (listener_id: string) => `${NEWER_PREFIX}/listeners/${listener_id}/udp_listener`,
  datagramUpload: (amphora_id: string, listener_id: string) =>
    `${NEWER_PREFIX}/listeners/${amphora_id}/${listener_id}/udp_listener`,
  tlsFile: (listener_id: string, name: string) => `${PREFIX}/listeners/${listener_id}/certificates/${name}`,
  plugVip: (vip: string) => `${PREFIX}/plug/vip/${encodeURIComponent(vip)}`,
  plugNetwork: `${PREFIX}/plug/network`,
  certificate: `${PREFIX}/certificate`,
  /** Of the newer version alone. */
  config: '/1.0/config',
  vrrpUpload: `${PREFIX}/vrrp/upload`,
  vrrpAction: (action: ListenerAction) => `${PREFIX}/vrrp/${action}`,
}

export type ListenerAction = 'start' | 'stop' | 'reload'

/** Ours, on every call that changes something: `<load balancer id>:<token>`. The agent remembers the highest of each load
 *  balancer and refuses a lower one: a controller that slept through its lease cannot undo what its successor did. */
export const TOKEN_HEADER = 'x-ottavia-token'
/** Ours, in answers to start and reload: how the configuration got into force. */
export const APPLIED_HEADER = 'x-ottavia-applied'
/** Ours: what the agent had to lower or leave out on this machine, in plain words. */
export const WARNING_HEADER = 'x-ottavia-warning'

/** `none`: it was in force already; `runtime`: over haproxy's socket, or by a change of rules; `reload`: by a new worker;
 *  `start`: by a new haproxy, or new rules. */
export type Applied = 'none' | 'runtime' | 'reload' | 'start'

export type Info = { hostname: string; haproxy_version: string; api_version: string }

export type Details = Info & {
  active: boolean
  topology: string
  topology_status: string
  packages: Record<string, string>
  networks: Record<string, { network_tx: number; network_rx: number }>
  haproxy_count: number
  /** Jiffies of /proc/stat; all but the total as text, as the described agent has them. */
  cpu: { total: number; user: string; system: string; soft_irq: string }
  /** Kilobytes. */
  memory: Record<'total' | 'free' | 'buffers' | 'cached' | 'swap_used' | 'shared' | 'slab', number>
  /** Bytes of the root file system. */
  disk: { used: number; available: number }
  load: string[][]
  listeners: string[]
  /** Ours: how often a configuration got into force in each way since the agent started. */
  applied?: Record<Applied, number>
  /** Ours. */
  vrrp?: VrrpDetails
}

/** What keepalived is now and the digest of the uploaded configuration that it runs; nulls when it does not run. */
export type VrrpDetails = { role: 'MASTER' | 'BACKUP' | null; etag: string | null }

export type ListenerStatus = 'ACTIVE' | 'OFFLINE' | 'ERROR'
export type ListenerEntry = { status: ListenerStatus; uuid: string; type: string }
export type PoolStatus = { uuid: string; status: string; members: Record<string, string> }
export type ListenerDetails = ListenerEntry & { pools?: PoolStatus[] }

export type Route = { destination: string; nexthop: string }

export type PlugVip = {
  subnet_cidr: string
  gateway: string | null
  mac_address: string
  vrrp_ip?: string
  mtu?: number
  host_routes?: Route[]
  /** On other subnets of the same network. Ours: `vrrp_ip`, the amphora's own address there. */
  additional_vips?: {
    ip_address: string
    subnet_cidr: string
    gateway: string | null
    vrrp_ip?: string
    host_routes?: Route[]
  }[]
  /** Ours: keepalived owns the VIP, so that it answers on one amphora of a pair only. */
  topology?: 'SINGLE' | 'ACTIVE_STANDBY'
  /** Ours, for network hosts: the port's link there. MAC addresses are of tenants' choice, and repeat between networks. */
  interface_name?: string
}

export type PlugNetwork = {
  mac_address: string
  mtu?: number
  interface_name?: string
  fixed_ips?: { ip_address: string; subnet_cidr: string; host_routes?: Route[] }[]
}

/** Domain answers, good and bad. */
export type Message = { message?: string; details?: string }
/** The framework's answers: unknown paths, methods, bodies. */
export type FrameworkError = { error: string; http_code: number }

/** The backend through which a listener of protocol PROMETHEUS reaches the agent. It is no pool. */
export const METRICS_BACKEND = 'prometheus-exporter'
/** The agent's socket for it, in the folder of the listeners. */
export const METRICS_SOCKET = 'metrics.sock'

/** The name by which an amphora's haproxy is known to its peers: base64 of the SHA-1 of its id, `+` and `/` replaced. */
export function peerName(amphora_id: string): string {
  const digest = createHash('sha1').update(amphora_id).digest('base64')
  return digest.replaceAll('+', '_').replaceAll('/', '-').replace(/=+$/, '')
}
