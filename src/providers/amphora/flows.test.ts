/** The laws of flows: run to the end nothing is left; killed at any instant and resumed, the world is the same. */
import fs from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import type { CloudWorld } from '../../../test/cloud-world.ts'
import { listener, member, of, pool, Rig, same, tls_listener, travelled } from '../../../test/flow-rig.ts'

/** Ways that a load balancer goes. Each step of a way is run to its end before the next one. */
const ways: Record<string, ((rig: Rig) => void)[]> = {
  'create an empty load balancer': [() => {}],
  'the five commands, pasted in one go': [
    rig => {
      rig.change(listener, 'listener')
      rig.change(pool, 'pool')
      rig.change(member('10.0.0.11', 'net'), 'member1')
      rig.change(member('10.9.0.12', 'other'), 'member2')
    },
  ],
  'a member leaves and its network with it': [
    rig => {
      rig.change(listener, 'listener')
      rig.change(pool, 'pool')
      rig.change(member('10.9.0.12', 'other'), 'member2')
    },
    rig => rig.change({ verb: 'delete', resource: 'member', parent_id: 'pool', id: 'member2' }),
  ],
  'a listener makes room for another on its port': [
    rig => rig.change(listener, 'listener'),
    rig => {
      rig.change({ verb: 'delete', resource: 'listener', id: 'listener' })
      rig.change(listener, 'listener2')
    },
  ],
  'a listener of datagrams comes and goes': [
    rig => {
      rig.change(of('UDP', listener), 'listener')
      rig.change(of('UDP', pool), 'pool')
      rig.change(member('10.9.0.12', 'other'), 'member2')
    },
    rig => rig.change({ verb: 'delete', resource: 'listener', id: 'listener' }),
  ],
  'an agent is given its configuration again': [
    rig => rig.change(listener, 'listener'),
    rig => rig.configure('STANDALONE'),
  ],
  'a listener terminates TLS': [
    rig => {
      rig.change(listener, 'listener')
      rig.change(pool, 'pool')
      rig.change(member('10.0.0.11', 'net'), 'member1')
    },
    rig => rig.change(tls_listener, 'tls-listener'),
    rig => {
      const fields = { default_tls_container_ref: 'three', sni_container_refs: [] }
      rig.change({ verb: 'update', resource: 'listener', id: 'tls-listener', fields })
    },
  ],
  'delete everything': [
    rig => {
      rig.change(listener, 'listener')
      rig.change(pool, 'pool')
      rig.change(member('10.9.0.12', 'other'), 'member2')
    },
    rig => rig.change({ verb: 'delete', resource: 'load_balancer', id: 'lb', cascade: true }),
  ],
}

describe.each(Object.entries(ways))('%s', (name, changes) => {
  test('runs to the end, by the printed list, and leaves nothing to do', async () => {
    const rig = await travelled(changes, null)
    const golden = path.join(import.meta.dirname, 'golden', `${name.replace(/[^a-z]+/g, '-')}.plan`)
    await expect(`${rig.done.join('\n')}\n`).toMatchFileSnapshot(golden)
    expect(rig.left).toEqual([])
    expect(fs.existsSync(golden)).toBe(true)
  })

  test('killed before or after every call, then resumed, it comes to the same', async () => {
    const unkilled = await travelled(changes, null)
    const calls = unkilled.world.effects
    expect(calls).toBeGreaterThan(5)
    for (let call = 1; call <= calls; call++)
      for (const when of ['before', 'after'] as const) same(await travelled(changes, { call, when }), unkilled)
  })

  test('killed in every call, with the effect coming late, it comes to the same', async () => {
    const unkilled = await travelled(changes, null)
    for (let call = 1; call <= unkilled.world.effects; call++)
      for (const behind of [1, 3, 7, 15, 30, Number.POSITIVE_INFINITY])
        same(await travelled(changes, { call, when: 'late', behind }), unkilled)
  })
})

test('datagrams are let in, and their document is what the amphora has', async () => {
  const { tree, world } = await travelled(ways['a listener of datagrams comes and goes']!.slice(0, 1), null)
  const opening = { protocol: 'udp', port: 80, ethertype: 'IPv4', remote_ip_prefix: null }
  expect(tree!.load_balancer.security_group_rules).toEqual([opening])
  const texts = [...world.servers.values()].flatMap(box => [...box.listeners.values()].map(each => each.cfg))
  expect(texts.map(each => JSON.parse(each))).toMatchObject([
    { protocol: 'UDP', protocol_port: 80, default_pool: { members: [{ address: '10.9.0.12' }] } },
  ])
})

test('killed in every call of its creation and then deleted, it leaves nothing', async () => {
  const [create] = ways['the five commands, pasted in one go']!
  const { world } = await travelled([create!], null)
  const behinds = [1, 3, 7, 15, 30, Number.POSITIVE_INFINITY]
  for (let call = 1; call <= world.effects; call++)
    for (const death of [
      { call, when: 'after' as const },
      ...behinds.map(behind => ({ call, when: 'late' as const, behind })),
    ]) {
      const rig = new Rig()
      rig.world.death = death
      create!(rig)
      if (await rig.run()) continue // the call was one that is repeated until it is answered
      rig.change({ verb: 'delete', resource: 'load_balancer', id: 'lb', cascade: true })
      expect(await rig.run({ look: true, unfinished: true })).toBe(true)
      if (rig.tree) await rig.wait()
      expect(await rig.run()).toBe(true)
      expect(rig.tree, JSON.stringify(death)).toBe(null)
      expect(rig.world.account(), JSON.stringify(death)).toEqual({
        servers: [],
        vault: [],
        ports: [],
        groups: [],
        server_groups: [],
      })
    }
})

test('what the world lost is found by looking, and made again', async () => {
  const losses: Record<string, (world: CloudWorld) => void> = {
    'the VRRP port': world => {
      for (const port of [...world.ports.values()])
        if (port.name.startsWith('octavia-lb-vrrp')) world.deletePort(port.id)
    },
    'the server': world => {
      for (const id of [...world.servers.keys()]) {
        world.servers.delete(id)
        for (const port of [...world.ports.values()]) {
          if (port.device_id !== id) continue
          if (port.network_id === 'mgmt') world.ports.delete(port.id)
          else world.ports.set(port.id, { ...port, device_id: '', device_owner: '' })
        }
      }
    },
    'the VIP port': world => void world.ports.delete('vip-port'),
    'the listeners': world => {
      for (const box of world.servers.values()) box.listeners.clear()
    },
  }
  for (const [what, lose] of Object.entries(losses)) {
    const rig = await travelled(ways['the five commands, pasted in one go']!, null)
    const wanted = rig.world.account()
    lose(rig.world)
    await rig.run({ look: true, unfinished: false })
    const now = rig.world.account() as { servers: { listeners: unknown }[] }
    expect(
      now.servers.map(s => s.listeners),
      what,
    ).toEqual((wanted as typeof now).servers.map(s => s.listeners))
    if (what !== 'the VIP port') expect(now, what).toEqual(wanted)
    expect(rig.left, what).toEqual([])
  }
})
