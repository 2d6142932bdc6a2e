/** The machine's fabric with two hosts on one network, in namespaces of its own, told line by line what the ports' limits
 *  are and answering how much came through. A program of its own, below `unshare`: `node shaped-machine.ts`. */
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import readline from 'node:readline'
import type { FabricPort } from '../../src/pocket/fabric/fabric.ts'
import { machineFabric } from '../../src/pocket/fabric/machine.ts'

type Bandwidth = FabricPort['bandwidth']
/** What the test says: the limits of host 2, set or found at a start of the cloud; or with a port plugged anew; which way to measure. */
export type Order =
  | { update: Bandwidth }
  | { restart: Bandwidth }
  | { replug: Bandwidth }
  | { move: 'to' | 'from' }
  | 'look'
export type Told = { received_bytes?: number; links?: string; log?: string[] }

const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'shaped-'))
const log: string[] = []
const start = () => machineFabric({ servers_dir: `${dir}/servers`, runtime_dir: dir, log: text => void log.push(text) })
let fabric = start()
const port = (number: number, bandwidth: Bandwidth): FabricPort => ({
  id: `0000000${number}-0000-4000-8000-000000000000`,
  network_id: 'n',
  mac_address: `fa:16:3e:00:00:0${number}`,
  mtu: 1450,
  fixed_ips: [{ ip_address: `10.7.0.${number}`, prefix_length: 24, gateway_ip: null }],
  allowed_address_pairs: [],
  admin_state_up: true,
  port_security_enabled: false,
  rules: [],
  bandwidth,
})
const free: Bandwidth = { egress: null, ingress: null }
await fabric.plugHost('h1', 'eth0', port(1, free))
await fabric.plugHost('h2', 'eth0', port(2, free))

const orders: Record<string, (value: never) => Promise<Told>> = {
  update: async (bandwidth: Bandwidth) => {
    await fabric.update(port(2, bandwidth))
    return { log }
  },
  restart: async (bandwidth: Bandwidth) => {
    fabric = start()
    await fabric.plugHost('h2', 'eth0', port(2, bandwidth))
    return { log }
  },
  replug: async (bandwidth: Bandwidth) => {
    await fabric.unplug(port(2, free).id)
    await fabric.plugHost('h2', 'eth0', port(2, bandwidth))
    return { log }
  },
  move: async (way: 'to' | 'from') => ({ received_bytes: await moved(way === 'to' ? ['h1', 'h2'] : ['h2', 'h1']) }),
  look: async () => ({ links: await output(['ip', '-n', 'sw-n', '-brief', 'link']) }),
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  const order = JSON.parse(line) as Order
  const [name, value] = typeof order === 'string' ? [order, null] : Object.entries(order)[0]!
  const told = await orders[name]!(value as never).catch(error => ({ log: [String(error)] }))
  process.stdout.write(`${JSON.stringify(told)}\n`)
}

/** What one host gets of what another sends it by TCP within a second, as fast as it goes. */
async function moved([from, to]: string[]): Promise<number> {
  const receiver = `let n = 0
    const s = require('net').createServer(c => {
      setTimeout(() => { console.log(n); process.exit() }, 1000)
      c.on('data', d => (n += d.length)).on('error', () => {})
    })
    s.listen(7000, () => console.log('up'))`
  const sender = `const c = require('net').connect(7000, process.argv[1], () => { const b = Buffer.alloc(65536)
    const more = () => c.write(b, more); more(); more() })
    c.on('error', () => {})`
  const address = to === 'h2' ? '10.7.0.2' : '10.7.0.1'
  const lines = readline.createInterface({ input: inside(to!, receiver).stdout })[Symbol.asyncIterator]()
  await lines.next()
  const sends = inside(from!, sender, address)
  const { value } = await lines.next()
  sends.kill('SIGKILL')
  return Number(value)
}

function inside(netns: string, program: string, ...args: string[]) {
  const argv = [`--net=/run/netns/${netns}`, process.execPath, '-e', program, ...args]
  return spawn('nsenter', argv, { stdio: ['ignore', 'pipe', 'inherit'] })
}

async function output(argv: string[]): Promise<string> {
  let text = ''
  for await (const chunk of spawn(argv[0]!, argv.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] }).stdout)
    text += chunk
  return text
}
