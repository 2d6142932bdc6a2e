/** Nova's server groups: which servers are to be kept apart, or together. */
import { randomUUID } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Refusal } from '../service.ts'
import { drop, keep, type Store } from '../store.ts'
import type { Caller } from './caller.ts'
import type { Server, ServerGroup } from './documents.ts'

export function groupRoutes(app: FastifyInstance, store: Store, caller: (request: FastifyRequest) => Caller): void {
  const shown = (group: ServerGroup, minor: number) => ({
    id: group.id,
    name: group.name,
    policies: [group.policy],
    metadata: {},
    members: store
      .all<Server>('server')
      .filter(server => server.group_id === group.id)
      .map(server => server.id),
    ...(minor >= 13 && { project_id: group.project_id, user_id: group.user_id }),
  })
  const find = (request: FastifyRequest): ServerGroup => {
    const { identity } = caller(request)
    const { id } = request.params as { id: string }
    const group = store.get<ServerGroup>('server_group', id)
    if (group && (identity.admin || group.project_id === identity.project_id)) return group
    throw new Refusal(404, 'itemNotFound', `Instance group ${id} could not be found.`)
  }
  app.get('/v2.1/os-server-groups', request => {
    const { identity, minor } = caller(request)
    const everyone = identity.admin && 'all_projects' in (request.query as object)
    const groups = store
      .all<ServerGroup>('server_group')
      .filter(group => everyone || group.project_id === identity.project_id)
    return { server_groups: groups.map(group => shown(group, minor)) }
  })
  app.get('/v2.1/os-server-groups/:id', request => ({ server_group: shown(find(request), caller(request).minor) }))
  app.post('/v2.1/os-server-groups', async (request, reply) => {
    const { identity, minor } = caller(request)
    const wishes = (request.body as { server_group?: { name?: string; policies?: string[] } } | undefined)?.server_group
    const policy = wishes?.policies?.[0]
    const known =
      minor >= 15 ? ['anti-affinity', 'affinity', 'soft-anti-affinity', 'soft-affinity'] : ['anti-affinity', 'affinity']
    if (!wishes?.name || policy === undefined)
      throw new Refusal(
        400,
        'badRequest',
        "Invalid input for field/attribute server_group. 'policies' is a required property",
      )
    if (!known.includes(policy))
      throw new Refusal(
        400,
        'badRequest',
        `Invalid input for field/attribute 0. Value: ${policy}. '${policy}' is not one of [${known.map(k => `'${k}'`).join(', ')}]`,
      )
    const group: ServerGroup = {
      id: randomUUID(),
      name: wishes.name,
      project_id: identity.project_id!,
      user_id: identity.user_id,
      policy,
    }
    await store.commit(keep('server_group', group))
    return reply.status(200).send({ server_group: shown(group, minor) })
  })
  app.delete('/v2.1/os-server-groups/:id', async (request, reply) => {
    await store.commit(drop('server_group', find(request).id))
    return reply.status(204).send()
  })
}
