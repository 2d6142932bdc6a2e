/** How many requests a second one API process answers, and how long each takes: a list of 100 load balancers, one of them,
 *  its tree of statuses, and the create of a pool (accepted and committed), of each load balancer in turn. Run:
 *  `npm run bench:api` (SECONDS=5 ROUNDS=3). PostgreSQL is real; nobody is asked who the caller is. The API, PostgreSQL and
 *  the clients share the machine. */
import { type ChildProcess, fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { Client } from 'undici'
import { startApi } from '../src/api/server.ts'
import { startPostgres } from '../src/cli/embedded-postgres.ts'
import { openCertificateStore } from '../src/cloud/certificates/certificate-store.ts'
import { OpenStack } from '../src/cloud/openstack.ts'
import { amphora_provider } from '../src/lbaas/provider.ts'
import { settle } from '../src/lbaas/provisioning.ts'
import { applied, creates, sampleId } from '../src/lbaas/sample.ts'
import { usual_tls } from '../src/lbaas/tls.ts'
import { openLog } from '../src/service/log.ts'
import { loadOptions } from '../src/service/options.ts'
import { openPool } from '../src/service/postgres.ts'
import { migrate } from '../src/store/migrations.ts'
import { transaction } from '../src/store/transaction.ts'
import * as trees from '../src/store/trees.ts'

const load_balancers = 100
const seconds = Number(process.env.SECONDS ?? 5)
const rounds = Number(process.env.ROUNDS ?? 3)
if (process.argv[2] === 'serve') await serve(process.argv[3]!)
else await bench()

async function bench(): Promise<void> {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'ottavia-bench-'))
  const postgres = await startPostgres(path.join(dir, 'cluster'), path.join(dir, 's'))
  const execArgv = (process.env.API_ARGV ?? '').split(' ').filter(Boolean)
  const api = fork(import.meta.filename, ['serve', postgres.url], { execArgv })
  try {
    const { port, ids } = await told(api)
    print(
      `${load_balancers} load balancers, each with a listener, a pool and two members; ${os.cpus()[0]!.model}, ${os.availableParallelism()} cores`,
    )
    const one = ids[50]!
    let name = 0
    const pool = () =>
      JSON.stringify({
        pool: {
          ...{ name: `${name++}`, loadbalancer_id: ids[name % ids.length] },
          ...{ protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' },
        },
      })
    const calls: Record<string, () => Asked> = {
      'list of 100': () => ({ method: 'GET', path: '/v2.0/lbaas/loadbalancers' }),
      one: () => ({ method: 'GET', path: `/v2.0/lbaas/loadbalancers/${one}` }),
      'status tree': () => ({ method: 'GET', path: `/v2.0/lbaas/loadbalancers/${one}/status` }),
      'create (accepted)': () => ({ method: 'POST', path: '/v2.0/lbaas/pools', body: pool() }),
    }
    for (const [title, call] of Object.entries(calls).filter(([title]) => title.includes(process.env.ONLY ?? '')))
      for (const clients of [1, 32]) {
        const results: Result[] = []
        for (let round = 0; round < rounds; round++) results.push(await load(port, clients, call))
        const of = (read: (result: Result) => number) => median(results.map(read))
        print(
          `${title}, ${clients} client${clients > 1 ? 's' : ''}: ${of(r => r.rate_s).toFixed(0)}/s` +
            ` (${results.map(r => r.rate_s.toFixed(0)).join(', ')}), p50 ${of(r => r.p50_ms).toFixed(1)} ms, p99 ${of(r => r.p99_ms).toFixed(1)} ms` +
            (results.some(r => r.failed) ? `, ${results.reduce((sum, r) => sum + r.failed, 0)} failed` : ''),
        )
      }
  } finally {
    api.disconnect()
    await postgres.stop()
    fs.rmSync(dir, { recursive: true, force: true })
  }
}

type Asked = { method: 'GET' | 'POST'; path: string; body?: string }
type Result = { rate_s: number; p50_ms: number; p99_ms: number; failed: number }

/** Each client asks again as soon as it was answered, over a connection of its own. */
async function load(port: number, clients: number, call: () => Asked): Promise<Result> {
  const took_ms: number[] = []
  let failed = 0
  const begin_ms = performance.now()
  const until_ms = begin_ms + seconds * 1000
  await Promise.all(
    Array.from({ length: clients }, async () => {
      const client = new Client(`http://127.0.0.1:${port}`)
      const headers = { 'x-project-id': 'bench', 'content-type': 'application/json' }
      while (performance.now() < until_ms) {
        const asked_ms = performance.now()
        const { statusCode, body } = await client.request({ ...call(), headers })
        await body.arrayBuffer()
        took_ms.push(performance.now() - asked_ms)
        if (statusCode >= 300) failed++
      }
      await client.close()
    }),
  )
  const all = took_ms.toSorted((a, b) => a - b)
  const at = (share: number) => all[Math.floor(all.length * share)] ?? 0
  return { rate_s: all.length / ((performance.now() - begin_ms) / 1000), p50_ms: at(0.5), p99_ms: at(0.99), failed }
}

async function serve(url: string): Promise<void> {
  const log = openLog('bench')
  log.level = 'error'
  const pool = openPool(url, log)
  await migrate(pool)
  const ids: string[] = []
  for (let n = 0; n < load_balancers; n++) {
    const id = randomUUID()
    ids.push(id)
    const all = new Map(Array.from({ length: 8 }, (_, i) => [sampleId(i + 1), i === 0 ? id : randomUUID()]))
    const made = applied([
      creates.loadBalancer({ name: `lb${n}` }),
      creates.listener(),
      creates.pool({ listener_id: sampleId(2) }),
      creates.member(sampleId(3), { address: '10.0.0.21' }),
      creates.member(sampleId(3), { address: '10.0.0.22' }),
    ])
    const settled = settle(made, { generation: made.load_balancer.generation, failed: new Map() })
    const text = JSON.stringify(settled).replace(
      /00000000-0000-4000-8000-0000000000\d\d/g,
      found => all.get(found) ?? found,
    )
    const tree = JSON.parse(text.replaceAll('5f0c3d1a9b7e4c2d8a6f1e0b9d8c7a65', 'bench'))
    tree.load_balancer.vip_port_id = randomUUID()
    await transaction(pool, tx => trees.save(tx, null, tree))
  }
  await pool.query('analyze')
  const cloud = new OpenStack({ auth_url: 'http://127.0.0.1:1/v3' } as ConstructorParameters<typeof OpenStack>[0])
  const none = -1
  const api = await startApi({
    pool,
    cloud,
    certificates: openCertificateStore(loadOptions(null, {}).certificates, () => cloud),
    log,
    options: {
      auth_strategy: 'noauth',
      locking: 'queue',
      topology: 'SINGLE',
      providers: [amphora_provider],
      default_provider: 'amphora',
      quotas: {
        load_balancer: none,
        listener: none,
        pool: none,
        member: none,
        health_monitor: none,
        l7policy: none,
        l7rule: none,
      },
      amp_image_owner_id: null,
      policy_file: null,
      reserved_ips: [],
      ping_allowed: true,
      tls: usual_tls,
      pagination_max_limit: 1000,
    },
    listen: { octavia: [{ host: '127.0.0.1', port: 0 }], neutron: [{ host: '127.0.0.1', port: 0 }] },
  })
  process.send!({ port: api.addresses.octavia[0]!.port, ids })
  process.on('disconnect', () => process.exit(0))
}

function told(child: ChildProcess): Promise<{ port: number; ids: string[] }> {
  return new Promise((resolve, reject) => {
    child.once('message', message => resolve(message as { port: number; ids: string[] }))
    child.once('exit', code => reject(new Error(`the API ended (${code})`)))
  })
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}
