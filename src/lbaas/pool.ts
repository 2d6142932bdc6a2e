/** The pool: its declaration and its rules. */
import { Rejected } from './errors.ts'
import {
  admin_state_up,
  description,
  enumeration,
  fact,
  identity,
  integer,
  ip,
  lifecycle,
  type Post,
  type Put,
  type Row,
  record,
  resource,
  string,
  uuid,
} from './resource.ts'
import { checkPoolTls, reencrypted, type TlsFiles, type TlsTerms } from './tls.ts'

export const pool = resource({
  name: 'pool',
  title: 'Pool',
  singular: 'pool',
  plural: 'pools',
  path: 'pools',
  parent: { field: 'load_balancer_id', of: 'load_balancer' },
  nested: { members: { of: 'member', many: true }, healthmonitor: { of: 'health_monitor', many: false } },
  fields: {
    ...identity,
    description,
    load_balancer_id: uuid({
      wire: 'loadbalancer_id',
      null: true,
      shown: false,
      rendered: false,
      of: 'load_balancer',
      doc: 'The load balancer that it belongs to.',
    }),
    listener_id: uuid({
      state: 'request',
      null: true,
      of: 'listener',
      doc: 'The listener whose default pool it becomes; its load balancer is meant then.',
    }),
    admin_state_up,
    protocol: enumeration({
      values: ['HTTP', 'HTTPS', 'PROXY', 'PROXYV2', 'TCP', 'UDP', 'SCTP'],
      neutron_values: ['TCP', 'HTTPS', 'HTTP'],
      doc: 'What members speak.',
    }),
    lb_algorithm: enumeration({
      values: ['ROUND_ROBIN', 'LEAST_CONNECTIONS', 'SOURCE_IP', 'SOURCE_IP_PORT'],
      neutron_values: ['LEAST_CONNECTIONS', 'ROUND_ROBIN', 'SOURCE_IP'],
      change: true,
      doc: 'How members are chosen.',
    }),
    session_persistence: record({
      null: true,
      change: true,
      record: {
        type: enumeration({
          values: ['SOURCE_IP', 'HTTP_COOKIE', 'APP_COOKIE'],
          doc: 'What a client is recognised by.',
        }),
        cookie_name: string({
          null: true,
          max_length: 255,
          pattern: '^[^\\s,;\\\\]+$',
          doc: "The application's cookie.",
        }),
        persistence_timeout: integer({
          null: true,
          min: 0,
          neutron: false,
          unit: 's',
          doc: 'UDP and SCTP: how long a client is remembered.',
        }),
        persistence_granularity: ip({
          null: true,
          neutron: false,
          doc: 'UDP and SCTP: the netmask that makes clients one.',
        }),
      },
      doc: 'How a client keeps its member.',
    }),
    ...reencrypted,
    tls_files: fact<TlsFiles>()({
      state: 'fact',
      doc: 'The files that its references to certificates became, by reference.',
    }),
    ...lifecycle,
  },
})

type PoolRow = Row<typeof pool>
/** In a row the load balancer is always there; a POST may name a listener instead. */
export type Pool = Omit<PoolRow, 'load_balancer_id'> & { load_balancer_id: string }
export type PoolPost = Post<typeof pool>
export type PoolPut = Put<typeof pool>
export type SessionPersistence = NonNullable<Pool['session_persistence']>

/** Refuses a pool whose parts do not fit together. */
export function checkPool(row: Pool, tls: TlsTerms): void {
  checkPoolTls(row, tls)
  const persistence = row.session_persistence
  if (persistence === null) return
  const refuse = (detail: string) => new Rejected('persistence', { detail })
  const datagram = row.protocol === 'UDP' || row.protocol === 'SCTP'
  if (datagram && persistence.type !== 'SOURCE_IP')
    throw refuse(`session persistence for ${row.protocol} pools must be SOURCE_IP.`)
  if (persistence.type === 'APP_COOKIE' && persistence.cookie_name === null)
    throw refuse("'cookie_name' should be specified for APP_COOKIE session persistence.")
  if (persistence.type !== 'APP_COOKIE' && persistence.cookie_name !== null)
    throw refuse(`'cookie_name' is not allowed for ${persistence.type} session persistence.`)
  if (!datagram && (persistence.persistence_timeout !== null || persistence.persistence_granularity !== null))
    throw refuse("'persistence_timeout' and 'persistence_granularity' are only for UDP and SCTP pools.")
}
