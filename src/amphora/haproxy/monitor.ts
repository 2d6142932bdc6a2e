/** A health monitor in haproxy's words: how members are asked, and for how long an answer is waited for. */
import { isIPv6 } from 'node:net'
import type { healthMonitor } from '../../lbaas/health-monitor.ts'
import type { Rendered } from '../../lbaas/resource.ts'
import { word } from './language.ts'

/** HTTP, HTTPS, TCP, PING, TLS-HELLO; what is for datagrams (UDP-CONNECT, SCTP) is not haproxy's. */
export type MonitorInput = Rendered<typeof healthMonitor>

type Monitored = { health_monitor?: MonitorInput | null }

/** The pool's monitor, if haproxy is to ask by it. */
export function monitorOf({ health_monitor }: Monitored): MonitorInput | null {
  return health_monitor?.admin_state_up && kinds.has(health_monitor.type) ? health_monitor : null
}

const kinds = new Set(['HTTP', 'HTTPS', 'TCP', 'PING', 'TLS-HELLO'])

/** Lines of the section `global`. What monitors found out is read from `servers-state` at the next reload. */
export function monitorGlobals(pools: readonly Monitored[], folder: string): string[] {
  const monitors = pools.map(monitorOf).filter(monitor => monitor !== null)
  if (monitors.length === 0) return []
  const external = monitors.some(({ type }) => type === 'PING') ? ['external-check', 'insecure-fork-wanted'] : []
  return [`server-state-file ${word(`${folder}/servers-state`)}`, ...external]
}

/** Lines of the backend. */
export function monitorLines(pool: Monitored, base_path: string): string[] {
  const monitor = monitorOf(pool)
  if (monitor === null) return []
  const lines = ['load-server-state-from-file global', `timeout check ${seconds(monitor.timeout)}`]
  switch (monitor.type) {
    case 'HTTP':
    case 'HTTPS':
      return [...lines, 'option httpchk', send(monitor), expectation(monitor)]
    case 'PING':
      return [
        ...lines,
        'option external-check',
        'external-check path "/usr/bin:/bin:/usr/sbin:/sbin"',
        `external-check command ${word(`${base_path}/ping-wrapper.sh`)}`,
      ]
    default:
      return lines
  }
}

/** Milliseconds. `timeout check` begins when the connection is there; until then this one counts (measured with 2.6: with
 *  5 s here and 1 s there, a member that does not answer at all was waited for 3 s and longer). So it must not exceed the
 *  monitor's; traffic loses nothing, because a member that takes longer to connect is about to be DOWN. */
export function connectTimeout(pool: Monitored, wanted_ms: number): number {
  const monitor = monitorOf(pool)
  return monitor === null ? wanted_ms : Math.min(wanted_ms, Math.max(1, monitor.timeout) * 1_000)
}

/** What stands in the line of a server. TLS-HELLO is the whole handshake: `ssl-hello-chk` sends a hello of SSLv3, which
 *  nobody answers any more. */
export function checkWords(monitor: MonitorInput | null, address: string | null, port: number | null): string {
  if (monitor === null) return ''
  const { type, delay, max_retries, max_retries_down } = monitor
  const tls = type === 'HTTPS' || type === 'TLS-HELLO' ? ' check-ssl verify none' : ''
  const counts = `inter ${seconds(delay)} fall ${max_retries_down} rise ${max_retries}`
  const elsewhere = `${address === null ? '' : ` addr ${place(address)}`}${port === null ? '' : ` port ${port}`}`
  return ` check${tls} ${counts}${elsewhere}`
}

/** HTTP/1.1 without a Host is refused by every server. */
function send({ http_method, url_path, http_version, domain_name }: MonitorInput): string {
  const request = `http-check send meth ${word(http_method || 'GET')} uri ${word(url_path || '/')}`
  if (http_version !== 1.1) return `${request} ver HTTP/1.0`
  // A log-format.
  const host = (domain_name || 'localhost').replaceAll('%', '%%')
  return `${request} ver HTTP/1.1 hdr Host ${word(host)}`
}

function expectation({ expected_codes }: MonitorInput): string {
  return `http-check expect status ${word((expected_codes || '200').replaceAll(' ', ''))}`
}

/** haproxy understands no 0 here. */
function seconds(value: number): string {
  return `${Math.max(1, value)}s`
}

/** `addr` takes what follows the last colon for a port, unless there are brackets. */
function place(address: string): string {
  return isIPv6(address) ? `[${address}]` : word(address)
}
