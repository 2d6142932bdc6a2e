/** The laws of flows where one haproxy serves all listeners of a load balancer, and who is to blame when it refuses. */
import { describe, expect, test } from 'vitest'
import { listener, member, of, pool, Rig, same, tls_listener, travelled } from '../../../test/flow-rig.ts'
import type { Request } from '../../lbaas/change.ts'
import type { Topology } from '../../lbaas/load-balancer.ts'

const rig = (topology: Topology = 'SINGLE') => {
  const made = new Rig(topology)
  made.world.unit = 'load_balancer'
  return made
}
const on = (protocol_port: number, more: object = {}): Request => {
  const { fields } = listener as { fields: object }
  return { ...listener, fields: { ...fields, protocol_port, ...more } } as never
}
const remove = (id: string): Request => ({ verb: 'delete', resource: 'listener', id })
const all = (rig: Rig) => {
  rig.change(listener, 'listener')
  rig.change(pool, 'pool')
  rig.change(member('10.9.0.12', 'other'), 'member1')
  rig.change(tls_listener, 'tls-listener')
  rig.change(of('UDP', on(53)), 'datagrams')
}
/** What runs on each server: unit, frontends. */
const running = ({ world }: Rig) =>
  [...world.servers.values()].map(box =>
    [...box.listeners]
      .map(([id, { cfg, running }]) => {
        const frontends = [...cfg.matchAll(/^frontend (\S+)/gm)].map(([, name]) => name)
        return `${id}${running ? '' : ' (stopped)'}: ${frontends.join(' ')}`
      })
      .sort(),
  )
const listenerOf = (rig: Rig, id: string) => rig.tree!.listeners.find(one => one.id === id)!

const ways: Record<string, ((rig: Rig) => void)[]> = {
  'listeners come, and one goes': [all, rig => rig.change(remove('listener'))],
  'a listener makes room for another on its port': [
    rig => rig.change(listener, 'listener'),
    rig => {
      rig.change(remove('listener'))
      rig.change(listener, 'listener2')
    },
  ],
  'the last listener goes': [all, rig => ['listener', 'tls-listener'].forEach(id => void rig.change(remove(id)))],
  'delete everything': [all, rig => rig.change({ verb: 'delete', resource: 'load_balancer', id: 'lb', cascade: true })],
  'a failover is asked for': [all, rig => rig.failover()],
}

describe.each(Object.entries(ways))('%s', (_, changes) => {
  test('killed before or after every call, or with the effect coming late, it comes to the same', async () => {
    const unkilled = await travelled(changes, null, rig())
    expect(unkilled.left).toEqual([])
    for (let call = 1; call <= unkilled.world.effects; call++) {
      for (const when of ['before', 'after'] as const) same(await travelled(changes, { call, when }, rig()), unkilled)
      for (const behind of [1, 7, Number.POSITIVE_INFINITY])
        same(await travelled(changes, { call, when: 'late', behind }, rig()), unkilled)
    }
  })
})

test('all listeners share one, but those of datagrams; it ends with the last of them', async () => {
  const made = await travelled([all], null, rig())
  expect(running(made)).toEqual([['datagrams: ', 'lb: listener tls-listener']])
  const files = [...made.world.servers.values()].flatMap(box => [...box.tls_files.keys()])
  expect(files.length).toBeGreaterThan(2)
  expect(files.every(file => file.startsWith('lb/'))).toBe(true)
  await travelled([rig => rig.change(remove('listener'))], null, made)
  expect(running(made)).toEqual([['datagrams: ', 'lb: tls-listener']])
  await travelled([rig => rig.change(remove('tls-listener'))], null, made)
  expect(running(made)).toEqual([['datagrams: ']])
})

test('a pair meets at one port, whichever listeners there are', async () => {
  const persistent = of('HTTP', pool)
  Object.assign((persistent as { fields: object }).fields, {
    session_persistence: {
      ...{ type: 'SOURCE_IP', cookie_name: null },
      ...{ persistence_timeout: null, persistence_granularity: null },
    },
  })
  const changes = (rig: Rig) => {
    rig.change(on(81), 'first')
    rig.change(on(80), 'listener')
    rig.change(persistent, 'pool')
  }
  const made = await travelled([changes, rig => rig.change(remove('first'))], null, rig('ACTIVE_STANDBY'))
  const texts = [...made.world.servers.values()].flatMap(box => [...box.listeners.values()].map(one => one.cfg))
  expect(texts).toHaveLength(2)
  for (const text of texts) expect(text).toMatch(/^peers lb_peers\n( +peer \S+ \S+:1025\n){2}/m)
  const open = made.tree!.load_balancer.security_group_rules!.filter(rule => rule.protocol === 'tcp')
  expect(open.map(rule => rule.port).sort()).toEqual([1025, 1026, 80])
})

describe('what haproxy refuses', () => {
  const refusing = (said: (cfg: string) => string | null) => {
    const made = rig()
    made.failing = true
    made.world.refuses = said
    return made
  }
  const two = (rig: Rig) => {
    rig.change(on(81), 'listener-a')
    rig.change(on(82), 'listener-b')
  }
  const lineOf = (cfg: string, text: string) => cfg.split('\n').findIndex(line => line.includes(text)) + 1

  test('by the line is the listener’s fault whose line it is, and the others are served', async () => {
    const made = refusing(cfg =>
      cfg.includes('maxconn 7')
        ? `[ALERT] (9) : config : parsing [/x/haproxy.cfg.new:${lineOf(cfg, 'maxconn 7')}] : no`
        : null,
    )
    const bad = on(82, { connection_limit: 7 })
    await travelled(
      [
        rig => {
          rig.change(on(81), 'listener-a')
          rig.change(bad, 'listener-b')
          rig.change(listener, 'listener-c')
        },
      ],
      null,
      made,
    )
    expect(listenerOf(made, 'listener-b')).toMatchObject({
      provisioning_status: 'ERROR',
      reason: expect.stringMatching(/refused/),
    })
    expect(['listener-a', 'listener-c'].map(id => listenerOf(made, id).provisioning_status)).toEqual([
      'ACTIVE',
      'ACTIVE',
    ])
    expect(running(made)).toEqual([['lb: listener-a listener-c']])
    expect(made.tree!.load_balancer.provisioning_status).toBe('ACTIVE')
  })

  test('by its name is the fault of the one that is named', async () => {
    const made = refusing(cfg => (cfg.includes(':82') ? 'Starting frontend listener-b: cannot bind socket' : null))
    await travelled([two], null, made)
    expect(listenerOf(made, 'listener-b').provisioning_status).toBe('ERROR')
    expect(running(made)).toEqual([['lb: listener-a']])
  })

  test('without a word is the fault of what has changed; it serves on as before', async () => {
    const made = refusing(cfg => (cfg.includes('maxconn 7') ? 'no' : null))
    await travelled([two], null, made)
    made.change({ verb: 'update', resource: 'listener', id: 'listener-b', fields: { connection_limit: 7 } })
    expect(await made.run()).toBe(true)
    expect(listenerOf(made, 'listener-b').provisioning_status).toBe('ERROR')
    expect(listenerOf(made, 'listener-a').provisioning_status).toBe('ACTIVE')
    expect(running(made)).toEqual([['lb: listener-a listener-b']])
    expect(made.left).toEqual([])
  })
})
