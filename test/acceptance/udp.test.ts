/** UDP listeners through the genuine `openstack loadbalancer`: datagrams reach members by the VIP of a pair. */
import fs from 'node:fs'
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
  addresses = Object.fromEntries(names.map(name => [name, servers.find(one => one.name === name)!.addresses[0]!]))
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
