/** Load balancers whose amphorae are to fail: made through the API, watched by their rows and by the journal. */
import { expect } from 'vitest'
import type { FaultRule } from '../../src/pocket/faults.ts'
import { account, recordedAccount } from './accounting.ts'
import { Api, type Made } from './api.ts'
import { eventually, type Stack } from './stack.ts'

/** An amphora's row as an administrator sees it. */
export type Row = {
  id: string
  compute_id: string
  status: string
  role: 'MASTER' | 'BACKUP' | 'STANDALONE'
  lb_network_ip: string
  vrrp_ip: string
  vrrp_port_id: string
  ha_ip: string
  ha_port_id: string
  vrrp_interface: string
}

export type Port = {
  id: string
  name: string
  device_id: string
  mac_address: string
  network_id: string
  admin_state_up: boolean
  fixed_ips: { ip_address: string }[]
  allowed_address_pairs: { ip_address: string }[]
}

/** The sessions that the tests use, and what they ask of the whole stack. */
export class Ground {
  readonly stack: Stack
  readonly admin: Api
  readonly demo: Api
  readonly subnet_id: string

  private constructor(stack: Stack, admin: Api, demo: Api, subnet_id: string) {
    this.stack = stack
    this.admin = admin
    this.demo = demo
    this.subnet_id = subnet_id
  }

  static async of(stack: Stack): Promise<Ground> {
    const [admin, demo] = await Promise.all([Api.of(stack, 'admin'), Api.of(stack, 'demo')])
    return new Ground(stack, admin, demo, await demo.subnet('private-subnet'))
  }

  /** A load balancer with an HTTP listener and the two web servers of the demonstration, if there are any. */
  async make(name: string, flavor_id: string | null = null): Promise<Failing> {
    const fields = { name, vip_subnet_id: this.subnet_id, ...(flavor_id === null ? {} : { flavor_id }) }
    const lb = await this.demo.made('loadbalancers', 'loadbalancer', fields)
    const http = { protocol: 'HTTP', loadbalancer_id: lb.id }
    const listener = await this.demo.made('listeners', 'listener', { ...http, protocol_port: 80 })
    const round_robin = { protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN', listener_id: listener.id }
    const pool = await this.demo.made('pools', 'pool', round_robin)
    const made = new Failing(this, lb, listener, pool)
    for (const address of await this.webServers()) await made.add({ address })
    return made
  }

  async webServers(): Promise<string[]> {
    const { servers } = await this.stack.status()
    return servers.filter(({ name }) => /^web\d$/.test(name)).map(server => server.addresses[0]!)
  }

  async fault(rule: Omit<FaultRule, 'id' | 'met' | 'since_ms'>): Promise<void> {
    const { status, body } = await this.admin.compute('PUT', 'pocket/faults', rule)
    expect(status, JSON.stringify(body)).toBe(200)
  }

  async faults(): Promise<FaultRule[]> {
    return (await this.admin.compute<{ faults: FaultRule[] }>('GET', 'pocket/faults')).body.faults
  }

  async noFaults(): Promise<void> {
    await this.admin.compute('DELETE', 'pocket/faults')
  }

  async port(id: string): Promise<Port> {
    return (await this.admin.network<{ port: Port }>('GET', `ports/${id}`)).body.port
  }

  /** A server's ports; `address`: that which has it. */
  async portsOf(device_id: string, address: string | null = null): Promise<Port[]> {
    const { body } = await this.admin.network<{ ports: Port[] }>('GET', `ports?device_id=${device_id}`)
    return body.ports.filter(port => address === null || port.fixed_ips.some(ip => ip.ip_address === address))
  }

  /** A network of the demonstration's project. */
  async network(name: string, cidr: string): Promise<{ id: string; subnet_id: string }> {
    const made = await this.demo.network<{ network: { id: string } }>('POST', 'networks', { network: { name } })
    const subnet = { network_id: made.body.network.id, cidr, ip_version: 4 }
    const { body } = await this.demo.network<{ subnet: { id: string } }>('POST', 'subnets', { subnet })
    return { id: made.body.network.id, subnet_id: body.subnet.id }
  }

  /** What an amphora's agent was asked to do, in order: `METHOD path status`, by its log on the server's console. That
   *  it was asked whether it is there is left out. */
  async callsOf(server_id: string): Promise<string[]> {
    const action = { 'os-getConsoleOutput': {} }
    const { body } = await this.admin.compute<{ output: string }>('POST', `v2.1/servers/${server_id}/action`, action)
    const answered = [...body.output.matchAll(/"answered","method":"(\w+)","path":"(\S+?)","status":(\d+)/g)]
    return answered.map(match => match.slice(1).join(' ')).filter(call => !call.startsWith('GET /0.5/info'))
  }

  /** What exists is exactly what the rows account for. */
  async balanced(members: Record<string, number> = {}): Promise<void> {
    await eventually('what exists is what is recorded', async () => {
      expect(await account(this.admin)).toEqual(await recordedAccount(this.admin, members))
      return true
    })
  }
}

/** One load balancer. */
export class Failing {
  readonly id: string
  readonly url: string
  readonly listener: Made
  readonly pool: Made
  readonly lb: Made
  readonly #ground: Ground

  constructor(ground: Ground, lb: Made, listener: Made, pool: Made) {
    this.#ground = ground
    this.id = lb.id
    this.lb = lb
    this.url = `http://${lb.vip_address}/`
    this.listener = listener
    this.pool = pool
  }

  add(fields: Record<string, unknown>): Promise<Made> {
    const { demo, subnet_id } = this.#ground
    return demo.made(`pools/${this.pool.id}/members`, 'member', { protocol_port: 80, subnet_id, ...fields })
  }

  /** Waits until its amphorae serve, are heard, and none but them is left; answers with their rows by role. `others`:
   *  it must not be one of those. */
  async whole(...others: (Row | undefined)[]): Promise<Record<Row['role'], Row>> {
    const former = new Set(others.map(row => row?.id))
    return eventually(`${this.lb.name} is whole`, async () => {
      const found = (await this.#ground.stack.status()).load_balancers.find(lb => lb.id === this.id)!
      const { amphorae, provisioning_status } = found
      const good =
        provisioning_status === 'ACTIVE' &&
        amphorae.every(one => one.status === 'ALLOCATED' && (one.silent_s ?? 99) < 3 && !former.has(one.id)) &&
        (amphorae.length === 1 || amphorae.filter(one => one.role_now === 'MASTER').length === 1)
      if (!good) throw new Error(`${JSON.stringify(found)} ${(await this.explanation()).slice(-3_000)}`)
      const rows = await this.rows()
      return rows.length === amphorae.length && Object.fromEntries(rows.map(row => [row.role, row]))
    }) as Promise<Record<Row['role'], Row>>
  }

  /** Its amphorae's rows. */
  async rows(): Promise<Row[]> {
    const path = `?loadbalancer_id=${this.id}`
    return (await this.#ground.admin.amphorae<{ amphorae: Row[] }>('GET', path)).body.amphorae
  }

  async shown(): Promise<Made & { reason?: string }> {
    const { body } = await this.#ground.demo.octavia<{ loadbalancer: Made }>('GET', `loadbalancers/${this.id}`)
    return body.loadbalancer
  }

  explanation(): Promise<string> {
    return this.#ground.stack.explain(this.id)
  }

  /** Waits until its journal or its state says so. */
  async says(pattern: RegExp): Promise<string> {
    return eventually(`${this.lb.name} says ${pattern}`, async () => {
      const text = await this.explanation()
      if (!pattern.test(text)) throw new Error(text.slice(-3_000))
      return text
    })
  }

  /** Waits until the VIP answers, by a member where there is one that can. */
  async answers(): Promise<void> {
    const ask = ['curl', '-sS', '--max-time', '2', '-o', '/dev/null', '-w', '%{http_code}', this.url]
    const expected = (await this.#ground.webServers()).length > 0 ? '200' : '503'
    await eventually(`${this.lb.name} answers`, async () => {
      const { stdout, stderr } = await this.#ground.stack.exec(...ask)
      if (stdout !== expected) throw new Error(`${stdout}${stderr}`)
      return true
    })
  }

  /** The same one, after the stack was started again. */
  on(ground: Ground): Failing {
    return new Failing(ground, this.lb, this.listener, this.pool)
  }
}
