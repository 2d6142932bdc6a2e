/** The laws of failovers: the place keeps its addresses, survivors serve on, and no kill at any instant changes the end. */
import fs from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Death } from '../../../test/cloud-world.ts'
import { listener, member, pool, Rig, same, travelled } from '../../../test/flow-rig.ts'
import { newAmphora } from '../../lbaas/amphora.ts'
import type { Topology } from '../../lbaas/load-balancer.ts'
import type { Ways } from './flows.ts'

const five_commands = (rig: Rig) => {
  rig.change(listener, 'listener')
  rig.change(pool, 'pool')
  rig.change(member('10.0.0.11', 'net'), 'member1')
  rig.change(member('10.9.0.12', 'other'), 'member2')
}

type Case = { topology: Topology; order: Ways['failover_order']; event: (rig: Rig) => void }
const cases: Record<string, Case> = {
  'a pair loses its master': { topology: 'ACTIVE_STANDBY', order: 'replace_first', event: rig => dies(rig, 'MASTER') },
  'a pair loses its backup': { topology: 'ACTIVE_STANDBY', order: 'replace_first', event: rig => dies(rig, 'BACKUP') },
  'a pair loses its master, delete first': {
    topology: 'ACTIVE_STANDBY',
    order: 'delete_first',
    event: rig => dies(rig, 'MASTER'),
  },
  'a pair loses both': {
    topology: 'ACTIVE_STANDBY',
    order: 'replace_first',
    event: rig => {
      dies(rig, 'MASTER')
      dies(rig, 'BACKUP')
    },
  },
  'a failover of a pair is asked for': {
    topology: 'ACTIVE_STANDBY',
    order: 'replace_first',
    event: rig => rig.failover(),
  },
  'the one amphora dies': { topology: 'SINGLE', order: 'replace_first', event: rig => dies(rig, 'STANDALONE') },
  'the one amphora dies, delete first': {
    topology: 'SINGLE',
    order: 'delete_first',
    event: rig => dies(rig, 'STANDALONE'),
  },
  'a failover of the one amphora is asked for': {
    topology: 'SINGLE',
    order: 'replace_first',
    event: rig => rig.failover(),
  },
}

describe.each(Object.entries(cases))('%s', (name, { topology, order, event }) => {
  const begin = () => new Rig(topology, { failover_order: order, anti_affinity: true })

  test('the place keeps its addresses, by the printed list, and nothing is left to do', async () => {
    const rig = await travelled([five_commands], null, begin())
    const before = rig.tree!.amphorae
    const begun = rig.world.account()
    rig.done.length = 0
    event(rig)
    expect(await rig.run()).toBe(true)
    const golden = path.join(import.meta.dirname, 'golden', `${name.replace(/[^a-z]+/g, '-')}.plan`)
    await expect(`${rig.done.join('\n')}\n`).toMatchFileSnapshot(golden)
    expect(fs.existsSync(golden)).toBe(true)
    expect(rig.left).toEqual([])
    expect(rig.tree!.load_balancer.provisioning_status).toBe('ACTIVE')
    const addresses = (amphorae: typeof before) =>
      amphorae.map(a => [a.role, a.vrrp_port_id, a.vrrp_ip, a.vrrp_mac_address].join()).sort()
    expect(addresses(rig.tree!.amphorae)).toEqual(addresses(before))
    expect(rig.world.account()).toEqual(begun)
  })

  test('killed before or after every call, then resumed, it comes to the same', async () => {
    const unkilled = await failedOver(begin(), null)
    const first = (await travelled([five_commands], null, begin())).world.effects
    expect(unkilled.world.effects).toBeGreaterThan(first + 5)
    for (let call = first + 1; call <= unkilled.world.effects; call++)
      for (const when of ['before', 'after'] as const) same(await failedOver(begin(), { call, when }), unkilled)
  })

  test('killed in every call, with the effect coming late, it comes to the same', async () => {
    const unkilled = await failedOver(begin(), null)
    const first = (await travelled([five_commands], null, begin())).world.effects
    for (let call = first + 1; call <= unkilled.world.effects; call++)
      for (const behind of [1, Number.POSITIVE_INFINITY])
        same(await failedOver(begin(), { call, when: 'late', behind }), unkilled)
  })

  async function failedOver(rig: Rig, death: Death): Promise<Rig> {
    return travelled([five_commands, event], death, rig)
  }
})

test('a spare takes the place where there is one', async () => {
  const rig = new Rig('SINGLE')
  await travelled([five_commands], null, rig)
  const id = 'spare'
  const compute_id = await rig.world.clients().nova.createServer({ name: `amphora-${id}` } as never)
  const port = (await rig.world.clients().nova.interfaces(compute_id))![0]!
  const lb_network_ip = port.fixed_ips[0]!.ip_address
  const made = newAmphora({ id, created_at: '2026-01-01T00:00:00.000Z', status: 'READY', compute_id, lb_network_ip })
  rig.world.spares.push({ ...made, certificate: 'certificate of spare' })
  dies(rig, 'STANDALONE')
  rig.done.length = 0
  expect(await rig.run()).toBe(true)
  expect(rig.tree!.amphorae.map(a => a.id)).toEqual(['spare'])
  expect(rig.done).not.toContain('boot server')
  expect(rig.left).toEqual([])
})

test('where none can be built the survivor serves on, changes reach it, and the load balancer is not locked', async () => {
  const rig = await travelled([five_commands], null, new Rig('ACTIVE_STANDBY'))
  rig.world.full = true
  dies(rig, 'MASTER')
  await rig.run()
  rig.change(member('10.0.0.13', 'net'), 'member3')
  await rig.run()
  expect(rig.tree!.load_balancer.provisioning_status).toBe('ACTIVE')
  expect(rig.tree!.load_balancer.reason).toMatch(/no valid host/i)
  expect(rig.tree!.members.map(m => m.provisioning_status)).toEqual(['ACTIVE', 'ACTIVE', 'ACTIVE'])
  const survivor = rig.amphora('BACKUP')
  expect(rig.world.servers.get(survivor.compute_id!)!.listeners.get('listener')!.cfg).toContain('10.0.0.13')
  rig.world.full = false
  expect(await rig.run()).toBe(true)
  expect(rig.left).toEqual([])
  expect(rig.tree!.load_balancer).toMatchObject({ provisioning_status: 'ACTIVE', reason: null })
  expect(rig.tree!.amphorae.map(a => a.status)).toEqual(['ALLOCATED', 'ALLOCATED'])
})

/** Its agent answers no more, and the health side has seen it. */
function dies(rig: Rig, role: 'MASTER' | 'BACKUP' | 'STANDALONE'): void {
  rig.world.servers.get(rig.amphora(role).compute_id!)!.dead = true
  rig.silent(role)
}
