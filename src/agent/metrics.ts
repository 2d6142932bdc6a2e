/** The load balancer's figures for Prometheus, under Octavia's names: from each haproxy, over a socket of our own. */
import fs from 'node:fs/promises'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { METRICS_SOCKET } from '../amphora/rest.ts'
import { ask } from './runtime.ts'
import { isMetrics, rowsOf } from './statistics.ts'

/** Serves /metrics on a socket that haproxy reaches (a listener of protocol PROMETHEUS sends there). `sockets`: unit to its
 *  haproxy's socket, of those that run. `alone`: nobody else's work is in the machine's figures, so they may be told. */
export async function serveMetrics(
  base_path: string,
  sockets: () => Map<string, string>,
  alone = true,
): Promise<http.Server> {
  const socket = path.join(base_path, METRICS_SOCKET)
  await fs.rm(socket, { force: true })
  const server = http.createServer((request, response) => {
    if (request.url !== '/metrics') return void response.writeHead(404).end()
    metricsOf(sockets(), alone).then(
      text => response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(text),
      () => response.writeHead(500).end(),
    )
  })
  await new Promise<void>(resolve => server.listen(socket, resolve))
  await fs.chmod(socket, 0o666) // haproxy has given up its rights when it connects
  return server
}

/** Of those that answer. */
async function metricsOf(sockets: ReadonlyMap<string, string>, alone: boolean): Promise<string> {
  const answers = await Promise.all(
    [...sockets].map(async ([unit, socket]) => {
      const text = await ask(socket, 'show info;show stat', 2_000).catch(() => null)
      return text === null ? [] : [{ unit, text }]
    }),
  )
  return renderMetrics(answers.flat(), alone)
}

/** From haproxy's answers to `show info;show stat`. */
export function renderMetrics(answers: readonly { unit: string; text: string }[], alone = true): string {
  const families = new Map<string, string[]>()
  const add = (name: string, labels: string, value: number) => {
    const lines = families.get(name) ?? []
    if (lines.push(`${name}${labels} ${value}`) === 1) families.set(name, lines)
  }
  for (const [name, value] of Object.entries({ ...(alone ? ofMachine() : {}), ...ofLoadBalancer(answers) }))
    add(`octavia_loadbalancer_${name}`, '', value)
  for (const { unit, text } of answers)
    for (const row of rowsOf(text)) {
      if (isMetrics(row.pxname!)) continue
      const kind = row.svname === 'FRONTEND' ? 'listener' : row.svname === 'BACKEND' ? 'pool' : 'member'
      const pool = `pool="${row.pxname!.includes(':') ? row.pxname : `${row.pxname}:${unit}`}"`
      const labels = { listener: `listener="${row.pxname}"`, pool, member: `${pool},member="${row.svname}"` }[kind]
      const prefix = `octavia_${kind}`
      add(`${prefix}_status`, `{${labels}}`, /^(OPEN|UP|DRAIN|no check)/.test(row.status!) ? 1 : 0)
      for (const [name, column, factor] of columns[kind])
        if (row[column]) add(`${prefix}_${name}`, `{${labels}}`, Number(row[column]) * (factor ?? 1))
      for (const code of ['1xx', '2xx', '3xx', '4xx', '5xx', 'other'])
        if (row[`hrsp_${code}`])
          add(`${prefix}_http_responses_total`, `{${labels},code="${code}"}`, Number(row[`hrsp_${code}`]))
    }
  return [...families]
    .flatMap(([name, lines]) => [`# TYPE ${name} ${name.endsWith('_total') ? 'counter' : 'gauge'}`, ...lines, ''])
    .join('\n')
}

type Column = readonly [name: string, column: string, factor?: number]

/** haproxy counts times in milliseconds. */
const ms = 0.001

const traffic: readonly Column[] = [
  ['current_sessions', 'scur'],
  ['max_sessions', 'smax'],
  ['limit_sessions', 'slim'],
  ['sessions_total', 'stot'],
  ['max_session_rate', 'rate_max'],
  ['bytes_in_total', 'bin'],
  ['bytes_out_total', 'bout'],
  ['responses_denied_total', 'dresp'],
  ['failed_header_rewriting_total', 'wrew'],
]
const served: readonly Column[] = [
  ...traffic,
  ['current_queue', 'qcur'],
  ['max_queue', 'qmax'],
  ['connection_errors_total', 'econ'],
  ['connection_attempts_total', 'connect'],
  ['connection_reuses_total', 'reuse'],
  ['response_errors_total', 'eresp'],
  ['retry_warnings_total', 'wretr'],
  ['redispatch_warnings_total', 'wredis'],
  ['client_aborts_total', 'cli_abrt'],
  ['loadbalanced_total', 'lbtot'],
  ['check_up_down_total', 'chkdown'],
  ['check_last_change_seconds', 'lastchg'],
  ['downtime_seconds_total', 'downtime'],
  ['last_session_seconds', 'lastsess'],
  ['queue_time_average_seconds', 'qtime', ms],
  ['connect_time_average_seconds', 'ctime', ms],
  ['response_time_average_seconds', 'rtime', ms],
  ['total_time_average_seconds', 'ttime', ms],
  ['max_queue_time_seconds', 'qtime_max', ms],
  ['max_connect_time_seconds', 'ctime_max', ms],
  ['max_response_time_seconds', 'rtime_max', ms],
  ['max_total_time_seconds', 'ttime_max', ms],
]
const columns: Readonly<Record<'listener' | 'pool' | 'member', readonly Column[]>> = {
  listener: [
    ...traffic,
    ['limit_session_rate', 'rate_lim'],
    ['connections_rate_max', 'conn_rate_max'],
    ['connections_total', 'conn_tot'],
    ['requests_denied_total', 'dreq'],
    ['request_errors_total', 'ereq'],
    ['denied_connections_total', 'dcon'],
    ['denied_sessions_total', 'dses'],
    ['http_requests_rate_max', 'req_rate_max'],
    ['http_requests_total', 'req_tot'],
    ['intercepted_requests_total', 'intercepted'],
  ],
  pool: [
    ...served,
    ['active_members', 'act'],
    ['backup_members', 'bck'],
    ['requests_denied_total', 'dreq'],
    ['http_requests_total', 'req_tot'],
    ['member_aborts_total', 'srv_abrt'],
  ],
  member: [
    ...served,
    ['weight', 'weight'],
    ['check_failures_total', 'chkfail'],
    ['current_throttle', 'throttle'],
    ['queue_limit', 'qlimit'],
    ['server_aborts_total', 'srv_abrt'],
    ['idle_connections_current', 'idle_conn_cur'],
  ],
}

/** In per cent. */
function ofMachine(): Record<string, number> {
  const [load = 0] = os.loadavg()
  return {
    cpu: Math.round((load / os.availableParallelism()) * 1000) / 10,
    memory: Math.round((1 - os.freemem() / os.totalmem()) * 1000) / 10,
  }
}

/** All processes together. */
function ofLoadBalancer(answers: readonly { text: string }[]): Record<string, number> {
  const sum = (field: string) =>
    answers.reduce((total, { text }) => total + Number(new RegExp(`^${field}: (\\d+)$`, 'm').exec(text)?.[1] ?? 0), 0)
  return {
    listeners: answers.flatMap(({ text }) => rowsOf(text)).filter(row => row.svname === 'FRONTEND').length,
    current_connections: sum('CurrConns'),
    max_connections: sum('Maxconn'),
    connections_total: sum('CumConns'),
    requests_total: sum('CumReq'),
    current_connection_rate: sum('ConnRate'),
    max_connection_rate: sum('MaxConnRate'),
    current_session_rate: sum('SessRate'),
    max_session_rate: sum('MaxSessRate'),
    current_ssl_connections: sum('CurrSslConns'),
    ssl_connections_total: sum('CumSslConns'),
  }
}
