/** What UDP listeners on nftables cost and lose: rates beside the direct way, how long changes take, what is lost when a
 *  member goes or the VIP moves, and what a heartbeat costs. Run: `npm run bench:datagrams` (ROUNDS=5). Everything is on
 *  this machine, members, clients and the amphora: only what is measured side by side says something. */
import { type ChildProcess, spawn } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Sandbox, until } from '../src/agent/sandbox.ts'
import { Datagrams } from '../src/agent/sandbox-datagrams.ts'
import { SandboxPair } from '../src/agent/sandbox-pair.ts'
import { datagramText } from '../src/amphora/nftables/datagram-listener.ts'
import { input, member, monitor, pool } from '../src/amphora/nftables/sample.ts'

const rounds = Number(process.env.ROUNDS ?? 5)
const { id } = input().listener
const vip = ['10.0.0.10', '53']

await one()
await two()

/** One amphora. */
async function one(): Promise<void> {
  const sandbox = new Sandbox()
  sandbox.boot = { controller_ip_port_list: ['127.0.0.1:5555'], heartbeat_interval: 0.2, heartbeat_key: 'key' }
  try {
    const client = await sandbox.begin()
    await sandbox.plugVip(client)
    const lan = new Datagrams(sandbox)
    await lan.answer(['10.0.0.11', '10.0.0.12'])
    const apply = async (document: string) => {
      await client.uploadDatagrams(id, document)
      const begin_ms = performance.now()
      await client.startUnit(id)
      return performance.now() - begin_ms
    }
    const bare = await beatCost(sandbox)
    print(`first start: ${fixed(await apply(datagramText(input())))} ms`)
    const ratios: number[] = []
    for (let round = 0; round < rounds; round++) {
      const direct = await pingPong(sandbox, ['10.0.0.11', '5300'])
      ratios.push((await pingPong(sandbox, vip)) / direct)
    }
    print(
      `question and answer by the VIP, 64 flows: ${fixed(median(ratios), 2)} of the direct rate (${ratios.map(each => fixed(each, 2)).join(' ')})`,
    )
    for (const count of [2, 100, 1_000]) {
      const all = Array.from({ length: count }, (_, n) => member(n, { address: `10.0.${n >> 8}.${n & 255}` }))
      const heavier = (round: number) => [...all.slice(0, -1), { ...all.at(-1)!, weight: 2 + round }]
      await apply(datagramText(input({}, pool(all))))
      const took: number[] = []
      for (let round = 0; round < rounds; round++) took.push(await apply(datagramText(input({}, pool(heavier(round))))))
      print(`a weight changes among ${count} members: ${fixed(median(took))} ms`)
    }
    const losses: number[] = []
    for (let round = 0; round < rounds; round++) {
      await apply(datagramText(input()))
      const load = await openLoop(sandbox, [...vip, '200', '4000'])
      await sleep(1_000)
      await lan.mute(['10.0.0.12'])
      await apply(datagramText(input({}, pool([member(1)]))))
      await sleep(1_000)
      losses.push((await load.end()).lost)
      await lan.answer(['10.0.0.12'])
    }
    print(
      `of 4,000 datagrams a second in 200 flows, lost when the member of half of them goes: ${median(losses)} (${losses.join(' ')})`,
    )
    const few = await beatCost(sandbox)
    await apply(datagramText(input({}, pool([member(1)], { health_monitor: monitor({ delay: 3 }) }))))
    await sleep(1_000)
    const [probing] = sandbox.pidsOf('probe-members')
    const rollup = sandbox.read(`/proc/${probing}/smaps_rollup`) ?? ''
    const kilobytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(rollup)?.[1])
    print(`the process that asks members: ${kilobytes('Rss') >> 10} MB, ${kilobytes('Pss') >> 10} MB of them its own`)
    await openLoop(sandbox, [...vip, '10000', '10000']).then(async load => {
      await sleep(3_000)
      await load.end()
    })
    const many = await beatCost(sandbox)
    print(
      `a heartbeat costs ${fixed(bare)} ms of a core without UDP listeners, ${fixed(few)} with one, ${fixed(many)} with 10,000 flows`,
    )
    await client.close()
  } finally {
    await sandbox.close()
  }
}

/** A pair: one flow, a datagram every 2 ms, and how long nothing was answered. */
async function two(): Promise<void> {
  const pair = new SandboxPair()
  try {
    await pair.open()
    for (const n of [0, 1]) {
      await pair.plugVip(n)
      await pair.startVrrp(n)
      await pair.clients[n]!.uploadDatagrams(id, datagramText(input()))
      await pair.clients[n]!.startUnit(id)
    }
    await pair.awaitHolder(0)
    await new Datagrams(pair.first).answer(['10.0.0.11', '10.0.0.12'])
    const planned: number[] = []
    for (let round = 0, holder = 0; round < rounds; round++, holder = 1 - holder) {
      const load = await openLoop(pair.first, [...vip, '1', '500'])
      await sleep(500)
      await pair.clients[holder]!.stopVrrp()
      await pair.awaitHolder(1 - holder)
      await sleep(500)
      planned.push((await load.end()).gap_ms)
      await pair.startVrrp(holder)
      await sleep(1_000)
    }
    print(
      `planned handover: ${fixed(median(planned))} ms without an answer (${planned.map(each => fixed(each)).join(' ')})`,
    )
    if ((await pair.holders())[0] === 0) {
      await pair.clients[0]!.stopVrrp()
      await pair.awaitHolder(1)
      await pair.startVrrp(0)
      await sleep(1_000)
    }
    const load = await openLoop(pair.first, [...vip, '1', '500'])
    await sleep(500)
    await pair.first.exec(['ip', '-n', 'lan', 'link', 'set', 'to-1', 'down'])
    await until(async () => (await pair.holders()).includes(0), 'the other to have the VIP')
    await sleep(500)
    print(`cable of the one that serves cut: ${fixed((await load.end()).gap_ms)} ms without an answer`)
  } finally {
    await pair.close()
  }
}

/** Questions and answers a second: the next question follows the answer. */
async function pingPong(sandbox: Sandbox, place: string[]): Promise<number> {
  const load = await openLoop(sandbox, [...place, '64', '0'])
  await sleep(2_000)
  const { answered, took_s } = await load.end()
  return answered / took_s
}

type Seen = { sent: number; answered: number; lost: number; gap_ms: number; took_s: number }

/** `FLOWS RATE`; a rate of 0 is as fast as answers come. */
async function openLoop(sandbox: Sandbox, argv: string[]): Promise<{ end: () => Promise<Seen> }> {
  const file = path.join(sandbox.folder, 'load-datagrams.mjs')
  fs.writeFileSync(file, program())
  const inside = sandbox.inside(['ip', 'netns', 'exec', 'lan', process.execPath, file, ...argv])
  const child: ChildProcess = spawn(inside[0]!, inside.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] })
  let said = ''
  child.stdout!.on('data', chunk => (said += chunk))
  const closed = new Promise(resolve => child.once('close', resolve))
  while (!said.includes('started')) await sleep(20)
  return {
    end: async () => {
      child.stdin!.end()
      await closed
      return JSON.parse(said.slice(said.indexOf('{'))) as Seen
    },
  }
}

/** Milliseconds of a core that one heartbeat costs, with all that the agent starts for it. */
async function beatCost(sandbox: Sandbox): Promise<number> {
  const pid = sandbox.pidsOf('agent.mjs')[0]
  const ticks = () => {
    const stat = sandbox.read(`/proc/${pid}/stat`)!
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields.slice(11, 15).reduce((sum, each) => sum + Number(each), 0)
  }
  const before = ticks()
  await sleep(10_000)
  return ((ticks() - before) * 10) / 50
}

function program(): string {
  return `import dgram from 'node:dgram'
const [address, port, flows, rate] = process.argv.slice(2)
const all = []
let sent = 0, answered = 0, gap_ms = 0, last_ms = 0, on = true
for (let n = 0; n < Number(flows); n++) {
  const socket = dgram.createSocket('udp4').on('error', () => {})
  await new Promise(resolve => socket.connect(Number(port), address, resolve))
  socket.on('message', () => {
    answered++
    const now_ms = performance.now()
    if (last_ms) gap_ms = Math.max(gap_ms, now_ms - last_ms)
    last_ms = now_ms
    if (rate === '0' && on) ask(socket)
  })
  all.push(socket)
}
const ask = socket => { sent++; socket.send('0123456789') }
console.log('started')
const begin_ms = performance.now()
if (rate === '0') all.forEach(ask)
else {
  let due = 0
  const timer = setInterval(() => {
    for (; due < ((performance.now() - begin_ms) / 1000) * rate; due++) ask(all[due % all.length])
  }, 2)
  process.stdin.on('end', () => clearInterval(timer))
}
process.stdin.on('end', () => {
  on = false
  const took_s = (performance.now() - begin_ms) / 1000
  setTimeout(() => {
    console.log(JSON.stringify({ sent, answered, lost: sent - answered, gap_ms, took_s }))
    process.exit()
  }, 500)
}).resume()
`
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
}

function fixed(value: number, digits = 1): string {
  return value.toFixed(digits)
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
