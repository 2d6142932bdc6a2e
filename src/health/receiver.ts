/** The receiver: a UDP socket, and heartbeats out of it. */
import dgram from 'node:dgram'
import fs from 'node:fs'
import net from 'node:net'
import { decodeHeartbeat, type Heartbeat } from '../amphora/heartbeat.ts'
import type { Log } from '../service/log.ts'
import type { Counts } from './counts.ts'

export type Receiver = {
  /** Of the socket, once it is bound. */
  port: () => number | null
  close: () => Promise<void>
}

/** Receives until it is closed. Where the address is not there yet (a management network that is still to come), it
 *  tries again; `changed` tells whether it listens. A datagram is verified and read where it
 *  arrives, in 20 µs; the kernel's buffer holds what comes while a batch is put together. */
export function openReceiver(options: {
  bind_ip: string
  bind_port: number
  key: string
  counts: Counts
  log: Log
  heard: (message: Heartbeat, source: string, frame: Buffer) => void
  changed: (listening: boolean) => void
}): Receiver {
  const { bind_ip, bind_port, key, counts, log, heard, changed } = options
  let socket: dgram.Socket | null = null
  let retry: NodeJS.Timeout | null = null
  let closed = false
  let complained = false

  const open = () => {
    const fresh = dgram.createSocket(net.isIPv6(bind_ip) ? 'udp6' : 'udp4')
    socket = fresh
    fresh.on('message', (frame, from) => {
      counts.received++
      const decoded = decodeHeartbeat(frame, key)
      if (decoded.ok) heard(decoded.message, from.address, frame)
      else counts.dropped[decoded.why]++
    })
    fresh.once('listening', () => {
      // asks for more than rmem_max allows; the kernel gives what it may
      fresh.setRecvBufferSize(receive_buffer_bytes)
      const given = fresh.getRecvBufferSize()
      log.info({ bind_ip, bind_port, receive_buffer_bytes: given }, 'heartbeats are received')
      if (given < receive_buffer_bytes / 4)
        log.warn({ receive_buffer_bytes: given }, 'bursts of heartbeats may be lost; set net.core.rmem_max to 8388608')
      complained = false
      changed(true)
    })
    fresh.once('error', error => {
      changed(false)
      if (!complained)
        log.warn(
          { err: error.message },
          `heartbeats cannot be received on ${bind_ip}:${bind_port} ([health_manager] bind_ip, bind_port); trying again every second`,
        )
      complained = true
      fresh.close()
      if (!closed) retry = setTimeout(open, retry_ms)
    })
    fresh.bind({ address: bind_ip, port: bind_port })
  }
  open()
  const lost = setInterval(() => {
    const port = portOf(socket)
    if (port !== null) counts.lost = droppedByKernel(port)
  }, 5_000).unref()

  const close = async () => {
    closed = true
    clearInterval(lost)
    if (retry) clearTimeout(retry)
    if (portOf(socket) !== null) await new Promise<void>(resolve => socket!.close(resolve))
  }
  return { port: () => portOf(socket), close }
}

const receive_buffer_bytes = 8 << 20
const retry_ms = 1_000

function portOf(socket: dgram.Socket | null): number | null {
  try {
    return socket?.address().port ?? null
  } catch {
    return null
  }
}

/** The last column of the socket's line in /proc/net/udp. */
function droppedByKernel(port: number): number {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const lines = ['/proc/net/udp', '/proc/net/udp6']
    .flatMap(file => (fs.existsSync(file) ? fs.readFileSync(file, 'utf8').split('\n').slice(1) : []))
    .map(line => line.trim().split(/\s+/))
  return lines.filter(columns => columns[1]?.endsWith(suffix)).reduce((sum, columns) => sum + Number(columns.at(-1)), 0)
}
