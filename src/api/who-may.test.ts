/** Every route × every role: what the running servers answer is tried with nine tokens, on objects of two projects. */
import { randomUUID } from 'node:crypto'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { newAmphora } from '../lbaas/amphora.ts'
import * as quotas from '../store/quotas.ts'
import { transaction } from '../store/transaction.ts'
import * as trees from '../store/trees.ts'
import { type Answer, apiForTests, demo, foreign_subnet, other, subnet } from './pretended.ts'

const api = apiForTests()

/** Whose the tokens are; `demo` and `other` also own the objects that are asked for. */
const projects = {
  ...{ demo, other, admin: 'admin-project', reader: demo, observer: demo, global: other },
  ...{ service: 'service-project', quota: other, nobody: demo },
}
type Token = keyof typeof projects
const tokens = Object.keys(projects) as Token[]

/** Kind of route to what each token may: of its own project's, of all, or nothing. Keystone's roles are demo (member,
 *  reader), admin, reader and service; the legacy ones other (member), observer, global (observer) and quota (admin). */
const rights = readTable(`
                  demo  other  admin  reader  observer  global  service  quota  nobody
  read            own   own    all    own     own       all     -        -      -
  read members    own   own    all    own     own       all     all      -      -
  write           own   own    all    -       -         -       -        -      -
  read quotas     own   own    all    own     own       all     -        all    -
  read defaults   all   all    all    all     all       all     -        all    -
  write quotas    -     -      all    -       -         -       -        all    -
  read offers     all   all    all    all     all       all     -        -      -
  administrate    -     -      all    -       -         -       -        -      -
  any token       all   all    all    all     all       all     all      all    all
`)
type Kind = string

/** Route to its kind. A route that is not here fails the test below: give it a row. */
const both_dialects: Record<string, Kind> = {
  ...tenants('loadbalancers'),
  ...tenants('listeners'),
  ...tenants('pools'),
  ...tenants('healthmonitors'),
  ...tenants('pools/:parent_id/members'),
  'GET pools/:parent_id/members': 'read members',
  ...tenants('l7policies'),
  ...tenants('l7policies/:parent_id/rules'),
  'GET loadbalancers/:id/status': 'read',
  'GET loadbalancers/:id/statuses': 'read',
  'GET loadbalancers/:id/stats': 'read',
  'GET listeners/:id/stats': 'read',
}
const octavia_only: Record<string, Kind> = {
  'PUT pools/:parent_id/members': 'write',
  'PUT loadbalancers/:id/failover': 'administrate',
  'GET quotas': 'read quotas',
  'GET quotas/defaults': 'read defaults',
  'GET quotas/:project_id': 'read quotas',
  'GET quotas/:project_id/default': 'read quotas',
  'PUT quotas/:project_id': 'write quotas',
  'DELETE quotas/:project_id': 'write quotas',
  'GET ../octavia/amphorae': 'administrate',
  'GET ../octavia/amphorae/:id': 'administrate',
  'GET ../octavia/amphorae/:id/stats': 'administrate',
  'PUT ../octavia/amphorae/:id/failover': 'administrate',
  'PUT ../octavia/amphorae/:id/config': 'administrate',
  'DELETE ../octavia/amphorae/:id': 'administrate',
  'GET providers': 'read offers',
  'GET providers/:provider/flavor_capabilities': 'administrate',
  'GET providers/:provider/availability_zone_capabilities': 'administrate',
  ...tenants('flavors', 'read offers', 'administrate'),
  ...tenants('flavorprofiles', 'administrate', 'administrate'),
  ...tenants('availabilityzones', 'read offers', 'administrate', ':name'),
  ...tenants('availabilityzoneprofiles', 'administrate', 'administrate'),
}
/** Answered without a token. */
const open = {
  octavia: ['GET /', 'GET /healthcheck', 'GET /openapi.json', 'GET /docs', 'GET /docs/:file'],
  neutron: ['GET /healthcheck', 'GET /openapi.json', 'GET /docs', 'GET /docs/:file'],
}
const prefixes = { octavia: ['/v2.0/lbaas', '/v2/lbaas'], neutron: ['/v2.0/lbaas'] }

const expected = {
  octavia: new Map(prefixes.octavia.flatMap(prefix => placed(prefix, { ...both_dialects, ...octavia_only }))),
  neutron: new Map([
    ...prefixes.neutron.flatMap(prefix => placed(prefix, both_dialects)),
    ['GET /v2.0/lbaas/loadbalancers/:id/loadbalancer-hosting-agent', 'administrate'],
    ['GET /v2.0/service-providers', 'any token'],
    // administrators alone see some in it
    ['GET /v2.0/agents', 'any token'],
    ['GET /v2.0/agents/:id', 'administrate'],
    ['GET /v2.0/agents/:id/agent-loadbalancers', 'administrate'],
    ['GET /v2.0/quotas', 'read quotas'],
    ['GET /v2.0/quotas/:project_id', 'read quotas'],
    ['GET /v2.0/quotas/:project_id/default', 'read quotas'],
    ['GET /v2.0/quotas/:project_id/details', 'read quotas'],
    ['PUT /v2.0/quotas/:project_id', 'write quotas'],
    ['DELETE /v2.0/quotas/:project_id', 'write quotas'],
  ]),
}

/** What each project has one of, by collection; what belongs to nobody is the same in both. */
const objects: Record<string, Record<string, string>> = { [demo]: {}, [other]: {} }

beforeAll(async () => {
  const made = async (token: string, path: string, body: object) => {
    const answer = await api.octavia('POST', path, body, { token })
    expect(answer).toMatchObject({ status: 201 })
    const [object] = Object.values(answer.body as Record<string, { id?: string; name: string }>)
    return object!.id ?? object!.name
  }
  const offered: Record<string, string> = {}
  for (const path of ['flavorprofiles', 'flavors', 'availabilityzoneprofiles', 'availabilityzones'])
    offered[path] = await made('admin', `/${path}`, bodies[path]!(offered))
  for (const [project, token] of [
    [demo, 'demo'],
    [other, 'other'],
  ] as const) {
    const has = objects[project]!
    Object.assign(has, { subnet: project === demo ? subnet : foreign_subnet, quotas: project })
    for (const path of ['loadbalancers', 'listeners', 'pools', 'healthmonitors', 'members', 'l7policies', 'rules']) {
      const at = below[path] ? `${below[path]}/${has[below[path]]}/${path}` : path
      has[path] = await made(token, `/${at}`, bodies[path]!(has))
    }
    Object.assign(has, { ...offered, amphorae: randomUUID() })
    has.agents = has.amphorae!
    await transaction(api.pool, async tx => {
      const tree = (await trees.loadForUpdate(tx, has.loadbalancers!))!
      const row = { id: has.amphorae!, load_balancer_id: has.loadbalancers!, created_at: '2026-01-01T00:00:00.000Z' }
      await trees.save(tx, tree, { ...tree, amphorae: [{ ...newAmphora(row), status: 'ALLOCATED' }] })
    })
  }
})

beforeEach(async () => {
  for (const project of [demo, other]) await quotas.set(api.pool, project, { pool: 50 })
})

/** A body that the schema lets through, so that the policy is what decides. */
const bodies: Record<string, (has: Record<string, string>) => object> = {
  loadbalancers: has => ({ loadbalancer: { vip_subnet_id: has.subnet, project_id: has.quotas } }),
  listeners: has => ({ listener: { loadbalancer_id: has.loadbalancers, protocol: 'HTTP', protocol_port: port() } }),
  pools: has => ({ pool: { loadbalancer_id: has.loadbalancers, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' } }),
  healthmonitors: has => ({
    healthmonitor: { pool_id: has.pools, type: 'TCP', delay: 5, timeout: 3, max_retries: 2 },
  }),
  members: has => ({ member: { address: '10.9.9.9', protocol_port: port(), subnet_id: has.subnet } }),
  l7policies: has => ({ l7policy: { listener_id: has.listeners, action: 'REJECT' } }),
  rules: () => ({ rule: { type: 'PATH', compare_type: 'EQUAL_TO', value: '/x' } }),
  flavors: has => ({ flavor: { name: randomUUID(), flavor_profile_id: has.flavorprofiles } }),
  flavorprofiles: () => ({ flavorprofile: { name: 'p', provider_name: 'amphora', flavor_data: '{}' } }),
  availabilityzoneprofiles: () => ({
    availability_zone_profile: { name: 'p', provider_name: 'amphora', availability_zone_data: '{}' },
  }),
  availabilityzones: has => ({
    availability_zone: { name: randomUUID(), availability_zone_profile_id: has.availabilityzoneprofiles },
  }),
  quotas: () => ({ quota: { pool: 50 } }),
}
/** What hangs below what. */
const below: Record<string, string> = { members: 'pools', rules: 'l7policies' }

/** Of collections whose singular is more than their plural without its s. */
const singulars: Record<string, string> = {
  l7policies: 'l7policy',
  availabilityzones: 'availability_zone',
  availabilityzoneprofiles: 'availability_zone_profile',
}
let ports = 1_000
const port = () => ++ports

describe.each(['octavia', 'neutron'] as const)('the %s dialect', dialect => {
  let running: Awaited<ReturnType<typeof api.start>>
  beforeAll(async () => {
    running = await api.start({})
  })

  test('has a row for every route, and a route for every row', () => {
    const { routes } = running.api
    expect(routes[dialect].toSorted()).toEqual([...open[dialect], ...expected[dialect].keys()].toSorted())
  })

  test.each(open[dialect])('%s asks for no token', async route => {
    const answer = await api[dialect]('GET', `=${route.slice('GET '.length).replace(':file', 'begin.js')}`, undefined, {
      token: '',
    })
    expect(answer).toMatchObject({ status: 200 })
  })

  test.each([...expected[dialect]])('%s: %s', async (route, kind) => {
    const found: Record<string, string> = {}
    const wanted: Record<string, string> = {}
    for (const token of tokens) {
      wanted[token] = rights(kind, token)
      found[token] = await tried(dialect, route, token)
    }
    expect(found).toEqual(wanted)
    const answer = await ask(dialect, route, '', demo)
    expect(answer.status).toBe(401)
  })
})

/** What the token may, as the table says it. */
async function tried(dialect: 'octavia' | 'neutron', route: string, token: Token): Promise<string> {
  const of = async (project: string) => allowed(dialect, await ask(dialect, route, token, project), project)
  const [first, second] = [await of(demo), await of(other)]
  if (first && second) return 'all'
  if (!first && !second) return '-'
  return projects[token] === (first ? demo : other) ? 'own' : 'the others’'
}

/** Was it let through, and, of a list, was the project's object in it? What was refused for another reason was let
 *  through: it may be gone already, or going. */
function allowed(dialect: 'octavia' | 'neutron', answer: Answer, project: string): boolean {
  if (answer.status === 403) {
    if (dialect === 'octavia')
      expect(answer.body).toMatchObject({ faultstring: 'Policy does not allow this request to be performed.' })
    else expect(answer.body).toMatchObject({ NeutronError: { type: expect.stringMatching(/PolicyNotAuthorized/) } })
    return false
  }
  expect(answer.status).not.toBe(401)
  expect(answer.status).toBeLessThan(500)
  if (dialect === 'neutron' && answer.status === 404) return false
  // Neutron's way of refusing what is named to be another project's
  if (JSON.stringify(answer.body).includes('requires admin privileges')) return false
  const listed = Object.values((answer.body ?? {}) as object).find(Array.isArray) as
    | Record<string, unknown>[]
    | undefined
  if (!listed?.some(one => 'project_id' in one)) return true
  return listed.some(one => one.project_id === project)
}

function ask(dialect: 'octavia' | 'neutron', route: string, token: string, project: string): Promise<Answer> {
  const [method = '', path = ''] = route.split(' ')
  const has = objects[project]!
  const collection = path.split('/').findLast(part => part in has) ?? ''
  const url = path
    .replace(':parent_id', has[below[collection]!] ?? 'none')
    .replace(':project_id', project)
    .replace(':provider', 'amphora')
    .replace(/:(id|name)$|:id/, has[collection] ?? 'none')
  const is_write = method === 'POST' || method === 'PUT'
  // of an update only the root is there, and nothing changes
  if (method === 'PUT' && path.endsWith('/members')) return api[dialect](method, `=${url}`, { members: [] }, { token })
  const body =
    method === 'POST' ? bodies[collection]!(has) : { [singulars[collection] ?? collection.replace(/s$/, '')]: {} }
  const sent = is_write && !/\/(failover|config)$/.test(path) ? body : undefined
  return api[dialect](method, `=${url}`, sent, { token })
}

/** Six routes of a collection. */
function tenants(path: string, read: Kind = 'read', write: Kind = 'write', key = ':id'): Record<string, Kind> {
  return {
    [`GET ${path}`]: read,
    [`POST ${path}`]: write,
    [`GET ${path}/${key}`]: read,
    [`PUT ${path}/${key}`]: write,
    [`DELETE ${path}/${key}`]: write,
  }
}

function placed(prefix: string, rows: Record<string, Kind>): [string, Kind][] {
  return Object.entries(rows).map(([route, kind]) => {
    const [method, path] = route.split(' ')
    return [`${method} ${new URL(`http://x${prefix}/${path}`).pathname}`, kind]
  })
}

function readTable(text: string): (kind: Kind, token: Token) => string {
  const [head = '', ...rows] = text.trim().split('\n')
  const columns = head.trim().split(/\s+/)
  const cells = new Map(
    rows.map(row => {
      const [kind = '', ...given] = row.trim().split(/\s{2,}/)
      return [kind, given]
    }),
  )
  return (kind, token) => cells.get(kind)?.[columns.indexOf(token)] ?? `there is no row ${kind}`
}
