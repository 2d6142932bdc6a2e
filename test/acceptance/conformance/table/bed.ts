/** What the cells of one dialect are tried on: who asks, one load balancer with all that is made on it, and its amphora. */
import fs from 'node:fs'
import { expect } from 'vitest'
import { processesOf } from '../../accounting.ts'
import { type Answer, Api } from '../../api.ts'
import { curl, names, startEcho } from '../../echo.ts'
import { eventually, type Stack } from '../../stack.ts'
import type { Fields, Pending } from './cell.ts'

export type Dialect = 'octavia' | 'neutron'

/** demo is a member of his project, reader may only read there, stranger is a member of another one, nobody has no token. */
export type Who = 'admin' | 'demo' | 'reader' | 'stranger' | 'nobody'

/** An id that nothing has. */
export const unknown_id = '00000000-0000-4000-8000-000000000000'

/** What both dialects share, with servers that answer with their names; `end` takes it back. */
export async function groundOf(stack: Stack) {
  const [admin, demo] = [await Api.of(stack, 'admin'), await Api.of(stack, 'demo')]
  const { endpoints } = await stack.status()
  const [root, member] = [
    await logIn(stack, endpoints.identity, 'admin'),
    await logIn(stack, endpoints.identity, 'demo'),
  ]
  const reader = await withRole(endpoints.identity, member, 'reader')
  const stranger = await withRole(endpoints.identity, root, 'member')
  const tokens = { admin: root.token, demo: member.token, reader: reader.token, stranger: stranger.token, nobody: '' }
  const path = 'subnets?name=private-subnet'
  const { body } = await demo.network<{ subnets: { id: string; network_id: string }[] }>('GET', path)
  const { id: subnet_id, network_id } = body.subnets[0]!
  const servers = await startEcho(stack, demo, { 8201: { name: 'a' }, 8202: { name: 'b' }, 8203: { name: 'c' } })
  const end = async () => {
    await servers.stop()
    await reader.forget()
    await stranger.forget()
  }
  return {
    ...{ stack, admin, servers, tokens: tokens as Record<Who, string>, subnet_id, network_id, end },
    project_id: member.project_id,
    urls: { octavia: endpoints.load_balancer, neutron: endpoints.network },
  }
}
export type Ground = Awaited<ReturnType<typeof groundOf>>

export class Bed {
  readonly ground: Ground
  readonly dialect: Dialect
  /** By the part of the path that comes before them. What has no collection of its own has another name. */
  readonly ids: Record<string, string>
  /** The objects as they were last answered, each whole answer having been judged. */
  readonly known: Record<string, Fields> = {}
  vip = ''

  constructor(ground: Ground, dialect: Dialect) {
    this.ground = ground
    this.dialect = dialect
    this.ids = { providers: 'amphora', docs: 'begin.js', quotas: ground.project_id }
  }

  /** What the objects of this run are called. */
  get name(): string {
    return `table-${this.dialect}`
  }

  /** Where cells failed, what later ones would have deleted is still there. */
  async clear(): Promise<void> {
    const { admin } = this.ground
    if (this.ids.loadbalancers) await admin.removed(this.ids.loadbalancers)
    await admin.octavia('DELETE', `quotas/${this.ids.quotas}`)
    if (this.dialect === 'neutron') return
    for (const offer of ['availabilityzones', 'availabilityzoneprofiles', 'flavors', 'flavorprofiles'])
      if (this.ids[offer]) await admin.octavia('DELETE', `${offer}/${this.ids[offer]}`)
  }

  /** A path from the root of the dialect's service; texts that are no JSON are answered as they are. */
  async ask(who: Who, method: string, path: string, body?: unknown): Promise<Answer<unknown>> {
    const url = path.startsWith('http') ? path : `${this.ground.urls[this.dialect]}${path}`
    return send(url, method, this.ground.tokens[who], body)
  }

  learn(method: string, template: string, body: Fields, keeps?: string): void {
    const collection = keeps ?? template.split('/').findLast(part => !part.startsWith('{'))!
    const [object] = Object.values(body) as [Fields | undefined]
    if (object === undefined || Array.isArray(object) || method === 'GET') return
    if (method === 'POST') this.ids[collection] = String(object.id ?? object.name)
    this.known[collection] = object
  }

  /** Writes are accepted in the while of `work`, but not applied: the amphora's agent, or the cloud where the load balancer
   *  itself is to go, does not answer. */
  async unapplied(locks: Readonly<Record<string, Pending>>, work: () => Promise<void>): Promise<void> {
    const amphora = await this.amphora()
    if (locks.loadbalancers === 'PENDING_DELETE') {
      const path = `/servers/${amphora.compute_id}$`
      const rule = { service: 'compute', method: 'DELETE', path, action: 'status', code: 503, times: null }
      expect((await this.ground.admin.compute('PUT', 'pocket/faults', rule)).status).toBe(200)
      await work().finally(() => this.ground.admin.compute('DELETE', 'pocket/faults'))
      return
    }
    const agent = agentOf(this.ground.stack, amphora.id)
    process.kill(agent, 'SIGSTOP')
    await work().finally(() => process.kill(agent, 'SIGCONT'))
  }

  /** Waits until everything that was accepted is applied: all is ACTIVE, or the load balancer is gone. */
  async applied(): Promise<void> {
    const id = this.ids.loadbalancers!
    await eventually(`all of ${this.name} applied`, async () => {
      const { status, body } = await this.ground.admin.octavia<{ loadbalancer: Fields }>('GET', `loadbalancers/${id}`)
      return status === 404 || !String(body.loadbalancer.provisioning_status).startsWith('PENDING')
    })
    for (const [name, status] of Object.entries(await this.statuses())) expect([name, status]).toEqual([name, 'ACTIVE'])
  }

  /** The provisioning status of every object of the load balancer, under the names by which the bed knows them. */
  async statuses(): Promise<Record<string, string>> {
    type Node = { id?: string; name?: string; provisioning_status?: string } & Record<string, unknown>
    const path = `loadbalancers/${this.ids.loadbalancers}/statuses`
    const { status, body } = await this.ground.admin.neutron<{ statuses: { loadbalancer: Node } }>('GET', path)
    if (status === 404) return {}
    const called = new Map(Object.entries(this.ids).map(([name, id]) => [id, name]))
    const found: Record<string, string> = {}
    const walk = ({ id, name, provisioning_status, ...rest }: Node) => {
      if (id !== undefined) found[called.get(id) ?? (name || id)] = String(provisioning_status)
      for (const below of Object.values(rest).flat())
        if (below !== null && typeof below === 'object') walk(below as Node)
    }
    walk(body.statuses.loadbalancer)
    return found
  }

  /** The amphora that serves the load balancer. */
  async amphora(): Promise<{ id: string; compute_id: string }> {
    const query = `?loadbalancer_id=${this.ids.loadbalancers}&status=ALLOCATED`
    const { body } = await this.ground.admin.amphorae<{ amphorae: { id: string; compute_id: string }[] }>('GET', query)
    expect(body.amphorae).toHaveLength(1)
    return body.amphorae[0]!
  }

  /** A server of the tenant's is told that at the VIP; 0 where nobody answers. Whether there is a member to answer is for
   *  monitors too, which take their time; all else follows from what is applied, and so is so at once. */
  async tells(status: number, path = '/'): Promise<void> {
    const told = async () =>
      (await curl(this.ground.stack, `http://${this.vip}${path}`, '--connect-timeout', '1')).status
    if (status !== 200 && status !== 503) expect([path, await told()]).toEqual([path, status])
    else await eventually(`${status} at ${this.vip}${path}`, async () => (await told()) === status, 60)
  }

  /** These answer there in turn, and nobody else does. */
  async answeredBy(...who: string[]): Promise<void> {
    const url = `http://${this.vip}/`
    const all = async () => [...new Set(await names(this.ground.stack, url, 3 * who.length))].toSorted()
    await eventually(`${who} at ${this.vip}`, async () => String(await all()) === String(who), 60)
  }

  /** One of the members answers a client, whichever it is, again and again. */
  async answeredByOne(): Promise<void> {
    const all = async () => new Set(await names(this.ground.stack, `http://${this.vip}/`, 6))
    await eventually(`one at ${this.vip}`, async () => (await all()).size === 1, 60)
  }
}

async function send(url: string, method: string, token: string, body?: unknown): Promise<Answer<unknown>> {
  const response = await fetch(url, {
    method,
    headers: {
      ...(token === '' ? {} : { 'x-auth-token': token }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, body: /^[{[]/.test(text) ? JSON.parse(text) : text }
}

type Session = { token: string; user_id: string; project_id: string }

async function logIn(stack: Stack, url: string, user: 'admin' | 'demo'): Promise<Session> {
  const { OS_USERNAME: name, OS_PASSWORD: password, OS_PROJECT_NAME } = await stack.environment(user)
  const domain = { id: 'default' }
  const identity = { methods: ['password'], password: { user: { name, password, domain } } }
  return session(url, { identity, scope: { project: { name: OS_PROJECT_NAME, domain } } })
}

async function session(url: string, auth: unknown): Promise<Session> {
  const response = await fetch(`${url}/auth/tokens`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ auth }),
  })
  expect(response.status).toBe(201)
  const { token } = (await response.json()) as { token: { user: { id: string }; project: { id: string } } }
  return { token: response.headers.get('x-subject-token')!, user_id: token.user.id, project_id: token.project.id }
}

/** The same user in the same project, of whose roles there is only that one. */
async function withRole(url: string, { token, user_id }: Session, role: string) {
  const credentials = `${url}/users/${user_id}/application_credentials`
  const wanted = { application_credential: { name: `table-${role}-${Date.now()}`, roles: [{ name: role }] } }
  const made = await send(credentials, 'POST', token, wanted)
  expect(made.status).toBe(201)
  const { id, secret } = (made.body as { application_credential: { id: string; secret: string } })
    .application_credential
  const identity = { methods: ['application_credential'], application_credential: { id, secret } }
  const forget = () => send(`${credentials}/${id}`, 'DELETE', token)
  return { ...(await session(url, { identity })), forget }
}

/** The process of that amphora's agent, as the machine sees it. */
function agentOf(stack: Stack, amphora_id: string): number {
  const agent = processesOf(stack).find(({ pid, args }) => {
    if (!args.includes('agent.mjs --config')) return false
    const settings = fs.readFileSync(`/proc/${pid}/root/etc/octavia/amphora-agent.conf`, 'utf8')
    return settings.includes(amphora_id)
  })
  if (!agent) throw new Error(`no agent runs in amphora ${amphora_id}`)
  return agent.pid
}
