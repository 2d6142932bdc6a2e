/** The routes of one dialect, derived from the declarations. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { checkFields } from '../lbaas/check.ts'
import { Rejected } from '../lbaas/errors.ts'
import { statusTree } from '../lbaas/operating.ts'
import type { Resource, TreeResource } from '../lbaas/resource.ts'
import type { Tree } from '../lbaas/tree.ts'
import { tables } from '../store/schema.ts'
import * as statistics from '../store/statistics.ts'
import * as trees from '../store/trees.ts'
import { accept, type Intent } from './accept.ts'
import type { Context } from './context.ts'
import { list, type Query, show } from './list.ts'
import { ownerFor } from './owners.ts'
import type { Caller, Deed } from './policy.ts'
import type { Related, Speech } from './speech.ts'

declare module 'fastify' {
  interface FastifyRequest {
    caller: Caller
  }
}

type Params = { id: string; pool_id: string }

/** Adds a collection and its objects for every resource, below each of the dialect's prefixes. */
export function addRoutes(app: FastifyInstance, context: Context, speech: Speech): void {
  for (const prefix of speech.prefixes) {
    for (const resource of ['load_balancer', 'listener', 'pool', 'health_monitor'] as const)
      addResource(app, context, speech, resource, `${prefix}/${tables[resource].path}`)
    addResource(app, context, speech, 'member', `${prefix}/pools/:pool_id/members`)
    addReports(app, context, speech, prefix)
  }
}

function addResource(
  app: FastifyInstance,
  context: Context,
  speech: Speech,
  resource: TreeResource,
  path: string,
): void {
  const declared = tables[resource]
  const { singular } = declared

  app.post(path, async (request, reply) => {
    const fields = checkFields(declared, 'POST', speech.dialect, speech.readBody(declared, request.body))
    const object = await accepted(context, speech, request, { verb: 'create', resource, ...parent(request), fields })
    return reply.code(201).send({ [singular]: object })
  })

  app.get(path, async request => {
    const query = request.query as Query
    const within = await withinPool(context, speech, resource, request, 'list')
    return list(context, request.caller, speech, resource, query, urlOf(request), within)
  })

  app.get(`${path}/:id`, async request => {
    const { id } = request.params as Params
    const within = await withinPool(context, speech, resource, request, 'read')
    if (resource !== 'member') await ownerFor(context.pool, request.caller, speech.dialect, 'read', resource, id)
    const object = await show(context, speech, resource, id, request.query as Query, within)
    if (!object) throw notFound(declared, request.params as Params)
    return { [singular]: object }
  })

  app.put(`${path}/:id`, async request => {
    const { id } = request.params as Params
    const fields = checkFields(declared, 'PUT', speech.dialect, speech.readBody(declared, request.body))
    const intent: Intent = { verb: 'update', resource, ...parent(request), id, fields }
    return { [singular]: await accepted(context, speech, request, intent) }
  })

  app.delete(`${path}/:id`, async (request, reply) => {
    const { id } = request.params as Params
    const cascade = /^(true|1)$/i.test(String((request.query as Query).cascade ?? ''))
    await accept(context, request.caller, speech.dialect, { verb: 'delete', resource, ...parent(request), id, cascade })
    return reply.code(204).send()
  })
}

/** The tree of statuses, and what passed through. */
function addReports(app: FastifyInstance, context: Context, speech: Speech, prefix: string): void {
  const readable = (request: FastifyRequest, deed: Deed, resource: 'load_balancer' | 'listener') =>
    ownerFor(context.pool, request.caller, speech.dialect, deed, resource, (request.params as Params).id)

  const statuses = async (request: FastifyRequest, reply: FastifyReply) => {
    const { load_balancer_id } = await readable(request, 'status', 'load_balancer')
    const tree = await trees.read(context.pool, load_balancer_id)
    if (!tree) throw notFound(tables.load_balancer, request.params as Params)
    return reply.send(speech.showStatuses(statusTree(tree)))
  }
  app.get(`${prefix}/loadbalancers/:id/status`, statuses)
  app.get(`${prefix}/loadbalancers/:id/statuses`, statuses)

  app.get(`${prefix}/loadbalancers/:id/stats`, async request => {
    const { load_balancer_id } = await readable(request, 'statistics', 'load_balancer')
    return { stats: await statistics.ofLoadBalancer(context.pool, load_balancer_id) }
  })
  app.get(`${prefix}/listeners/:id/stats`, async request => {
    await readable(request, 'statistics', 'listener')
    return { stats: await statistics.ofListener(context.pool, (request.params as Params).id) }
  })
}

async function accepted(
  context: Context,
  speech: Speech,
  request: FastifyRequest,
  intent: Intent,
): Promise<Record<string, unknown>> {
  const { tree, id } = await accept(context, request.caller, speech.dialect, intent)
  const { row, related } = found(tree, intent.resource, id)
  return speech.showObject(intent.resource, row, related)
}

function found(tree: Tree, resource: TreeResource, id: string): { row: Record<string, unknown>; related: Related } {
  const rows = {
    load_balancer: [tree.load_balancer],
    listener: tree.listeners,
    pool: tree.pools,
    member: tree.members,
    health_monitor: tree.health_monitors,
  }
  const row = rows[resource].find(one => one.id === id)!
  const ids = (objects: { id: string }[]) => objects.map(one => one.id)
  const related: Related =
    resource === 'load_balancer'
      ? { listeners: ids(tree.listeners), pools: ids(tree.pools) }
      : {
          listeners: ids(tree.listeners.filter(one => one.default_pool_id === id)),
          members: ids(tree.members.filter(one => one.pool_id === id)),
          health_monitors: ids(tree.health_monitors.filter(one => one.pool_id === id)),
        }
  return { row, related }
}

/** Members are asked for below a pool, which must be there for the caller. */
async function withinPool(
  context: Context,
  speech: Speech,
  resource: TreeResource,
  request: FastifyRequest,
  deed: Deed,
): Promise<Record<string, string>> {
  if (resource !== 'member') return {}
  const { pool_id } = request.params as Params
  // The members' rule, not the pool's: other services may read members without seeing the pool.
  await ownerFor(context.pool, request.caller, speech.dialect, deed, 'pool', pool_id, 'member')
  return { pool_id }
}

function parent(request: FastifyRequest): { pool_id?: string } {
  const { pool_id } = request.params as Partial<Params>
  return pool_id === undefined ? {} : { pool_id }
}

function notFound(resource: Resource, { id, pool_id }: Params): Rejected {
  if (resource.name === 'member') return new Rejected('member_not_found', { id, pool_id })
  return new Rejected('not_found', { resource: resource.title, id })
}

export function urlOf(request: FastifyRequest): URL {
  return new URL(request.url, `${request.protocol}://${request.host || 'localhost'}`)
}
