/** Before this amphora gives the VIP up on purpose: what is being answered gets its answer, since no other knows it. */
import fs from 'node:fs'
import { isIPv6 } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { run, succeed } from './command.ts'
import type { Log } from './log.ts'
import { inside } from './namespace.ts'
import { statisticsOf } from './statistics.ts'

/** Holds new connections to the VIPs back, waits until nothing is under way (never for long), then lets `handOver` give
 *  the VIPs to the other. A client whose first packet is held back sends it again after a second, and finds the other. */
export async function quietly(serving: Serving, handOver: () => Promise<void>): Promise<void> {
  const { vips, log } = serving
  // Without nftables connections that begin in these moments are lost, as they would be anyway.
  const held = await hold(vips).then(
    () => true,
    error => log('new connections are not held back', { error: String(error) }),
  )
  try {
    await quiet(serving).catch(error => log('what is under way is not known', { error: String(error) }))
    await handOver()
  } finally {
    if (held) await run(inside(['nft', 'delete table inet giving_up']))
  }
}

export type Serving = {
  vips: string[]
  /** haproxy's. */
  sockets: string[]
  /** Of any process inside. */
  pid: number
  log: Log
}

/** If this process dies now, the kernel lets connections in again by itself. */
async function hold(vips: string[]): Promise<void> {
  const lines = ['add table inet giving_up', 'delete table inet giving_up', 'add table inet giving_up']
  for (const [family, set, type] of [
    ['ip', 'vips4', 'ipv4_addr'],
    ['ip6', 'vips6', 'ipv6_addr'],
  ] as const) {
    const mine = vips.filter(vip => isIPv6(vip) === (family === 'ip6'))
    lines.push(
      `add set inet giving_up ${set} { type ${type}; flags timeout; }`,
      ...mine.map(vip => `add element inet giving_up ${set} { ${vip} timeout ${HOLD_S}s }`),
    )
  }
  lines.push(
    'add chain inet giving_up in { type filter hook input priority -10; }',
    'add rule inet giving_up in ip daddr @vips4 tcp flags & (syn | ack) == syn drop',
    'add rule inet giving_up in ip6 daddr @vips6 tcp flags & (syn | ack) == syn drop',
  )
  await succeed(inside(['nft', '-f', '-']), { input: `${lines.join('\n')}\n` })
}

/** Connections that idle do not count. Two looks, since what was let in last may not have been read yet. */
async function quiet({ sockets, pid }: Serving): Promise<void> {
  const begin_ms = performance.now()
  for (let looks = 0; performance.now() - begin_ms < PATIENCE_MS; await sleep(LOOK_MS)) {
    const haproxies = await Promise.all(sockets.map(socket => statisticsOf(socket, new Set(), PATIENCE_MS)))
    looks = bytesWait(pid) || haproxies.some(({ requests }) => requests > 0) ? 0 : looks + 1
    if (looks === 2) return
  }
}

/** In the kernel, for a client, a member or haproxy; connections that nobody has accepted yet count as well. */
function bytesWait(pid: number): boolean {
  const tables = ['tcp', 'tcp6'].map(name => `/proc/${pid}/net/${name}`).filter(file => fs.existsSync(file))
  const sockets = tables.flatMap(file => fs.readFileSync(file, 'utf8').trim().split('\n').slice(1))
  return sockets.some(line => !/^\s*\S+ \S+ \S+ \S+ 0+:0+ /.test(line))
}

/** Together with a handover it must stay below the second after which clients try again. */
const PATIENCE_MS = 500
const LOOK_MS = 10
const HOLD_S = 3
