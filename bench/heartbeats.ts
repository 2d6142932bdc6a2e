/** How many heartbeats a second one health process takes, with statuses and statistics written to a real PostgreSQL.
 *  Run: `npm run bench:heartbeats` (RATES=10000,15000 SECONDS=8 ROUNDS=3 AMPHORAE=20000). The health process has one core
 *  of its own; the load and PostgreSQL share the others. Every beat brings other counters, one in a hundred a member that
 *  has failed or recovered. On a machine with other work it measures that as well. */
import { type ChildProcess, fork, spawnSync } from 'node:child_process'
import dgram from 'node:dgram'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import pg from 'pg'
import { encodeHeartbeat, type Heartbeat } from '../src/amphora/heartbeat.ts'
import { startPostgres } from '../src/cli/embedded-postgres.ts'
import { startHealth } from '../src/health/health.ts'
import { openLog } from '../src/service/log.ts'
import { openPool } from '../src/service/postgres.ts'
import { migrate } from '../src/store/migrations.ts'

const key = 'bench'
const amphorae = Number(process.env.AMPHORAE ?? 20_000)
const role = process.argv[2]
if (role) process.on('disconnect', () => process.exit(0))
if (role === 'receiver') receive(process.argv[3]!)
else if (role === 'sender') send()
else await bench()

async function bench(): Promise<void> {
  const rates = (process.env.RATES ?? '5000,10000,15000').split(',').map(Number)
  const rounds = Number(process.env.ROUNDS ?? 3)
  const seconds = Number(process.env.SECONDS ?? 8)
  const cores = os.availableParallelism()
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'ottavia-bench-'))
  const server = await startPostgres(path.join(dir, 'cluster'), path.join(dir, 's'))
  try {
    await populate(server.url)
    pin(server.pid, cores > 1 ? `1-${cores - 1}` : '0')
    const receiver = fork(import.meta.filename, ['receiver', server.url], {
      execArgv: (process.env.RECEIVER_ARGV ?? '').split(' ').filter(Boolean),
    })
    const sender = fork(import.meta.filename, ['sender'])
    pin(receiver.pid!, '0')
    pin(sender.pid!, cores > 1 ? `1-${cores - 1}` : '0')
    const { port } = await ask<{ port: number }>(receiver, { ask: 'port' })
    print(`${amphorae} amphorae; ${os.cpus()[0]!.model}, ${cores} cores, one for the health process`)
    let seq = 0
    // the first beat of each: what must be folded once is no part of what is measured
    const warm = await ask<{ seq: number }>(sender, { rate: 4_000, seconds: amphorae / 4_000, seq, port })
    seq = warm.seq
    await idle(receiver)
    for (const rate of rates) {
      const results: Result[] = []
      for (let round = 0; round < rounds; round++) {
        const before = await ask<Snapshot>(receiver, { ask: 'counts' })
        const sent = await ask<{ sent: number; took_s: number; seq: number }>(sender, { rate, seconds, seq, port })
        const at_end = await ask<Snapshot>(receiver, { ask: 'counts' })
        seq = sent.seq
        const after = await idle(receiver)
        results.push({
          sent_s: sent.sent / sent.took_s,
          lost: sent.sent - (after.received - before.received),
          sent: sent.sent,
          written: after.written - before.written,
          folded: after.folded - before.folded,
          cpu: (at_end.cpu_ms - before.cpu_ms) / (at_end.at_ms - before.at_ms),
          rss_mb: after.rss_mb,
        })
      }
      const of = (read: (result: Result) => number) => median(results.map(read))
      print(
        `${rate}/s: sent ${of(r => r.sent_s).toFixed(0)}/s, lost ${((of(r => r.lost) / of(r => r.sent)) * 100).toFixed(2)} %` +
          ` (${results.map(r => r.lost).join(', ')} of ${results[0]!.sent}), written ${((of(r => r.written) / of(r => r.sent)) * 100).toFixed(2)} %,` +
          ` folded ${of(r => r.folded)}, CPU ${(of(r => r.cpu) * 100).toFixed(0)} %, ${of(r => r.rss_mb).toFixed(0)} MB`,
      )
    }
    receiver.kill('SIGINT')
    sender.kill()
  } finally {
    await server.stop()
    fs.rmSync(dir, { recursive: true, force: true })
  }
}

type Snapshot = {
  received: number
  written: number
  folded: number
  waiting: number
  cpu_ms: number
  at_ms: number
  rss_mb: number
}
type Result = {
  sent_s: number
  sent: number
  lost: number
  written: number
  folded: number
  cpu: number
  rss_mb: number
}

/** One load balancer, listener, pool and two members for each amphora, ids as `id` makes them. */
async function populate(url: string): Promise<void> {
  const pool = new pg.Pool({ connectionString: url })
  await migrate(pool)
  const life = `'ACTIVE', now(), null, 1, null`
  const of = (kind: number) => `('00000000-0000-4000-8000-' || ${kind} || lpad(to_hex(n), 11, '0'))::uuid`
  const statements = [
    `insert into lbaas.load_balancer (id, project_id, name, description, admin_state_up, provider, vip_address, vip_port_id,
       topology, vip_port_owned, gone, tags, provisioning_status, created_at, updated_at, generation, reason)
     select ${of(1)}, 'p', '', '', true, 'amphora', '10.0.0.1', ${of(9)}, 'SINGLE', true, '[]', '[]', ${life}`,
    `insert into lbaas.pool (id, project_id, name, description, load_balancer_id, admin_state_up, protocol, lb_algorithm, tags,
       provisioning_status, created_at, updated_at, generation, reason)
     select ${of(3)}, 'p', '', '', ${of(1)}, true, 'HTTP', 'ROUND_ROBIN', '[]', ${life}`,
    `insert into lbaas.listener (id, project_id, name, description, load_balancer_id, admin_state_up, protocol, protocol_port,
       connection_limit, default_pool_id, insert_headers, timeout_client_data, timeout_member_connect, timeout_member_data,
       timeout_tcp_inspect, peer_port, tags, provisioning_status, created_at, updated_at, generation, reason)
     select ${of(2)}, 'p', '', '', ${of(1)}, true, 'HTTP', 80, -1, ${of(3)}, '{}', 1, 1, 1, 1, 1025, '[]', ${life}`,
    ...[4, 5].map(
      kind => `insert into lbaas.member (id, project_id, name, pool_id, admin_state_up, address, protocol_port, weight, backup,
       tags, provisioning_status, created_at, updated_at, generation, reason)
     select ${of(kind)}, 'p', '', ${of(3)}, true, '10.0.0.${kind}', 80, 1, false, '[]', ${life}`,
    ),
    `insert into lbaas.health_monitor (id, project_id, name, pool_id, admin_state_up, type, delay, timeout, max_retries,
       max_retries_down, tags, provisioning_status, created_at, updated_at, generation, reason)
     select ${of(7)}, 'p', '', ${of(3)}, true, 'TCP', 5, 3, 2, 3, '[]', ${life}`,
    `insert into lbaas.amphora (id, load_balancer_id, status, lb_network_ip, cert_busy, vip_plugged, member_ports, applied, created_at)
     select ${of(6)}, ${of(1)}, 'ALLOCATED', '127.0.0.1', false, true, '[]',
            jsonb_build_object(${of(2)}::text, jsonb_build_object('input', 'x', 'etag', md5('x'))), now()`,
    `insert into lbaas.claims (load_balancer_id, next_try_at) select ${of(1)}, 'infinity'`,
    `insert into lbaas.amphora_health (amphora_id) select ${of(6)}`,
  ]
  for (const statement of statements) await pool.query(`${statement} from generate_series(0, ${amphorae - 1}) as n`)
  await pool.query('analyze')
  await pool.end()
}

function id(kind: number, n: number): string {
  return `00000000-0000-4000-8000-${kind}${n.toString(16).padStart(11, '0')}`
}

function beat(n: number, seq: number, failed: boolean): Heartbeat {
  const listener = id(2, n)
  const traffic = { tx: seq * 1_000_003 + n, rx: seq * 12_345 + n, totconns: seq * 17, ereq: 0 }
  return {
    id: id(6, n),
    seq,
    ver: 3,
    listeners: {
      [listener]: { status: 'OPEN', stats: { tx: 1_000_003, rx: 12_345, conns: seq % 50, totconns: 17, ereq: 0 } },
    },
    pools: {
      [`${id(3, n)}:${listener}`]: { status: 'UP', members: { [id(4, n)]: failed ? 'DOWN' : 'UP', [id(5, n)]: 'UP' } },
    },
    ottavia: {
      start: 1,
      boot_id: id(8, n),
      role: null,
      counters: { [listener]: traffic },
      digests: { [listener]: '9dd4e461268c8034f5c8564e155c67a6' },
      keepalived: null,
    },
  }
}

function receive(url: string): void {
  process.on('SIGINT', () => process.exit(0))
  const log = openLog('health')
  log.level = 'error'
  const health = startHealth({
    pool: openPool(url, log),
    bind_ip: '127.0.0.1',
    bind_port: 0,
    heartbeat_key: key,
    heartbeat_timeout_s: 3_600,
    health_check_interval_s: 3,
    failover_threshold: 0,
    log,
  })
  process.on('message', async () => {
    while (health.port() === null) await new Promise(resolve => setTimeout(resolve, 20))
    const { received, written, folded, waiting } = health.counts
    const { user, system } = process.cpuUsage()
    process.send!({
      port: health.port(),
      received,
      written,
      folded,
      waiting,
      cpu_ms: (user + system) / 1000,
      at_ms: performance.now(),
      rss_mb: process.memoryUsage.rss() / (1 << 20),
    })
  })
}

/** Makes the datagrams first, then sends them at an even rate. */
function send(): void {
  const socket = dgram.createSocket('udp4')
  const failed = new Set<number>()
  let turn = 0
  let connected = false
  process.on(
    'message',
    async ({ rate, seconds, seq, port }: { rate: number; seconds: number; seq: number; port: number }) => {
      const frames = Array.from({ length: rate * seconds }, () => {
        const n = turn++ % amphorae
        if (turn % 100 === 0) failed[failed.has(n) ? 'delete' : 'add'](n)
        return encodeHeartbeat(beat(n, seq + Math.floor(turn / amphorae), failed.has(n)), key, '1.0')
      })
      if (!connected) await new Promise<void>(resolve => socket.connect(port, '127.0.0.1', resolve))
      connected = true
      const began_ms = performance.now()
      let sent = 0
      while (sent < frames.length) {
        const due = Math.min(frames.length, Math.floor(((performance.now() - began_ms) / 1000) * rate))
        for (; sent < due; sent++) socket.send(frames[sent]!)
        await new Promise(resolve => setTimeout(resolve, 2))
      }
      const took_s = (performance.now() - began_ms) / 1000
      process.send!({ sent, took_s, seq: seq + 1 })
    },
  )
}

/** Waits until everything has been written, and gives the counts. */
async function idle(receiver: ChildProcess): Promise<Snapshot> {
  let last = await ask<Snapshot>(receiver, { ask: 'counts' })
  for (let same = 0; same < 3; ) {
    await new Promise(resolve => setTimeout(resolve, 1_000))
    const next = await ask<Snapshot>(receiver, { ask: 'counts' })
    const progress = (['received', 'written', 'folded'] as const).some(count => next[count] !== last[count])
    same = progress || next.waiting > 0 ? 0 : same + 1
    last = next
  }
  return last
}

function ask<T>(child: ChildProcess, message: object): Promise<T> {
  return new Promise(resolve => {
    child.once('message', answer => resolve(answer as T))
    child.send(message)
  })
}

function pin(pid: number, cores: string): void {
  spawnSync('taskset', ['-a', '-c', '-p', cores, String(pid)], { stdio: 'ignore' })
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
