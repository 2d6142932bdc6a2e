/** UDP listeners through the genuine `openstack loadbalancer`: datagrams reach members by the VIP of a pair. */
import fs from 'node:fs'
import { isIPv4, isIPv6 } from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { Api, type Made } from './api.ts'
import { DatagramClient, datagramServer } from './datagrams.ts'
import { Inside } from './inside.ts'
import { eventually, Stack } from './stack.ts'

const stack = new Stack(inject('stack_dir'))
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ottavia-udp-'))
const names = ['udp1', 'udp2']
const member_port = 5300
let addresses: Record<string, string>
let six: Record<string, string>
let demo: Api
let lb: Made
let client: DatagramClient

/** Commands below `openstack loadbalancer`, in one session of the client, with what each answers. */
const typed = <T = Record<string, unknown>>(...commands: string[]) =>
  stack.typed<T>('demo', ...commands.map(command => `loadbalancer ${command}`))

/** A command that answers with nothing. */
const act = (...command: string[]) => stack.client('demo', 'openstack', 'loadbalancer', ...command)
const openstack = (...command: string[]) => stack.client('demo', 'openstack', ...command)
const statusOf = async (member: string) =>
  (await demo.octavia<{ member: Made }>('GET', `pools/${pool_id}/members/${member}`)).body.member.operating_status
let pool_id: string
let members: Record<string, string>

beforeAll(async () => {
  demo = await Api.of(stack, 'demo')
  await openstack('security', 'group', 'create', 'datagrams')
  for (const ethertype of ['IPv4', 'IPv6'])
    await openstack(
      ...['security', 'group', 'rule', 'create', '--ethertype', ethertype, '--protocol', 'udp'],
      ...['--dst-port', String(member_port), 'datagrams'],
    )
  for (const name of names) {
    const script = path.join(folder, `${name}.sh`)
    fs.writeFileSync(script, datagramServer(name, member_port))
    const options = ['--flavor', 'm1.tiny', '--image', 'debian', '--network', 'private', '--user-data', script]
    await openstack('server', 'create', ...options, '--security-group', 'datagrams', name)
  }
  for (const name of names)
    await eventually(`${name} serves`, async () => (await openstack('console', 'log', 'show', name)).includes('SERVES'))
  const { servers } = await stack.status()
  const addressOf = (of: string, is: (address: string) => boolean) =>
    servers.find(one => one.name === of)!.addresses.find(is)!
  addresses = Object.fromEntries(names.map(name => [name, addressOf(name, isIPv4)]))
  six = Object.fromEntries(names.map(name => [name, addressOf(name, isIPv6)]))
})
afterAll(async () => {
  await client?.end()
  fs.rmSync(folder, { recursive: true })
  if (lb) await demo.removed(lb.id)
  for (const name of names) await openstack('server', 'delete', '--wait', name)
  await openstack('security', 'group', 'delete', 'datagrams')
})

test('listener, pool, members and a UDP-CONNECT monitor are made, and datagrams reach the members', async () => {
  const member = `member create --subnet-id private-subnet --protocol-port ${member_port} --wait`
  const made = await typed<Made & { protocol: string }>(
    'create --name udp --vip-subnet-id private-subnet --wait',
    'listener create --name udp-listener --protocol UDP --protocol-port 53 udp',
    'pool create --name udp-pool --protocol UDP --lb-algorithm ROUND_ROBIN --listener udp-listener',
    `${member} --name m1 --address ${addresses.udp1} udp-pool`,
    `${member} --name m2 --address ${addresses.udp2} udp-pool`,
    'healthmonitor create --type UDP-CONNECT --delay 3 --timeout 1 --max-retries 1 --max-retries-down 1 --wait udp-pool',
  )
  lb = made[0]!
  expect(made.slice(1, 3).map(each => each.protocol)).toEqual(['UDP', 'UDP'])
  pool_id = made[2]!.id
  members = { udp1: made[3]!.id, udp2: made[4]!.id }
  client = new DatagramClient(stack, lb.vip_address, 53)
  expect(await client.shares(40)).toEqual({ udp1: 20, udp2: 20 })
})

test('all of it is ONLINE, and what went through is counted', async () => {
  await eventually('the members to be ONLINE', async () => {
    const statuses = await Promise.all(names.map(name => statusOf(members[name]!)))
    return statuses.every(status => status === 'ONLINE')
  })
  const [shown] = await typed('listener show udp-listener')
  expect(shown).toMatchObject({ operating_status: 'ONLINE', provisioning_status: 'ACTIVE', protocol: 'UDP' })
  await client.ask('kept', 20)
  type Stats = { stats: Record<'bytes_in' | 'bytes_out' | 'active_connections' | 'total_connections', number> }
  const listener_id = String(shown!.id)
  const counted = await eventually('statistics', async () => {
    const { stats } = (await demo.octavia<Stats>('GET', `listeners/${listener_id}/stats`)).body
    return stats.total_connections >= 60 && stats.active_connections >= 20 && stats
  })
  expect(counted.total_connections).toBe(60)
  expect(counted).toMatchObject({ bytes_in: 60 * (28 + 'hi'.length), bytes_out: 60 * (28 + 'udp1'.length) })
  const [told] = await typed<Record<string, string>>('listener stats show udp-listener')
  expect(Number(told!.total_connections)).toBe(60)
})

test('weights count, without moving a flow', async () => {
  const before = await client.ask('kept', 20)
  await act('member', 'set', '--weight', '3', '--wait', 'udp-pool', 'm1')
  expect(await client.ask('kept', 20)).toEqual(before)
  expect(await client.shares(40)).toEqual({ udp1: 30, udp2: 10 })
  await act('member', 'set', '--weight', '1', '--wait', 'udp-pool', 'm1')
})

test('a member that nobody listens at is found out, its clients move, and it comes back', async () => {
  await client.ask('kept', 20)
  await openstack('server', 'stop', 'udp2')
  await eventually('m2 to be found out', async () => (await statusOf(members.udp2!)) === 'ERROR')
  expect(new Set(Object.values(await client.ask('kept', 20)))).toEqual(new Set(['udp1']))
  await openstack('server', 'start', 'udp2')
  await eventually('m2 to be back', async () => (await statusOf(members.udp2!)) === 'ONLINE')
  expect(await client.shares(10)).toEqual({ udp1: 5, udp2: 5 })
})

test('when a member is removed its clients move, and the others stay', async () => {
  const before = await client.ask('moving', 20)
  expect(new Set(Object.values(before))).toEqual(new Set(names))
  await act('member', 'delete', '--wait', 'udp-pool', 'm2')
  expect(new Set(Object.values(await client.ask('moving', 20)))).toEqual(new Set(['udp1']))
})

test('when the amphora that serves dies, the other goes on', async () => {
  const master = await Inside.of(stack, lb.id, 'MASTER')
  await client.ask('kept', 5)
  await master.end('everything')
  await eventually('datagrams by the other', async () =>
    Object.values(await client.ask('kept', 5)).every(who => who === 'udp1'),
  )
  await eventually('another in its place', async () => {
    const serving = await Inside.of(stack, lb.id, 'MASTER')
    return serving.amphora_id !== master.amphora_id
  })
  await demo.settled(lb.id)
  expect(await client.shares(5)).toEqual({ udp1: 5 })
})

test('what no amphora here can carry is refused', async () => {
  const { status, stderr } = await stack.tryClient(
    'demo',
    ...['openstack', 'loadbalancer', 'listener', 'create', '--protocol', 'SCTP', '--protocol-port', '9', 'udp'],
  )
  expect(status).not.toBe(0)
  expect(stderr).toMatch(/listener protocol SCTP: the amphorae's kernel cannot carry it/)
})

test('when the listener is deleted nothing answers, and no rules are left', async () => {
  await act('listener', 'delete', '--wait', 'udp-listener')
  expect(new Set(Object.values(await client.ask('kept', 5)))).not.toContain('udp1')
  for (const role of ['MASTER', 'BACKUP']) {
    const inside = await Inside.of(stack, lb.id, role)
    expect(await inside.shell('nft list ruleset')).toBe('')
    expect(await inside.shell('conntrack -L -p udp 2> /dev/null')).not.toContain('dport=53 ')
  }
})

test('VIPs of both families take datagrams, each for its own members, and move together', async () => {
  const subnets = { 4: await demo.subnet('private-subnet'), 6: await demo.subnet('ipv6-private-subnet') }
  const to = (address: string, name: string, weight = 1) => {
    const subnet_id = subnets[isIPv6(address) ? 6 : 4]
    return { name, address, weight, subnet_id, protocol_port: member_port }
  }
  const both = (await demo.made('loadbalancers', 'loadbalancer', {
    ...{ name: 'udp-both', vip_subnet_id: subnets[4], additional_vips: [{ subnet_id: subnets[6] }] },
    listeners: [
      {
        ...{ name: 'udp-both', protocol: 'UDP', protocol_port: 53, allowed_cidrs: ['10.0.0.0/8', 'fd00::/8'] },
        default_pool: {
          ...{ name: 'udp-both', protocol: 'UDP', lb_algorithm: 'ROUND_ROBIN' },
          healthmonitor: { type: 'UDP-CONNECT', delay: 3, timeout: 1, max_retries: 1, max_retries_down: 1 },
          members: [
            ...[to(addresses.udp1!, 'b1', 3), to(addresses.udp2!, 'b2')],
            ...[to(six.udp1!, 'b3'), to(six.udp2!, 'b4')],
          ],
        },
      },
    ],
  })) as Made & { additional_vips: { ip_address: string }[]; listeners: { id: string }[] }
  const clients = [both.vip_address, both.additional_vips[0]!.ip_address].map(vip => new DatagramClient(stack, vip, 53))
  const [four, of_six] = clients as [DatagramClient, DatagramClient]
  try {
    await demo.settled(both.id)
    await eventually('both VIPs to answer', async () => {
      const got = [await four.shares(1), await of_six.shares(1)]
      return got.every(each => names.includes(Object.keys(each)[0]!))
    })
    expect(await four.shares(20)).toEqual({ udp1: 15, udp2: 5 })
    expect(await of_six.shares(20)).toEqual({ udp1: 10, udp2: 10 })
    type Stats = { stats: Record<'total_connections', number> }
    await eventually('one sum for both', async () => {
      const { stats } = (await demo.octavia<Stats>('GET', `listeners/${both.listeners[0]!.id}/stats`)).body
      return stats.total_connections >= 42
    })
    await of_six.ask('kept', 10)
    await act('member', 'delete', '--wait', 'udp-both', 'b4')
    expect(new Set(Object.values(await of_six.ask('kept', 10)))).toEqual(new Set(['udp1']))
    expect(await four.shares(4)).toEqual({ udp1: 3, udp2: 1 })
    const master = await Inside.of(stack, both.id, 'MASTER')
    expect(await master.shell('nft list tables')).toMatch(/^table inet udp_/m)
    await master.end('everything')
    await eventually('both VIPs by the other', async () => {
      const got = [await four.ask('moved', 3), await of_six.ask('moved', 3)]
      return got.every(each => Object.values(each).every(who => names.includes(who)))
    })
  } finally {
    for (const each of clients) await each.end()
    await demo.removed(both.id)
  }
})
