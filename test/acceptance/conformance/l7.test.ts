/** L7 policies and rules on the real stack: every action, every kind of rule, and the order that they go in. */
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { Api } from '../api.ts'
import { curl, type Servers, startEcho } from '../echo.ts'
import { Stack } from '../stack.ts'

const stack = new Stack(inject('stack_dir'))
let api: Api
let servers: Servers
let lb: string
let listener: string
let url: string
const pools: Record<'main' | 'other', string> = { main: '', other: '' }

beforeAll(async () => {
  api = await Api.of(stack, 'demo')
  servers = await startEcho(stack, api, { 8081: { name: 'main' }, 8082: { name: 'other' } })
  const flavor_id = await (await Api.of(stack, 'admin')).singleAmphora()
  const vip_subnet_id = await api.subnet('private-subnet')
  const member = (protocol_port: number) => ({ address: servers.address, protocol_port, subnet_id: vip_subnet_id })
  const pool = (name: string, port: number) => ({
    ...{ name, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN', members: [member(port)] },
  })
  const whole = await api.made('loadbalancers', 'loadbalancer', {
    ...{ name: 'l7', vip_subnet_id, flavor_id, pools: [pool('other', 8082)] },
    listeners: [{ protocol: 'HTTP', protocol_port: 80, default_pool: pool('main', 8081) }],
  })
  lb = whole.id
  const tree = whole as unknown as { listeners: { id: string }[]; pools: { id: string; name: string }[] }
  listener = tree.listeners[0]!.id
  for (const { id, name } of tree.pools) pools[name as 'main'] = id
  await api.settled(lb)
  url = `http://${whole.vip_address}`
})
afterAll(async () => {
  await api.removed(lb)
  await servers.stop()
})

type Rule = { type: string; compare_type: string; value: string; key?: string; invert?: boolean }

/** Makes the policies, waits, runs the test, and takes them away. */
async function under(policies: (Record<string, unknown> & { rules: Rule[] })[], work: () => Promise<void>) {
  const made = await Promise.all(
    policies.map(policy => api.made('l7policies', 'l7policy', { listener_id: listener, ...policy })),
  )
  await api.settled(lb)
  try {
    await work()
  } finally {
    for (const { id } of made) await api.octavia('DELETE', `l7policies/${id}`)
    await api.settled(lb)
  }
}

const to_other = (rule: Rule) => ({ action: 'REDIRECT_TO_POOL', redirect_pool_id: pools.other, rules: [rule] })
const path = (value: string): Rule => ({ type: 'PATH', compare_type: 'STARTS_WITH', value })

test('without policies all goes to the default pool', async () => {
  expect((await curl(stack, `${url}/x`)).echo).toMatchObject({ name: 'main', url: '/x' })
})

test('every action, in upstream’s order whatever the positions', async () => {
  const policies = [
    { ...to_other(path('/')), position: 1 },
    { action: 'REDIRECT_TO_URL', redirect_url: 'http://example.org/a%20b', rules: [path('/url')] },
    {
      ...{ action: 'REDIRECT_PREFIX', redirect_prefix: 'https://example.org', redirect_http_code: 308 },
      rules: [path('/prefix')],
    },
    { action: 'REJECT', rules: [path('/url/no')] },
  ]
  await under(policies, async () => {
    expect((await curl(stack, `${url}/any`)).echo?.name).toBe('other')
    expect(await curl(stack, `${url}/url`)).toMatchObject({ status: 302, location: 'http://example.org/a%20b' })
    expect(await curl(stack, `${url}/prefix/x?y=z`)).toMatchObject({
      status: 308,
      location: 'https://example.org/prefix/x?y=z',
    })
    expect((await curl(stack, `${url}/url/no`)).status).toBe(403)
  })
})

describe('rules', () => {
  const cases: [Rule, string[], string[]][] = [
    [
      { type: 'HOST_NAME', compare_type: 'EQUAL_TO', value: 'www.example.org' },
      ['-H', 'Host: WWW.example.org'],
      ['-H', 'Host: example.org'],
    ],
    [{ type: 'HOST_NAME', compare_type: 'ENDS_WITH', value: '.org' }, ['-H', 'Host: a.org'], ['-H', 'Host: a.com']],
    [
      { type: 'HEADER', key: 'X-Kind', compare_type: 'CONTAINS', value: 'eta' },
      ['-H', 'X-Kind: beta'],
      ['-H', 'X-Kind: alpha'],
    ],
    [
      { type: 'HEADER', key: 'X-Kind', compare_type: 'REGEX', value: '^(a|b)+[0-9]{2}$' },
      ['-H', 'X-Kind: abba42'],
      ['-H', 'X-Kind: abba4'],
    ],
    [{ type: 'COOKIE', key: 'sid', compare_type: 'STARTS_WITH', value: 'u1' }, ['-b', 'sid=u17'], ['-b', 'sid=u2']],
  ]
  test('that look at a request’s head', async () => {
    for (const [rule, matching, other] of cases)
      await under([to_other(rule)], async () => {
        const asked = [(await curl(stack, url, ...matching)).echo?.name, (await curl(stack, url, ...other)).echo?.name]
        expect([rule, ...asked]).toEqual([rule, 'other', 'main'])
      })
  })

  test('that look at its path, the other way round too, and several at once', async () => {
    const rules: Rule[] = [
      { type: 'FILE_TYPE', compare_type: 'REGEX', value: 'jpe?g$' },
      { type: 'PATH', compare_type: 'CONTAINS', value: '/thumb/', invert: true },
    ]
    await under([{ ...to_other(rules[0]!), rules }], async () => {
      const asked = ['/a.jpg', '/a.jpeg', '/a.png', '/thumb/a.jpg'].map(file => curl(stack, `${url}${file}`))
      expect((await Promise.all(asked)).map(one => one.echo?.name)).toEqual(['other', 'other', 'main', 'main'])
    })
    await under([to_other({ type: 'FILE_TYPE', compare_type: 'EQUAL_TO', value: 'zip' })], async () => {
      expect((await curl(stack, `${url}/x.zip`)).echo?.name).toBe('other')
      expect((await curl(stack, `${url}/x.zip.txt`)).echo?.name).toBe('main')
    })
  })
})

test('of two policies of one action the first position goes', async () => {
  const redirect = (name: string) => ({
    action: 'REDIRECT_TO_URL',
    redirect_url: `http://${name}/`,
    rules: [path('/')],
  })
  await under([redirect('one')], async () => {
    await under([{ ...redirect('two'), position: 1 }], async () => {
      expect((await curl(stack, url)).location).toBe('http://two/')
    })
    expect((await curl(stack, url)).location).toBe('http://one/')
  })
})

test('a pool without members answers 503, and a switched-off policy does nothing', async () => {
  const off = { ...to_other(path('/')), admin_state_up: false }
  await under([off], async () => expect((await curl(stack, url)).echo?.name).toBe('main'))
})

test('the genuine clients drive them', async () => {
  const named = async (user: 'demo', ...command: string[]) => stack.client(user, ...command)
  await stack.typed(
    'demo',
    `loadbalancer l7policy create --name gp --action REJECT ${listener} --wait`,
    // its --wait asks for the rule with the two ids the wrong way round
    'loadbalancer l7rule create --type PATH --compare-type EQUAL_TO --value /secret gp',
  )
  await api.settled(lb)
  expect((await curl(stack, `${url}/secret`)).status).toBe(403)
  const [policy, rules] = await stack.typed<Record<string, unknown> & { type?: string }[]>(
    'demo',
    ...['loadbalancer l7policy show gp', 'loadbalancer l7rule list gp'],
  )
  expect(policy).toMatchObject({ action: 'REJECT', position: 1, provisioning_status: 'ACTIVE' })
  expect(rules![0]).toMatchObject({ type: 'PATH', compare_type: 'EQUAL_TO', value: '/secret' })
  expect(await named('demo', 'neutron', 'lbaas-l7policy-list')).toContain('gp')
  expect(await named('demo', 'neutron', 'lbaas-l7rule-list', 'gp')).toContain('/secret')
  const shown = await named('demo', 'neutron', 'lbaas-l7policy-show', 'gp', '-f', 'json')
  expect(JSON.parse(shown)).toMatchObject({ action: 'REJECT', name: 'gp', status: 'ACTIVE' })
  const ids = (rules as unknown as { id: string }[]).map(rule => rule.id)
  await named('demo', 'neutron', 'lbaas-l7rule-delete', ids[0]!, 'gp')
  await named('demo', 'neutron', 'lbaas-l7policy-delete', 'gp')
  await api.settled(lb)
  expect((await curl(stack, `${url}/secret`)).status).toBe(200)
})
