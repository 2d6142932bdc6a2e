/** A QoS policy for the VIP of a pair: what comes through is as slow as it says, as long as it says so. */
import { spawn } from 'node:child_process'
import { afterAll, beforeAll, expect, inject, test } from 'vitest'
import { Api } from '../api.ts'
import { type Servers, startEcho } from '../echo.ts'
import { eventually, Stack } from '../stack.ts'

const stack = new Stack(inject('stack_dir'))
let demo: Api
let admin: Api
/** Who lets the member's port in, and knows its address. */
let servers: Servers
let ended: Promise<unknown>
let source: ReturnType<typeof spawn>
const made = { policy: '', rule: '', lb: '' }

beforeAll(async () => {
  demo = await Api.of(stack, 'demo')
  admin = await Api.of(stack, 'admin')
  servers = await startEcho(stack, demo, { 8110: { name: 'a' } })
  // a body without an end
  const program = `const zeros = Buffer.alloc(65536)
    require('http').createServer((_, response) => {
      response.on('drain', more)
      function more() { while (response.write(zeros)); }
      more()
    }).listen(8111, '::', () => console.log('up'))
    process.stdin.resume().on('end', () => process.exit())`
  const [command, ...argv] = stack.command('exec', '--', process.execPath, '-e', program)
  source = spawn(command!, argv, { stdio: ['pipe', 'pipe', 'inherit'] })
  ended = new Promise(resolve => source.once('close', resolve))
  await new Promise(resolve => source.stdout!.once('data', resolve))
})
afterAll(async () => {
  if (made.lb) await demo.removed(made.lb)
  if (made.policy) await admin.network('DELETE', `qos/policies/${made.policy}`)
  source.stdin!.end()
  await ended
  await servers.stop()
})

/** Bytes that a client gets through the VIP by one connection. */
async function moved(url: string, time_s = 2): Promise<number> {
  const { stdout } = await stack.exec(
    'curl',
    '-s',
    '--max-time',
    `${time_s}`,
    '-o',
    '/dev/null',
    '-w',
    '%{size_download}',
    url,
  )
  return Number(stdout)
}

test('it slows the VIP from the start, until it is taken away, again when it is back, and not without its rule', async () => {
  const { body } = await admin.network<{ policy: { id: string } }>('POST', 'qos/policies', {
    policy: { name: 'two-megabits', shared: true },
  })
  made.policy = body.policy.id
  const rules = `qos/policies/${made.policy}/bandwidth_limit_rules`
  const limit = { bandwidth_limit_rule: { max_kbps: 2_000 } }
  const { status, body: ruled } = await admin.network<{ bandwidth_limit_rule: { id: string } }>('POST', rules, limit)
  expect(status).toBe(201)
  const subnet_id = await demo.subnet('private-subnet')
  const members = [{ address: servers.address, protocol_port: 8111, subnet_id }]
  const lb = await demo.made('loadbalancers', 'loadbalancer', {
    ...{ name: 'slow', vip_subnet_id: subnet_id, vip_qos_policy_id: made.policy },
    flavor_id: await admin.flavor('qos-pair', { loadbalancer_topology: 'ACTIVE_STANDBY' }),
    listeners: [
      {
        ...{ name: 'slow', protocol: 'HTTP', protocol_port: 80 },
        default_pool: { name: 'slow', protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN', members },
      },
    ],
  })
  made.lb = lb.id
  await demo.settled(lb.id)
  const url = `http://${lb.vip_address}/`
  const set = async (vip_qos_policy_id: string | null) => {
    const answer = await demo.octavia('PUT', `loadbalancers/${lb.id}`, { loadbalancer: { vip_qos_policy_id } })
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    await demo.settled(lb.id)
  }

  await eventually('the member is reached', () => moved(url))
  // a burst of 0.8 s, and five seconds; the pair does not change places meanwhile, which would end the connection
  const slow_bytes = await moved(url, 5)
  expect(slow_bytes).toBeLessThan(2_000_000)
  expect(slow_bytes).toBeGreaterThan(500_000)
  await set(null)
  expect(await moved(url)).toBeGreaterThan(5_000_000)
  await set(made.policy)
  expect(await moved(url)).toBeLessThan(1_000_000)
  // nobody tells the load balancer of this
  await admin.network('DELETE', `${rules}/${ruled.bandwidth_limit_rule.id}`)
  expect(await moved(url)).toBeGreaterThan(5_000_000)
})
