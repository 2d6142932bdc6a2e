/** Datagrams on a stack: servers that answer them, and a client on a host of the network private. */
import { type ChildProcess, spawn } from 'node:child_process'
import path from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import type { Answers } from './datagram-client.ts'
import type { Stack } from './stack.ts'

/** What a server runs that answers each datagram to the port with its name, in both families. */
export function datagramServer(name: string, port: number): string {
  const program = `
const socket = require("dgram").createSocket("udp6")
socket.on("message", (_, from) => socket.send("${name}", from.port, from.address))
socket.bind(${port}, () => console.log("SERVES"))`
  return `#!/bin/sh\nexec node -e '${program}'\n`
}

/** Flows that stay open from one question to the next. */
export class DatagramClient {
  readonly #child: ChildProcess
  readonly #lines: AsyncIterator<string>
  readonly #reader: Interface

  constructor(stack: Stack, vip: string, port: number) {
    const client = path.join(import.meta.dirname, 'datagram-client.ts')
    const [program, ...args] = stack.command('exec', '--', process.execPath, client, vip, ...[port, first].map(String))
    first += PORTS
    this.#child = spawn(program!, args, { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#reader = createInterface({ input: this.#child.stdout! })
    this.#lines = this.#reader[Symbol.asyncIterator]()
  }

  /** Who answered one datagram on each of the group's flows. */
  async ask(group: string, count: number): Promise<Answers> {
    this.#child.stdin!.write(`${group} ${count}\n`)
    for (;;) {
      const { value, done } = await this.#lines.next()
      if (done) throw new Error('the client has ended')
      if (value !== 'started') return JSON.parse(value) as Answers
    }
  }

  /** How often who answered on new flows. */
  async shares(count: number): Promise<Record<string, number>> {
    const tally: Record<string, number> = {}
    for (const who of Object.values(await this.ask(`new${++groups}`, count))) tally[who] = (tally[who] ?? 0) + 1
    return tally
  }

  async end(): Promise<void> {
    const ended = new Promise(resolve => this.#child.once('close', resolve))
    this.#child.stdin!.end()
    await ended
  }
}

let groups = 0

/** Clients share a host, and so its ports. */
const PORTS = 2_000
let first = 10_000
