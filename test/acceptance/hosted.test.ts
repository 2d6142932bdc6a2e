/** Load balancers without servers: haproxy in a namespace of the network host, with genuine clients and real traffic. */
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { OpenSsl } from '../openssl.ts'
import { account, daemonOf, killDaemon, recordedAccount } from './accounting.ts'
import { Api, type Made } from './api.ts'
import { curl } from './echo.ts'
import { startLoad } from './load.ts'
import { eventually, Stack } from './stack.ts'

const stack = new Stack(inject('stack_dir'))
let demo: Api
let admin: Api
let web: string[]
let lb: Made
let listener: Made
let pool: Made
let url: string
const own_network: { id: string; subnet_id: string } = { id: '', subnet_id: '' }

beforeAll(async () => {
  ;[demo, admin] = await Promise.all([Api.of(stack, 'demo'), Api.of(stack, 'admin')])
  const { servers } = await stack.status()
  web = ['web1', 'web2'].map(name => servers.find(server => server.name === name)!.addresses[0]!)
})
afterAll(async () => {
  if (lb) await demo.removed(lb.id)
  if (own_network.id) await demo.network('DELETE', `networks/${own_network.id}`)
})

/** What the shell says on the machine that all of the stack's namespaces are of. */
async function machine(script: string): Promise<string> {
  const ran = await stack.exec('sh', '-c', script)
  if (ran.status !== 0) throw new Error(`${script}: ${ran.stderr}`)
  return ran.stdout.trim()
}

/** What it says on the network host, whose program shows the way in. */
const host = (script: string) =>
  machine(`for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline 2> /dev/null | grep -q 'ottavia.ts [s]erve network-host' && \
exec nsenter -t \${p#/proc/} -m sh -c '${script}'; done; exit 1`)
const folder = () => `/var/lib/octavia/${lb.id.slice(0, 18)}`
const workers = () =>
  machine(`for p in /proc/[0-9]*; do [ "$(cat $p/comm 2> /dev/null)" = haproxy ] && \
grep -q ${folder()} $p/cmdline && basename $p; done | sort -n; true`)
const links = async (netns: string) => {
  const all = JSON.parse(await (netns.startsWith('qlbaas') ? host : machine)(`ip -n ${netns} -j link`)) as {
    ifname: string
  }[]
  return all.map(link => link.ifname).filter(name => name !== 'lo')
}
const portsOf = async (network_id: string) => {
  const query = `ports?network_id=${network_id}&name=octavia-lb-member-${lb.id}`
  return (await admin.network<{ ports: { id: string }[] }>('GET', query)).body.ports
}
const members = () => `pools/${pool.id}/members`
const add = (fields: Record<string, unknown>) => demo.made(members(), 'member', { protocol_port: 80, ...fields })
const statistics = async () => {
  const { body } = await demo.octavia<{ stats: Record<string, number> }>('GET', `loadbalancers/${lb.id}/stats`)
  return body.stats
}

describe('a load balancer of provider haproxy', () => {
  test('is made by the genuine client, and serves through its VIP', async () => {
    const create = 'loadbalancer create --provider haproxy --name hosted --vip-subnet-id private-subnet --wait'
    ;[lb] = (await stack.typed<Made>('demo', create)) as [Made]
    ;[listener, pool] = (await stack.typed<Made>(
      'demo',
      'loadbalancer listener create --name hosted-80 --protocol HTTP --protocol-port 80 --wait hosted',
      'loadbalancer pool create --name hosted-pool --listener hosted-80 --protocol HTTP --lb-algorithm ROUND_ROBIN --wait',
      ...web.map(
        ip =>
          `loadbalancer member create --subnet-id private-subnet --address ${ip} --protocol-port 80 --wait hosted-pool`,
      ),
    )) as [Made, Made]
    url = `http://${lb.vip_address}/`
    expect(await stack.answers(url, 10)).toEqual({ 'hello from web1': 5, 'hello from web2': 5 })
  })

  test('has no server, one namespace, and nothing of it lies in the host itself', async () => {
    expect((await admin.amphorae<{ amphorae: { loadbalancer_id: string }[] }>('GET')).body.amphorae).not.toContainEqual(
      expect.objectContaining({ loadbalancer_id: lb.id }),
    )
    expect(await account(admin)).toEqual(await recordedAccount(admin))
    expect(await links(`qlbaas-${lb.id}`)).toEqual([`tap${lb.vip_port_id.slice(0, 11)}`])
    expect(await links('network-host-1')).toEqual(['eth0'])
    // it sees nothing of the stack
    expect(await host(`ls -A ${stack.dir} && ls -A /run/ottavia`)).toBe('')
    // neither does the host forward, nor listen where tenants could ask
    expect(await machine('nsenter --net=/run/netns/network-host-1 cat /proc/sys/net/ipv4/ip_forward')).toBe('0')
    expect(await host(`ip -n qlbaas-${lb.id} route`)).not.toContain('192.168.0.')
    expect((await stack.run('explain', 'hosted')).stdout).toContain('on network host network-host-1')
  })

  test('follows a change of members without a reload', async () => {
    const before = await workers()
    expect(before.split('\n')).toHaveLength(2)
    const { body } = await demo.octavia<{ members: (Made & { address: string })[] }>('GET', members())
    const second = body.members.find(member => member.address === web[1])!
    expect((await demo.octavia('PUT', `${members()}/${second.id}`, { member: { weight: 0 } })).status).toBe(200)
    await demo.settled(lb.id)
    expect(await stack.answers(url, 5)).toEqual({ 'hello from web1': 5 })
    expect((await demo.octavia('DELETE', `${members()}/${second.id}`)).status).toBe(204)
    await demo.settled(lb.id)
    await add({ address: web[1], subnet_id: await demo.subnet('private-subnet') })
    await demo.settled(lb.id)
    expect(await stack.answers(url, 10)).toEqual({ 'hello from web1': 5, 'hello from web2': 5 })
    expect(await workers()).toBe(before)
  })

  test('has statuses and statistics by what its host reports', async () => {
    await eventually('all of before', async () => (await statistics()).total_connections === 25)
    await stack.answers(url, 7)
    await eventually('seven more', async () => (await statistics()).total_connections === 32)
    expect(await statistics()).toMatchObject({ active_connections: 0, request_errors: 0 })
    const dead = await add({ address: '10.0.0.253', subnet_id: await demo.subnet('private-subnet') })
    const monitor = { pool_id: pool.id, type: 'TCP', delay: 1, timeout: 1, max_retries: 1, max_retries_down: 1 }
    const made = await demo.made('healthmonitors', 'healthmonitor', monitor)
    const seen = (id: string) => demo.octavia<{ member: Made }>('GET', `${members()}/${id}`)
    await eventually('the dead one seen', async () => (await seen(dead.id)).body.member.operating_status === 'ERROR')
    const shown = await demo.octavia<{ pool: Made }>('GET', `pools/${pool.id}`)
    expect(shown.body.pool.operating_status).toBe('DEGRADED')
    for (const one of [`healthmonitors/${made.id}`, `${members()}/${dead.id}`])
      expect((await demo.octavia('DELETE', one)).status).toBe(204)
    await demo.settled(lb.id)
    await eventually('all well', async () => (await demo.settled(lb.id)).operating_status === 'ONLINE')
  })

  test('loses no request when the program of its host is killed, which comes back', async () => {
    const before = await workers()
    const counted = (await statistics()).total_connections!
    const load = await startLoad(stack, url)
    const killed = daemonOf(stack, 'network-host')
    killDaemon(stack, 'network-host')
    await eventually('another program', async () => daemonOf(stack, 'network-host') !== killed)
    // it answers when this has been applied
    await demo.octavia('PUT', `listeners/${listener.id}`, { listener: { timeout_client_data: 41_000 } })
    await demo.settled(lb.id)
    const seen = await load.stop()
    expect(seen).toMatchObject({ failed: 0, errors: {} })
    expect(seen.requests).toBeGreaterThan(20)
    expect((await workers()).split('\n')[0]).toBe(before.split('\n')[0]) // the master is the same; the change was a reload
    // what was counted meanwhile is told by the next program
    await eventually('all counted', async () => (await statistics()).total_connections! >= counted + seen.requests)
  })

  test('takes orders from controllers alone, and from none that is behind', async () => {
    const { body } = await admin.network<{ ports: { fixed_ips: { ip_address: string }[] }[] }>(
      'GET',
      'ports?name=network host network-host-1',
    )
    const address = body.ports[0]!.fixed_ips[0]!.ip_address
    const certificates = path.join(stack.dir, 'certificates')
    const ask = (...options: string[]) => {
      const curl = ['curl', '-sS', '--max-time', '5', '-o', '/dev/null', '-w', '%{http_code}']
      const trust = ['--cacert', `${certificates}/server-ca.pem`, '--connect-to', `::${address}:`]
      const target = `https://network-host-1:9876/hosted/${lb.id}/0.5/listeners/${listener.id}`
      return stack.run('exec', '--network', 'lb-mgmt-net', '--', ...curl, ...trust, ...options, target)
    }
    const controller = ['--cert', `${certificates}/client.pem`]
    expect((await ask(...controller)).stdout).toBe('200')
    expect((await ask()).status).not.toBe(0)
    expect((await ask('--cert', path.join(stack.dir, 'network-hosts/network-host-1/etc/server.pem'))).status).not.toBe(
      0,
    )
    const stale = ['-X', 'DELETE', '-H', `x-ottavia-token: ${lb.id}:0`]
    expect((await ask(...controller, ...stale)).stdout).toBe('409')
    expect(await stack.answers(url, 2)).toEqual({ 'hello from web1': 1, 'hello from web2': 1 })
  })

  test('reaches members on another network by a port that is bound to its host', async () => {
    const made = await demo.network<{ network: { id: string } }>('POST', 'networks', { network: { name: 'behind' } })
    own_network.id = made.body.network.id
    // the host's own addresses mean nothing in there
    const subnet = { network_id: own_network.id, cidr: '192.168.0.0/24', ip_version: 4 }
    const { body } = await demo.network<{ subnet: { id: string } }>('POST', 'subnets', { subnet })
    const far = await add({ address: '192.168.0.200', weight: 0, subnet_id: body.subnet.id })
    await demo.settled(lb.id)
    const [port] = await portsOf(own_network.id)
    expect(await links(`qlbaas-${lb.id}`)).toContain(`tap${port!.id.slice(0, 11)}`)
    expect(await links('network-host-1')).toEqual(['eth0'])
    expect((await demo.octavia('DELETE', `${members()}/${far.id}`)).status).toBe(204)
    await demo.settled(lb.id)
    expect(await portsOf(own_network.id)).toEqual([])
    expect(await links(`qlbaas-${lb.id}`)).toHaveLength(1)
  })

  test('stays where it is when a failover is asked for and there is no other host', async () => {
    const load = await startLoad(stack, url)
    await stack.client('admin', 'openstack', 'loadbalancer', 'failover', '--wait', 'hosted')
    expect((await load.stop()).failed).toBe(0)
    expect((await stack.run('explain', 'hosted')).stdout).toContain('no network host but network-host-1 answers')
  })

  test('comes back when its namespace was taken away', async () => {
    await host(`for p in $(ip netns pids qlbaas-${lb.id}); do kill -9 $p; done; ip netns del qlbaas-${lb.id}`)
    await eventually('it serves again', async () => (await stack.answers(url, 2))['hello from web1'] === 1)
  })

  test('leaves nothing behind', async () => {
    await stack.client('demo', 'openstack', 'loadbalancer', 'delete', '--cascade', '--wait', 'hosted')
    expect(await host('ip netns list')).not.toContain(lb.id)
    expect(await host(`ls ${path.dirname(folder())}`)).not.toContain(path.basename(folder()))
    expect(await workers()).toBe('')
    expect(await links('network-host-1')).toEqual(['eth0'])
    const taps = await machine(`for n in $(ls /run/netns | grep ^sw-); do ip -n $n -br link; done`)
    expect(taps).not.toContain(`tap${lb.vip_port_id.slice(0, 11)}`)
    expect((await admin.network('GET', `ports/${lb.vip_port_id}`)).status).toBe(404)
    expect(await account(admin)).toEqual(await recordedAccount(admin))
  })
})

test('the VIP can be a port of the tenant, who has it back as it was', async () => {
  const { body } = await demo.network<{ networks: { id: string }[] }>('GET', 'networks?name=private')
  const made = await demo.network<{ port: Record<string, unknown> & { id: string } }>('POST', 'ports', {
    port: { name: 'mine', network_id: body.networks[0]!.id },
  })
  const { id } = made.body.port
  const hosted = await demo.made('loadbalancers', 'loadbalancer', { provider: 'haproxy', vip_port_id: id })
  await demo.made('listeners', 'listener', { loadbalancer_id: hosted.id, protocol: 'HTTP', protocol_port: 80 })
  await demo.settled(hosted.id)
  const asked = `http://${hosted.vip_address}/`
  expect(Object.keys(await stack.answers(asked, 1))[0]).toContain('503') // there is no member
  await demo.removed(hosted.id)
  const after = (await admin.network<{ port: Record<string, unknown> }>('GET', `ports/${id}`)).body.port
  expect(after.security_groups).toEqual(made.body.port.security_groups)
  expect(after).toMatchObject({ 'binding:host_id': '', 'binding:vif_type': 'unbound', name: 'mine' })
  expect((await demo.network('DELETE', `ports/${id}`)).status).toBe(204)
})

test('an address that another load balancer had a moment ago is answered for by the one that has it now', async () => {
  const vip_subnet_id = await demo.subnet('private-subnet')
  for (let round = 0; round < 2; round++) {
    const fields = { provider: 'haproxy', vip_subnet_id, vip_address: '10.0.0.252' }
    const made = await demo.made('loadbalancers', 'loadbalancer', fields)
    await demo.made('listeners', 'listener', { loadbalancer_id: made.id, protocol: 'HTTP', protocol_port: 80 })
    await demo.settled(made.id)
    expect(Object.keys(await stack.answers('http://10.0.0.252/', 1))[0]).toContain('503')
    await demo.removed(made.id)
  }
})

test('TLS, L7 policies and a VIP of the other family are served there too', async () => {
  const openssl = new OpenSsl()
  const subnet_id = await demo.subnet('private-subnet')
  const path_is_forbidden = { type: 'PATH', compare_type: 'STARTS_WITH', value: '/forbidden' }
  const made = (await demo.made('loadbalancers', 'loadbalancer', {
    ...{ name: 'hosted-tls', provider: 'haproxy', vip_subnet_id: subnet_id },
    additional_vips: [{ subnet_id: await demo.subnet('ipv6-private-subnet') }],
    listeners: [
      {
        ...{ name: 'tls', protocol: 'TERMINATED_HTTPS', protocol_port: 443 },
        default_tls_container_ref: await demo.certificate(openssl.certificate('/CN=hosted.example')),
        l7policies: [{ action: 'REJECT', rules: [path_is_forbidden] }],
        default_pool: {
          ...{ name: 'behind-tls', protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' },
          members: web.map(address => ({ address, protocol_port: 80, subnet_id })),
        },
      },
    ],
  })) as Made & { additional_vips: { ip_address: string }[] }
  await demo.settled(made.id)
  for (const vip of [made.vip_address, `[${made.additional_vips[0]!.ip_address}]`]) {
    const answer = (await curl(stack, `https://${vip}/`)).status
    expect([vip, answer, (await curl(stack, `https://${vip}/forbidden/x`)).status]).toEqual([vip, 200, 403])
  }
  const own = `/var/lib/octavia/${made.id.slice(0, 18)}`
  const modes = await host(`find ${own}/certs -name "*.pem" -exec stat -c %a {} +`)
  expect(modes.split('\n')).toEqual(['600'])
  await demo.removed(made.id)
  openssl.remove()
})

test('one haproxy may serve all listeners there too, and goes with them', async () => {
  const flavor_id = await admin.flavor('hosted-one', { unit: 'load_balancer' }, 'haproxy')
  const subnet_id = await demo.subnet('private-subnet')
  const on = (protocol_port: number) => ({
    ...{ name: `on-${protocol_port}`, protocol: 'HTTP', protocol_port },
    default_pool: {
      ...{ name: `pool-${protocol_port}`, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' },
      members: web.map(address => ({ address, protocol_port: 80, subnet_id })),
    },
  })
  const fields = { name: 'hosted-one', provider: 'haproxy', vip_subnet_id: subnet_id, flavor_id }
  const made = await demo.made('loadbalancers', 'loadbalancer', { ...fields, listeners: [on(80), on(81)] })
  const prometheus = { loadbalancer_id: made.id, protocol: 'PROMETHEUS', protocol_port: 8088 }
  await demo.made('listeners', 'listener', prometheus)
  await demo.settled(made.id)
  for (const port of [80, 81])
    expect(await stack.answers(`http://${made.vip_address}:${port}/`, 2)).toEqual({
      'hello from web1': 1,
      'hello from web2': 1,
    })
  const { stdout } = await stack.exec('curl', '-sS', `http://${made.vip_address}:8088/metrics`)
  expect(stdout).toMatch(/^octavia_loadbalancer_listeners 3$/m)
  expect(stdout).not.toContain('octavia_loadbalancer_memory') // that is the host's
  const own = `/var/lib/octavia/${made.id.slice(0, 18)}`
  expect((await host(`ls ${own}`)).split('\n').filter(name => name.endsWith('.sock'))).toEqual([
    ...[`${made.id}.sock`, 'metrics.sock'],
  ])
  await demo.removed(made.id)
  expect(await host('ip netns list')).not.toContain(made.id)
  expect(await host(`ls ${path.dirname(own)}`)).not.toContain(path.basename(own))
})

describe('providers beside each other', () => {
  test('are listed, and the other one serves as before', async () => {
    const { stdout } = await stack.tryClient('demo', 'openstack', 'loadbalancer', 'provider', 'list', '-f', 'value')
    expect(stdout.split('\n').map(line => line.split(' ')[0])).toEqual(['amphora', 'octavia', 'haproxy', ''])
    const { load_balancers } = await stack.status()
    const pair = load_balancers.find(one => one.name === 'demo-lb')!
    expect(await stack.answers(`http://${pair.vip_address}/`, 2)).toEqual({
      'hello from web1': 1,
      'hello from web2': 1,
    })
  })

  test('refuse what they do not know', async () => {
    const vip_subnet_id = await demo.subnet('private-subnet')
    const post = (fields: object) =>
      demo.octavia('POST', 'loadbalancers', { loadbalancer: { vip_subnet_id, ...fields } })
    expect(await post({ provider: 'f5' })).toMatchObject({
      status: 400,
      body: { faultstring: "Provider 'f5' is not enabled." },
    })
    const datagrams = { protocol: 'UDP', protocol_port: 53 }
    expect(await post({ provider: 'haproxy', listeners: [datagrams] })).toMatchObject({
      status: 501,
      body: {
        faultstring:
          "Provider 'haproxy' does not support a requested option: listener protocol UDP: haproxy does not carry it; provider amphora does",
      },
    })
    const flavor_id = await admin.singleAmphora()
    expect((await post({ provider: 'haproxy', flavor_id })).status).toBe(400)
    const capabilities = await admin.octavia('GET', 'providers/haproxy/flavor_capabilities')
    expect(capabilities).toMatchObject({ status: 200, body: { flavor_capabilities: [{ name: 'unit' }] } })
    const profile = { name: 'hosted', provider_name: 'haproxy', flavor_data: '{"compute_flavor": "65"}' }
    expect((await admin.octavia('POST', 'flavorprofiles', { flavorprofile: profile })).status).toBe(501)
  })
})
