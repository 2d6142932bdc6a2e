/** For tests: a sandbox with UDP servers, and a program in it that sends, answers and hears datagrams as it is told. */
import { type ChildProcess, spawn } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { createInterface } from 'node:readline'
import type { AmphoraClient } from '../amphora/client.ts'
import type { ListenerInput, MemberInput, PoolInput } from '../amphora/haproxy/listener.ts'
import type { Change } from '../amphora/haproxy/sample.ts'
import { decodeHeartbeat, type Heartbeat } from '../amphora/heartbeat.ts'
import { datagramText } from '../amphora/nftables/datagram-listener.ts'
import { input, pool } from '../amphora/nftables/sample.ts'
import type { Applied } from '../amphora/rest.ts'
import { succeed } from './command.ts'
import { MEMBER_MAC, Sandbox, until } from './sandbox.ts'
import type { Counters } from './statistics.ts'

/** A machine with an agent, the VIP 10.0.0.10 and servers on port 5300 of 10.0.0.11, .12, .13, 10.1.0.11 and fd00::11. */
export class DatagramWorld {
  readonly sandbox = new Sandbox()
  /** Addresses that clients may have. */
  readonly sources = Array.from({ length: 40 }, (_, n) => `10.0.0.${100 + n}`)
  client!: AmphoraClient
  lan!: Datagrams
  /** Hears heartbeats. */
  #controller!: Datagrams

  async open(): Promise<void> {
    const heartbeats = { controller_ip_port_list: ['127.0.0.1:5555'], heartbeat_interval: 0.2, heartbeat_key: key }
    this.sandbox.boot = { ...this.sandbox.boot, ...heartbeats }
    this.client = await this.sandbox.begin(async () => {
      this.#controller = new Datagrams(this.sandbox, null)
      await this.#controller.hear(5555)
    })
    await this.sandbox.plugVip(this.client)
    const fixed_ips = [{ ip_address: '10.1.0.5', subnet_cidr: '10.1.0.0/24' }]
    await this.client.plugNetwork({ mac_address: MEMBER_MAC, fixed_ips })
    await this.plugSources()
    this.lan = new Datagrams(this.sandbox)
    await this.lan.answer(['10.0.0.11', '10.0.0.12', '10.0.0.13', '10.1.0.11', 'fd00::11'])
  }

  async close(): Promise<void> {
    await this.client?.close()
    await this.sandbox.close()
  }

  async plugSources(): Promise<void> {
    const lines = this.sources.map(each => `addr add ${each}/24 dev to-vip\n`)
    await succeed(this.sandbox.inside(['ip', '-n', 'lan', '-batch', '-']), { input: lines.join('') })
  }

  /** As a controller does it with the sample listener; how it got into force. */
  apply = (members: MemberInput[], of: Change<PoolInput> = {}, listener: Change<ListenerInput['listener']> = {}) => {
    return this.applyText(datagramText(input(listener, pool(members, of))))
  }

  applyText = async (text: string, listener = input().listener.id): Promise<Applied | null> => {
    await this.client.uploadDatagrams(listener, text)
    const { status } = await this.client.listener(listener)
    const act = status === 'ACTIVE' ? this.client.reloadUnit(listener) : this.client.startUnit(listener)
    return (await act).applied
  }

  nft(...words: string[]): Promise<string> {
    return this.sandbox.exec(['ip', 'netns', 'exec', 'amphora-haproxy', 'nft', ...words])
  }

  /** The latest heartbeat. */
  async beat(): Promise<Heartbeat> {
    await until(async () => (await this.#controller.heard(key)) !== null, 'a heartbeat')
    return (await this.#controller.heard(key))!
  }

  /** One that began after the call. */
  async next(): Promise<Heartbeat> {
    const { seq } = await this.beat()
    await until(async () => (await this.beat()).seq >= seq + 2, 'a heartbeat')
    return this.beat()
  }

  /** What the heartbeats have counted for the listener, once it rests: a slow machine tells it a beat later. */
  async counted(listener = input().listener.id): Promise<Counters> {
    const now = async () => (await this.next()).ottavia!.counters[listener]!
    let last = await now()
    const rests = async () => {
      const before = last
      last = await now()
      return JSON.stringify(before) === JSON.stringify(last)
    }
    await until(rests, 'the counters to rest')
    return last
  }

  /** What it says of the members. */
  async words(): Promise<Record<string, string>> {
    return Object.values((await this.beat()).pools ?? {})[0]?.members ?? {}
  }
}

const key = 'insecure'

/** What a client got: the address of who answered, or what became of its datagram. */
export type Got = string

export class Datagrams {
  readonly #child: ChildProcess
  readonly #waiting: ((answer: unknown) => void)[] = []

  /** In the network namespace of that name, or, for null, on the machine itself. */
  constructor(sandbox: Sandbox, namespace: string | null = 'lan') {
    const file = path.join(sandbox.folder, 'datagrams.mjs')
    fs.writeFileSync(file, program)
    const inside = namespace === null ? [] : ['ip', 'netns', 'exec', namespace]
    const argv = sandbox.inside([...inside, process.execPath, file])
    this.#child = spawn(argv[0]!, argv.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#child.setMaxListeners(0)
    createInterface({ input: this.#child.stdout! }).on('line', line => this.#waiting.shift()!(JSON.parse(line)))
  }

  /** From now on these answer, each with its own address. */
  async answer(addresses: string[], port = 5300): Promise<void> {
    await this.#call({ act: 'answer', addresses, port })
  }

  /** They are gone: nobody listens there. */
  async mute(addresses: string[]): Promise<void> {
    await this.#call({ act: 'mute', addresses })
  }

  /** One datagram on each of the named flows, and what came of it; a new name is a new flow, from one of `sources` in
   *  turn. */
  async ask(
    flows: string[],
    { vip = '10.0.0.10', port = 53, sources = ['10.0.0.1'] } = {},
  ): Promise<Record<string, Got>> {
    return (await this.#call({ act: 'ask', flows, vip, port, sources })) as Record<string, Got>
  }

  /** How often each of `count` new flows was answered by whom. */
  async shares(count: number, options: Parameters<Datagrams['ask']>[1] = {}): Promise<Record<Got, number>> {
    const names = Array.from({ length: count }, (_, n) => `${++named}-${n}`)
    const got = Object.values(await this.ask(names, options))
    await this.#call({ act: 'end', flows: names })
    const tally: Record<Got, number> = {}
    for (const who of got) tally[who] = (tally[who] ?? 0) + 1
    return tally
  }

  async hear(port: number): Promise<void> {
    await this.#call({ act: 'hear', port })
  }

  /** The latest heartbeat that came to the port. */
  async heard(key: string): Promise<Heartbeat | null> {
    const frame = (await this.#call({ act: 'heard' })) as string | null
    if (frame === null) return null
    const decoded = decodeHeartbeat(Buffer.from(frame, 'base64'), key)
    if (!decoded.ok) throw new Error(decoded.why)
    return decoded.message
  }

  #call(order: object): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#waiting.push(resolve)
      this.#child.once('exit', () => reject(new Error('the program for datagrams has ended')))
      this.#child.stdin!.write(`${JSON.stringify(order)}\n`)
    })
  }
}

let named = 0

const program = `import dgram from 'node:dgram'
import { createInterface } from 'node:readline'
const servers = new Map(), flows = new Map()
let frame = null
// one that was used before may be remembered with its member
let next = 10000
const kind = address => address.includes(':') ? 'udp6' : 'udp4'
const bound = (address, port) => new Promise(resolve => {
  const socket = dgram.createSocket({ type: kind(address), reuseAddr: true })
  socket.bind(port, address, () => resolve(socket))
})
const acts = {
  async answer({ addresses, port }) {
    for (const address of addresses) {
      const socket = await bound(address, port)
      socket.on('message', (_, from) => socket.send(address, from.port, from.address))
      servers.set(address, socket)
    }
  },
  async mute({ addresses }) { for (const each of addresses) { servers.get(each)?.close(); servers.delete(each) } },
  async ask({ flows: names, vip, port, sources }) {
    const results = {}
    for (const [n, name] of names.entries()) {
      if (flows.has(name)) continue
      const socket = await bound(sources[n % sources.length], next++)
      await new Promise(resolve => socket.connect(port, vip, resolve))
      const flow = { socket, got: () => {} }
      socket.on('message', text => flow.got(String(text))).on('error', error => flow.got(error.code))
      flows.set(name, flow)
    }
    await Promise.all(names.map(async name => {
      const flow = flows.get(name)
      results[name] = await new Promise(resolve => {
        const timer = setTimeout(resolve, 1000, 'silence')
        flow.got = text => { clearTimeout(timer); resolve(text) }
        flow.socket.send('hi', error => error && flow.got(error.code))
      })
    }))
    return results
  },
  async end({ flows: names }) { for (const each of names) { flows.get(each).socket.close(); flows.delete(each) } },
  async hear({ port }) { (await bound('127.0.0.1', port)).on('message', each => { frame = each }) },
  async heard() { return frame && frame.toString('base64') },
}
for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line)
  console.log(JSON.stringify((await acts[order.act](order)) ?? null))
}
process.exit()
`
