/** The routes of one dialect, derived from the declarations. */
import { randomUUID } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { checkFields, isRecord } from '../lbaas/check.ts'
import { Rejected } from '../lbaas/errors.ts'
import { checkNested } from '../lbaas/nested.ts'
import { statusTree } from '../lbaas/operating.ts'
import type { TreeResource } from '../lbaas/resource.ts'
import { notFound } from '../lbaas/touch.ts'
import { collections } from '../lbaas/tree.ts'
import { tables } from '../store/schema.ts'
import * as statistics from '../store/statistics.ts'
import * as trees from '../store/trees.ts'
import { accept, acceptMembers, type Intent } from './accept.ts'
import type { Context } from './context.ts'
import { list, type Query, show } from './list.ts'
import { ownerFor } from './owners.ts'
import type { Caller, Deed } from './policy.ts'
import { shownIn, shownWhole } from './shown.ts'
import type { Speech } from './speech.ts'

declare module 'fastify' {
  interface FastifyRequest {
    caller: Caller
  }
}

type Params = { id: string; parent_id: string }

const tree_resources = ['load_balancer', ...Object.keys(collections)] as TreeResource[]

/** Adds a collection and its objects for every resource, below each of the dialect's prefixes. */
export function addRoutes(app: FastifyInstance, context: Context, speech: Speech): void {
  for (const prefix of speech.prefixes) {
    for (const resource of tree_resources) {
      const { path, parent } = tables[resource]
      const below = parent?.in_path ? `/${tables[parent.of].path}/:parent_id` : ''
      addResource(app, context, speech, resource, `${prefix}${below}/${path}`)
    }
    addBatch(app, context, speech, prefix)
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
    const body = speech.readBody(declared, request.body)
    const { parent_id } = request.params as Partial<Params>
    const creations = checkNested(declared, speech.dialect, body, randomUUID, parent_id)
    const { tree, id } = await accept(context, request.caller, speech.dialect, { verb: 'create', ...creations })
    const brought = isRecord(body) && Object.keys(declared.nested ?? {}).some(key => body[key] && key in body)
    const show = brought && speech.dialect === 'octavia' ? shownWhole : shownIn
    return reply.code(201).send({ [singular]: show(tree, speech, resource, id) })
  })

  app.get(path, async request => {
    const query = request.query as Query
    const within = await withinParent(context, speech, resource, request, 'list')
    return list(context, request.caller, speech, resource, query, urlOf(request), within)
  })

  app.get(`${path}/:id`, async request => {
    const { id } = request.params as Params
    const within = await withinParent(context, speech, resource, request, 'read')
    if (!declared.parent?.in_path) await ownerFor(context.pool, request.caller, speech.dialect, 'read', resource, id)
    const object = await show(context, speech, resource, id, request.query as Query, within)
    if (!object) throw notFound(resource, id, (request.params as Params).parent_id)
    return { [singular]: object }
  })

  app.put(`${path}/:id`, async request => {
    const { id } = request.params as Params
    const fields = checkFields(declared, 'PUT', speech.dialect, speech.readBody(declared, request.body))
    const intent: Intent = { verb: 'update', resource, ...parent(request), id, fields }
    const { tree } = await accept(context, request.caller, speech.dialect, intent)
    return { [singular]: shownIn(tree, speech, resource, id) }
  })

  app.delete(`${path}/:id`, async (request, reply) => {
    const { id } = request.params as Params
    const cascade = isTrue((request.query as Query).cascade)
    await accept(context, request.caller, speech.dialect, { verb: 'delete', resource, ...parent(request), id, cascade })
    return reply.code(204).send()
  })
}

/** A pool's members as a list: those become the members, unless the batch is only to add. In the Octavia dialect. */
function addBatch(app: FastifyInstance, context: Context, speech: Speech, prefix: string): void {
  if (speech.dialect !== 'octavia') return
  const declared = tables.member
  app.put(`${prefix}/pools/:parent_id/members`, async (request, reply) => {
    const { parent_id } = request.params as Params
    const bodies = batchIn(request.body)
    const members = bodies.map(body => {
      const creation = checkNested(declared, speech.dialect, body, randomUUID, parent_id).main
      const named = Object.entries(creation.fields).filter(
        // What has no default of its own stays as it is where the batch does not say it.
        ([name]) => declared.fields[name]?.options.change && ((name !== 'name' && name !== 'tags') || name in body),
      )
      return { creation, named: Object.fromEntries(named) }
    })
    const additive_only = isTrue((request.query as Query).additive_only)
    await acceptMembers(context, request.caller, speech.dialect, parent_id, members, additive_only)
    return reply.code(202).send()
  })
}

function batchIn(body: unknown): Record<string, unknown>[] {
  const root = tables.member.plural
  if (!isRecord(body) || !(root in body)) throw new Rejected('missing_root', { root })
  const bodies = body[root]
  const detail = 'Value should be a list of objects'
  if (Array.isArray(bodies) && bodies.every(isRecord)) return bodies
  throw new Rejected('bad_body', { root, value: '…', detail })
}

function isTrue(given: string | string[] | undefined): boolean {
  return /^(true|1|yes|on|t|y)$/i.test(String(given ?? ''))
}

/** The tree of statuses, and what passed through. */
function addReports(app: FastifyInstance, context: Context, speech: Speech, prefix: string): void {
  const readable = (request: FastifyRequest, deed: Deed, resource: 'load_balancer' | 'listener') =>
    ownerFor(context.pool, request.caller, speech.dialect, deed, resource, (request.params as Params).id)

  const statuses = async (request: FastifyRequest, reply: FastifyReply) => {
    const { load_balancer_id } = await readable(request, 'status', 'load_balancer')
    const tree = await trees.read(context.pool, load_balancer_id)
    if (!tree) throw notFound('load_balancer', load_balancer_id)
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

/** Members and rules are asked for below what they belong to, which must be there for the caller. */
async function withinParent(
  context: Context,
  speech: Speech,
  resource: TreeResource,
  request: FastifyRequest,
  deed: Deed,
): Promise<Record<string, string>> {
  const { parent } = tables[resource]
  if (!parent?.in_path) return {}
  const { parent_id } = request.params as Params
  // The child's rule, not the parent's: other services may read members without seeing the pool.
  await ownerFor(context.pool, request.caller, speech.dialect, deed, parent.of, parent_id, resource)
  return { [parent.field]: parent_id }
}

function parent(request: FastifyRequest): { parent_id?: string } {
  const { parent_id } = request.params as Partial<Params>
  return parent_id === undefined ? {} : { parent_id }
}

export function urlOf(request: FastifyRequest): URL {
  return new URL(request.url, `${request.protocol}://${request.host || 'localhost'}`)
}
