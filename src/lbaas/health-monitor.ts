/** The health monitor: its declaration and its rules. */
import { misplacedFields } from './check.ts'
import { Rejected } from './errors.ts'
import {
  admin_state_up,
  decimal,
  enumeration,
  identity,
  integer,
  lifecycle,
  type Post,
  type Put,
  type Row,
  resource,
  string,
  uuid,
} from './resource.ts'
import { leaving, poolOf, type Tree } from './tree.ts'

const http = { null: true, change: true, only_for: { type: ['HTTP', 'HTTPS'] } } as const

export const healthMonitor = resource({
  name: 'health_monitor',
  title: 'Health Monitor',
  singular: 'healthmonitor',
  plural: 'healthmonitors',
  path: 'healthmonitors',
  parent: { field: 'pool_id', of: 'pool' },
  fields: {
    ...identity,
    pool_id: uuid({ shown: false, rendered: false, of: 'pool', doc: 'The pool whose members it asks.' }),
    admin_state_up,
    type: enumeration({
      values: ['HTTP', 'HTTPS', 'PING', 'TCP', 'TLS-HELLO', 'UDP-CONNECT', 'SCTP'],
      neutron_values: ['HTTP', 'HTTPS', 'PING', 'TCP'],
      doc: 'How members are asked: by a request, a connection, a TLS greeting, or an echo.',
    }),
    delay: integer({ min: 0, unit: 's', change: true, doc: 'How long it is from one question to the next.' }),
    timeout: integer({ min: 0, unit: 's', change: true, doc: 'How long an answer may take.' }),
    max_retries: integer({
      min: 1,
      max: 10,
      change: true,
      doc: 'How many good answers in a row make a member ONLINE again.',
    }),
    max_retries_down: integer({
      default: 3,
      min: 1,
      max: 10,
      change: true,
      doc: 'How many bad answers in a row make a member ERROR.',
    }),
    http_method: enumeration({
      ...http,
      values: ['CONNECT', 'DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT', 'TRACE'],
      doc: 'The method of the request; GET where none is named.',
    }),
    url_path: string({
      ...http,
      max_length: 255,
      pattern: urlPathPattern(),
      doc: 'The path of the request; / where none is named.',
    }),
    expected_codes: string({
      ...http,
      max_length: 64,
      pattern: '^\\d{3}( *, *\\d{3})*$|^\\d{3}-\\d{3}$',
      doc: 'The statuses that are good answers: one, a comma list, or a range; 200 where none is named.',
    }),
    http_version: decimal({
      null: true,
      change: true,
      neutron: false,
      since: '2.10',
      one_of: [1.0, 1.1],
      doc: 'The version of HTTP that is spoken; 1.0 where none is named.',
    }),
    domain_name: string({
      null: true,
      change: true,
      neutron: false,
      since: '2.10',
      max_length: 255,
      pattern: '^(?=.{1,253}\\.?$)(?:(?!-|[^.]+_)[A-Za-z0-9_\\-]{1,63}(?<!-)(?:\\.|$))+$',
      doc: 'The Host of the request; only with http_version 1.1.',
    }),
    ...lifecycle,
  },
})

export type HealthMonitor = Row<typeof healthMonitor>
export type HealthMonitorPost = Post<typeof healthMonitor>
export type HealthMonitorPut = Put<typeof healthMonitor>

/** The row with what a monitor that speaks HTTP asks for when it was not told. */
export function completedMonitor<T extends Pick<HealthMonitor, 'type' | 'http_method' | 'url_path' | 'expected_codes'>>(
  row: T,
): T {
  if (!http.only_for.type.includes(row.type as 'HTTP')) return row
  return {
    ...row,
    http_method: row.http_method ?? 'GET',
    url_path: row.url_path ?? '/',
    expected_codes: row.expected_codes ?? '200',
  }
}

/** Members asked more often than so by UDP would be taken for floods, and their silence means nothing. */
const least_udp_delay_s = 3

/** Refuses a monitor whose parts do not fit together, or do not fit its pool. Upstream accepts a timeout longer than
 *  the delay, and its tests make such monitors: so does this. */
export function checkMonitor(tree: Tree, row: HealthMonitor, ping_allowed: boolean): void {
  const refuse = (field: string, detail: string) => new Rejected('monitor', { field, detail })
  const twin = tree.health_monitors.find(one => one.id !== row.id && one.pool_id === row.pool_id && !leaving(one))
  if (twin) throw new Rejected('duplicate_monitor', { pool_id: row.pool_id, id: twin.id })
  if (row.type === 'PING' && !ping_allowed) throw new Rejected('disabled_option', { option: 'type', value: row.type })
  const [misplaced] = misplacedFields(healthMonitor, row)
  if (misplaced) {
    const { field, value } = misplaced
    throw new Rejected('invalid_option', { value: field, option: `health monitors of type ${value}`, field })
  }
  checkProtocol(tree, row)
  const [first, last] = row.expected_codes?.split('-') ?? []
  if (first !== undefined && last !== undefined && first > last)
    throw refuse('expected_codes', 'A range of codes must begin with the lower one.')
  if (row.domain_name === null) return
  if (row.http_version === null)
    throw refuse('domain_name', "'http_version' must be specified when 'domain_name' is provided.")
  if (row.http_version < 1.1)
    throw new Rejected('invalid_option', {
      value: `http_version ${row.http_version.toFixed(1)}`,
      option: 'health monitors HTTP 1.1 domain name health check',
      field: 'http_version',
    })
}

/** Are the pool's members asked how they are? */
export function isMonitored(tree: Tree, pool_id: string): boolean {
  return tree.health_monitors.some(one => one.pool_id === pool_id && one.admin_state_up && !leaving(one))
}

function checkProtocol(tree: Tree, { pool_id, type, delay }: HealthMonitor): void {
  const protocol = poolOf(tree, pool_id)?.protocol
  const datagram = protocol === 'UDP' || protocol === 'SCTP'
  const refuse = (field: string, detail: string) => new Rejected('monitor', { field, detail })
  if (!datagram) {
    if (type === 'UDP-CONNECT' || type === 'SCTP')
      throw refuse('type', `The ${type} type is only supported for pools of type UDP/SCTP.`)
    return
  }
  if (!['UDP-CONNECT', 'SCTP', 'TCP', 'HTTP'].includes(type))
    throw refuse(
      'type',
      `The associated pool protocol is ${protocol}, so only a UDP-CONNECT/SCTP/TCP/HTTP health monitor is supported.`,
    )
  if (type === 'UDP-CONNECT' && delay < least_udp_delay_s)
    throw refuse(
      'delay',
      `The request delay value ${delay} should be larger than ${least_udp_delay_s} for UDP-CONNECT health monitor type.`,
    )
}

/** A path (RFC 3986), perhaps with a query; never white space or a fragment. */
function urlPathPattern(): string {
  const escaped = '%[A-Fa-f0-9]{2}'
  const letters = "A-Za-z0-9\\-._~!$&'()*+,;=:@\\/"
  return `^\\/(?:[${letters}]|${escaped})*(?:\\?(?:[${letters}?]|${escaped})*)?$`
}
