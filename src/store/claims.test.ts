/** Claims on a real PostgreSQL: one holder at a time, tokens that grow, wake-ups that are not lost. */
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { testDatabase } from '../../test/postgres.ts'
import { change } from '../lbaas/change.ts'
import { sample_vip } from '../lbaas/sample.ts'
import { usual_tls } from '../lbaas/tls.ts'
import { ClaimLost, claimNext, fence, release, renew, wake } from './claims.ts'
import { migrate } from './migrations.ts'
import { transaction } from './transaction.ts'
import * as trees from './trees.ts'

const database = testDatabase()
let pool: pg.Pool
const ids = ['00000000-0000-4000-8000-000000000001', '00000000-0000-4000-8000-000000000002']

beforeAll(async () => {
  pool = new pg.Pool({ connectionString: database.url })
  await migrate(pool)
})
afterAll(() => pool.end())
beforeEach(async () => {
  await pool.query('delete from lbaas.load_balancer')
  for (const id of ids)
    await transaction(pool, async tx => {
      const fields = {
        name: '',
        project_id: 'p',
        description: '',
        admin_state_up: true,
        provider: 'amphora',
        vip_address: null,
        vip_port_id: null,
        vip_subnet_id: null,
        vip_network_id: ids[0]!,
        flavor_id: null,
        additional_vips: [],
        vip_qos_policy_id: null,
        vip_sg_ids: [],
        availability_zone: null,
        tags: [],
      }
      const terms = {
        now: new Date().toISOString(),
        id,
        locking: 'queue' as const,
        reserved_ips: [],
        ping_allowed: true,
        tls: usual_tls,
      }
      const vip = { ...sample_vip, port_id: id }
      await trees.save(
        tx,
        null,
        change(null, { verb: 'create', resource: 'load_balancer', fields, vip, topology: 'SINGLE' }, terms),
      )
      await wake(tx, id)
    })
})

describe('claims', () => {
  test('are given to one controller each, however many ask at once', async () => {
    const claims = await Promise.all(Array.from({ length: 8 }, (_, n) => claimNext(pool, `c${n}`, 30)))
    const given = claims.filter(claim => claim !== null)
    expect(given.map(claim => claim.load_balancer_id).sort()).toEqual(ids)
  })

  test('whose lease has ended go to the next one, who looks first; the old token is refused', async () => {
    const old = (await claimNext(pool, 'slow', 30))!
    expect(old.look).toBe(false)
    await pool.query(`update lbaas.claims set expires_at = now() - interval '1 s' where load_balancer_id = $1`, [
      old.load_balancer_id,
    ])
    await pool.query(`update lbaas.claims set next_try_at = 'infinity' where load_balancer_id <> $1`, [
      old.load_balancer_id,
    ])
    const next = (await claimNext(pool, 'quick', 30))!
    expect(next.load_balancer_id).toBe(old.load_balancer_id)
    expect(next.token).toBeGreaterThan(old.token)
    expect(next.look).toBe(true)
    expect(await renew(pool, old, 30)).toBe(false)
    await expect(transaction(pool, tx => fence(tx, old))).rejects.toThrow(ClaimLost)
    await transaction(pool, tx => fence(tx, next))
    await release(pool, old, { wait_ms: 0, failed: false, look: false, unfinished: false }) // has no effect any more
    expect(await renew(pool, next, 30)).toBe(true)
  })

  test('are due again at once when woken meanwhile, and after a while otherwise', async () => {
    const claim = (await claimNext(pool, 'c', 30))!
    const other = (await claimNext(pool, 'c', 30))!
    await transaction(pool, tx => wake(tx, claim.load_balancer_id))
    await release(pool, claim, { wait_ms: 3_600_000, failed: false, look: true, unfinished: false })
    await release(pool, other, { wait_ms: 3_600_000, failed: true, look: true, unfinished: false })
    const again = (await claimNext(pool, 'c', 30))!
    expect(again.load_balancer_id).toBe(claim.load_balancer_id)
    expect(again.look).toBe(false) // there is something to do; the audit can wait
    expect(await claimNext(pool, 'c', 30)).toBeNull()
    const { rows } = await pool.query('select attempts, look from lbaas.claims where load_balancer_id = $1', [
      other.load_balancer_id,
    ])
    expect(rows[0]).toEqual({ attempts: 1, look: true })
  })
})
