/** The listener: its declaration and its rules. */
import { refuseMisplaced } from './check.ts'
import { Rejected } from './errors.ts'
import { refuseForeignCidrs } from './load-balancer.ts'
import {
  admin_state_up,
  cidr,
  description,
  enumeration,
  fact,
  identity,
  integer,
  lifecycle,
  list,
  map,
  type Post,
  type Put,
  type Row,
  resource,
  string,
  uuid,
} from './resource.ts'
import { checkListenerTls, type TlsFiles, type TlsTerms, terminated } from './tls.ts'
import type { Tree } from './tree.ts'

const timeout = { min: 0, max: 2_073_600_000, unit: 'ms', change: true, neutron: false, since: '2.1' } as const

export const listener = resource({
  name: 'listener',
  title: 'Listener',
  singular: 'listener',
  plural: 'listeners',
  path: 'listeners',
  parent: { field: 'load_balancer_id', of: 'load_balancer' },
  nested: { default_pool: { of: 'pool', many: false }, l7policies: { of: 'l7policy', many: true } },
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
    admin_state_up,
    protocol: enumeration({
      values: ['HTTP', 'HTTPS', 'TCP', 'TERMINATED_HTTPS', 'UDP', 'SCTP', 'PROMETHEUS'],
      neutron_values: ['TCP', 'HTTPS', 'HTTP', 'TERMINATED_HTTPS'],
      doc: 'What clients speak. HTTPS passes TLS through to the members.',
    }),
    protocol_port: integer({ min: 1, max: 65535, doc: 'The port that clients connect to.' }),
    connection_limit: integer({
      default: -1,
      min: -1,
      change: true,
      doc: 'Most connections at a time; -1 for no limit of its own.',
    }),
    default_pool_id: uuid({
      null: true,
      change: true,
      rendered: false,
      of: 'pool',
      doc: 'The pool that requests go to.',
    }),
    insert_headers: map({
      default: {},
      change: true,
      neutron: false,
      only_for: { protocol: ['HTTP', 'TERMINATED_HTTPS'] },
      each: string({ max_length: 255, doc: 'The value.' }),
      doc: 'Headers that are added to requests: X-Forwarded-For, X-Forwarded-Port, X-Forwarded-Proto, each "true" or "false".',
    }),
    allowed_cidrs: list({
      null: true,
      change: true,
      neutron: false,
      since: '2.12',
      each: cidr({ doc: 'A range.' }),
      doc: 'Where clients may come from; null for everywhere.',
    }),
    timeout_client_data: integer({ default: 50_000, ...timeout, doc: 'How long a client may be silent.' }),
    timeout_member_connect: integer({ default: 5_000, ...timeout, doc: 'How long connecting to a member may take.' }),
    timeout_member_data: integer({ default: 50_000, ...timeout, doc: 'How long a member may be silent.' }),
    timeout_tcp_inspect: integer({
      default: 0,
      ...timeout,
      doc: 'How long to wait for more of a TCP connection to inspect.',
    }),
    ...terminated,
    tls_files: fact<TlsFiles>()({
      state: 'fact',
      doc: 'The files that its references to certificates became, by reference.',
    }),
    peer_port: integer({
      state: 'bookkeeping',
      shown: false,
      min: 1,
      max: 65535,
      doc: 'Where the amphorae of a pair tell each other about sessions.',
    }),
    serving: fact<Readonly<Record<string, unknown>> | null>()({
      null: true,
      state: 'fact',
      doc: 'The inputs of the configuration that all serving amphorae last confirmed.',
    }),
    ...lifecycle,
  },
})

type ListenerRow = Row<typeof listener>
/** In a row the load balancer is always there; only a POST may leave it to the default pool. */
export type Listener = Omit<ListenerRow, 'load_balancer_id'> & { load_balancer_id: string }
export type ListenerPost = Post<typeof listener>
export type ListenerPut = Put<typeof listener>
export type ListenerProtocol = Listener['protocol']

/** Which transport a listener's port is taken on. */
export function transport(protocol: ListenerProtocol): 'TCP' | 'UDP' | 'SCTP' {
  return protocol === 'UDP' || protocol === 'SCTP' ? protocol : 'TCP'
}

/** Which pools a listener may send to. */
const pool_protocols: Readonly<Record<ListenerProtocol, readonly string[]>> = {
  TCP: ['HTTP', 'HTTPS', 'PROXY', 'PROXYV2', 'TCP'],
  HTTP: ['HTTP', 'PROXY', 'PROXYV2'],
  HTTPS: ['HTTPS', 'PROXY', 'PROXYV2', 'TCP'],
  TERMINATED_HTTPS: ['HTTP', 'PROXY', 'PROXYV2'],
  UDP: ['UDP'],
  SCTP: ['SCTP'],
  PROMETHEUS: [],
}

/** Those that say something about the client's certificate are for listeners that terminate TLS. */
const insertable_headers = ['X-Forwarded-For', 'X-Forwarded-Port', 'X-Forwarded-Proto']
const insertable_headers_of_tls = [
  ...['X-SSL-Client-Verify', 'X-SSL-Client-Has-Cert', 'X-SSL-Client-DN', 'X-SSL-Client-CN', 'X-SSL-Issuer'],
  ...['X-SSL-Client-SHA1', 'X-SSL-Client-Not-Before', 'X-SSL-Client-Not-After'],
]

/** Refuses a listener that does not fit into the tree it is in. */
export function checkListener(tree: Tree, row: Listener, tls: TlsTerms): void {
  const twin = tree.listeners.find(
    other =>
      other.id !== row.id &&
      other.provisioning_status !== 'PENDING_DELETE' &&
      other.protocol_port === row.protocol_port &&
      transport(other.protocol) === transport(row.protocol),
  )
  if (twin)
    throw new Rejected('duplicate_listener', {
      protocol: row.protocol,
      protocol_port: row.protocol_port,
      load_balancer_id: row.load_balancer_id,
    })
  checkListenerTls(row, tls)
  refuseMisplaced(listener, row)
  checkHeaders(row)
  refuseForeignCidrs(tree.load_balancer, row.allowed_cidrs)
  if (row.default_pool_id === null) return
  if (row.protocol === 'PROMETHEUS') throw new Rejected('prometheus_children', {})
  refuseUnfitPool(tree, row.protocol, row.default_pool_id)
}

/** Refuses a pool that a listener of that protocol cannot send to. */
export function refuseUnfitPool(tree: Tree, protocol: ListenerProtocol, pool_id: string): void {
  const pool = tree.pools.find(one => one.id === pool_id)
  if (!pool) throw new Rejected('pool_elsewhere', { pool_id, load_balancer_id: tree.load_balancer.id })
  if (pool.provisioning_status === 'PENDING_DELETE')
    throw new Rejected('immutable', { resource: 'Pool', id: pool_id, state: pool.provisioning_status })
  if (!pool_protocols[protocol].includes(pool.protocol))
    throw new Rejected('protocol_mismatch', { listener: protocol, pool: pool.protocol })
}

/** Where haproxy's peers meet that serve one listener, or all of a load balancer. */
export const FIRST_PEER_PORT = 1025

/** The smallest peer port that no other listener of the load balancer has. */
export function freePeerPort(tree: Tree): number {
  const taken = new Set(tree.listeners.map(other => other.peer_port))
  let port = FIRST_PEER_PORT
  while (taken.has(port)) port++
  return port
}

function checkHeaders(row: Listener): void {
  for (const [name, value] of Object.entries(row.insert_headers)) {
    const of_tls = row.protocol === 'TERMINATED_HTTPS' && insertable_headers_of_tls.includes(name)
    if (!insertable_headers.includes(name) && !of_tls)
      throw new Rejected('invalid_option', { value: name, option: 'insert_headers', field: 'insert_headers' })
    if (value !== 'true' && value !== 'false')
      throw new Rejected('invalid_option', { value, option: `insert_headers ${name}`, field: 'insert_headers' })
  }
}
