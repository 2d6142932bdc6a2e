/** keepalived.conf of one UDP listener, as a pure function of its document: virtual servers of the kernel's IPVS. */
import { isIP } from 'node:net'
import { address, expected, whole } from '../checked.ts'
import {
  type DatagramListener,
  type DatagramMember,
  type DatagramMonitor,
  type DatagramPool,
  shortOfVips,
  vipsOf,
} from '../nftables/datagram-listener.ts'
import { type Block, name, path, quoted, written } from './language.ts'

/** The text; its comments are what upstream's agent reads ids from. Throws RangeError for a value that is no address, id or
 *  path, so that nothing can end a word or a block. A family is there when it has a VIP and a member that is enabled: of a
 *  virtual server without members keepalived says that it is ignored. */
export function renderVirtualServers(listener: DatagramListener, { namespace, check_script }: Surroundings): string {
  const { id, admin_state_up, default_pool: pool } = listener
  const head = [
    admin_state_up ? `# Configuration for Listener ${name(id)}` : `# Listener ${name(id)} is disabled`,
    ...(admin_state_up && pool !== null ? membersThatAreOff(pool) : []),
    `net_namespace ${name(namespace)}`,
  ]
  const scripts: Block = ['global_defs', 'enable_script_security', 'script_user root']
  const families = [4, 6].flatMap(version => familyOf(version as 4 | 6, listener, path(check_script)))
  const sections = families.length > 0 ? [scripts, ...families] : []
  return [`${head.join('\n')}\n`, ...sections.map(section => `${written(section)}\n`)].join('\n')
}

export type Surroundings = {
  namespace: string
  /** Asks a member by a datagram: `SCRIPT ADDRESS PORT`. */
  check_script: string
}

/** What keepalived cannot do of what the document asks for, in plain words. */
export function shortOfVirtualServers(listener: DatagramListener): string[] {
  const pool = listener.default_pool
  if (pool === null) return []
  const method = pool.health_monitor?.type === 'HTTP' ? (pool.health_monitor.http_method ?? 'GET') : 'GET'
  return [
    ...shortOfVips(listener),
    ...(pool.members.some(each => each.backup) ? ['keepalived knows no backup members: they serve like others'] : []),
    ...(method === 'GET' ? [] : [`keepalived does not ask by ${method}: a connection is tried instead`]),
  ]
}

function membersThatAreOff({ members }: DatagramPool): string[] {
  return members.filter(each => !each.admin_state_up).map(each => `# Member ${name(each.id)} is disabled`)
}

function familyOf(version: 4 | 6, listener: DatagramListener, check_script: string): Block[] {
  const { admin_state_up, default_pool: pool, connection_limit } = listener
  const vips = vipsOf(listener).filter(each => isIP(each) === version)
  const members = (pool?.members ?? []).filter(each => each.admin_state_up && isIP(each.address) === version)
  if (!admin_state_up || pool === null || vips.length === 0 || members.length === 0) return []
  const group = `ipv${version}-group`
  return [
    [`virtual_server_group ${group}`, ...vips.map(vip => `${address(vip)} ${whole(listener.protocol_port)}`)],
    [
      `virtual_server group ${group}`,
      `lb_algo ${algorithms.get(pool.lb_algorithm) ?? 'wrr'}`,
      'lb_kind NAT',
      `protocol ${listener.protocol}`,
      ...persistence(pool, version),
      ...pace(pool.health_monitor),
      `# Configuration for Pool ${name(pool.id)}`,
      ...members.flatMap(each => server(each, pool, connection_limit, check_script)),
    ],
  ]
}

/** All others take turns. */
const algorithms = new Map([
  ['LEAST_CONNECTIONS', 'lc'],
  ['SOURCE_IP', 'sh'],
])

/** A mask of the other family says nothing here. IPv6 has the length of a prefix for it. */
function persistence({ session_persistence: kept }: DatagramPool, version: 4 | 6): string[] {
  if (kept === null) return []
  const mask = kept.persistence_granularity
  const own = mask !== null && isIP(mask) === version ? mask : null
  const granularity = version === 4 ? address(own ?? '255.255.255.255') : prefix(own)
  return [`persistence_timeout ${atLeastOne(kept.persistence_timeout)}`, `persistence_granularity ${granularity}`]
}

/** Of a mask that is none every address is a client of its own. */
function prefix(mask: string | null): number {
  const bits = mask === null ? '' : bitsOf(mask)
  return /^1+0*$/.test(bits) ? bits.lastIndexOf('1') + 1 : 128
}

function bitsOf(mask: string): string {
  const [left = '', right] = mask.split('::')
  const words = (text: string) => text.split(':').filter(each => each !== '')
  const [before, after] = [words(left), words(right ?? '')]
  const zeros = Array.from({ length: right === undefined ? 0 : 8 - before.length - after.length }, () => '0')
  const all = [...before, ...zeros, ...after]
  return all.map(each => Number.parseInt(each, 16).toString(2).padStart(16, '0')).join('')
}

function pace(monitor: DatagramMonitor | null): string[] {
  if (monitor === null) return []
  const delay_s = atLeastOne(monitor.delay)
  return [`delay_loop ${delay_s}`, `delay_before_retry ${delay_s}`, `retry ${atLeastOne(monitor.max_retries_down)}`]
}

function server(
  member: DatagramMember,
  pool: DatagramPool,
  connection_limit: number,
  check_script: string,
): (string | Block)[] {
  return [
    `# Configuration for Member ${name(member.id)}`,
    [
      `real_server ${address(member.address)} ${whole(member.protocol_port)}`,
      `weight ${whole(member.weight)}`,
      ...(connection_limit > 0 ? [`uthreshold ${whole(connection_limit)}`] : []),
      ...(pool.health_monitor === null ? [] : [checker(member, pool.health_monitor, check_script)]),
    ],
  ]
}

function checker(member: DatagramMember, monitor: DatagramMonitor, check_script: string): Block {
  const host = address(member.monitor_address ?? member.address)
  const port = whole(member.monitor_port ?? member.protocol_port)
  const timeout_s = atLeastOne(monitor.timeout)
  const place = [`connect_ip ${host}`, `connect_port ${port}`, `connect_timeout ${timeout_s}`]
  if (monitor.type === 'UDP-CONNECT')
    return ['MISC_CHECK', `misc_path ${quoted([check_script, host, port].join(' '))}`, `misc_timeout ${timeout_s}`]
  if (monitor.type !== 'HTTP' || (monitor.http_method ?? 'GET') !== 'GET') return ['TCP_CHECK', ...place]
  const newer = monitor.http_version === 1.1
  const host_name = newer && monitor.domain_name ? [`virtualhost ${quoted(hostName(monitor.domain_name))}`] : []
  return ['HTTP_GET', ...(newer ? ['http_protocol 1.1'] : []), ...host_name, url(monitor), ...place]
}

/** One url with all codes: with a url for each, as upstream has it, all of them would have to be answered at once. */
function url({ url_path, expected_codes }: DatagramMonitor): Block {
  const codes = (expected_codes || '200').split(',').map(each => each.trim())
  const known = codes.every(each => /^\d{3}(-\d{3})?$/.test(each))
  expected(known, expected_codes ?? '', 'a list of statuses')
  return ['url', `path ${quoted(urlPath(url_path || '/'))}`, `status_code ${codes.join(' ')}`]
}

/** A URL has an escape of its own, for all that is not beyond doubt with keepalived. */
function urlPath(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9/?&=:;,.@+*_%-]/gu, each =>
    [...Buffer.from(each)].map(byte => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  )
}

function hostName(value: string): string {
  return expected(/^[A-Za-z0-9._-]{1,255}$/.test(value), value, "a host's name")
}

/** keepalived knows whole seconds, from one on. */
function atLeastOne(value: number): number {
  return whole(Math.max(1, value))
}
