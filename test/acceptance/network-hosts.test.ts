/** Several network hosts: each takes its share, one that dies is left, and all is as it was after the machine's restart. */
import fs from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ListedProcess, processesOf } from './accounting.ts'
import { Api, type Made } from './api.ts'
import { eventually, Stack } from './stack.ts'

const stack = new Stack()
const balancers: Made[] = []
let demo: Api
let addresses: string[]

beforeAll(async () => {
  const { servers } = await stack.up('--network-hosts', '2')
  addresses = ['web1', 'web2'].map(name => servers.find(server => server.name === name)!.addresses[0]!)
  demo = await Api.of(stack, 'demo')
})
afterAll(() => stack.remove())

const answers = { 'hello from web1': 1, 'hello from web2': 1 }
const url = ({ vip_address }: Made) => `http://${vip_address}/`
const hostsOf = async ({ id }: Made) =>
  [...(await stack.explain(id)).matchAll(/amphora \S+: (\w+) STANDALONE, on network host (\S+),/g)].map(found =>
    found.slice(1),
  )
/** The programs of that host. They all look alike; what they keep tells whose they are. */
function programsOf(name: string): ListedProcess[] {
  const folder = `${stack.dir}/network-hosts/${name}/octavia`
  const keeps = (pid: number) =>
    fs.readFileSync(`/proc/${pid}/mountinfo`, 'utf8').includes(`${folder} /var/lib/octavia`)
  return processesOf(stack).filter(({ pid, args }) => args.endsWith('serve network-host') && keeps(pid))
}

async function make(name: string): Promise<Made> {
  const vip_subnet_id = await demo.subnet('private-subnet')
  const made = await demo.made('loadbalancers', 'loadbalancer', { name, provider: 'haproxy', vip_subnet_id })
  const listener = await demo.made('listeners', 'listener', {
    loadbalancer_id: made.id,
    protocol: 'HTTP',
    protocol_port: 80,
  })
  const of = { listener_id: listener.id, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' }
  const pool = await demo.made('pools', 'pool', of)
  for (const address of addresses)
    await demo.made(`pools/${pool.id}/members`, 'member', { address, protocol_port: 80, subnet_id: vip_subnet_id })
  return demo.settled(made.id)
}

test('load balancers go to the host that has fewest', async () => {
  for (const name of ['one', 'two']) balancers.push(await make(name))
  const hosts = await Promise.all(balancers.map(hostsOf))
  expect(hosts.flat().sort()).toEqual([
    ['ALLOCATED', 'network-host-1'],
    ['ALLOCATED', 'network-host-2'],
  ])
  for (const one of balancers) expect(await stack.answers(url(one), 2)).toEqual(answers)
})

test('a failover moves one to the other host, which clears the first', async () => {
  const [one] = balancers as [Made]
  const [[, first]] = (await hostsOf(one)) as [[string, string]]
  await stack.client('admin', 'openstack', 'loadbalancer', 'failover', '--wait', 'one')
  const other = first === 'network-host-1' ? 'network-host-2' : 'network-host-1'
  await eventually('it has moved', async () => JSON.stringify(await hostsOf(one)) === `[["ALLOCATED","${other}"]]`)
  expect(await stack.answers(url(one), 2)).toEqual(answers)
})

test('a host that falls silent is left; when it is back nothing of that is on it', async () => {
  // both are on one host by now
  const [one, two] = balancers as [Made, Made]
  const [[, name]] = (await hostsOf(one)) as [[string, string]]
  expect((await hostsOf(two))[0]![1]).toBe(name)
  const frozen = programsOf(name)
  expect(frozen).toHaveLength(1)
  process.kill(frozen[0]!.pid, 'SIGSTOP')
  try {
    for (const each of balancers) {
      await eventually('it serves elsewhere', async () =>
        (await hostsOf(each)).some(([status, host]) => status === 'ALLOCATED' && host !== name),
      )
      await eventually('its answers', async () => (await stack.answers(url(each), 2))['hello from web1'] === 1)
    }
  } finally {
    process.kill(frozen[0]!.pid, 'SIGCONT')
  }
  for (const each of balancers) await eventually('it is cleared', async () => (await hostsOf(each)).length === 1)
  for (const each of balancers) expect(await stack.answers(url(each), 2)).toEqual(answers)
})

test('after a restart of the machine all of it serves again', async () => {
  const before = await Promise.all(balancers.map(hostsOf))
  await stack.interrupt()
  await stack.up('--network-hosts', '2')
  for (const each of balancers)
    await eventually('its answers', async () => (await stack.answers(url(each), 2))['hello from web2'] === 1)
  expect(await Promise.all(balancers.map(hostsOf))).toEqual(before)
  demo = await Api.of(stack, 'demo')
  for (const each of balancers) await demo.removed(each.id)
})
