/** Failovers whose controller, or whose cloud, dies or sleeps on the way; and what a stack is after it was stopped. */
import { type ChildProcess, spawn } from 'node:child_process'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { FaultRule } from '../../src/pocket/faults.ts'
import { daemonOf, killDaemon, processesBelow } from './accounting.ts'
import { type Failing, Ground, type Port, type Row } from './failing.ts'
import { eventually, Stack } from './stack.ts'

const lease = { OTTAVIA_CONTROLLER_WORKER_LEASE_S: '4' }
/** A host takes half of these few amphorae with it, which is no network that failed. */
const variables = { ...lease, OTTAVIA_HEALTH_MANAGER_FAILOVER_THRESHOLD: '6' }
let stack = new Stack(undefined, undefined, variables)
let ground: Ground
let lbs: Failing[]

/** Calls of a failover that change something in the cloud, one for each load balancer here. */
const calls = {
  'POST servers': { service: 'compute', method: 'POST', path: '^/v2.1/servers$' },
  'DELETE os-interface': { service: 'compute', method: 'DELETE', path: '^/v2.1/servers/[^/]+/os-interface/' },
  'PUT ports': { service: 'network', method: 'PUT', path: '^/v2.0/ports/[^/]+$' },
  'POST os-interface': { service: 'compute', method: 'POST', path: '^/v2.1/servers/[^/]+/os-interface$' },
} satisfies Record<string, Pick<FaultRule, 'service' | 'method' | 'path'>>

beforeAll(async () => {
  await stack.up('--no-demo')
  ground = await Ground.of(stack)
  const single = await ground.admin.singleAmphora()
  lbs = await Promise.all([null, null, single, single].map((flavor, index) => ground.make(`lb${index}`, flavor)))
})
afterAll(async () => {
  await stack.remove() // nothing of it outlives it
})

test('the controller killed inside calls of failovers, whose effect comes after the next one has looked', async () => {
  const before = await setOut(lbs, { action: 'hang_before', delay_ms: 8_000 })
  await eventually('every call hangs', async () => (await ground.faults()).every(({ met }) => met === 1))
  killDaemon(stack, 'all')
  await replaced(lbs, before)
  await ground.balanced()
})

test('answers lost in failovers; then the controller killed between steps, and the cloud with all that it knows', async () => {
  const before = await setOut(lbs, { action: 'lose_answer' })
  await eventually('every answer lost', async () => (await ground.faults()).every(({ met }) => met === 1))
  for (const step of ['upload listeners', 'take over addresses', 'plug VIP']) {
    await took(lbs[0]!, before[0]!, step)
    killDaemon(stack, step === 'plug VIP' ? 'pocket' : 'all')
  }
  await replaced(lbs, before)
  await ground.balanced()
})

/** What a host took with it: whose it was, and the port that it held. */
const lost: { lb: Failing; before: Record<Row['role'], Row>; row: Row; port: Port }[] = []

test('a host dies, and the cloud still believes in it: ports that it holds are made again as they were', async () => {
  await ground.noFaults()
  const at: Record<string, typeof lost> = {}
  for (const lb of lbs) {
    const before = await lb.whole()
    for (const row of Object.values(before)) {
      const path = `v2.1/servers/${row.compute_id}`
      const { body } = await ground.admin.compute<{ server: Record<string, string> }>('GET', path)
      const port = await ground.port(row.vrrp_port_id)
      const host = body.server['OS-EXT-SRV-ATTR:host']!
      at[host] = [...(at[host] ?? []), { lb, before, row, port }]
    }
  }
  const [host, victims] = Object.entries(at).sort(([, a], [, b]) => a.length - b.length)[0]!
  lost.push(...victims)
  await ground.fault({ action: 'dead_host', host, delay_ms: 45_000, times: null })
  for (const { lb, row } of lost) await lb.says(new RegExp(`silent amphora \\(${row.id.slice(0, 8)}\\)`))
  for (const { lb, before, row, port } of lost) {
    await took(lb, before, 'start listeners')
    const now = (await lb.rows()).find(one => one.role === row.role && one.id !== row.id)!
    expect(now).toMatchObject({ vrrp_ip: row.vrrp_ip, ha_ip: row.ha_ip })
    const { mac_address, fixed_ips, allowed_address_pairs } = port
    const same = { mac_address, fixed_ips, allowed_address_pairs }
    expect(await ground.port(now.vrrp_port_id)).toMatchObject({ ...same, device_id: now.compute_id })
    expect(now.vrrp_port_id).not.toBe(port.id)
    await lb.answers()
    expect((await ground.admin.compute('GET', `v2.1/servers/${row.compute_id}`)).status).toBe(200)
  }
})

test('a controller that sleeps until another has done its work, and then wakes, does no harm', async () => {
  const awake = lbs.filter(lb => !lost.some(one => one.lb === lb)).slice(0, 2)
  const before = await setOut(awake)
  await took(awake[0]!, before[0]!, 'boot server')
  const sleeper = daemonOf(stack, 'all')
  process.kill(sleeper, 'SIGSTOP')
  const another = startController()
  for (const [index, lb] of awake.entries()) await took(lb, before[index]!, 'start listeners')
  await awake[0]!.says(/Nothing is left to do/)
  process.kill(sleeper, 'SIGCONT')
  await replaced(awake, before)
  const last = processesBelow(another.pid!).at(-1)!
  expect(last.args).toContain('serve controller')
  process.kill(last.pid, 'SIGTERM')
  await eventually('the other has ended', async () => another.exitCode !== null)
  // it slept through heartbeats as well: nobody was given up for that
  for (const lb of awake) expect(await lb.explanation()).not.toContain('silent')
})

test('the servers of the dead host go once the cloud gives it up; nothing is left of them', async () => {
  for (const { row } of lost)
    await eventually('the server is gone', async () => {
      const { status } = await ground.admin.compute('GET', `v2.1/servers/${row.compute_id}`)
      return status === 404
    })
  await ground.noFaults()
  for (const { lb, row } of lost) await lb.whole(row)
  await ground.balanced()
})

test('a stack that was stopped serves again by itself, with the same amphorae', async () => {
  const before = await Promise.all(lbs.map(lb => lb.whole()))
  await stack.interrupt()
  stack = new Stack(stack.dir, undefined, { ...variables, OTTAVIA_CONTROLLER_WORKER_FAILOVER_ORDER: 'delete_first' })
  await stack.up('--no-demo')
  ground = await Ground.of(stack)
  lbs = lbs.map(lb => lb.on(ground))
  for (const [index, lb] of lbs.entries()) {
    await lb.answers()
    expect(await lb.whole()).toMatchObject(before[index]!)
  }
})

test('where servers go first, the agent of the next amphora is called in the described order', async () => {
  const [pair] = lbs
  const network = await ground.network('elsewhere', '10.8.0.0/24') // so that a network is plugged as well
  await pair!.add({ address: '10.8.0.9', weight: 0, subnet_id: network.subnet_id })
  const former = await pair!.whole()
  const [management] = await ground.portsOf(former.MASTER.compute_id, former.MASTER.lb_network_ip)
  await ground.admin.network('PUT', `ports/${management!.id}`, { port: { admin_state_up: false } })
  const { MASTER } = await pair!.whole(former.MASTER)
  expect(MASTER).toMatchObject({ vrrp_port_id: former.MASTER.vrrp_port_id, vrrp_ip: former.MASTER.vrrp_ip })
  await pair!.answers()
  await ground.balanced({ [pair!.id]: 1 })
  const listener = `/0.5/listeners/${pair!.listener.id}`
  expect(await ground.callsOf(MASTER.compute_id)).toEqual([
    `PUT /0.5/listeners/${MASTER.id}/${pair!.listener.id}/haproxy 202`,
    `GET ${listener} 200`,
    `PUT ${listener}/start 202`,
    `POST /0.5/plug/vip/${pair!.lb.vip_address} 202`,
    'POST /0.5/plug/network 202',
    `GET /0.5/interface/${MASTER.vrrp_ip} 200`,
    'PUT /0.5/vrrp/upload 200',
    'PUT /0.5/vrrp/start 202',
    `PUT ${listener}/start 202`,
  ])
})

type Action = Pick<FaultRule, 'action' | 'delay_ms'>

/** Asks for a failover of one amphora of each, while each of the calls is met once; answers with the rows before it. */
async function setOut(those: Failing[], fault: Action | null = null): Promise<Record<Row['role'], Row>[]> {
  const before = await Promise.all(those.map(lb => lb.whole()))
  if (fault) for (const call of Object.values(calls)) await ground.fault({ ...call, ...fault, times: 1 })
  for (const rows of before) {
    const { id } = rows.BACKUP ?? rows.STANDALONE
    expect((await ground.admin.amphorae('PUT', `/${id}/failover`)).status).toBe(202)
  }
  return before
}

/** The same as in a failover without trouble: another amphora with the addresses of the one before, and nothing more. */
async function replaced(those: Failing[], before: Record<Row['role'], Row>[]): Promise<void> {
  for (const [index, lb] of those.entries()) {
    const { MASTER, BACKUP, STANDALONE } = before[index]!
    const former = BACKUP ?? STANDALONE
    const after = await lb.whole(former)
    if (MASTER) expect(after.MASTER).toMatchObject({ id: MASTER.id, vrrp_ip: MASTER.vrrp_ip })
    const { vrrp_ip, vrrp_port_id, ha_ip, ha_port_id } = former
    expect(after[former.role]).toMatchObject({ vrrp_ip, vrrp_port_id, ha_ip, ha_port_id })
    await lb.says(/Nothing is left to do/)
    await lb.answers()
  }
}

/** Waits until the journal says that the step is through for the amphora that replaces another: that of the failover
 *  which began last. */
async function took(lb: Failing, before: Record<Row['role'], Row>, step: string): Promise<void> {
  const known = Object.values(before).map(row => row.id.slice(0, 8))
  const through = new RegExp(`${step} \\((?!${known.join('|')})\\w+\\): took`)
  await eventually(`${lb.lb.name}: ${step}`, async () => {
    const text = await lb.explanation()
    const begin = Math.max(text.lastIndexOf('failover amphora'), text.lastIndexOf('silent amphora'))
    if (begin < 0 || !through.test(text.slice(begin))) throw new Error(text.slice(-3_000))
    return true
  })
}

/** A second controller, in the stack's own network. */
function startController(): ChildProcess {
  const program = path.resolve(import.meta.dirname, '../../src/cli/ottavia.ts')
  const serve = [process.execPath, program, 'serve', 'controller', '--config', path.join(stack.dir, 'ottavia.toml')]
  const [command, ...args] = stack.command('exec', '--', 'nsenter', '--net=/proc/1/ns/net', ...serve)
  return spawn(command!, args, { stdio: 'inherit', env: { ...process.env, ...lease } })
}
