/** The laws of flows: run to the end nothing is left; killed at any instant and resumed, the world is the same. */
import fs from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { CloudWorld, type Death, Died } from '../../../test/cloud-world.ts'
import { plan } from '../../controller/flow.ts'
import { Transient } from '../../controller/outcome.ts'
import { type Arrival, type Ledger, type Provider, reconcile } from '../../controller/reconcile.ts'
import { withFacts } from '../../controller/with-facts.ts'
import { change, type Request } from '../../lbaas/change.ts'
import type { Tree } from '../../lbaas/tree.ts'
import type { Clients } from './clients.ts'
import { due } from './flows.ts'

/** Rows in memory, and a controller that dies where the world's death says. */
class Rig {
  readonly world = new CloudWorld()
  readonly done: string[] = []
  tree: Tree | null
  /** Until when the last life has left something to be done; null: nothing is. */
  later: Date | null = null
  #now_ms = Date.parse('2026-01-01T00:00:00Z')
  #ids = 0

  constructor() {
    const vip = {
      address: '10.0.0.100',
      port_id: 'vip-port',
      subnet_id: 'subnet',
      network_id: 'net',
      subnet_cidr: '10.0.0.0/24',
      gateway: null,
      owned: true,
    }
    const fields = {
      name: 'lb1',
      project_id: 'p',
      description: '',
      admin_state_up: true,
      provider: 'amphora',
      vip_address: null,
      vip_port_id: null,
      vip_subnet_id: 'subnet',
      vip_network_id: null,
      flavor_id: null,
      tags: [],
    }
    this.tree = change(
      null,
      { verb: 'create', resource: 'load_balancer', fields, vip, topology: 'SINGLE' },
      this.#terms('lb'),
    )
  }

  change(request: Request, id?: string): void {
    this.tree = change(this.tree, request, this.#terms(id))
  }

  /** One controller's life. False: it died. */
  async run(arrival: Arrival = { look: false, unfinished: false }): Promise<boolean> {
    const clients = this.world.clients()
    const provider: Provider<Clients> = {
      name: 'amphora',
      due,
      clients: () => clients,
      classify: error => (error instanceof Died ? null : new Transient(String(error))),
    }
    let dead = false
    const ledger: Ledger = {
      token: 1n,
      load: async () => structuredClone(this.tree),
      record: async (before, facts) => {
        if (dead) throw new Died()
        if (this.tree) this.tree = withFacts(this.tree, before, facts)
      },
      write: async line => {
        if (line.kind === 'done') this.done.push(line.step)
        if (line.kind === 'failed') dead = true
      },
      leaving: async () => false,
    }
    const controller = new AbortController()
    const now = () => new Date(this.#now_ms)
    const around = { signal: controller.signal, now, random: () => 0, pause: pauseInTest, late_effect_s: 60 }
    // a death is no error that a controller could handle: nothing runs after it, nothing is recorded
    const mortal: Ledger = {
      ...ledger,
      write: async line => {
        await ledger.write(line)
        if (dead) controller.abort(new Died())
      },
    }
    try {
      const rest = await reconcile(provider, mortal, around, arrival)
      expect(rest.kind).not.toBe('parked')
      this.later = rest.kind === 'later' ? rest.until : null
      return true
    } catch (error) {
      if (error instanceof Died) return false
      throw error
    }
  }

  /** Time goes by until what is left is due; what was under way has arrived by then. */
  async wait(): Promise<void> {
    await this.world.arrive()
    this.#now_ms = this.later!.getTime()
  }

  #terms(id = `id-${++this.#ids}`) {
    return { now: '2026-01-01T00:00:00.000Z', id, locking: 'queue' as const, reserved_ips: [], ping_allowed: true }
  }
}

const listener: Request = {
  verb: 'create',
  resource: 'listener',
  fields: {
    name: '',
    project_id: 'p',
    description: '',
    admin_state_up: true,
    protocol: 'HTTP',
    protocol_port: 80,
    connection_limit: -1,
    default_pool_id: null,
    insert_headers: {},
    allowed_cidrs: null,
    timeout_client_data: 50000,
    timeout_member_connect: 5000,
    timeout_member_data: 50000,
    timeout_tcp_inspect: 0,
    tags: [],
    load_balancer_id: 'lb',
  } as never,
}
const pool: Request = {
  verb: 'create',
  resource: 'pool',
  fields: {
    name: '',
    project_id: 'p',
    description: '',
    admin_state_up: true,
    listener_id: 'listener',
    load_balancer_id: 'lb',
    protocol: 'HTTP',
    lb_algorithm: 'ROUND_ROBIN',
    session_persistence: null,
    tags: [],
  } as never,
}
const member = (address: string, network_id: string): Request => ({
  verb: 'create',
  resource: 'member',
  pool_id: 'pool',
  fields: {
    name: '',
    project_id: 'p',
    admin_state_up: true,
    address,
    protocol_port: 80,
    weight: 1,
    backup: false,
    subnet_id: 'subnet',
    monitor_address: null,
    monitor_port: null,
    tags: [],
  } as never,
  subnet: { network_id, cidr: '10.0.0.0/24' } as never,
})

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
    rig => rig.change({ verb: 'delete', resource: 'member', pool_id: 'pool', id: 'member2' }),
  ],
  'a listener makes room for another on its port': [
    rig => rig.change(listener, 'listener'),
    rig => {
      rig.change({ verb: 'delete', resource: 'listener', id: 'listener' })
      rig.change(listener, 'listener2')
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
    if (rig.tree) expect(plan(due(rig.tree), rig.tree)).toEqual([])
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
      expect(rig.world.account(), JSON.stringify(death)).toEqual({ servers: [], ports: [], groups: [] })
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
    expect(plan(due(rig.tree!), rig.tree!), what).toEqual([])
  }
})

function same(killed: Rig, unkilled: Rig): void {
  const how = `killed ${JSON.stringify(killed.world.death)}`
  expect(JSON.stringify(killed.world.account()), how).toBe(JSON.stringify(unkilled.world.account()))
  expect(killed.tree === null, how).toBe(unkilled.tree === null)
  if (killed.tree) expect(plan(due(killed.tree), killed.tree), how).toEqual([])
}

/** Goes the way; a death strikes once, after which another controller takes over, looking first. */
async function travelled(changes: ((rig: Rig) => void)[], death: Death): Promise<Rig> {
  const rig = new Rig()
  rig.world.death = death
  for (const step of changes) {
    step(rig)
    if (!(await rig.run())) expect(await rig.run({ look: true, unfinished: true })).toBe(true)
    if (!rig.later) continue
    await rig.wait()
    expect(await rig.run()).toBe(true)
    expect(rig.later).toBe(null)
  }
  return rig
}

/** A wait for a condition goes by at once; the watch for a deletion, which looks every second, never wakes. */
function pauseInTest(wait_ms: number, signal: AbortSignal): Promise<void> {
  if (wait_ms < 1_000) return new Promise(resolve => setImmediate(resolve))
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
}
