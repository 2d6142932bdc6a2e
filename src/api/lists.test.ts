/** Lists: filters, fields, order, pages, tags, and who sees what. */
import { beforeAll, describe, expect, test } from 'vitest'
import { apiForTests, applyAll, demo, foreign_subnet, other, subnet } from './pretended.ts'

const api = apiForTests()
type Row = Record<string, unknown>
const ids: string[] = []
let pool = ''

beforeAll(async () => {
  const tags = [['a', 'b'], ['b'], [], ['a', 'c'], ['c']]
  for (const [i, own] of tags.entries()) {
    const loadbalancer = {
      name: `lb${i % 3}`,
      description: i < 2 ? 'old' : 'new',
      vip_subnet_id: subnet,
      tags: own,
      admin_state_up: i !== 4,
    }
    const { body } = await api.octavia('POST', '/loadbalancers', { loadbalancer })
    ids.push(String((body as { loadbalancer: Row }).loadbalancer.id))
  }
  await api.octavia(
    'POST',
    '/loadbalancers',
    { loadbalancer: { name: 'foreign', vip_subnet_id: foreign_subnet } },
    { token: 'other' },
  )
  for (const [i, loadbalancer_id] of [ids[0], ids[0], ids[1]].entries())
    await api.octavia('POST', '/listeners', { listener: { loadbalancer_id, protocol: 'HTTP', protocol_port: 80 + i } })
  const made = await api.octavia('POST', '/pools', {
    pool: { loadbalancer_id: ids[0], protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' },
  })
  pool = String((made.body as { pool: Row }).pool.id)
  await api.octavia('POST', `/pools/${pool}/members`, { member: { address: '10.0.0.21', protocol_port: 80 } })
  await applyAll(api.pool)
  await api.octavia('PUT', `/loadbalancers/${ids[3]}`, { loadbalancer: { name: 'lb0' } })
})

const listed = async (query: string, token = 'demo', path = '/loadbalancers', call = api.octavia) => {
  const { status, body } = await call('GET', `${path}${query}`, undefined, { token })
  expect(status).toBe(200)
  return body as Record<string, Row[]>
}
/** Which of the five, by their number. */
const numbers = async (query: string, token?: string) =>
  (await listed(query, token)).loadbalancers!.map(row => ids.indexOf(String(row.id)))

describe('filters', () => {
  test.each([
    ['', [0, 1, 2, 3, 4]],
    ['?name=lb0', [0, 3]],
    ['?name=lb0&name=lb2', [0, 2, 3]],
    ['?name=lb0&description=new', [3]],
    ['?name=', []],
    ['?name=%00', []],
    ["?name=lb0'%20or%20true--", []],
    ['?admin_state_up=False', [4]],
    ['?admin_state_up=perhaps', []],
    ['?provisioning_status=PENDING_UPDATE', [3]],
    ['?provisioning_status=ACTIVE&provisioning_status=ERROR', [0, 1, 2, 4]],
    ['?operating_status=OFFLINE', [4]],
    ['?operating_status=ONLINE', [0, 1, 2, 3]],
    ['?operating_status=MELTED', []],
    ['?provider=octavia', [0, 1, 2, 3, 4]],
    ['?provider=amphora', [0, 1, 2, 3, 4]],
    [`?vip_subnet_id=${subnet.toUpperCase()}`, [0, 1, 2, 3, 4]],
    ['?vip_subnet_id=none', []],
    ['?id=none', []],
    [`?project_id=${demo}`, [0, 1, 2, 3, 4]],
    [`?tenant_id=${other}`, []],
    ['?tags=a', [0, 3]],
    ['?tags=a,b', [0]],
    ['?tags-any=b,c', [0, 1, 3, 4]],
    ['?not-tags=a,b', [1, 2, 3, 4]],
    ['?not-tags-any=a,b', [2, 4]],
    ['?tags=c&not-tags=a', [4]],
  ])('%s', async (query, expected) => {
    expect(await numbers(query)).toEqual(expected)
  })

  test('by the VIP’s address in any spelling, by time', async () => {
    const [first] = (await listed('?fields=vip_address&fields=created_at&sort=created_at')).loadbalancers!
    expect(await numbers(`?vip_address=${first!.vip_address}`)).toEqual([0])
    expect(await numbers(`?created_at=${first!.created_at}`)).toContain(0)
    expect(await numbers('?created_at=never')).toEqual([])
  })

  test('listeners of a load balancer, by number', async () => {
    const { listeners } = await listed(`?loadbalancer_id=${ids[0]}&protocol_port=81`, 'demo', '/listeners')
    expect(listeners).toHaveLength(1)
    expect((await listed('?protocol_port=x', 'demo', '/listeners')).listeners).toEqual([])
    expect((await listed('?protocol_port=99999999999999999999', 'demo', '/listeners')).listeners).toEqual([])
  })

  test('what Neutron refuses', async () => {
    expect(await api.neutron('GET', '/loadbalancers?nonsense=1')).toMatchObject({
      status: 400,
      body: { NeutronError: { type: 'HTTPBadRequest', message: "['nonsense'] is invalid attribute for filtering" } },
    })
  })
})

describe('fields', () => {
  test('several, unknown ones, and of one object', async () => {
    const { loadbalancers } = await listed('?fields=id&fields=name&fields=nonsense&name=lb1')
    expect(loadbalancers).toEqual([
      { id: ids[1], name: 'lb1' },
      { id: ids[4], name: 'lb1' },
    ])
    const short = (await listed('?limit=1&fields=name')).loadbalancers_links![0]!
    expect(new URL(String(short.href)).searchParams.get('fields')).toBe('name')
    expect((await api.octavia('GET', `/loadbalancers/${ids[0]}?fields=name`)).body).toEqual({
      loadbalancer: { name: 'lb0' },
    })
  })
})

describe('order', () => {
  test.each([
    ['?sort=name:desc,created_at:desc', [2, 4, 1, 3, 0]],
    ['?sort=name', [0, 3, 1, 4, 2]],
    ['?sort_key=name&sort_dir=desc&sort_key=created_at&sort_dir=asc', [2, 1, 4, 0, 3]],
    ['?sort_key=updated_at&sort_key=name', [3, 0, 1, 4, 2]],
    ['?sort_key=name,created_at&sort_dir=DESC,asc', [2, 1, 4, 0, 3]],
    ['?limit=infinite', [0, 1, 2, 3, 4]],
    ['?limit=-1', [0, 1, 2, 3, 4]],
    ['?limit=2', [0, 1]],
    ['?limit=2&page_reverse=true', [3, 4]],
    ['?sort=updated_at:desc,name', [0, 1, 4, 2, 3]],
    ['?sort=operating_status,created_at:desc', [4, 3, 2, 1, 0]],
  ])('%s', async (query, expected) => {
    expect(await numbers(query)).toEqual(expected)
  })

  test.each([
    ['?sort=colour', "Supplied sort key 'colour' is not valid."],
    ['?sort=tags', "Supplied sort key 'tags' is not valid."],
    ['?sort=name:up', "Supplied sort direction 'up' is not valid."],
    ['?limit=x', "Supplied pagination limit 'x' is not valid."],
    ['?unknown=1', 'One or more arguments are either duplicate or invalid'],
    ['?marker=x', "Supplied pagination marker 'x' is not valid."],
  ])('%s is refused', async (query, faultstring) => {
    expect(await api.octavia('GET', `/loadbalancers${query}`)).toMatchObject({ status: 400, body: { faultstring } })
  })
})

describe('pages', () => {
  test.each([
    '',
    '&sort=name:desc',
    '&sort=description,name',
    '&sort=updated_at:desc',
    '&sort=updated_at',
    '&sort=operating_status',
  ])('forth and back cover everything once, in order (%s)', async sort => {
    const all = await numbers(`?limit=0${sort}`)
    const forth: number[] = []
    let query = `?limit=2${sort}`
    let last = query
    for (;;) {
      const page = await listed(query)
      forth.push(...page.loadbalancers!.map(row => ids.indexOf(String(row.id))))
      expect(page.loadbalancers!.length).toBeLessThanOrEqual(2)
      const next = page.loadbalancers_links!.find(link => link.rel === 'next')
      last = query
      if (!next) break
      query = new URL(String(next.href)).search
    }
    expect(forth).toEqual(all)
    const back: number[] = []
    for (query = last; ; ) {
      const page = await listed(query)
      back.unshift(...page.loadbalancers!.map(row => ids.indexOf(String(row.id))))
      const previous = page.loadbalancers_links!.find(link => link.rel === 'previous')
      if (!previous) break
      query = new URL(String(previous.href)).search
    }
    expect(back).toEqual(all)
  })

  test('a deployment’s limit is the most; Neutron has links only where there is more', async () => {
    const { octavia, neutron } = await api.start({ pagination_max_limit: 3 })
    expect((await listed('?limit=100', 'demo', '/loadbalancers', octavia)).loadbalancers).toHaveLength(3)
    const page = await listed('', 'demo', '/loadbalancers', neutron)
    expect(page.loadbalancers_links).toMatchObject([{ rel: 'next' }])
    expect(await listed('?name=lb2', 'demo', '/loadbalancers', neutron)).not.toHaveProperty('loadbalancers_links')
  })
})

describe('who sees what', () => {
  test.each([
    ['demo', 5],
    ['reader', 5],
    ['observer', 5],
    ['other', 1],
    ['admin', 6],
    ['global', 6],
  ])('%s sees %d', async (token, count) => {
    for (const call of [api.octavia, api.neutron])
      expect((await listed('', token, '/loadbalancers', call)).loadbalancers).toHaveLength(count)
  })

  test('nobody and the quota’s admin see nothing, readers write nothing', async () => {
    for (const token of ['nobody', 'quota', 'service']) {
      expect(await api.octavia('GET', '/loadbalancers', undefined, { token })).toMatchObject({ status: 403 })
      expect(await api.neutron('GET', '/loadbalancers', undefined, { token })).toMatchObject({
        status: 403,
      })
    }
    for (const token of ['reader', 'observer', 'nobody']) {
      const body = { loadbalancer: { vip_subnet_id: subnet } }
      expect(await api.octavia('POST', '/loadbalancers', body, { token })).toMatchObject({
        status: 403,
        body: { faultstring: 'Policy does not allow this request to be performed.' },
      })
      expect(await api.neutron('DELETE', `/loadbalancers/${ids[0]}`, undefined, { token })).toMatchObject({
        status: 403,
        body: {
          NeutronError: { type: 'PolicyNotAuthorized', message: '(rule:delete_loadbalancer) is disallowed by policy' },
        },
      })
    }
  })

  test('who may not make a child is refused by the child’s rule, not by that of what it belongs to', async () => {
    const token = 'reader'
    const member = { member: { address: '10.9.9.9', protocol_port: 80 } }
    expect(await api.neutron('POST', `/pools/${pool}/members`, member, { token })).toMatchObject({
      status: 403,
      body: { NeutronError: { message: '(rule:create_member) is disallowed by policy' } },
    })
  })

  test('another service reads members, and not their pool', async () => {
    const token = 'service'
    expect((await listed('', token, `/pools/${pool}/members`)).members).toHaveLength(1)
    expect(await api.octavia('GET', `/pools/${pool}`, undefined, { token })).toMatchObject({ status: 403 })
  })

  test('an admin narrows by project', async () => {
    expect(await numbers(`?project_id=${demo}`, 'admin')).toEqual([0, 1, 2, 3, 4])
    expect((await listed(`?tenant_id=${other}`, 'admin')).loadbalancers).toMatchObject([{ name: 'foreign' }])
  })
})
