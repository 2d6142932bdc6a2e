/** A fleet for tests of health: load balancers with amphorae in a real database, and heartbeats over real UDP. */
import dgram from 'node:dgram'
import type pg from 'pg'
import { encodeHeartbeat, type Heartbeat } from '../src/amphora/heartbeat.ts'
import { type Health, type HealthOptions, startHealth } from '../src/health/health.ts'
import { type Amphora, newAmphora } from '../src/lbaas/amphora.ts'
import { settle } from '../src/lbaas/provisioning.ts'
import { applied, creates, sampleId } from '../src/lbaas/sample.ts'
import { openLog } from '../src/service/log.ts'
import { wake } from '../src/store/claims.ts'
import { transaction } from '../src/store/transaction.ts'
import * as trees from '../src/store/trees.ts'

export const key = 'secret'
export const etag = 'a'.repeat(32)

/** The n-th load balancer: its objects, and up to two amphorae, by number. */
export function ids(n: number) {
  const of = (i: number) => sampleId(n * 100 + i)
  const [lb, listener, pool, member, other, amphora, standby] = [1, 2, 3, 4, 5, 50, 51].map(of) as [
    string,
    string,
    string,
    string,
    string,
    string,
    string,
  ]
  return { lb, listener, pool, member, other, amphora, standby }
}

/** Saves the n-th load balancer, settled, with a monitor; its amphorae were heard just now. */
export async function addLoadBalancer(pool: pg.Pool, n: number, changed: { pair?: boolean } = {}): Promise<void> {
  const { lb, listener, pool: pool_id, amphora, standby } = ids(n)
  const made = applied(
    [
      creates.loadBalancer(),
      creates.listener({ loadbalancer_id: lb }),
      creates.pool({ listener_id: listener }),
      creates.member(pool_id, { address: '10.0.0.21' }),
      creates.member(pool_id, { address: '10.0.0.22' }),
      creates.monitor(pool_id),
    ],
    null,
    n * 100 + 1,
  )
  const settled = settle(made, { generation: made.load_balancer.generation, failed: new Map() })!
  const row = (id: string): Amphora => ({
    ...newAmphora({ id, load_balancer_id: lb, role: 'STANDALONE', created_at: '2026-01-01T00:00:00Z' }),
    status: 'ALLOCATED',
    lb_network_ip: '127.0.0.1',
    applied: { [listener]: { input: 'x', etag } },
  })
  const tree = {
    ...settled,
    load_balancer: {
      ...settled.load_balancer,
      vip_port_id: sampleId(n * 100 + 99),
      topology: changed.pair ? ('ACTIVE_STANDBY' as const) : ('SINGLE' as const),
    },
    amphorae: changed.pair ? [row(amphora), row(standby)] : [row(amphora)],
  }
  await transaction(pool, async tx => {
    await trees.save(tx, null, tree)
    await wake(tx, lb)
    await tx.query(`update lbaas.claims set next_try_at = 'infinity', wakes = 0 where load_balancer_id = $1`, [lb])
  })
}

/** Empties everything that health writes or reads. */
export async function clear(pool: pg.Pool): Promise<void> {
  await pool.query(
    'truncate lbaas.load_balancer, lbaas.amphora, lbaas.journal, lbaas.silence, lbaas.listener_statistics cascade',
  )
  await pool.query('update lbaas.breaker set open_since = null, calm_since = null')
}

type Own = NonNullable<Heartbeat['ottavia']>

/** What the n-th load balancer's amphora says when all is well. */
export function beat(n: number, seq: number, changed: Partial<Heartbeat> & { own?: Partial<Own> } = {}): Heartbeat {
  const { listener, pool, member, other, amphora } = ids(n)
  const { own, ...rest } = changed
  return {
    id: amphora,
    seq,
    ver: 3,
    listeners: { [listener]: { status: 'OPEN', stats: { tx: 1, rx: 2, conns: 3, totconns: 4, ereq: 5 } } },
    pools: { [`${pool}:${listener}`]: { status: 'UP', members: { [member]: 'UP', [other]: 'UP' } } },
    ottavia: {
      start: 1,
      boot_id: 'boot-1',
      role: null,
      counters: { [listener]: { tx: 10, rx: 20, totconns: 40, ereq: 50 } },
      digests: { [listener]: etag },
      keepalived: null,
      ...own,
    },
    ...rest,
  }
}

export function members(n: number, words: { member?: string; other?: string }, pool_status = 'UP'): Partial<Heartbeat> {
  const { listener, pool, member, other } = ids(n)
  const said = { [member]: words.member ?? 'UP', [other]: words.other ?? 'UP' }
  return { pools: { [`${pool}:${listener}`]: { status: pool_status, members: said } } }
}

/** A health process on a port of its own, with short times. */
export async function runHealth(pool: pg.Pool, changed: Partial<HealthOptions> = {}): Promise<Health> {
  const log = openLog('test')
  log.level = 'silent'
  const health = startHealth({
    pool,
    bind_ip: '127.0.0.1',
    bind_port: 0,
    heartbeat_key: key,
    heartbeat_timeout_s: 3_600,
    health_check_interval_s: 0.2,
    failover_threshold: 0,
    log,
    ...changed,
  })
  await eventually('bound', () => health.port() !== null)
  return health
}

/** Sends datagrams as an amphora on this address of the loopback. */
export class Sender {
  readonly #socket = dgram.createSocket('udp4')
  readonly #bound: Promise<void>

  constructor(address = '127.0.0.1') {
    this.#bound = new Promise(resolve => this.#socket.bind({ address, port: 0 }, resolve))
  }

  async send(health: Pick<Health, 'port'>, what: Heartbeat | Buffer, form: '0.5' | '1.0' = '1.0'): Promise<void> {
    await this.#bound
    const frame = Buffer.isBuffer(what) ? what : encodeHeartbeat(what, key, form)
    await new Promise<void>((resolve, reject) =>
      this.#socket.send(frame, health.port()!, '127.0.0.1', error => (error ? reject(error) : resolve())),
    )
  }

  close(): void {
    this.#socket.close()
  }
}

/** Waits, generously, until it is so. */
export async function eventually(
  what: string,
  ask: () => boolean | Promise<boolean>,
  limit_ms = 30_000,
): Promise<void> {
  const until_ms = Date.now() + limit_ms
  while (!(await ask())) {
    if (Date.now() > until_ms) throw new Error(`never came to be: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

/** Statuses by object id. */
export async function statuses(pool: pg.Pool): Promise<Record<string, string>> {
  const { rows } = await pool.query('select object_id, operating_status from lbaas.operating_status')
  return Object.fromEntries(rows.map(row => [row.object_id, row.operating_status]))
}
