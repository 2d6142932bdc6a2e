/** One question to one member, as a health monitor asks it. Nothing is started for it. */
import dgram from 'node:dgram'
import fs from 'node:fs'
import net, { isIPv6 } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { DatagramMonitor } from '../amphora/nftables/datagram-listener.ts'

/** What is to be asked, and where. `place` tells it from other questions to the same member. */
export type CheckOrder = {
  member_id: string
  place: string
  address: string
  port: number
  monitor: DatagramMonitor
  /** What was known of it last. */
  down: boolean
}

/** Asks members; `ask` resolves with whether the answer was good. */
export function makeCheck({ address, port, monitor }: CheckOrder): Check {
  const timeout_ms = Math.max(1, monitor.timeout) * 1_000
  if (monitor.type === 'UDP-CONNECT') return new DatagramCheck(address, port, timeout_ms)
  const request = monitor.type === 'HTTP' ? requestOf(monitor) : null
  return { ask: () => connected(address, port, timeout_ms, request), end: () => {} }
}

export type Check = { ask: () => Promise<boolean>; end: () => void }

/** No answer is a good answer: the member has taken it. What says otherwise is the member's machine (nobody listens there),
 *  heard by the socket that is kept for it, late words too: they answer the next question. The kernel does not tell this
 *  kind of socket that there is no such machine; its table of neighbours does (IPv4, on a network of ours). */
export class DatagramCheck implements Check {
  readonly #place: { address: string; port: number }
  readonly #timeout_ms: number
  #socket: dgram.Socket | null = null
  #refused = false

  constructor(address: string, port: number, timeout_ms: number) {
    this.#place = { address, port }
    this.#timeout_ms = timeout_ms
  }

  async ask(): Promise<boolean> {
    try {
      this.#socket ??= await this.#connect()
      const socket = this.#socket
      await new Promise<void>((resolve, reject) => socket.send('X', error => (error ? reject(error) : resolve())))
    } catch {
      this.#refused = true
    }
    for (let waited_ms = 0; !this.#refused && waited_ms < this.#timeout_ms; waited_ms += 50) await sleep(50)
    const good = !this.#refused && !missing(this.#place.address)
    this.#refused = false
    return good
  }

  end(): void {
    this.#socket?.close()
    this.#socket = null
  }

  #connect(): Promise<dgram.Socket> {
    const socket = dgram.createSocket(isIPv6(this.#place.address) ? 'udp6' : 'udp4')
    return new Promise((resolve, reject) => {
      socket.once('error', reject)
      socket.connect(this.#place.port, this.#place.address, () => {
        socket.off('error', reject)
        socket.on('error', () => {
          this.#refused = true
        })
        resolve(socket)
      })
    })
  }
}

/** Somebody has asked for the neighbour's MAC, and has not been answered. */
function missing(address: string): boolean {
  const lines = fs.readFileSync('/proc/net/arp', 'utf8').split('\n')
  const words = lines.find(line => line.startsWith(`${address} `))?.split(/\s+/)
  return words !== undefined && words[2] === '0x0'
}

/** A connection, and the status of the answer where one is asked for. */
function connected(host: string, port: number, timeout_ms: number, request: HttpRequest | null): Promise<boolean> {
  return new Promise(resolve => {
    let said = ''
    const socket = net.connect({ host, port })
    const end = (good: boolean) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(good)
    }
    const timer = setTimeout(end, timeout_ms, false)
    socket.once('error', () => end(false))
    socket.once('close', () => end(false))
    socket.once('connect', () => {
      if (request === null) end(true)
      else socket.setEncoding('latin1').write(request.text)
    })
    socket.on('data', chunk => {
      said += chunk
      const status = /^HTTP\/1\.[01] (\d{3})/.exec(said)?.[1]
      if (status !== undefined) end(request?.expected(status) ?? false)
      else if (said.length > 64) end(false)
    })
  })
}

type HttpRequest = { text: string; expected: (status: string) => boolean }

function requestOf({ http_method, url_path, http_version, domain_name, expected_codes }: DatagramMonitor): HttpRequest {
  const version = http_version === 1.1 ? '1.1' : '1.0'
  const host = version === '1.1' ? [`Host: ${domain_name || 'localhost'}`] : []
  const lines = [`${http_method || 'GET'} ${url_path || '/'} HTTP/${version}`, ...host, 'Connection: close', '', '']
  const codes = (expected_codes || '200').split(',').map(each => each.trim().split('-'))
  return {
    text: lines.join('\r\n'),
    expected: status => codes.some(([first, last = first]) => status >= first! && status <= last!),
  }
}
