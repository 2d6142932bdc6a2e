/** For tests: the API on a real database, in front of a cloud that exists only in memory. */
import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import { afterAll, beforeAll } from 'vitest'
import { testDatabase } from '../../test/postgres.ts'
import { CertificateError } from '../cloud/certificates/certificate-error.ts'
import type { CertificateStore } from '../cloud/certificates/certificate-store.ts'
import type { Port } from '../cloud/neutron.ts'
import { type CloudAnswer, CloudError, type CloudRequest, type OpenStack } from '../cloud/openstack.ts'
import { amphora_provider } from '../lbaas/provider.ts'
import { settle } from '../lbaas/provisioning.ts'
import { sampleId } from '../lbaas/sample.ts'
import { usual_tls } from '../lbaas/tls.ts'
import { openLog } from '../service/log.ts'
import { openPool } from '../service/postgres.ts'
import { Secret } from '../service/secret.ts'
import { migrate } from '../store/migrations.ts'
import { transaction } from '../store/transaction.ts'
import * as trees from '../store/trees.ts'
import type { ApiOptions } from './context.ts'
import { type Api, type Endpoint, startApi } from './server.ts'

export const demo = 'demo-project'
export const other = 'other-project'
export const subnet = sampleId(701)
export const subnet_v6 = sampleId(702)
export const foreign_subnet = sampleId(703)
export const shared_subnet = sampleId(704)
export const network = sampleId(801)
export const member_subnet = sampleId(705)

/** Token to its owner's project and roles. */
const tokens: Record<string, { project: string; roles: string[] }> = {
  demo: { project: demo, roles: ['member', 'reader'] },
  other: { project: other, roles: ['load-balancer_member'] },
  admin: { project: 'admin-project', roles: ['admin'] },
  reader: { project: demo, roles: ['reader'] },
  observer: { project: demo, roles: ['load-balancer_observer'] },
  global: { project: other, roles: ['load-balancer_global_observer'] },
  service: { project: 'service-project', roles: ['service'] },
  quota: { project: other, roles: ['load-balancer_quota_admin'] },
  nobody: { project: demo, roles: [] },
}

const networks: Record<string, object> = {
  [network]: { id: network, project_id: demo, shared: false, subnets: [subnet_v6, subnet] },
  [sampleId(802)]: { id: sampleId(802), project_id: other, shared: false, subnets: [foreign_subnet] },
  [sampleId(803)]: { id: sampleId(803), project_id: 'admin-project', shared: true, subnets: [shared_subnet] },
  [sampleId(804)]: { id: sampleId(804), project_id: demo, shared: false, subnets: [member_subnet] },
}

const groups: Record<string, object> = {
  [sampleId(901)]: { id: sampleId(901), project_id: demo, security_group_rules: [] },
  [sampleId(902)]: { id: sampleId(902), project_id: other, security_group_rules: [] },
}
const policies: Record<string, object> = {
  [sampleId(911)]: { id: sampleId(911), project_id: 'admin-project', shared: true },
  [sampleId(912)]: { id: sampleId(912), project_id: other, shared: false },
}

const subnets: Record<string, { network_id: string; cidr: string; project_id: string }> = {
  [subnet]: { network_id: network, cidr: '10.0.0.0/24', project_id: demo },
  [subnet_v6]: { network_id: network, cidr: 'fd36:53a8:d962::/64', project_id: demo },
  [foreign_subnet]: { network_id: sampleId(802), cidr: '10.1.0.0/24', project_id: other },
  [shared_subnet]: { network_id: sampleId(803), cidr: '10.2.0.0/24', project_id: 'admin-project' },
  [member_subnet]: { network_id: sampleId(804), cidr: '10.3.0.0/24', project_id: demo },
}

/** What Nova and Glance have. */
const flavors = ['65', 'big']
const zones = ['nova', 'edge']
const image_tags = ['amphora', 'new', 'x']

/** The cloud, as far as the API asks it. */
class PretendedCloud {
  readonly ports = new Map<string, Port>()
  validations = 0
  /** Services that do not answer. */
  readonly away = new Set<string>()
  /** Answers instead of the next creates of ports. */
  readonly refusals: CloudError[] = []
  /** Called when a port has been made, before its answer. */
  made: (port: Port) => Promise<void> = async () => {}

  async request(service: string, method: string, path: string, options: CloudRequest = {}): Promise<CloudAnswer> {
    if (path === '/auth/tokens') return this.#token(String(options.headers?.['x-subject-token']))
    if (this.away.has(service)) throw new CloudError(service, 503, '', 'not available', null)
    const [, collection, id] = path.split('/')
    if (service === 'image') {
      const images = image_tags.includes(String(options.query?.tag)) ? [{ id: 'image' }] : []
      return answer({ images })
    }
    if (collection === 'os-availability-zone')
      return answer({ availabilityZoneInfo: zones.map(zoneName => ({ zoneName })) })
    if (collection === 'flavors') {
      if (flavors.includes(id!)) return answer({ flavor: { id, name: id } })
      throw new CloudError(service, 404, 'itemNotFound', 'not there', null)
    }
    if (method === 'POST') return this.#create((options.body as { port: Partial<Port> }).port)
    const known: Record<string, [singular: string, rows: Readonly<Record<string, object>>]> = {
      networks: ['network', networks],
      subnets: ['subnet', subnets],
      ports: ['port', Object.fromEntries(this.ports)],
      'security-groups': ['security_group', groups],
      qos: ['policy', policies],
    }
    const [singular, rows] = known[collection!]!
    const row = rows[path.split('/').at(-1)!]
    if (!row) throw new CloudError('network', 404, 'NotFound', 'not there', null)
    return answer({ [singular]: { id, gateway_ip: null, ...row } })
  }

  #token(token: string): CloudAnswer {
    this.validations++
    const owner = tokens[token]
    if (!owner) throw new CloudError('identity', 404, '', 'no such token', null)
    const { project, roles } = owner
    const named = roles.map(name => ({ name }))
    return answer({
      token: {
        user: { id: `${token}-user` },
        project: { id: project },
        roles: named,
        expires_at: '2999-01-01T00:00:00Z',
      },
    })
  }

  async #create(body: Partial<Port>): Promise<CloudAnswer> {
    const refusal = this.refusals.shift()
    if (refusal) throw refusal
    const taken = [...this.ports.values()].flatMap(port => port.fixed_ips.map(one => one.ip_address))
    const fixed_ips = body.fixed_ips!.map(({ subnet_id, ip_address }) => {
      const prefix = subnets[subnet_id]!.cidr.replace(/0?\/\d+$/, '')
      let n = 10
      while (taken.includes(`${prefix}${n}`)) n++
      return { subnet_id, ip_address: ip_address ?? `${prefix}${n}` }
    })
    if (fixed_ips.some(one => taken.includes(one.ip_address)))
      throw new CloudError('network', 409, 'IpAddressAlreadyAllocated', 'already allocated', null)
    const port = { ...body, id: randomUUID(), fixed_ips } as Port
    this.ports.set(port.id, port)
    await this.made(port)
    return answer({ port })
  }
}

/** Refs that begin with `own` are the tenant's and good; the service is let in by `grant`. */
const granted = new Set<string>()
export const pretended_certificates: CertificateStore & { granted: Set<string> } = {
  granted,
  read: async (ref, { token } = {}) => {
    admit(ref, token)
    return { certificate_pem: ref, private_key_pem: new Secret('key'), not_after: new Date(), intermediates_pem: [] }
  },
  readAuthority: async (ref, { token } = {}) => {
    admit(ref, token)
    return { certificates_pem: ref.endsWith('crl') ? [] : [ref], revocations_pem: ref.endsWith('crl') ? [ref] : [] }
  },
  grant: async ref => void granted.add(ref),
}

function admit(ref: string, token: string | undefined): void {
  if (ref === 'away') throw new CloudError('key-manager', 503, '', 'the key manager is away', null)
  if (ref === 'broken') throw new CertificateError(ref, 'unusable', 'has expired on 2020-01-01')
  if (!ref.startsWith('own')) throw new CertificateError(ref, 'missing', 'is not there')
  if (token === undefined && !granted.has(ref)) throw new CertificateError(ref, 'closed', 'may not be read')
}

export type Answer = { status: number; body: unknown; headers: Headers }
export type Call = (
  method: string,
  path: string,
  body?: unknown,
  options?: { token?: string; headers?: Record<string, string>; raw?: string },
) => Promise<Answer>

export type Setting = {
  api: Api
  pool: pg.Pool
  cloud: PretendedCloud
  options: ApiOptions
  /** A request to each dialect; paths begin below /v2.0/lbaas unless they start with `=`. */
  octavia: Call
  neutron: Call
  start: (options: Partial<ApiOptions>, endpoint?: Endpoint) => Promise<{ api: Api; octavia: Call; neutron: Call }>
}

/** Starts the API for a test file. Read the answer's fields inside tests and hooks only. */
export function apiForTests(changed: Partial<ApiOptions> = {}): Setting {
  const database = testDatabase()
  const setting = { options: { ...defaults, ...changed } } as Setting
  const started: Api[] = []
  beforeAll(async () => {
    const log = openLog('test')
    log.level = process.env.OTTAVIA_LOG_LEVEL ?? 'silent'
    setting.pool = openPool(database.url, log)
    setting.cloud = new PretendedCloud()
    await migrate(setting.pool)
    setting.start = async (options, endpoint = { host: '127.0.0.1', port: 0 }) => {
      const api = await startApi({
        pool: setting.pool,
        cloud: setting.cloud as unknown as OpenStack,
        certificates: pretended_certificates,
        options: { ...setting.options, ...options },
        listen: { octavia: [endpoint], neutron: [endpoint] },
        log,
      })
      started.push(api)
      return { api, octavia: caller(api.addresses.octavia[0]!.port), neutron: caller(api.addresses.neutron[0]!.port) }
    }
    Object.assign(setting, await setting.start({}))
  })
  afterAll(async () => {
    for (const api of started) await api.close()
    await setting.pool.end()
  })
  return setting
}

/** As the controller would: everything that was asked for is applied. */
export async function applyAll(pool: pg.Pool): Promise<void> {
  const { rows } = await pool.query('select id from lbaas.load_balancer')
  for (const { id } of rows)
    await transaction(pool, async tx => {
      const tree = (await trees.loadForUpdate(tx, id))!
      await trees.save(tx, tree, settle(tree, { generation: tree.load_balancer.generation, failed: new Map() }))
    })
}

const defaults: ApiOptions = {
  auth_strategy: 'keystone',
  locking: 'queue',
  topology: 'SINGLE',
  providers: [amphora_provider],
  default_provider: 'amphora',
  quotas: { load_balancer: -1, listener: -1, pool: -1, member: -1, health_monitor: -1, l7policy: -1, l7rule: -1 },
  reserved_ips: ['169.254.169.254'],
  ping_allowed: true,
  tls: usual_tls,
  pagination_max_limit: 1000,
  policy_file: null,
  amp_image_owner_id: null,
}

function caller(port: number): Call {
  return async (method, path, body, { token = 'demo', headers = {}, raw } = {}) => {
    const url = path.startsWith('=') ? path.slice(1) : `/v2.0/lbaas${path}`
    const sent = raw ?? (body === undefined ? undefined : JSON.stringify(body))
    const response = await fetch(`http://127.0.0.1:${port}${url}`, {
      method,
      headers: {
        ...(token ? { 'x-auth-token': token } : {}),
        ...(sent === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      body: sent,
    })
    const text = await response.text()
    const is_json = response.headers.get('content-type')?.includes('json')
    return { status: response.status, headers: response.headers, body: is_json ? JSON.parse(text) : text }
  }
}

function answer(body: unknown): CloudAnswer {
  return { status: 200, body, headers: {} }
}
