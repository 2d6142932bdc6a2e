/** Whatever happens to calls and controllers on the way, a load balancer ends ACTIVE, with exactly one of everything. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { FaultRule } from '../../src/pocket/faults.ts'
import { account, killDaemon, namespacesOf, type Parts, rightAccount } from './accounting.ts'
import { Api } from './api.ts'
import { eventually, Stack } from './stack.ts'

/** One amphora each: what befalls pairs on the way is in failover-death.test.ts. */
const stack = new Stack(undefined, undefined, {
  OTTAVIA_CONTROLLER_WORKER_LOADBALANCER_TOPOLOGY: 'SINGLE',
  OTTAVIA_CONTROLLER_WORKER_LEASE_S: '4',
})
let admin: Api
let demo: Api
let subnet_id: string
let empty_namespaces: number
let made = 0

/** Every call of a creation that makes or changes something in the cloud. */
const calls = {
  'POST security-groups': { service: 'network', method: 'POST', path: '^/v2.0/security-groups$' },
  'POST security-group-rules': { service: 'network', method: 'POST', path: '^/v2.0/security-group-rules$' },
  'POST servers': { service: 'compute', method: 'POST', path: '^/v2.1/servers$' },
  'POST ports': { service: 'network', method: 'POST', path: '^/v2.0/ports$' },
  'POST os-interface': { service: 'compute', method: 'POST', path: '^/v2.1/servers/[^/]+/os-interface$' },
  'PUT ports': { service: 'network', method: 'PUT', path: '^/v2.0/ports/[^/]+$' },
} satisfies Record<string, Pick<FaultRule, 'service' | 'method' | 'path'>>

type Fault = Omit<FaultRule, 'id' | 'met' | 'since_ms'>
type Listed = { loadbalancers: LoadBalancer[] }
type Shown = { loadbalancer: LoadBalancer }
type LoadBalancer = { id: string; name: string; provisioning_status: string }

beforeAll(async () => {
  await stack.up('--no-demo')
  ;[admin, demo] = await Promise.all([Api.of(stack, 'admin'), Api.of(stack, 'demo')])
  const { body } = await demo.network<{ subnets: { id: string }[] }>('GET', 'subnets?name=private-subnet')
  subnet_id = body.subnets[0]!.id
  empty_namespaces = namespacesOf(stack)
})
afterAll(() => stack.remove())

test.each([
  ['hang before their effect', { action: 'hang_before', delay_ms: 500 }],
  ['lose their answers', { action: 'lose_answer' }],
  ['have their effect after the next try', { action: 'late_effect', delay_ms: 4_000 }],
  ['are answered with an error', { action: 'status', code: 503 }],
  ['are cut off', { action: 'reset' }],
] as const)('calls that %s', async (_, fault) => {
  const lbs = await settingOut(
    1,
    Object.values(calls).map(call => ({ ...call, ...fault, times: 1 })),
  )
  await eventually('every fault met', async () => (await faults()).every(({ met }) => met === 1))
  await active(lbs)
})

test('a cloud that finds no host for a server at first', async () => {
  const lbs = await settingOut(1, [
    { service: 'compute', method: 'POST', path: '.', action: 'no_valid_host', times: 1 },
  ])
  await active(lbs)
})

test('the controller killed inside calls, whose effect comes after the next one has looked', async () => {
  const held = ['POST security-groups', 'POST servers', 'POST ports', 'POST os-interface'] as const
  const rules = held.map(call => ({ ...calls[call], action: 'hang_before' as const, delay_ms: 12_000, times: 1 }))
  const lbs = await settingOut(held.length, rules)
  await eventually('every call hangs', async () => (await faults()).every(({ met }) => met === 1))
  killDaemon(stack, 'all')
  await active(lbs)
})

test('the controller killed between steps, and when answers were lost', async () => {
  const lbs: LoadBalancer[] = []
  // in memory it is killed around every call: src/providers/amphora/flows.test.ts
  for (const step of ['amphora rows', 'boot server', 'plug VIP']) {
    const [lb] = await settingOut(1, [])
    lbs.push(lb!)
    await eventually(step, async () => took(step, await explanation(lb!)))
    killDaemon(stack, 'all')
  }
  const rules = (['POST servers', 'POST ports'] as const).map(call => ({
    ...calls[call],
    action: 'lose_answer' as const,
    times: 1,
  }))
  for (const rule of rules) {
    lbs.push(...(await settingOut(1, [rule])))
    await eventually('an answer lost', async () => (await faults()).every(({ met }) => met === 1))
    killDaemon(stack, 'all')
  }
  await active(lbs)
})

test('the cloud killed while servers are made and plugged', async () => {
  const lbs = await settingOut(2, [])
  await eventually('a booted server', async () => took('boot server', await explanation(lbs[0]!)))
  killDaemon(stack, 'pocket')
  await active(lbs)
})

test('afterwards there is exactly one of everything, and no twin', async () => {
  const { body } = await admin.octavia<Listed>('GET', 'loadbalancers')
  const lbs = body.loadbalancers
  expect(lbs.length).toBe(made)
  const parts = new Map<string, Parts>()
  for (const lb of lbs) {
    await eventually(`nothing left to do for ${lb.name}`, async () =>
      (await explanation(lb)).includes('Nothing is left'),
    )
    const found = [...(await explanation(lb)).matchAll(/amphora ([0-9a-f-]{36}): ALLOCATED/g)]
    expect(found.length, await explanation(lb)).toBe(1)
    parts.set(lb.id, { amphorae: found.map(match => match[1]!), pair: false })
  }
  expect(await account(admin)).toEqual(rightAccount(parts))
  const journals = (await Promise.all(lbs.map(explanation))).join()
  for (const twin of ['server', 'port', 'security group'])
    expect(journals, 'a twin of each kind has been there').toMatch(
      new RegExp(`deleted ${twin} \\S+ the twin of another`),
    )
})

test('and when they are deleted, nothing', async () => {
  const { body } = await admin.octavia<Listed>('GET', 'loadbalancers')
  for (const { id } of body.loadbalancers)
    expect((await demo.octavia('DELETE', `loadbalancers/${id}?cascade=true`)).status).toBe(204)
  await eventually('all gone', async () => {
    const left = await admin.octavia<Listed>('GET', 'loadbalancers')
    return left.status === 200 && left.body.loadbalancers.length === 0
  })
  expect(await account(admin)).toEqual(rightAccount(new Map()))
  await eventually('no namespace left', async () => namespacesOf(stack) === empty_namespaces)
})

/** Makes load balancers with a listener each, side by side, while the rules are in force; that for ports only when the API
 *  has made those of the VIPs. */
async function settingOut(count: number, rules: Fault[]): Promise<LoadBalancer[]> {
  await admin.compute('DELETE', 'pocket/faults')
  const set = async (rule: Fault) => expect((await admin.compute('PUT', 'pocket/faults', rule)).status).toBe(200)
  const port_path = calls['POST ports'].path
  for (const rule of rules) if (rule.path !== port_path) await set(rule)
  const lbs = await Promise.all(Array.from({ length: count }, () => accepted('lb')))
  for (const rule of rules) if (rule.path === port_path) await set(rule)
  return lbs
}

async function accepted(prefix: string): Promise<LoadBalancer> {
  const name = `${prefix}${++made}`
  const lb = await eventually(`${name} accepted`, async () => {
    const { status, body } = await demo.neutron<Shown>('POST', 'loadbalancers', {
      loadbalancer: { name, vip_subnet_id: subnet_id },
    })
    return status === 201 && body.loadbalancer
  })
  const listener = { loadbalancer_id: lb.id, protocol: 'HTTP', protocol_port: 80 }
  expect((await demo.neutron('POST', 'listeners', { listener })).status).toBe(201)
  return lb
}

async function active(lbs: LoadBalancer[]): Promise<void> {
  for (const { id, name } of lbs)
    await eventually(`${name} ACTIVE`, async () => {
      const { body } = await demo.neutron<Shown>('GET', `loadbalancers/${id}`)
      return body.loadbalancer.provisioning_status === 'ACTIVE'
    })
}

async function faults(): Promise<FaultRule[]> {
  const { body } = await admin.compute<{ faults: FaultRule[] }>('GET', 'pocket/faults')
  return body.faults
}

/** Whether the journal says that the step is through; those of amphorae have the amphora behind their title. */
function took(step: string, journal: string): boolean {
  return new RegExp(`${step}( \\(\\w+\\))?: took`).test(journal)
}

function explanation({ id }: LoadBalancer): Promise<string> {
  return stack.explain(id)
}
