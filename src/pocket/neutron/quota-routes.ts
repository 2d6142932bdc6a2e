/** Neutron's routes of quotas and of QoS policies, which are kept and have no effect. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Refusal } from '../service.ts'
import { drop, keep } from '../store.ts'
import { badRequest } from './attributes.ts'
import { type Desk, idOf } from './desk.ts'
import { changed, newPolicy, type Port, shown } from './documents.ts'

export function quotaRoutes(app: FastifyInstance, desk: Desk): void {
  const { quotas } = desk.options
  const project = (request: FastifyRequest, change = false) => {
    const identity = desk.who(request)
    if (identity.admin || (!change && identity.project_id === idOf(request))) return idOf(request)
    throw new Refusal(
      403,
      'AdminRequired',
      'User does not have admin privileges: Only admin can view or configure quota.',
    )
  }
  app.get('/v2.0/quotas', request => {
    if (!desk.who(request).admin)
      throw new Refusal(
        403,
        'AdminRequired',
        'User does not have admin privileges: Only admin is authorized to access quotas for another tenant.',
      )
    return { quotas: quotas.overridden() }
  })
  app.get('/v2.0/quotas/:id', request => ({ quota: quotas.limits(project(request)) }))
  app.get('/v2.0/quotas/:id/details', request => ({ quota: quotas.details(project(request)) }))
  app.get('/v2.0/quotas/:id/default', request => {
    project(request)
    return { quota: quotas.defaults() }
  })
  app.put('/v2.0/quotas/:id', async request => {
    const id = project(request, true)
    const { quota } = (request.body ?? {}) as { quota?: Record<string, unknown> }
    if (typeof quota !== 'object' || quota === null) throw badRequest("Unable to find 'quota' in request body")
    await quotas.set(id, quota)
    return { quota: quotas.limits(id) }
  })
  app.delete('/v2.0/quotas/:id', async (request, reply) => {
    await quotas.reset(project(request, true))
    return reply.status(204).send()
  })
  policyRoutes(app, desk)
}

function policyRoutes(app: FastifyInstance, desk: Desk): void {
  const { store } = desk
  app.post('/v2.0/qos/policies', async (request, reply) => {
    if (!desk.who(request).admin)
      throw new Refusal(403, 'PolicyNotAuthorized', 'rule:create_policy is disallowed by policy')
    const { project_id, ...fields } = desk.newOf('qos_policy', request)
    const policy = newPolicy(project_id, fields)
    await store.commit(keep('qos_policy', policy))
    return desk.made(reply, 'qos_policy', policy)
  })
  app.put('/v2.0/qos/policies/:id', async request => {
    const policy = desk.own('qos_policy', request)
    const after = changed(policy, desk.changesOf('qos_policy', request))
    await store.commit(keep('qos_policy', after))
    return { policy: shown(after) }
  })
  app.delete('/v2.0/qos/policies/:id', async (request, reply) => {
    const policy = desk.own('qos_policy', request)
    const user = store.all<Port>('port').find(port => port.qos_policy_id === policy.id)
    if (user) throw new Refusal(409, 'QosPolicyInUse', `QoS Policy ${policy.id} is used by port ${user.id}.`)
    await store.commit(drop('qos_policy', policy.id))
    return reply.status(204).send()
  })
}
