/** Laws of lists: a constant number of statements, pages that visit every row once, filters by all that is shown. */
import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import pg from 'pg'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { newAmphora } from '../lbaas/amphora.ts'
import { wireName } from '../lbaas/resource.ts'
import { isSortable } from '../store/lists.ts'
import { tables } from '../store/schema.ts'
import { transaction } from '../store/transaction.ts'
import * as trees from '../store/trees.ts'
import { type Answer, apiForTests, subnet } from './pretended.ts'

const api = apiForTests()
const admin = { token: 'admin' }
type Row = Record<string, unknown>
type Links = { rel: string; href: string }[]

/** A list of the API: its path, its table, and what one more row must have of its own. */
type Collection = { path: string; table: string; own: string }
const own_id = `'id', gen_random_uuid()`
/** A pool that has no monitor. */
const free_pool = `(select id from lbaas.pool p order by exists (select from lbaas.health_monitor h where h.pool_id = p.id), id
  offset n - 1 limit 1)`
const collections: Record<string, Collection> = {
  loadbalancers: { path: 'loadbalancers', table: 'load_balancer', own: `${own_id}, 'vip_port_id', gen_random_uuid()` },
  listeners: { path: 'listeners', table: 'listener', own: `${own_id}, 'protocol_port', 1000 + n` },
  pools: { path: 'pools', table: 'pool', own: own_id },
  healthmonitors: { path: 'healthmonitors', table: 'health_monitor', own: `${own_id}, 'pool_id', ${free_pool}` },
  members: { path: 'pools/:parent_id/members', table: 'member', own: `${own_id}, 'protocol_port', 1000 + n` },
  l7policies: { path: 'l7policies', table: 'l7policy', own: `${own_id}, 'position', 1 + n` },
  rules: { path: 'l7policies/:parent_id/rules', table: 'l7rule', own: own_id },
  amphorae: { path: '../octavia/amphorae', table: 'amphora', own: own_id },
  flavors: { path: 'flavors', table: 'flavor', own: `${own_id}, 'name', 'name ' || n` },
  flavorprofiles: { path: 'flavorprofiles', table: 'flavor_profile', own: own_id },
  availability_zones: { path: 'availabilityzones', table: 'availability_zone', own: `'name', 'name ' || n` },
  availability_zone_profiles: {
    path: 'availabilityzoneprofiles',
    table: 'availability_zone_profile',
    own: own_id,
  },
  quotas: { path: 'quotas', table: 'quota', own: `'project_id', 'project ' || n` },
}
const names = Object.keys(collections)
/** Answered as a list, and no table: the providers are the deployment's. */
const without_table = ['providers']

const made: Record<string, string> = {}
let pool = ''
const urlOf = ({ path }: Collection) => {
  const parent = path.startsWith('pools') ? pool : made.l7policies!
  return `=${new URL(`http://x/v2.0/lbaas/${path.replace(':parent_id', parent)}`).pathname}`
}
const get = (url: string, call = api.octavia) => call('GET', url, undefined, admin)
const plural = (name: string) => (name === 'amphorae' ? 'amphorae' : name)
const rowsOf = (answer: Answer, name: string) => {
  expect(answer).toMatchObject({ status: 200 })
  return (answer.body as Record<string, Row[]>)[plural(name)]!
}

beforeAll(async () => {
  const post = async (path: string, body: object) => {
    const answer = await api.octavia('POST', path, body, admin)
    expect(answer).toMatchObject({ status: 201 })
    const [object] = Object.values(answer.body as Record<string, { id?: string; name: string }>)
    made[path.slice(1)] = object!.id ?? object!.name
    return object!.id ?? object!.name
  }
  const project_id = 'demo-project'
  const loadbalancer_id = await post('/loadbalancers', {
    loadbalancer: { vip_subnet_id: subnet, project_id, tags: ['a'] },
  })
  pool = await post('/pools', {
    pool: {
      loadbalancer_id,
      protocol: 'HTTP',
      lb_algorithm: 'ROUND_ROBIN',
      session_persistence: { type: 'APP_COOKIE', cookie_name: 'c' },
    },
  })
  const listener = { loadbalancer_id, protocol: 'HTTP', protocol_port: 80, default_pool_id: pool }
  const more = { allowed_cidrs: ['10.0.0.0/8', '10.1.0.0/16'], insert_headers: { 'X-Forwarded-For': 'true' } }
  await post('/listeners', { listener: { ...listener, ...more, description: 'd' } })
  const http = { http_method: 'GET', url_path: '/', http_version: 1.1, domain_name: 'a.example' }
  const monitor = { pool_id: pool, type: 'HTTP', delay: 5, timeout: 3, max_retries: 2, ...http }
  await post('/healthmonitors', { healthmonitor: monitor })
  const address = { address: '10.0.0.21', monitor_address: '10.0.0.22', monitor_port: 81, subnet_id: subnet }
  made.members = await post(`/pools/${pool}/members`, { member: { ...address, protocol_port: 80, backup: true } })
  const l7policy = { listener_id: made.listeners, action: 'REDIRECT_TO_URL', redirect_url: 'http://a.example' }
  await post('/l7policies', { l7policy: { ...l7policy, description: 'd', tags: ['a'] } })
  const rule = { type: 'HEADER', key: 'k', compare_type: 'EQUAL_TO', value: 'v' }
  await post(`/l7policies/${made.l7policies}/rules`, { rule })
  const flavor = { name: 'p', provider_name: 'amphora', flavor_data: '{}' }
  const flavor_profile_id = await post('/flavorprofiles', { flavorprofile: flavor })
  await post('/flavors', { flavor: { name: 'f', description: 'd', flavor_profile_id } })
  const zone = { name: 'p', provider_name: 'amphora', availability_zone_data: '{}' }
  const availability_zone_profile_id = await post('/availabilityzoneprofiles', { availability_zone_profile: zone })
  await post('/availabilityzones', { availability_zone: { name: 'z', description: 'd', availability_zone_profile_id } })
  await api.octavia('PUT', '/quotas/demo-project', { quota: { pool: 5 } }, admin)
  await transaction(api.pool, async tx => {
    const tree = (await trees.loadForUpdate(tx, loadbalancer_id))!
    const created_at = '2026-01-01T00:00:00.000Z'
    const amphora = newAmphora({ id: randomUUID(), load_balancer_id: loadbalancer_id, created_at, role: 'MASTER' })
    await trees.save(tx, tree, {
      ...tree,
      amphorae: [{ ...amphora, vrrp_ip: '10.0.0.3', cert_expiration: created_at }],
    })
  })
})

test('every list of the running API is tried here', () => {
  // what has one object below it by GET, or ends with links
  const routes = api.api.routes.octavia.filter(route =>
    /^GET \/v2.0\/(lbaas|octavia)\/[^:]*(:parent_id\/\w+)?$/.test(route),
  )
  const known = [...names.map(name => collections[name]!.path), ...without_table, 'quotas/defaults']
  expect(routes.toSorted()).toEqual(
    known.map(path => `GET ${new URL(`http://x/v2.0/lbaas/${path}`).pathname}`).toSorted(),
  )
})

test.each(['octavia', 'neutron'] as const)(
  'objects have the fields that the document of the %s dialect says',
  async dialect => {
    const { body } = await api[dialect]('GET', '=/openapi.json', undefined, { token: '' })
    const { schemas } = (body as { components: { schemas: Record<string, { properties: object }> } }).components
    for (const name of names) {
      const collection = collections[name]!
      const schema = schemas[tables[collection.table as keyof typeof tables].title.replaceAll(' ', '')]
      if (dialect === 'neutron' && !schema) continue
      const url = name === 'quotas' && dialect === 'neutron' ? '=/v2.0/quotas' : urlOf(collection)
      const [row] = rowsOf(await get(url, api[dialect]), name)
      expect([name, Object.keys(row!).toSorted()]).toEqual([name, Object.keys(schema!.properties).toSorted()])
    }
  },
)

describe('every field that is shown', () => {
  test.each(names.filter(name => name !== 'quotas'))('filters %s', async name => {
    const collection = collections[name]!
    const [row] = rowsOf(await get(urlOf(collection)), name)
    const tried: string[] = []
    for (const [field, value] of Object.entries(row!)) {
      if (value === null || field === 'tags') continue
      for (const one of asked(value)) {
        const url = `${urlOf(collection)}?${field}=${encodeURIComponent(one)}`
        expect([field, rowsOf(await get(url), name)]).toEqual([field, [row]])
        expect([field, rowsOf(await get(`${url}&${field}=x`), name)]).toEqual([field, [row]])
        // and nothing is found by what no row has; a number, an id, an address that it is not
        for (const other of ['x', '', '%00', '7', randomUUID(), '{}'].filter(it => it !== one)) {
          const found = rowsOf(await get(`${urlOf(collection)}?${field}=${other}`), name)
          expect([field, other, found]).toEqual([field, other, []])
        }
        tried.push(field)
      }
    }
    expect(tried.length).toBeGreaterThan(2)
  })

  /** Values by which the object is found. */
  function asked(value: unknown): string[] {
    if (Array.isArray(value)) return value.map(one => (typeof one === 'object' ? String(one.id) : String(one)))
    return [typeof value === 'object' ? JSON.stringify(value) : String(value)]
  }

  test('in Neutron’s dialect too', async () => {
    for (const name of ['loadbalancers', 'listeners', 'pools', 'members', 'healthmonitors', 'l7policies', 'rules']) {
      const collection = collections[name]!
      const [row] = rowsOf(await get(urlOf(collection), api.neutron), name)
      for (const [field, value] of Object.entries(row!)) {
        // a record shows here only the parts that Neutron knew
        if (value === null || field === 'session_persistence') continue
        for (const one of asked(value))
          expect([field, rowsOf(await get(`${urlOf(collection)}?${field}=${one}`, api.neutron), name)]).toEqual([
            field,
            [row],
          ])
      }
    }
  })

  test.each([
    ['listeners', 'load_balancer_id', 'loadbalancers'],
    ['listeners', 'loadbalancer_id', 'loadbalancers'],
    ['pools', 'loadbalancer_id', 'loadbalancers'],
    ['pools', 'listener_id', 'listeners'],
    ['pools', 'healthmonitor_id', 'healthmonitors'],
    ['healthmonitors', 'pool_id', 'pools'],
    ['listeners', 'l7policies', 'l7policies'],
    ['l7policies', 'listener_id', 'listeners'],
    ['loadbalancers', 'pools', 'pools'],
    ['amphorae', 'loadbalancer_id', 'loadbalancers'],
  ])('%s by %s', async (name, field, of) => {
    const url = urlOf(collections[name]!)
    expect(rowsOf(await get(`${url}?${field}=${made[of]}`), name)).toHaveLength(1)
    expect(rowsOf(await get(`${url}?${field}=${randomUUID()}`), name)).toHaveLength(0)
    expect(rowsOf(await get(`${url}?${field}=${randomUUID()}&${field}=${made[of]}`), name)).toHaveLength(1)
  })
})

describe('with 100 rows', () => {
  /** How many statements reach PostgreSQL for one request. */
  async function statements(url: string, call = api.octavia): Promise<number> {
    const query = vi.spyOn(pg.Client.prototype, 'query')
    try {
      const answer = await get(url, call)
      expect(answer.status).toBe(200)
      return query.mock.calls.length
    } finally {
      query.mockRestore()
    }
  }
  const few: Record<string, number> = {}

  beforeAll(async () => {
    for (const name of names) {
      const { table, own } = collections[name]!
      few[name] = await statements(urlOf(collections[name]!))
      await api.pool.query(
        `insert into lbaas.${table}
         select (jsonb_populate_record(o, jsonb_build_object(${own}))).*
         from lbaas.${table} o, generate_series(1, 99) n`,
      )
      // what differs, and what does not; null among it
      if (table !== 'quota')
        await api.pool.query(
          `update lbaas.${table} set created_at = created_at + (ascii(ctid::text) % 3) * interval '1 s'`,
        )
      if (
        ['load_balancer', 'listener', 'pool', 'health_monitor', 'member', 'l7policy', 'l7rule', 'amphora'].includes(
          table,
        )
      )
        await api.pool.query(
          `update lbaas.${table} set updated_at = case when random() < 0.4 then null
             else created_at + floor(random() * 4) * interval '1 s' end`,
        )
      if ('name' in (rowsOf(await get(urlOf(collections[name]!)), name)[0] ?? {}) && !own.includes(`'name'`))
        await api.pool.query(`update lbaas.${table} set name = 'name ' || floor(random() * 5)`)
    }
  })

  test.each(names)('%s cost as many statements as with one', async name => {
    const url = urlOf(collections[name]!)
    expect(rowsOf(await get(url), name)).toHaveLength(100)
    expect(await statements(url)).toBe(few[name])
    expect(few[name]).toBeLessThanOrEqual(6)
  })

  test.each(['loadbalancers', 'listeners', 'pools', 'members', 'healthmonitors', 'l7policies', 'rules'])(
    '%s: in Neutron’s too',
    async name => {
      const url = urlOf(collections[name]!)
      expect(rowsOf(await get(url, api.neutron), name)).toHaveLength(100)
      expect(await statements(url, api.neutron)).toBe(await statements(`${url}?limit=1`, api.neutron))
    },
  )

  test.each(names)('%s: pages forth and back visit each once, in one order', async name => {
    const url = urlOf(collections[name]!)
    const all = rowsOf(await get(url), name)
    const sortable = sortableOf(collections[name]!.table).filter(field => field in all[0]!)
    const key = (row: Row) => String(row.id ?? row.name ?? row.project_id)
    const sort = fc.array(fc.tuple(fc.constantFrom(...sortable), fc.constantFrom('', ':asc', ':desc', ':DESC')), {
      maxLength: 3,
    })
    const order = fc.record({ sort, limit: fc.integer({ min: 9, max: 60 }), reverse: fc.boolean() })
    await fc.assert(
      fc.asyncProperty(order, async ({ sort, limit, reverse }) => {
        const sorted = sort.length ? `sort=${sort.map(([field, direction]) => field + direction).join(',')}` : ''
        const whole = rowsOf(await get(`${url}?${sorted}`), name).map(key)
        expect(new Set(whole).size).toBe(100)
        const forth = await walked(`${url}?${sorted}&limit=${limit}`, name, 'next')
        expect(forth.map(key)).toEqual(whole)
        const start = reverse ? `${url}?${sorted}&limit=${limit}&page_reverse=True` : forth.last
        const back = await walked(start, name, 'previous')
        expect(back.map(key)).toEqual(whole)
      }),
      { numRuns: 6 },
    )
  })

  /** All rows of the pages that the links lead to, in the list's order; `last` is where the last page was. */
  async function walked(start: string, name: string, rel: 'next' | 'previous'): Promise<Row[] & { last: string }> {
    const rows = Object.assign([] as Row[], { last: start })
    for (let url: string | undefined = start; url !== undefined; ) {
      rows.last = url
      const answer: Answer = await get(url)
      const page = rowsOf(answer, name)
      if (rel === 'next') rows.push(...page)
      else rows.unshift(...page)
      const links = Object.entries(answer.body as Row).find(([key]) => key.endsWith('_links'))![1] as Links
      const href = links.find(link => link.rel === rel)?.href
      url = href && `=${new URL(href).pathname}${new URL(href).search}`
    }
    return rows
  }

  /** By their names on the wire. */
  function sortableOf(table: string): string[] {
    return Object.entries(tables[table as keyof typeof tables].fields)
      .filter(([, field]) => isSortable(field))
      .map(([column, field]) => wireName(column, field))
  }
})
