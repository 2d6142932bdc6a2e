/** Rows in memory and a controller that can die, for the laws of flows. */
import { expect } from 'vitest'
import { CloudError } from '../src/cloud/openstack.ts'
import { plan } from '../src/controller/flow.ts'
import { Permanent, Transient } from '../src/controller/outcome.ts'
import { type Arrival, type Ledger, type Provider, reconcile } from '../src/controller/reconcile.ts'
import { withFacts } from '../src/controller/with-facts.ts'
import type { Amphora } from '../src/lbaas/amphora.ts'
import { change, type Request } from '../src/lbaas/change.ts'
import { declarations } from '../src/lbaas/declarations.ts'
import type { Topology } from '../src/lbaas/load-balancer.ts'
import type { Resource } from '../src/lbaas/resource.ts'
import { usual_tls } from '../src/lbaas/tls.ts'
import type { Tree } from '../src/lbaas/tree.ts'
import type { Clients } from '../src/providers/amphora/clients.ts'
import { due, type Ways } from '../src/providers/amphora/flows.ts'
import { CloudWorld, type Death, Died } from './cloud-world.ts'

/** Rows in memory, and a controller that dies where the world's death says. */
export class Rig {
  readonly world = new CloudWorld()
  readonly done: string[] = []
  tree: Tree | null
  /** Until when the last life has left something to be done; null: nothing is. */
  later: Date | null = null
  /** Steps are meant to fail: the controller that they fail under lives on. */
  failing = false
  #now_ms = Date.parse('2026-01-01T00:00:00Z')
  #ids = 0
  #loads = 0
  readonly #ways: Ways

  constructor(topology: Topology = 'SINGLE', ways: Ways = { failover_order: 'replace_first', anti_affinity: true }) {
    this.#ways = ways
    this.world.adopted = spare => {
      this.tree = { ...this.tree!, amphorae: [...this.tree!.amphorae, spare] }
    }
    const vip = {
      address: '10.0.0.100',
      port_id: 'vip-port',
      subnet_id: 'subnet',
      network_id: 'net',
      subnet_cidr: '10.0.0.0/24',
      gateway: null,
      additional: [],
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
      additional_vips: [],
      vip_qos_policy_id: null,
      vip_sg_ids: [],
      availability_zone: null,
      tags: [],
    }
    this.tree = change(null, { verb: 'create', resource: 'load_balancer', fields, vip, topology }, this.#terms('lb'))
  }

  /** Who serves; another rig may have another one. */
  provider(): Provider<unknown> {
    const clients = this.world.clients()
    const amphora: Provider<Clients> = {
      name: 'amphora',
      due: tree => due(tree, this.#ways),
      clients: () => clients,
      classify,
    }
    return amphora as Provider<unknown>
  }

  change(request: Request, id?: string): void {
    this.tree = change(this.tree, request, this.#terms(id))
  }

  /** What is left to do. */
  get left(): string[] {
    return this.tree ? plan(this.provider().due(this.tree), this.tree).map(({ step }) => step.title) : []
  }

  /** The amphora in that place (of several the newest). */
  amphora(role: Amphora['role']): Amphora {
    return this.tree!.amphorae.findLast(amphora => amphora.role === role)!
  }

  /** What the health side writes when an amphora has fallen silent. */
  silent(role: Amphora['role']): void {
    const { id } = this.amphora(role)
    this.#amphorae(amphora => (amphora.id === id ? { ...amphora, status: 'PENDING_DELETE' } : amphora))
  }

  /** What the API writes when an agent is to be given its configuration again. */
  configure(role: Amphora['role']): void {
    const { id } = this.amphora(role)
    this.#amphorae(amphora => (amphora.id === id ? { ...amphora, config_due: true } : amphora))
  }

  /** What the API writes when a failover was asked for. */
  failover(): void {
    const { load_balancer } = this.tree!
    const generation = load_balancer.generation + 1
    this.tree = {
      ...this.tree!,
      load_balancer: { ...load_balancer, generation, provisioning_status: 'PENDING_UPDATE' },
    }
    this.#amphorae(amphora => ({ ...amphora, replace: true }))
  }

  #amphorae(change: (amphora: Amphora) => Amphora): void {
    this.tree = { ...this.tree!, amphorae: this.tree!.amphorae.map(change) }
  }

  /** One controller's life. False: it died. */
  async run(arrival: Arrival = { look: false, unfinished: false }): Promise<boolean> {
    const provider = this.provider()
    let dead = false
    const ledger: Ledger = {
      token: 1n,
      load: async () => {
        // a plan that never gets empty would go on for ever
        if (++this.#loads > 5_000) throw new Error(`it does not come to an end: ${this.done.slice(-12).join(', ')}`)
        return structuredClone(this.tree)
      },
      record: async (before, facts) => {
        if (dead) throw new Died()
        if (this.tree) this.tree = withFacts(this.tree, before, facts)
      },
      write: async line => {
        if (line.kind === 'done') this.done.push(line.step)
        if (line.kind === 'failed' && !this.world.full && !this.failing) dead = true
      },
      news: async () => ({ leaving: false, generation: 0, doomed: [] }),
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
      expect(rest.kind === 'parked').toBe(this.world.full)
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
    return {
      now: '2026-01-01T00:00:00.000Z',
      id,
      locking: 'queue' as const,
      reserved_ips: [],
      ping_allowed: true,
      tls: usual_tls,
    }
  }
}

/** A POST's fields, the declared defaults but for what is said. */
function posted(resource: Resource, fields: object): never {
  const defaults = Object.entries(resource.fields).map(([name, { options }]) => [name, options.default ?? null])
  return { ...Object.fromEntries(defaults), project_id: 'p', ...fields } as never
}

export const listener: Request = {
  verb: 'create',
  resource: 'listener',
  fields: posted(declarations.listener, { protocol: 'HTTP', protocol_port: 80, load_balancer_id: 'lb' }),
}
/** Its certificates are in the world's store. */
export const tls_listener: Request = {
  verb: 'create',
  resource: 'listener',
  fields: posted(declarations.listener, {
    ...{ protocol: 'TERMINATED_HTTPS', protocol_port: 443, load_balancer_id: 'lb', default_pool_id: 'pool' },
    ...{ default_tls_container_ref: 'one', sni_container_refs: ['two'] },
    ...{ client_ca_tls_container_ref: 'ca', client_authentication: 'MANDATORY' },
  }),
}
export const pool: Request = {
  verb: 'create',
  resource: 'pool',
  fields: posted(declarations.pool, {
    ...{ listener_id: 'listener', load_balancer_id: 'lb', protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' },
  }),
}
/** The same listener or pool of another protocol. */
export const of = (protocol: string, request: Request): Request => {
  const { fields } = request as { fields: object }
  return { ...request, fields: { ...fields, protocol } } as never
}
export const member = (address: string, network_id: string): Request => ({
  verb: 'create',
  resource: 'member',
  parent_id: 'pool',
  fields: posted(declarations.member, { address, protocol_port: 80, subnet_id: 'subnet' }),
  subnet: { network_id, cidr: '10.0.0.0/24' } as never,
})

export function same(killed: Rig, unkilled: Rig): void {
  const how = `killed ${JSON.stringify(killed.world.death)}`
  expect(JSON.stringify(killed.world.account()), how).toBe(JSON.stringify(unkilled.world.account()))
  expect(killed.tree === null, how).toBe(unkilled.tree === null)
  expect(killed.left, how).toEqual([])
}

/** Goes the way; a death strikes once, after which another controller takes over, looking first. */
export async function travelled(changes: ((rig: Rig) => void)[], death: Death, rig = new Rig()): Promise<Rig> {
  rig.world.death = death
  for (const step of changes) {
    step(rig)
    for (let waits = 0; ; waits++) {
      if (!(await rig.run())) expect(await rig.run({ look: true, unfinished: true })).toBe(true)
      if (!rig.later) break
      expect(waits).toBeLessThan(2) // what is left, and what came late to that
      await rig.wait()
    }
  }
  return rig
}

/** A wait for a condition goes by at once; the watch for a deletion, which looks every second, never wakes. */
function pauseInTest(wait_ms: number, signal: AbortSignal): Promise<void> {
  if (wait_ms < 1_000) return new Promise(resolve => setImmediate(resolve))
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
}

export function classify(error: unknown): Transient | Permanent | null {
  if (error instanceof Died) return null
  const refused = error instanceof CloudError && error.kind === 'forbidden'
  return refused ? new Permanent(error.message, error.message) : new Transient(String(error))
}
