/** What survives what: amphorae dead, mute, rebooted and at odds, clouds without room, edits that haproxy refuses. */
import { afterAll, afterEach, beforeAll, describe, expect, inject, test } from 'vitest'
import { type Failing, Ground, type Row } from './failing.ts'
import { Inside } from './inside.ts'
import { startLoad } from './load.ts'
import { eventually, Stack } from './stack.ts'

const stack = new Stack(inject('stack_dir'))
let ground: Ground
let pair: Failing
let single: Failing

beforeAll(async () => {
  ground = await Ground.of(stack)
  ;[pair, single] = await Promise.all([ground.make('two'), ground.make('one', await ground.admin.singleAmphora())])
  await Promise.all([pair.whole(), single.whole()])
})
afterEach(() => ground.noFaults())
afterAll(async () => {
  await Promise.all([pair, single].map(({ id }) => ground.demo.removed(id)))
})

describe('where there is no host for another', () => {
  test('the survivor serves and takes changes, nothing is locked, and it heals when there is one', async () => {
    const before = await pair.whole()
    const load = await startLoad(stack, pair.url, 50)
    await ground.fault({ action: 'no_valid_host', times: null })
    await (await Inside.of(stack, pair.id, 'MASTER')).end('everything')
    await pair.says(/No valid host/)
    const member = await pair.add({ address: '10.0.0.254', weight: 0 })
    expect((await ground.demo.settled(pair.id)).operating_status).toBe('DEGRADED')
    expect((await pair.shown()).provisioning_status).toBe('ACTIVE')
    const survivor = await Inside.of(stack, pair.id, 'BACKUP')
    expect(await survivor.uploaded(pair.listener.id)).toContain('10.0.0.254')
    await pair.answers()
    expect(await pair.explanation()).toMatch(/ACTIVE, DEGRADED; .*\n.*No valid host/)
    expect((await ground.demo.octavia('DELETE', `pools/${pair.pool.id}/members/${member.id}`)).status).toBe(204)
    await ground.demo.settled(pair.id)
    await ground.noFaults()
    const after = await pair.whole(before.MASTER)
    expect(addresses(after)).toEqual(addresses(before))
    expect(after.BACKUP.id).toBe(before.BACKUP.id)
    await eventually('ONLINE again', async () => (await pair.shown()).operating_status === 'ONLINE')
    const seen = await load.stop()
    expect(seen.failed, JSON.stringify(seen)).toBeLessThan(seen.requests / 10)
  })
})

describe('amphorae that fail', () => {
  test('both of a pair at once: both come back with their addresses', async () => {
    const before = await pair.whole()
    const insides = await Promise.all(['MASTER', 'BACKUP'].map(role => Inside.of(stack, pair.id, role)))
    await Promise.all(insides.map(inside => inside.freeze()))
    const after = await pair.whole(before.MASTER, before.BACKUP)
    expect(addresses(after)).toEqual(addresses(before))
    await pair.answers()
  })

  test('one that serves and has never been heard is replaced', async () => {
    const before = await single.whole()
    // the next one is born mute
    expect((await ground.admin.amphorae('PUT', `/${before.STANDALONE.id}/failover`)).status).toBe(202)
    const [mute] = await eventually('a new amphora', async () => {
      const rows = await single.rows()
      return rows.some(row => row.id !== before.STANDALONE.id && row.compute_id) && rows.slice(-1)
    })
    await Inside.at(stack, mute!).mute()
    const after = await single.whole(before.STANDALONE, mute)
    expect(addresses(after)).toEqual(addresses(before))
    await single.answers()
  })

  test('rebooted softly and hard they come back by themselves', async () => {
    // on a busy machine a boot may take longer than silence is borne: the one that was replaced gets another try
    const ids = (rows: Record<string, Row>[]) => rows.map(each => Object.values(each).map(row => row.id))
    let [before, after] = [await both(), [] as Record<Row['role'], Row>[]]
    for (let tries = 0; tries < 3; tries++) {
      if (tries > 0) before = after
      const [MASTER, STANDALONE] = [before[0]!.MASTER.compute_id, before[1]!.STANDALONE.compute_id]
      await Promise.all([
        stack.client('admin', 'nova', 'reboot', MASTER),
        stack.client('admin', 'nova', 'reboot', '--hard', STANDALONE),
      ])
      for (const id of [MASTER, STANDALONE]) await eventually('booted again', async () => !(await isRebooting(id)))
      after = await both()
      if (JSON.stringify(ids(after)) === JSON.stringify(ids(before))) break
    }
    expect(after).toMatchObject(before)
    await Promise.all([pair.answers(), single.answers()])
    // and the one of the two that was rebooted can serve alone
    await (await Inside.of(stack, pair.id, 'BACKUP')).end('haproxy')
    await pair.answers()
  })
})

test('an edit that haproxy refuses is in ERROR with its words; what ran runs on, after a failover too', async () => {
  const before = await pair.whole()
  const monitor = { pool_id: pair.pool.id, type: 'TCP', timeout: 1, max_retries: 1 }
  const made = await ground.demo.made('healthmonitors', 'healthmonitor', { ...monitor, delay: 3_000_000 })
  await pair.says(/listener \S+: ERROR: haproxy refused the configuration: [\s\S]*timer overflow/)
  await pair.answers()
  expect((await ground.admin.amphorae('PUT', `/${before.BACKUP.id}/failover`)).status).toBe(202)
  const after = await pair.whole(before.BACKUP)
  expect(addresses(after)).toEqual(addresses(before))
  const fresh = await Inside.of(stack, pair.id, 'BACKUP')
  expect(await fresh.uploaded(pair.listener.id)).not.toContain('check')
  expect(await fresh.haproxies(pair.listener.id)).not.toEqual([])
  expect(await pair.explanation()).toMatch(/listener \S+: ERROR: haproxy refused/)
  const mended = { healthmonitor: { delay: 5 } }
  expect((await ground.demo.octavia('PUT', `healthmonitors/${made.id}`, mended)).status).toBe(200)
  await pair.whole()
  expect(await pair.explanation()).not.toMatch(/listener \S+: ERROR/)
  expect(await fresh.uploaded(pair.listener.id)).toContain('check')
})

test('a listener that is lost is put back, and nobody is replaced for it', async () => {
  const before = await pair.whole()
  const inside = await Inside.of(stack, pair.id, 'BACKUP')
  await inside.shell(`rm $ROOT/var/lib/octavia/${pair.listener.id}/enabled`)
  await inside.end('agent')
  await inside.end('haproxy')
  await pair.says(/listener \S+ does not run, though its configuration was confirmed/)
  await eventually('it runs again', async () => (await inside.haproxies(pair.listener.id)).length > 0)
  expect(await pair.whole()).toMatchObject(before)
})

test('two masters at once are told, and what parted them is put back', async () => {
  await pair.whole()
  type Rules = { security_group_rules: { id: string; protocol: string; security_group_id: string }[] }
  const name = `lb-${pair.id}`
  const groups = await ground.admin.network<{ security_groups: { id: string }[] }>(
    'GET',
    `security-groups?name=${name}`,
  )
  const list = `security-group-rules?security_group_id=${groups.body.security_groups[0]!.id}`
  const { body } = await ground.admin.network<Rules>('GET', list)
  for (const { id } of body.security_group_rules.filter(rule => ['112', 'vrrp', '51'].includes(rule.protocol)))
    expect((await ground.admin.network('DELETE', `security-group-rules/${id}`)).status).toBe(204)
  await pair.says(/two amphorae say that they are MASTER/)
  await pair.whole()
  expect((await ground.admin.network<Rules>('GET', list)).body.security_group_rules).toHaveLength(
    body.security_group_rules.length,
  )
  await pair.answers()
})

test('and what exists is what is recorded', () => ground.balanced())

function both(): Promise<Record<Row['role'], Row>[]> {
  return Promise.all([pair.whole(), single.whole()])
}

async function isRebooting(server_id: string): Promise<boolean> {
  const { body } = await ground.admin.compute<{ server?: { status: string } }>('GET', `v2.1/servers/${server_id}`)
  return body.server !== undefined && body.server.status !== 'ACTIVE'
}

function addresses(rows: Record<Row['role'], Row>): unknown[] {
  return Object.values(rows)
    .map(({ role, vrrp_port_id, vrrp_ip, ha_ip, ha_port_id }) => ({ role, vrrp_port_id, vrrp_ip, ha_ip, ha_port_id }))
    .sort((a, b) => (a.role < b.role ? -1 : 1))
}
