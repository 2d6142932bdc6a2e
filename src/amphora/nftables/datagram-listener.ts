/** A UDP listener as controllers give it to agents: a document of its own, because what it becomes depends on which
 *  members answer, and on the kernel; both are the agent's to know. */
import { isIP, isIPv6 } from 'node:net'
import type { ListenerInput, MemberInput } from '../haproxy/listener.ts'
import type { MonitorInput } from '../haproxy/monitor.ts'

/** The text that is uploaded: the same for the same input, whatever the order of members. Names and descriptions of
 *  objects appear nowhere in it. */
export function datagramText({ load_balancer, listener, default_pool }: ListenerInput): string {
  const enabled = load_balancer.admin_state_up && listener.admin_state_up
  const pool = default_pool?.admin_state_up ? default_pool : null
  const document: DatagramListener = {
    form: 1,
    id: listener.id,
    admin_state_up: enabled,
    vip_address: load_balancer.vip_address,
    // not where there is none: what older agents run is still what is meant
    ...(load_balancer.additional_vips?.length ? { additional_vips: load_balancer.additional_vips.toSorted() } : {}),
    protocol: 'UDP',
    protocol_port: listener.protocol_port,
    connection_limit: listener.connection_limit ?? -1,
    allowed_cidrs: listener.allowed_cidrs ?? [],
    default_pool: pool && {
      id: pool.id,
      lb_algorithm: pool.lb_algorithm,
      session_persistence: persistenceOf(pool.session_persistence),
      members: pool.members.map(memberOf).toSorted((a, b) => (a.id < b.id ? -1 : 1)),
      health_monitor: pool.health_monitor?.admin_state_up ? monitorOf(pool.health_monitor) : null,
    },
  }
  return `${JSON.stringify(document, null, 2)}\n`
}

/** Fields under the API's names; what is switched off is not in it, except members, which can be. */
export type DatagramListener = {
  form: 1
  id: string
  admin_state_up: boolean
  vip_address: string
  additional_vips?: string[]
  protocol: 'UDP'
  protocol_port: number
  connection_limit: number
  allowed_cidrs: string[]
  default_pool: DatagramPool | null
}

export type DatagramPool = {
  id: string
  lb_algorithm: string
  session_persistence: { persistence_timeout: number; persistence_granularity: string | null } | null
  members: DatagramMember[]
  health_monitor: DatagramMonitor | null
}

export type DatagramMember = Pick<
  MemberInput,
  'id' | 'admin_state_up' | 'address' | 'protocol_port' | 'weight' | 'backup' | 'monitor_address' | 'monitor_port'
>

export type DatagramMonitor = Pick<
  MonitorInput,
  | 'admin_state_up'
  | 'delay'
  | 'timeout'
  | 'max_retries'
  | 'max_retries_down'
  | 'url_path'
  | 'expected_codes'
  | 'domain_name'
  | 'http_version'
> & { type: string; http_method: string | null }

/** Reads what datagramText wrote. Throws RangeError, with what is wrong, for anything else: the agent believes nobody. */
export function readDatagramListener(text: string): DatagramListener {
  const top = record(parsed(text), 'the document')
  expect(top.form === 1, 'form', 'is not 1')
  expect(top.protocol === 'UDP', 'protocol', 'is not UDP')
  return {
    form: 1,
    id: named(top.id, 'id'),
    admin_state_up: yesOrNo(top.admin_state_up, 'admin_state_up'),
    vip_address: address(top.vip_address, 'vip_address'),
    ...(top.additional_vips === undefined
      ? {}
      : { additional_vips: list(top.additional_vips, 'additional_vips').map(each => address(each, 'a VIP')) }),
    protocol: 'UDP',
    protocol_port: port(top.protocol_port, 'protocol_port'),
    connection_limit: whole(top.connection_limit, 'connection_limit', -1, 2 ** 31),
    allowed_cidrs: list(top.allowed_cidrs, 'allowed_cidrs').map(each => cidr(each)),
    default_pool: top.default_pool === null ? null : poolIn(record(top.default_pool, 'default_pool')),
  }
}

/** The load balancer's own first. */
export function vipsOf({ vip_address, additional_vips = [] }: DatagramListener): string[] {
  return [vip_address, ...additional_vips]
}

/** Members of a family that no VIP has get nothing, whoever forwards. In plain words. */
export function shortOfVips(listener: DatagramListener): string[] {
  const vips = vipsOf(listener)
  const members = listener.default_pool?.members ?? []
  const astray = members.filter(each => !vips.some(vip => isIPv6(vip) === isIPv6(each.address)))
  if (astray.length === 0) return []
  return [`members of another IP version than the VIPs get nothing: ${astray.map(each => each.address).join(', ')}`]
}

/** Default: the figures of the described system. */
function persistenceOf(given: NonNullable<ListenerInput['default_pool']>['session_persistence']) {
  if (given?.type !== 'SOURCE_IP') return null
  const { persistence_timeout, persistence_granularity } = given
  return { persistence_timeout: persistence_timeout ?? PERSISTENCE_S, persistence_granularity }
}

/** How long a client is remembered of whom nothing is heard, where nobody says. */
const PERSISTENCE_S = 360

function memberOf(member: MemberInput): DatagramMember {
  const { id, admin_state_up, address, protocol_port, weight, backup } = member
  const monitor = { monitor_address: member.monitor_address ?? null, monitor_port: member.monitor_port ?? null }
  return { id, admin_state_up, address, protocol_port, weight, backup, ...monitor }
}

function monitorOf(monitor: MonitorInput): DatagramMonitor {
  const { admin_state_up, type, delay, timeout, max_retries, max_retries_down } = monitor
  const { http_method, url_path, expected_codes, domain_name, http_version } = monitor
  const counts = { delay, timeout, max_retries, max_retries_down }
  return { admin_state_up, type, ...counts, http_method, url_path, expected_codes, domain_name, http_version }
}

type Fields = Record<string, unknown>

function poolIn(pool: Fields): DatagramPool {
  const members = list(pool.members, 'members').map(each => memberIn(record(each, 'a member')))
  expect(new Set(members.map(each => each.id)).size === members.length, 'members', 'has an id twice')
  const persistence = pool.session_persistence === null ? null : record(pool.session_persistence, 'session_persistence')
  return {
    id: named(pool.id, 'pool id'),
    lb_algorithm: oneOf(pool.lb_algorithm, 'lb_algorithm', ['ROUND_ROBIN', 'LEAST_CONNECTIONS', 'SOURCE_IP']),
    session_persistence: persistence && {
      persistence_timeout: whole(persistence.persistence_timeout, 'persistence_timeout', 0, MONTH_S),
      persistence_granularity: orNull(persistence.persistence_granularity, each => address(each, 'a granularity')),
    },
    members,
    health_monitor: pool.health_monitor === null ? null : monitorIn(record(pool.health_monitor, 'health_monitor')),
  }
}

function memberIn(member: Fields): DatagramMember {
  return {
    id: named(member.id, 'member id'),
    admin_state_up: yesOrNo(member.admin_state_up, 'admin_state_up'),
    address: address(member.address, 'address'),
    protocol_port: port(member.protocol_port, 'protocol_port'),
    weight: whole(member.weight, 'weight', 0, 256),
    backup: yesOrNo(member.backup, 'backup'),
    monitor_address: orNull(member.monitor_address, each => address(each, 'monitor_address')),
    monitor_port: orNull(member.monitor_port, each => port(each, 'monitor_port')),
  }
}

function monitorIn(monitor: Fields): DatagramMonitor {
  return {
    admin_state_up: yesOrNo(monitor.admin_state_up, 'admin_state_up'),
    type: oneOf(monitor.type, 'monitor type', ['UDP-CONNECT', 'TCP', 'HTTP']),
    delay: whole(monitor.delay, 'delay', 0, MONTH_S),
    timeout: whole(monitor.timeout, 'timeout', 0, MONTH_S),
    max_retries: whole(monitor.max_retries, 'max_retries', 1, 100),
    max_retries_down: whole(monitor.max_retries_down, 'max_retries_down', 1, 100),
    http_method: orNull(monitor.http_method, each => line(each, 'http_method')),
    url_path: orNull(monitor.url_path, each => line(each, 'url_path')),
    expected_codes: orNull(monitor.expected_codes, each => line(each, 'expected_codes')),
    domain_name: orNull(monitor.domain_name, each => line(each, 'domain_name')),
    http_version: orNull(monitor.http_version, each => (each === 1.1 ? 1.1 : 1.0)),
  }
}

const MONTH_S = 31 * 24 * 3_600

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new RangeError('the document is not JSON')
  }
}

function record(value: unknown, what: string): Fields {
  expect(typeof value === 'object' && value !== null && !Array.isArray(value), what, 'is not an object')
  return value as Fields
}

function list(value: unknown, what: string): unknown[] {
  expect(Array.isArray(value), what, 'is not a list')
  return value as unknown[]
}

function orNull<T>(value: unknown, read: (value: unknown) => T): T | null {
  return value === null ? null : read(value)
}

function oneOf(value: unknown, what: string, known: readonly string[]): string {
  expect(typeof value === 'string' && known.includes(value), what, `is none of ${known.join(', ')}`)
  return value as string
}

/** Ids go back into heartbeats and files: nothing else may look like one. */
function named(value: unknown, what: string): string {
  expect(typeof value === 'string' && /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(value), what, 'is no id')
  return value as string
}

/** Without a zone. */
function address(value: unknown, what: string): string {
  expect(typeof value === 'string' && isIP(value) !== 0 && !value.includes('%'), what, 'is no address')
  return value as string
}

function cidr(value: unknown): string {
  const [network = '', length = '', ...more] = typeof value === 'string' ? value.split('/') : []
  address(network, 'allowed_cidrs')
  const fits = /^\d{1,3}$/.test(length) && Number(length) <= (isIPv6(network) ? 128 : 32) && more.length === 0
  expect(fits, 'allowed_cidrs', 'has what is no network')
  return value as string
}

function port(value: unknown, what: string): number {
  return whole(value, what, 1, 65_535)
}

function whole(value: unknown, what: string, min: number, max: number): number {
  const fits = Number.isInteger(value) && (value as number) >= min && (value as number) <= max
  expect(fits, what, `is no whole number from ${min} to ${max}`)
  return value as number
}

function yesOrNo(value: unknown, what: string): boolean {
  expect(typeof value === 'boolean', what, 'is neither true nor false')
  return value as boolean
}

/** A word of a request: it ends neither the line nor itself. */
function line(value: unknown, what: string): string {
  expect(typeof value === 'string' && /^[\x21-\x7e]([\x20-\x7e]{0,298}[\x21-\x7e])?$/.test(value), what, 'is no word')
  return value as string
}

function expect(fits: boolean, what: string, why: string): void {
  if (!fits) throw new RangeError(`${what} ${why}`)
}
