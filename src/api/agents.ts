/** Neutron's agent scheduler: the agents that host load balancers are the amphorae. In the neutron dialect. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { isUuid } from '../lbaas/check.ts'
import { Rejected } from '../lbaas/errors.ts'
import { type HostingAgent, hosting } from '../store/agents.ts'
import type { Context } from './context.ts'
import { list, type Query } from './list.ts'
import { ownerFor } from './owners.ts'
import { allowRule } from './policy.ts'
import { urlOf } from './routes.ts'
import type { Speech } from './speech.ts'

export function addAgents(app: FastifyInstance, context: Context, speech: Speech): void {
  const { pool } = context
  const found = async (id: string) => {
    const [agent] = isUuid(id) ? await hosting(pool, { id, load_balancer_id: null }) : []
    if (!agent) throw new Rejected('cloud_object_not_found', { resource: 'Agent', id })
    return agent
  }

  app.get('/v2.0/agents', async request => {
    // As of old: who may not see agents sees a list without any.
    if (!request.caller.may('amphora:get_all', request.caller.project_id)) return { agents: [] }
    const query = request.query as Query
    const all = (await hosting(pool, { id: null, load_balancer_id: null })).map(shown)
    return { agents: all.filter(one => fits(one, query)).map(one => projected(one, query)) }
  })

  app.get('/v2.0/agents/:id', async request => {
    allowRule(request.caller, 'amphora:get_one')
    return { agent: projected(shown(await found(idOf(request))), request.query as Query) }
  })

  app.get('/v2.0/agents/:id/agent-loadbalancers', async request => {
    const { caller } = request
    allowRule(caller, 'amphora:get_one')
    const { load_balancer_id } = await found(idOf(request))
    const within = { id: load_balancer_id }
    return list(context, caller, speech, 'load_balancer', request.query as Query, urlOf(request), within)
  })

  for (const prefix of speech.prefixes)
    app.get(`${prefix}/loadbalancers/:id/loadbalancer-hosting-agent`, async request => {
      allowRule(request.caller, 'amphora:get_one')
      const id = idOf(request)
      const { load_balancer_id } = await ownerFor(pool, request.caller, speech.dialect, 'read', 'load_balancer', id)
      const agents = await hosting(pool, { id: null, load_balancer_id })
      const agent = agents.find(one => one.alive) ?? agents[0]
      if (!agent) throw new Rejected('no_agent', { id })
      return { agent: projected(shown(agent), request.query as Query) }
    })
}

type Shown = Record<string, unknown>

function shown({ id, network_host, zone, created_at, last_update, alive }: HostingAgent): Shown {
  return {
    id,
    agent_type: 'Loadbalancerv2 agent',
    binary: 'amphora-agent',
    topic: 'n-lbaasv2_agent',
    host: network_host ?? `amphora-${id}`,
    availability_zone: zone,
    admin_state_up: true,
    alive,
    created_at: instant(created_at),
    started_at: instant(created_at),
    heartbeat_timestamp: instant(last_update),
    description: null,
    configurations: { device_drivers: [network_host === null ? 'octavia' : 'haproxy_ns'], instances: 1 },
  }
}

/** Filters that name no field are passed over: other kinds of agents may have them. */
function fits(agent: Shown, query: Query): boolean {
  return Object.entries(query).every(([name, given]) => {
    if (name === 'fields' || !(name in agent) || given === undefined) return true
    return [given].flat().some(one => one.toLowerCase() === String(agent[name]).toLowerCase())
  })
}

function projected(agent: Shown, query: Query): Shown {
  const wanted = [query.fields ?? []].flat().filter(name => name !== '')
  return wanted.length ? Object.fromEntries(Object.entries(agent).filter(([name]) => wanted.includes(name))) : agent
}

/** Neutron's form in agents. */
function instant(date: Date): string {
  return date.toISOString().slice(0, 19).replace('T', ' ')
}

function idOf(request: FastifyRequest): string {
  return (request.params as { id: string }).id
}
