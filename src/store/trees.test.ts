/** The store of trees on a real PostgreSQL. */
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { testDatabase } from '../../test/postgres.ts'
import { newAmphora } from '../lbaas/amphora.ts'
import { change } from '../lbaas/change.ts'
import { settle } from '../lbaas/provisioning.ts'
import { creates, sampleId, sampleTerms, sampleTree } from '../lbaas/sample.ts'
import type { Tree } from '../lbaas/tree.ts'
import { openLog } from '../service/log.ts'
import { openPool } from '../service/postgres.ts'
import { wake, wake_channel } from './claims.ts'
import * as journal from './journal.ts'
import { migrate } from './migrations.ts'
import * as reservations from './reservations.ts'
import { columnsOf, tables } from './schema.ts'
import * as statistics from './statistics.ts'
import { isContention, transaction } from './transaction.ts'
import * as trees from './trees.ts'

const database = testDatabase()
let pool: pg.Pool

beforeAll(async () => {
  pool = openPool(database.url, openLog('test'))
  await Promise.all([migrate(pool), migrate(pool), migrate(pool)])
})
afterAll(() => pool.end())
beforeEach(async () => {
  await pool.query(
    'truncate lbaas.load_balancer, lbaas.listener, lbaas.pool, lbaas.member, lbaas.amphora, lbaas.journal, lbaas.vip_reservation cascade',
  )
})

const save = (before: Tree | null, after: Tree | null) => transaction(pool, tx => trees.save(tx, before, after))
const load = () => transaction(pool, tx => trees.loadForUpdate(tx, sampleId(1)))
const lb = sampleId(1)

test('the migrations make the columns that the declarations have', async () => {
  for (const resource of Object.values(tables)) {
    const { rows } = await pool.query(
      `select column_name as name, data_type as type, is_nullable = 'YES' as nullable
       from information_schema.columns where table_schema = 'lbaas' and table_name = $1`,
      [resource.name],
    )
    const declared = columnsOf(resource).map(({ name, type, nullable }) => ({ name, type, nullable }))
    const by_name = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1)
    expect({ [resource.name]: rows.sort(by_name) }).toEqual({ [resource.name]: declared.sort(by_name) })
  }
})

describe('a tree', () => {
  test('comes back as it was saved', async () => {
    const tree: Tree = {
      ...sampleTree(),
      amphorae: [
        {
          ...newAmphora({ id: sampleId(50), load_balancer_id: lb, role: 'STANDALONE', created_at: sampleTerms(9).now }),
          cert_expiration: sampleTerms(10).now,
          member_ports: [
            {
              network_id: sampleId(7),
              port_id: sampleId(8),
              mac_address: 'fa:16:3e:0:0:1',
              ip_address: '1.1.1.1',
              plugged: true,
            },
          ],
          applied: { [sampleId(2)]: { input: 'digest', etag: null } },
        },
      ],
    }
    tree.listeners[0]!.allowed_cidrs = ['10.0.0.0/8']
    tree.listeners[0]!.insert_headers = { 'X-Forwarded-For': 'true' }
    tree.listeners[0]!.serving = { any: ['thing', { nested: null }] }
    tree.health_monitors = change(
      tree,
      creates.monitor(sampleId(3), { http_version: 1.1, domain_name: 'a.example' }),
      sampleTerms(6),
    ).health_monitors
    tree.pools[0]!.tags = ["quote'", '"double"', '\\', '{}', 'ü😀']
    await save(null, tree)
    expect(await load()).toEqual(tree)
    expect(await trees.read(pool, lb)).toEqual(tree)
  })

  test('is found by any of its objects', async () => {
    await save(null, change(sampleTree(), creates.monitor(sampleId(3)), sampleTerms(6)))
    for (const [resource, id] of [
      ['load_balancer', 1],
      ['listener', 2],
      ['pool', 3],
      ['member', 4],
      ['health_monitor', 6],
    ] as const)
      expect(await trees.ownerOf(pool, resource, sampleId(id))).toMatchObject({ load_balancer_id: lb })
    expect(await trees.ownerOf(pool, 'listener', sampleId(3))).toBeNull()
    expect(await trees.read(pool, sampleId(99))).toBeNull()
  })

  test('each change is written, and settling, and the end', async () => {
    let tree = sampleTree()
    await save(null, tree)
    const to = async (next: Tree | null) => {
      await save(tree, next)
      expect(await load()).toEqual(next)
      if (next) tree = next
    }
    await to(settle(tree, { generation: 5, failed: new Map() }))
    await to(change(tree, creates.monitor(sampleId(3)), sampleTerms(20)))
    await to(change(tree, { verb: 'delete', resource: 'health_monitor', id: sampleId(20) }, sampleTerms(21)))
    await to(change(tree, creates.monitor(sampleId(3)), sampleTerms(22)))
    await to(settle(tree, { generation: 8, failed: new Map() }))
    expect(tree.health_monitors.map(one => one.id)).toEqual([sampleId(22)])
    await to(change(tree, { verb: 'delete', resource: 'pool', id: sampleId(3) }, sampleTerms(6)))
    await to(change(tree, creates.pool({ listener_id: sampleId(2) }), sampleTerms(7)))
    await to(settle(tree, { generation: 9, failed: new Map() }))
    expect(tree.pools.map(one => one.id)).toEqual([sampleId(7)])
    await to(change(tree, { verb: 'delete', resource: 'listener', id: sampleId(2) }, sampleTerms(8)))
    await to(change(tree, creates.listener(), sampleTerms(9)))
    await to(change(tree, { verb: 'delete', resource: 'load_balancer', id: lb, cascade: true }, sampleTerms(10)))
    await to(settle(tree, { generation: 99, failed: new Map() }))
    const { rows } = await pool.query(
      'select (select count(*) from lbaas.listener) + (select count(*) from lbaas.operating_status) as left_over',
    )
    expect(rows[0].left_over).toBe('0')
  })

  test('only what differs is written: facts and intentions of others stay', async () => {
    const tree = sampleTree()
    await save(null, tree)
    await pool.query(`update lbaas.listener set serving = '{"kept": true}'`)
    await pool.query(`update lbaas.operating_status set operating_status = 'DEGRADED' where object_id = $1`, [
      sampleId(2),
    ])
    await save(
      tree,
      change(tree, { verb: 'update', resource: 'listener', id: sampleId(2), fields: { name: 'new' } }, sampleTerms(6)),
    )
    expect((await load())!.listeners[0]).toMatchObject({
      name: 'new',
      serving: { kept: true },
      operating_status: 'DEGRADED',
    })
  })

  test('is read as it is at one instant, whoever writes meanwhile', async () => {
    const states = [sampleTree(), change(sampleTree(), creates.monitor(sampleId(3)), sampleTerms(6))]
    await save(null, states[0]!)
    let writing = true
    const writes = async () => {
      for (let n = 0; n < 40; n++) await save(states[n % 2]!, states[(n + 1) % 2]!)
      writing = false
    }
    const reads = async () => {
      while (writing) expect(states).toContainEqual(await trees.read(pool, lb))
    }
    await Promise.all([writes(), reads(), reads(), reads()])
  })

  test('with 500 members is saved by a constant number of statements', async () => {
    const tree = sampleTree()
    await save(null, tree)
    const members = Array.from({ length: 500 }, (_, i) => ({
      ...tree.members[0]!,
      id: sampleId(100 + i),
      protocol_port: 1000 + i,
    }))
    const more = { ...tree, members: [...tree.members, ...members] }
    let statements = 0
    await transaction(pool, async tx => {
      const counting = new Proxy(tx, {
        get: (target, key) => {
          if (key === 'query') statements++
          return Reflect.get(target, key)
        },
      })
      await trees.save(counting, tree, more)
    })
    expect(statements).toBe(2)
    expect((await load())!.members).toHaveLength(502)
  })
})

describe('the lock on a tree', () => {
  test('makes writers take turns, and gives up as contention', async () => {
    await save(null, sampleTree())
    await transaction(pool, async tx => {
      await trees.loadForUpdate(tx, lb)
      const failure = await transaction(pool, async other => {
        await other.query(`set local lock_timeout = '50ms'`)
        await trees.loadForUpdate(other, lb)
      }).catch(error => error)
      expect(isContention(failure)).toBe(true)
      expect((await trees.read(pool, lb))!.load_balancer.id).toBe(lb)
    })
    expect(isContention(new Error('else'))).toBe(false)
  })

  test('gives who waited for it all that was written meanwhile', async () => {
    const before = sampleTree()
    const after = change(before, creates.monitor(sampleId(3)), sampleTerms(6))
    await save(null, before)
    const waiting = await transaction(pool, async tx => {
      await trees.loadForUpdate(tx, lb)
      const loaded = load()
      const is_waiting = `select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()`
      while ((await pool.query(is_waiting)).rowCount === 0);
      await trees.save(tx, before, after)
      return { loaded }
    })
    expect(await waiting.loaded).toEqual(after)
  })

  test('is not waited for by who wants what nobody changes: that tree is left out', async () => {
    await save(null, sampleTree())
    await transaction(pool, async tx => {
      await trees.loadForUpdate(tx, lb)
      expect(await transaction(pool, other => trees.loadUnchanging(other, [lb]))).toEqual(new Map())
    })
    expect([...(await transaction(pool, tx => trees.loadUnchanging(tx, [lb]))).values()]).toEqual([sampleTree()])
  })

  test('does not keep health from writing what it observed', async () => {
    await save(null, sampleTree())
    await transaction(pool, async tx => {
      await trees.loadForUpdate(tx, lb)
      for (const amphora of [50, 51])
        await pool.query('insert into lbaas.listener_statistics values ($1, $2, 1, 2, 3, 4, 5)', [
          sampleId(2),
          sampleId(amphora),
        ])
      // what has passed stays counted; connections end with their amphorae, and these are no more
      const sums = { bytes_in: 2, bytes_out: 4, active_connections: 0, total_connections: 8, request_errors: 10 }
      expect(await statistics.ofLoadBalancer(pool, lb)).toEqual(sums)
      expect(await statistics.ofListener(pool, sampleId(2))).toEqual(sums)
      const { rowCount } = await pool.query(
        `insert into lbaas.operating_status values ($1, $2, 'ERROR')
         on conflict (object_id) do update set operating_status = excluded.operating_status`,
        [sampleId(77), lb],
      )
      expect(rowCount).toBe(1)
    })
  })
})

test('waking is heard when the transaction commits, and not when it does not', async () => {
  await save(null, sampleTree())
  const listener = new pg.Client({ connectionString: database.url })
  await listener.connect()
  const heard: string[] = []
  listener.on('notification', message => heard.push(message.channel))
  await listener.query(`listen ${wake_channel}`)
  await transaction(pool, async tx => {
    await wake(tx, lb)
    throw new Error('no')
  }).catch(() => {})
  expect((await pool.query('select * from lbaas.claims')).rows).toEqual([])
  await transaction(pool, tx => wake(tx, lb))
  await transaction(pool, tx => wake(tx, lb))
  await listener.query('select 1')
  expect(heard).toEqual([wake_channel, wake_channel])
  const { rows } = await pool.query('select *, next_try_at <= now() as due from lbaas.claims')
  expect(rows).toMatchObject([{ load_balancer_id: lb, token: '0', due: true, wakes: '2', owner: null }])
  await listener.end()
})

test('the journal keeps its order and ends at its limit', async () => {
  const line = {
    load_balancer_id: lb,
    generation: 1,
    actor: 'api',
    title: 'create',
    object_type: null,
    object_id: null,
  }
  for (const text of ['one', 'two', 'three']) await journal.append(pool, { ...line, text })
  expect((await journal.of(pool, lb, 2)).map(entry => entry.text)).toEqual(['two', 'three'])
})

describe('a reservation', () => {
  const reservation = { load_balancer_id: lb, project_id: 'p' }

  test('is consumed once', async () => {
    await reservations.reserve(pool, reservation)
    expect(await transaction(pool, tx => reservations.consume(tx, lb))).toBe(true)
    expect(await transaction(pool, tx => reservations.consume(tx, lb))).toBe(false)
  })

  test('is swept when abandoned or old, and cannot be consumed meanwhile', async () => {
    await reservations.reserve(pool, reservation)
    expect(await transaction(pool, tx => reservations.oldest(tx, 60))).toBeNull()
    expect(await transaction(pool, tx => reservations.oldest(tx, 0))).toEqual(reservation)
    await reservations.abandon(pool, lb)
    const consumed = await transaction(pool, async sweeper => {
      expect(await reservations.oldest(sweeper, 60)).toEqual(reservation)
      const waiting = transaction(pool, tx => reservations.consume(tx, lb))
      expect(await transaction(pool, tx => reservations.oldest(tx, 0))).toBeNull()
      await reservations.consume(sweeper, lb)
      return () => waiting
    })
    expect(await consumed()).toBe(false)
  })
})
