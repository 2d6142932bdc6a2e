/** What the fields of listeners, pools and members do to traffic, on one load balancer with a VIP of each family. */
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { Api } from '../api.ts'
import { curl, names, type Servers, startEcho } from '../echo.ts'
import { eventually, Stack } from '../stack.ts'

const stack = new Stack(inject('stack_dir'))
let api: Api
let servers: Servers
let subnet_id: string
let lb: { id: string; vip_address: string; additional_vips: { ip_address: string }[] }
let next_port = 5000

beforeAll(async () => {
  api = await Api.of(stack, 'demo')
  const proxied = { proxy: true } as const
  servers = await startEcho(stack, api, {
    ...{ 8081: { name: 'a' }, 8082: { name: 'b' }, 8083: { name: 'c' } },
    ...{ 8091: { name: 'v1', ...proxied }, 8092: { name: 'v2', ...proxied } },
    ...{ 8101: { name: 'a', cookie: 'app=1a; Path=/' }, 8102: { name: 'b', cookie: 'app=2b; Path=/' } },
  })
  subnet_id = await api.subnet('private-subnet')
  const additional_vips = [{ subnet_id: await api.subnet('ipv6-private-subnet') }]
  const flavor_id = await (await Api.of(stack, 'admin')).singleAmphora()
  const made = await api.made('loadbalancers', 'loadbalancer', {
    ...{ name: 'traffic', vip_subnet_id: subnet_id, additional_vips, flavor_id },
  })
  lb = made as unknown as typeof lb
  await api.settled(lb.id)
})
afterAll(async () => {
  await api.removed(lb.id)
  await servers.stop()
})

type Fields = Record<string, unknown>
const member = (port: number, more: Fields = {}) => ({
  address: servers.address,
  protocol_port: port,
  subnet_id,
  ...more,
})

/** A listener of its own port with that pool; where it is, and the ids. */
async function serving(pool: Fields, members: Fields[], listener: Fields = {}) {
  const protocol_port = ++next_port
  const made = (await api.made('listeners', 'listener', {
    ...{ loadbalancer_id: lb.id, protocol: 'HTTP', protocol_port, ...listener },
    default_pool: { name: `p${protocol_port}`, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN', members, ...pool },
  })) as unknown as { id: string; default_pool_id: string }
  await api.settled(lb.id)
  const { body } = await api.octavia<{ members: { id: string; protocol_port: number }[] }>(
    ...(['GET', `pools/${made.default_pool_id}/members`] as const),
  )
  const memberOn = (port: number) => body.members.find(one => one.protocol_port === port)!.id
  const put = async (path: string, singular: string, fields: Fields) => {
    const answer = await api.octavia('PUT', path, { [singular]: fields })
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    await api.settled(lb.id)
  }
  return {
    url: `http://${lb.vip_address}:${protocol_port}`,
    url6: `http://[${lb.additional_vips[0]!.ip_address}]:${protocol_port}`,
    pool: made.default_pool_id,
    set: (fields: Fields) => put(`listeners/${made.id}`, 'listener', fields),
    setMember: (port: number, fields: Fields) =>
      put(`pools/${made.default_pool_id}/members/${memberOn(port)}`, 'member', fields),
    gone: async () => {
      await api.octavia('DELETE', `listeners/${made.id}`)
      await api.octavia('DELETE', `pools/${made.default_pool_id}`)
      await api.settled(lb.id)
    },
  }
}

const counted = (all: string[]) => {
  const counts: Record<string, number> = {}
  for (const name of all) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

describe('who answers', () => {
  test('by weight, in both families; one of weight 0 gets nothing new; a backup only when nobody else can', async () => {
    const at = await serving({}, [member(8081, { weight: 3 }), member(8082), member(8083, { backup: true })])
    expect(counted(await names(stack, at.url, 8))).toEqual({ a: 6, b: 2 })
    expect(counted(await names(stack, at.url6, 8))).toEqual({ a: 6, b: 2 })
    await at.setMember(8081, { weight: 0 })
    expect(counted(await names(stack, at.url, 4))).toEqual({ b: 4 })
    await at.setMember(8082, { admin_state_up: false })
    await at.setMember(8081, { admin_state_up: false })
    expect(counted(await names(stack, at.url, 4))).toEqual({ c: 4 })
    await at.gone()
  })

  test('by source: one client has one member', async () => {
    const at = await serving({ lb_algorithm: 'SOURCE_IP' }, [member(8081), member(8082), member(8083)])
    expect(new Set(await names(stack, at.url, 9)).size).toBe(1)
    await at.gone()
  })

  test('by fewest connections: a busy member is passed over', async () => {
    const at = await serving({ lb_algorithm: 'LEAST_CONNECTIONS' }, [member(8081), member(8082)])
    const busy = stack.exec('sh', '-c', `for i in 1 2 3 4; do curl -s '${at.url}/?wait_ms=3000' & done; wait`)
    await eventually('two of them wait at each', async () => {
      const all = await names(stack, at.url, 6)
      return counted(all).a === 3 && counted(all).b === 3
    })
    await busy
    await at.gone()
  })
})

describe('a client keeps its member', () => {
  const members = () => [member(8101), member(8102), member(8083)]
  test('by a cookie of the load balancer', async () => {
    const at = await serving({ session_persistence: { type: 'HTTP_COOKIE' } }, members())
    const first = await curl(stack, at.url)
    expect(first.headers['set-cookie']).toMatch(/^(SRV|app)=/)
    const jar = ['-c', '/tmp/jar', '-b', '/tmp/jar']
    await names(stack, at.url, 1, ...jar)
    expect(new Set(await names(stack, at.url, 6, '-b', '/tmp/jar')).size).toBe(1)
    expect(new Set(await names(stack, at.url, 6)).size).toBe(3)
    await at.gone()
  })

  test('by a cookie of the application', async () => {
    const pool = { session_persistence: { type: 'APP_COOKIE', cookie_name: 'app' } }
    const at = await serving(pool, members().slice(0, 2))
    const first = await curl(stack, at.url)
    const cookie = first.headers['set-cookie']!.split(';')[0]!
    expect(new Set(await names(stack, at.url, 6, '-b', cookie))).toEqual(new Set([first.echo!.name]))
    await at.gone()
  })

  test('by its address', async () => {
    const at = await serving({ session_persistence: { type: 'SOURCE_IP' } }, members())
    expect(new Set(await names(stack, at.url, 6)).size).toBe(1)
    await at.gone()
  })
})

describe('what members see', () => {
  test('the headers that are asked for', async () => {
    const headers = { 'X-Forwarded-For': 'true', 'X-Forwarded-Port': 'true', 'X-Forwarded-Proto': 'true' }
    const at = await serving({}, [member(8081)], { insert_headers: headers })
    const { echo } = await curl(stack, at.url)
    expect(echo?.headers).toMatchObject({
      ...{
        'x-forwarded-for': servers.address,
        'x-forwarded-port': at.url.split(':').at(-1),
        'x-forwarded-proto': 'http',
      },
    })
    expect(echo?.peer).not.toBe(servers.address)
    await at.gone()
  })

  test('the client’s address by the PROXY protocol, in both versions, for HTTP and TCP', async () => {
    const versions = [
      { protocol: 'PROXY', port: 8091, said: new RegExp(`^PROXY TCP4 ${servers.address} ${lb.vip_address} `) },
      { protocol: 'PROXYV2', port: 8092, said: /^0d0a0d0a000d0a515549540a21/ },
    ]
    for (const { protocol, port, said } of versions)
      for (const listener of ['HTTP', 'TCP']) {
        const at = await serving({ protocol }, [member(port)], { protocol: listener })
        expect((await curl(stack, at.url)).echo?.proxy).toMatch(said)
        await at.gone()
      }
  })
})

describe('a listener', () => {
  test('lets in whom its allowed_cidrs name, of either family', async () => {
    const at = await serving({}, [member(8081)], { allowed_cidrs: ['192.0.2.0/24', 'fd36:53a8:d962::/64'] })
    const refused = await curl(stack, at.url, '--connect-timeout', '2')
    expect(refused.status).toBe(0)
    expect((await curl(stack, at.url6)).status).toBe(200)
    await at.set({ allowed_cidrs: ['10.0.0.0/24'] })
    expect((await curl(stack, at.url)).status).toBe(200)
    expect((await curl(stack, at.url6, '--connect-timeout', '2')).status).toBe(0)
    await at.set({ allowed_cidrs: null })
    expect((await curl(stack, at.url6)).status).toBe(200)
    await at.gone()
  })

  test('waits as long as its timeouts say', async () => {
    const at = await serving({}, [member(8081)], { timeout_member_data: 1000 })
    expect((await curl(stack, `${at.url}/?wait_ms=3000`)).status).toBe(504)
    expect((await curl(stack, `${at.url}/?wait_ms=200`)).status).toBe(200)
    await at.set({ timeout_member_data: 50000 })
    expect((await curl(stack, `${at.url}/?wait_ms=1500`)).status).toBe(200)
    await at.gone()
  })

  test('takes no more connections than its limit', async () => {
    const at = await serving({}, [member(8081)], { connection_limit: 1 })
    const held = stack.exec(
      'sh',
      '-c',
      `curl -s '${at.url}/?wait_ms=2500' & sleep 0.3; curl -s -w '%{time_total}' -o /dev/null '${at.url}/'; wait`,
    )
    expect(Number(/\d+\.\d+/.exec((await held).stdout.replace(/\{.*\}/g, ''))?.[0])).toBeGreaterThan(1.5)
    await at.gone()
  })

  test('that is switched off answers nobody', async () => {
    const at = await serving({}, [member(8081)])
    await at.set({ admin_state_up: false })
    expect((await curl(stack, at.url, '--connect-timeout', '2')).status).toBe(0)
    await at.set({ admin_state_up: true })
    expect((await curl(stack, at.url)).status).toBe(200)
    await at.gone()
  })
})

describe('monitors', () => {
  test('ask elsewhere, by name and version, and take the answers that are expected', async () => {
    const at = await serving({}, [member(8081, { monitor_port: 8082 }), member(8083, { monitor_port: 8999 })])
    const healthmonitor = {
      ...{ pool_id: at.pool, type: 'HTTP', delay: 1, timeout: 1, max_retries: 1, max_retries_down: 1 },
      ...{ url_path: '/health', expected_codes: '200-204', http_version: 1.1, domain_name: 'www.example.org' },
    }
    const { id } = await api.made('healthmonitors', 'healthmonitor', healthmonitor)
    await api.settled(lb.id)
    await eventually('only a is well', async () => new Set(await names(stack, at.url, 4)).size === 1)
    expect(counted(await names(stack, at.url, 4))).toEqual({ a: 4 })
    const { status } = await api.octavia('PUT', `healthmonitors/${id}`, { healthmonitor: { expected_codes: '500' } })
    expect(status).toBe(200)
    await api.settled(lb.id)
    await eventually('nobody is well', async () => (await curl(stack, at.url)).status === 503)
    await at.gone()
  })
})

test('figures for Prometheus are served under Octavia’s names, and nothing else', async () => {
  const at = await serving({}, [member(8081)])
  await names(stack, at.url, 3)
  const { id } = await api.made('listeners', 'listener', {
    ...{ loadbalancer_id: lb.id, protocol: 'PROMETHEUS', protocol_port: 8088 },
  })
  await api.settled(lb.id)
  const metrics = (await stack.exec('curl', '-gsS', `http://${lb.vip_address}:8088/metrics`)).stdout
  expect(metrics).toMatch(/^octavia_listener_http_requests_total\{listener="[0-9a-f-]{36}"\} 3$/m)
  expect(metrics).toMatch(/^octavia_member_status\{pool="[0-9a-f-]{36}:[0-9a-f-]{36}",member="[0-9a-f-]{36}"\} 1$/m)
  expect((await curl(stack, `http://${lb.vip_address}:8088/`)).status).toBe(404)
  const pool = { loadbalancer_id: lb.id, listener_id: id, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' }
  const refused = await api.octavia<{ faultstring: string }>('POST', 'pools', { pool })
  expect(refused).toMatchObject({
    status: 400,
    body: { faultstring: 'Validation failure: Listeners of type PROMETHEUS can not have child objects.' },
  })
  await eventually('ONLINE', async () => {
    const { body } = await api.octavia<{ listener: { operating_status: string } }>('GET', `listeners/${id}`)
    return body.listener.operating_status === 'ONLINE'
  })
  await at.gone()
})
