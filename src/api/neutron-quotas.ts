/** The load balancing part of Neutron's quotas: the same limits as the Octavia dialect's, under Neutron's five names. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { checkFields } from '../lbaas/check.ts'
import { quota } from '../lbaas/quota.ts'
import * as quotas from '../store/quotas.ts'
import type { Context } from './context.ts'
import { list, type Query } from './list.ts'
import { allowOf, otherSpelling } from './quotas.ts'
import { urlOf } from './routes.ts'
import type { Speech } from './speech.ts'

export function addNeutronQuotas(app: FastifyInstance, context: Context, speech: Speech): void {
  const { pool, options } = context
  const limitsOf = async (project_id: string) => shown(await quotas.limitsOf(pool, project_id, options.quotas))

  app.get('/v2.0/quotas', async request => {
    const ofRow = (row: Record<string, unknown>) => ({
      ...shown(quotas.limitsIn(row, options.quotas)),
      project_id: row.project_id,
      tenant_id: row.project_id,
    })
    return list(context, request.caller, speech, 'quota', request.query as Query, urlOf(request), {}, ofRow)
  })

  app.get('/v2.0/quotas/:project_id', async request => {
    const project_id = projectOf(request)
    allowOf(request.caller, 'quota:get_one', project_id)
    return { quota: await limitsOf(project_id) }
  })

  app.get('/v2.0/quotas/:project_id/default', async request => {
    allowOf(request.caller, 'quota:get_defaults', projectOf(request))
    return { quota: shown(options.quotas) }
  })

  app.get('/v2.0/quotas/:project_id/details', async request => {
    const project_id = projectOf(request)
    allowOf(request.caller, 'quota:get_one', project_id)
    const [limits, used] = [await limitsOf(project_id), shown(await quotas.usedBy(pool, project_id))]
    const details = Object.entries(limits).map(([name, limit]) => [name, { limit, used: used[name], reserved: 0 }])
    return { quota: Object.fromEntries(details) }
  })

  app.put('/v2.0/quotas/:project_id', async request => {
    const project_id = projectOf(request)
    allowOf(request.caller, 'quota:put', project_id)
    const body = otherSpelling(speech.readBody(quota, request.body))
    await quotas.set(pool, project_id, checkFields(quota, 'PUT', speech.dialect, body))
    return { quota: await limitsOf(project_id) }
  })

  app.delete('/v2.0/quotas/:project_id', async (request, reply) => {
    const project_id = projectOf(request)
    allowOf(request.caller, 'quota:delete', project_id)
    await quotas.clear(pool, project_id)
    return reply.code(204).send()
  })
}

function shown(limits: Readonly<quotas.Limits>): Record<string, number> {
  const { load_balancer, listener, pool, member, health_monitor } = limits
  return { loadbalancer: load_balancer, listener, pool, member, healthmonitor: health_monitor }
}

function projectOf(request: FastifyRequest): string {
  return (request.params as { project_id: string }).project_id
}
