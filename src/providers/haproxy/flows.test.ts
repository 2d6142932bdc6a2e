/** The laws of flows on network hosts: run to the end nothing is left; killed at any instant the end is the same. */
import fs from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { listener, member, pool, type Rig, same, tls_listener, travelled } from '../../../test/flow-rig.ts'
import { HostedRig } from '../../../test/hosted-rig.ts'

const five_commands = (rig: Rig) => {
  rig.change(listener, 'listener')
  rig.change(pool, 'pool')
  rig.change(member('10.0.0.11', 'net'), 'member1')
  rig.change(member('10.9.0.12', 'other'), 'member2')
}
const deletion = { verb: 'delete', resource: 'load_balancer', id: 'lb', cascade: true } as const
const brought = (rig: Rig) => {
  rig.tree!.load_balancer.vip_port_owned = false
}

/** Ways that a load balancer goes. Each step of a way is run to its end before the next one. */
const ways: Record<string, { hosts?: string[]; steps: ((rig: HostedRig) => void)[] }> = {
  'create an empty load balancer': { steps: [() => {}] },
  'the five commands, pasted in one go': { steps: [five_commands] },
  'a member leaves and its network with it': {
    steps: [five_commands, rig => rig.change({ verb: 'delete', resource: 'member', parent_id: 'pool', id: 'member2' })],
  },
  'a listener makes room for another on its port': {
    steps: [
      rig => rig.change(listener, 'listener'),
      rig => {
        rig.change({ verb: 'delete', resource: 'listener', id: 'listener' })
        rig.change(listener, 'listener2')
      },
    ],
  },
  'a listener terminates TLS': { steps: [five_commands, rig => rig.change(tls_listener, 'tls-listener')] },
  'its host dies, and comes back later': { steps: [five_commands, rig => rig.dies('net1')] },
  'its one host is dead for a moment': {
    hosts: ['net1'],
    steps: [five_commands, rig => rig.silent('STANDALONE')],
  },
  'a failover is asked for': { steps: [five_commands, rig => rig.failover()] },
  'a failover is asked for, and there is no other host': {
    hosts: ['net1'],
    steps: [five_commands, rig => rig.failover()],
  },
  'delete everything': { steps: [five_commands, rig => rig.change(deletion)] },
  "delete everything but the tenant's own port": {
    steps: [
      rig => {
        brought(rig)
        five_commands(rig)
      },
      rig => rig.change(deletion),
    ],
  },
  'delete everything while its host is dead': {
    steps: [
      five_commands,
      rig => {
        rig.dies('net1')
        rig.change(deletion)
      },
    ],
  },
}

describe.each(Object.entries(ways))('%s', (name, { hosts, steps }) => {
  const go = (death: Rig['world']['death']) => travelled(steps as ((rig: Rig) => void)[], death, new HostedRig(hosts))

  test('runs to the end, by the printed list, and leaves nothing to do', async () => {
    const rig = await go(null)
    const golden = path.join(import.meta.dirname, 'golden', `${name.replace(/[^a-z]+/g, '-')}.plan`)
    await expect(`${rig.done.join('\n')}\n`).toMatchFileSnapshot(golden)
    expect(rig.left).toEqual([])
    expect(fs.existsSync(golden)).toBe(true)
    if (rig.tree) expect(rig.tree.load_balancer).toMatchObject({ provisioning_status: 'ACTIVE', reason: null })
  })

  test('killed before or after every call, then resumed, it comes to the same', async () => {
    const unkilled = await go(null)
    const calls = unkilled.world.effects
    expect(calls).toBeGreaterThan(5)
    for (let call = 1; call <= calls; call++)
      for (const when of ['before', 'after'] as const) same(await go({ call, when }), unkilled)
  })

  test('killed in every call, with the effect coming late, it comes to the same', async () => {
    const unkilled = await go(null)
    for (let call = 1; call <= unkilled.world.effects; call++)
      for (const behind of [1, 3, 7, 15, Number.POSITIVE_INFINITY])
        same(await go({ call, when: 'late', behind }), unkilled)
  })
})

test('a host that died serves no more, and is cleared when it comes back', async () => {
  const rig = new HostedRig()
  await travelled([five_commands as (rig: Rig) => void], null, rig)
  expect(rig.tree!.amphorae.map(a => a.network_host)).toEqual(['net1'])
  rig.dies('net1')
  expect(await rig.run()).toBe(true)
  expect(rig.tree!.amphorae.map(a => [a.network_host, a.status])).toEqual([
    ['net1', 'PENDING_DELETE'],
    ['net2', 'ALLOCATED'],
  ])
  const { hosts } = rig.world.account() as { hosts: [string, { vip: string | null; plugged: number }[]][] }
  expect(hosts.map(([name, all]) => [name, all.map(one => [one.vip, one.plugged])])).toEqual([
    ['net1', [[null, 0]]],
    ['net2', [['10.0.0.100', 2]]],
  ])
  await rig.wait()
  expect(await rig.run()).toBe(true)
  expect(rig.world.hosts.get('net1')!.namespaces.size).toBe(0)
  expect(rig.left).toEqual([])
})

test('what the world lost is found by looking, and made again', async () => {
  const losses: Record<string, (rig: HostedRig) => void> = {
    'the namespace': rig => rig.world.hosts.get('net1')!.namespaces.clear(),
    'the listeners': rig => {
      for (const namespace of rig.world.hosts.get('net1')!.namespaces.values())
        for (const one of namespace.listeners.values()) one.running = false
    },
    'the VIP port': rig => void rig.world.ports.delete('vip-port'),
    'its binding': rig => {
      const port = rig.world.ports.get('vip-port')!
      rig.world.ports.set(port.id, { ...port, 'binding:host_id': 'elsewhere' })
    },
    'a member port': rig => {
      for (const port of [...rig.world.ports.values()])
        if (port.name.startsWith('octavia-lb-member')) rig.world.ports.delete(port.id)
    },
  }
  for (const [what, lose] of Object.entries(losses)) {
    const rig = new HostedRig()
    await travelled([five_commands as (rig: Rig) => void], null, rig)
    const wanted = rig.world.account()
    lose(rig)
    expect(await rig.run({ look: true, unfinished: false }), what).toBe(true)
    expect(rig.world.account(), what).toEqual(wanted)
    expect(rig.left, what).toEqual([])
  }
})
