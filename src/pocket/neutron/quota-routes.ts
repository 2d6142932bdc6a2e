/** Neutron's routes of quotas, its own and those of the load balancing service behind it. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Refusal } from '../service.ts'
import { badRequest } from './attributes.ts'
import { type Desk, idOf } from './desk.ts'
import { QuotasElsewhere } from './quotas-elsewhere.ts'

export function quotaRoutes(app: FastifyInstance, desk: Desk): void {
  const { quotas, lbaas_url } = desk.options
  const elsewhere = new QuotasElsewhere(lbaas_url)
  const project = (request: FastifyRequest, change = false) => {
    const identity = desk.who(request)
    if (identity.admin || (!change && identity.project_id === idOf(request))) return idOf(request)
    throw new Refusal(
      403,
      'AdminRequired',
      'User does not have admin privileges: Only admin can view or configure quota.',
    )
  }
  app.get('/v2.0/quotas', async request => {
    if (!desk.who(request).admin)
      throw new Refusal(
        403,
        'AdminRequired',
        'User does not have admin privileges: Only admin is authorized to access quotas for another tenant.',
      )
    const others = new Map((await elsewhere.overridden(request)).map(one => [String(one.project_id), one]))
    const own = quotas.overridden().map(one => one.project_id)
    const usual = others.size + own.length > 0 ? await elsewhere.shown(request, '/v2.0/quotas/-/default') : {}
    const rows = [...new Set([...own, ...others.keys()])].map(id => ({
      ...quotas.limits(id),
      ...(others.get(id) ?? usual),
      project_id: id,
      tenant_id: id,
    }))
    return { quotas: rows }
  })
  // whose the token is, as clients ask before they ask for his quota
  app.get('/v2.0/quotas/tenant', request => ({ tenant: { tenant_id: desk.who(request).project_id } }))
  app.get('/v2.0/quotas/project', request => ({ project: { project_id: desk.who(request).project_id } }))
  const shownBeside = async (request: FastifyRequest, own: Record<string, unknown>) => ({
    quota: { ...own, ...(await elsewhere.shown(request, request.url.split('?')[0]!.replace(/\/$/, ''))) },
  })
  app.get('/v2.0/quotas/:id', request => shownBeside(request, quotas.limits(project(request))))
  app.get('/v2.0/quotas/:id/details', request => shownBeside(request, quotas.details(project(request))))
  app.get('/v2.0/quotas/:id/default', request => {
    project(request)
    return shownBeside(request, quotas.defaults())
  })
  app.put('/v2.0/quotas/:id', async request => {
    const id = project(request, true)
    const { quota } = (request.body ?? {}) as { quota?: Record<string, unknown> }
    if (typeof quota !== 'object' || quota === null) throw badRequest("Unable to find 'quota' in request body")
    const own = Object.entries(quota).filter(([name]) => lbaas_url === null || quotas.knows(name))
    const others = Object.entries(quota).filter(([name]) => lbaas_url !== null && !quotas.knows(name))
    // what is refused changes nothing: Neutron's own are looked at before the others are set
    quotas.checkLimits(Object.fromEntries(own))
    await elsewhere.set(request, id, Object.fromEntries(others))
    await quotas.set(id, Object.fromEntries(own))
    return {
      quota: { ...quotas.limits(id), ...(await elsewhere.shown(request, `/v2.0/quotas/${encodeURIComponent(id)}`)) },
    }
  })
  app.delete('/v2.0/quotas/:id', async (request, reply) => {
    const id = project(request, true)
    await elsewhere.reset(request, id)
    await quotas.reset(id)
    return reply.status(204).send()
  })
}
