/** The agent's REST, versions 0.5 and 1.0: what controller and agent say to each other. Uploads are the raw bytes. */
import { createHash } from 'node:crypto'

/** 0.5 knows one haproxy for each listener, 1.0 one for each load balancer: *units*, under their ids. What 1.0 alone has
 *  is asked for there. */
export type Rest = '0.5' | '1.0'

export const PREFIX = '/0.5'
export const NEWER_PREFIX = '/1.0'

/** A path of a unit begins otherwise in the two; the rest is the same. */
export function pathsOf(rest: Rest) {
  const prefix = `/${rest}`
  const units = rest === '0.5' ? `${PREFIX}/listeners` : `${NEWER_PREFIX}/loadbalancer`
  return {
    interface: (ip: string) => `${prefix}/interface/${encodeURIComponent(ip)}`,
    interfaceRules: (ip: string) => `${NEWER_PREFIX}/interface/${encodeURIComponent(ip)}/rules`,
    info: `${prefix}/info`,
    details: `${prefix}/details`,
    listeners: `${prefix}/listeners`,
    /** GET is of 0.5 alone. */
    listener: (unit_id: string) => `${prefix}/listeners/${unit_id}`,
    unitAction: (unit_id: string, action: UnitAction) => `${units}/${unit_id}/${action}`,
    unitConfig: (unit_id: string) => `${units}/${unit_id}/haproxy`,
    unitUpload: (amphora_id: string, unit_id: string) => `${units}/${amphora_id}/${unit_id}/haproxy`,
    tlsFile: (unit_id: string, name: string) => `${units}/${unit_id}/certificates/${name}`,
    datagramConfig: (listener_id: string) => `${NEWER_PREFIX}/listeners/${listener_id}/udp_listener`,
    datagramUpload: (amphora_id: string, listener_id: string) =>
      `${NEWER_PREFIX}/listeners/${amphora_id}/${listener_id}/udp_listener`,
    plugVip: (vip: string) => `${prefix}/plug/vip/${encodeURIComponent(vip)}`,
    plugNetwork: `${prefix}/plug/network`,
    certificate: `${prefix}/certificate`,
    config: `${NEWER_PREFIX}/config`,
    vrrpUpload: `${prefix}/vrrp/upload`,
    vrrpAction: (action: UnitAction) => `${prefix}/vrrp/${action}`,
  }
}

export type UnitAction = 'start' | 'stop' | 'reload'

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

export type Info = {
  hostname: string
  haproxy_version: string
  api_version: string
  /** Of 1.0 alone, as those in details that may be left out. */
  keepalived_version?: string
  ipvsadm_version?: string
}

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
  /** A list within a list in 0.5. */
  load: string[][] | string[]
  cpu_count?: number
  lvs_listener_process_count?: number
  active_tuned_profiles?: string[]
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

/** What may come to an interface. A null CIDR is anybody; the port of VRRP is of no account. */
export type InterfaceRule = { protocol: 'TCP' | 'UDP' | 'SCTP' | 'VRRP'; cidr: string | null; port: number }

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
