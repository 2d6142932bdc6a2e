/** How long a newcomer waits: clone to traffic, warm start, create to ACTIVE, member to its first answer.
 *  Run: `npm run bench:first-minute` (ROUNDS=5). Medians of several rounds; everything on this machine's loopback. */
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { Api } from '../test/acceptance/api.ts'
import { eventually, Stack } from '../test/acceptance/stack.ts'

const rounds = Number(process.env.ROUNDS ?? 5)
const repository = path.resolve(import.meta.dirname, '..')

const clone = fs.mkdtempSync(path.join(os.tmpdir(), 'ottavia-clone-'))
const stack = new Stack()
try {
  if (process.env.CLONE !== '0') {
    execFileSync('git', ['clone', '--quiet', repository, path.join(clone, 'ottavia')])
    fs.chmodSync(clone, 0o755)
    const install_s = timed(() =>
      execFileSync(path.join(clone, 'ottavia/ottavia'), ['--version'], {
        cwd: path.join(clone, 'ottavia'),
        stdio: 'ignore',
      }),
    )
    report('npm packages into a fresh clone (downloads)', [install_s])
    const fresh = new Stack(undefined, path.join(clone, 'ottavia'))
    const first_s = await timedAsync(() => fresh.up())
    report('fresh clone to first answered request, beyond downloads', [first_s])
    await fresh.remove()
  }
  await stack.up()
  await stack.interrupt()
  const warm: number[] = []
  for (let round = 0; round < rounds; round++) {
    warm.push(await timedAsync(() => stack.up()))
    if (round < rounds - 1) await stack.interrupt()
  }
  report('warm start to first answered request', warm)

  const api = await Api.of(stack, 'demo')
  const found = await api.network<{ subnets: { id: string }[] }>('GET', 'subnets?name=private-subnet')
  const subnet_id = found.body.subnets[0]!.id
  const created: number[] = []
  for (let round = 0; round < rounds; round++) {
    const begin_ms = performance.now()
    const lb = await api.octavia<{ loadbalancer: { id: string } }>('POST', 'loadbalancers', {
      loadbalancer: { name: `bench-${round}`, vip_subnet_id: subnet_id },
    })
    const { id } = lb.body.loadbalancer
    await soon(async () => (await status(api, id)) === 'ACTIVE')
    created.push((performance.now() - begin_ms) / 1000)
    await api.octavia('DELETE', `loadbalancers/${id}`)
    await eventually('deleted', async () => (await api.octavia('GET', `loadbalancers/${id}`)).status === 404)
  }
  report('create a load balancer to ACTIVE', created)

  const now = await stack.status()
  const demo = now.load_balancers.find(lb => lb.name === 'demo-lb')!
  type Members = { members: { id: string; address: string }[] }
  const { body } = await api.octavia<{ pools: { id: string }[] }>('GET', 'pools')
  const path_of_members = `pools/${body.pools[0]!.id}/members`
  const members = async () => (await api.octavia<Members>('GET', path_of_members)).body.members
  const { address } = (await members())[0]!
  const added: number[] = []
  for (let round = 0; round < rounds; round++) {
    const old = (await members()).find(member => member.address === address)!
    await api.octavia('DELETE', `${path_of_members}/${old.id}`)
    await eventually('settled', async () => (await status(api, demo.id)) === 'ACTIVE')
    const name = await firstAnswers(demo.host_address!, 6)
    const begin_ms = performance.now()
    await api.octavia('POST', path_of_members, { member: { address, protocol_port: 80, subnet_id } })
    await soon(async () => !name.has(await (await fetch(`http://${demo.host_address}/`)).text()))
    added.push((performance.now() - begin_ms) / 1000)
  }
  report('add a member to the first answer from it', added)
} finally {
  await stack.remove()
  fs.rmSync(clone, { recursive: true, force: true })
}

async function status(api: Api, id: string): Promise<string> {
  type Shown = { loadbalancer: { provisioning_status: string } }
  return (await api.octavia<Shown>('GET', `loadbalancers/${id}`)).body.loadbalancer.provisioning_status
}

async function firstAnswers(address: string, requests: number): Promise<Set<string>> {
  const seen = new Set<string>()
  for (let n = 0; n < requests; n++) seen.add(await (await fetch(`http://${address}/`)).text())
  return seen
}

/** Polls every 20 ms: often enough for what is measured, rarely enough not to be the load. */
async function soon(ask: () => Promise<boolean>): Promise<void> {
  while (!(await ask())) await new Promise(resolve => setTimeout(resolve, 20))
}

function timed(work: () => unknown): number {
  const begin_ms = performance.now()
  work()
  return (performance.now() - begin_ms) / 1000
}

async function timedAsync(work: () => Promise<unknown>): Promise<number> {
  const begin_ms = performance.now()
  await work()
  return (performance.now() - begin_ms) / 1000
}

function report(what: string, seconds: number[]): void {
  const sorted = [...seconds].sort((a, b) => a - b)
  const median = sorted[Math.floor(sorted.length / 2)]!
  const range = sorted.length > 1 ? ` (${sorted[0]!.toFixed(2)}–${sorted.at(-1)!.toFixed(2)}, n=${sorted.length})` : ''
  process.stdout.write(`${what.padEnd(62)} ${median.toFixed(2)} s${range}\n`)
}
