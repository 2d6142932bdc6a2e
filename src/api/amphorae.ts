/** Failovers, and amphorae as administrators see them. In the Octavia dialect; Neutron's had neither. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { amphora } from '../lbaas/amphora.ts'
import { Rejected } from '../lbaas/errors.ts'
import * as statistics from '../store/statistics.ts'
import { acceptAmphoraDelete, acceptConfigure, acceptFailover } from './accept.ts'
import type { Context } from './context.ts'
import { list, type Query, show } from './list.ts'
import { standingFor } from './owners.ts'
import { allowRule } from './policy.ts'
import { urlOf } from './routes.ts'
import type { Speech } from './speech.ts'

export function addAmphorae(app: FastifyInstance, context: Context, speech: Speech): void {
  for (const prefix of speech.prefixes) {
    app.put(`${prefix}/loadbalancers/:id/failover`, async (request, reply) => {
      await acceptFailover(context, request.caller, speech.dialect, 'load_balancer', idOf(request))
      return reply.code(202).send()
    })
    addCollection(app, context, speech, `${prefix.replace(/lbaas$/, 'octavia')}/${amphora.path}`)
  }
}

function addCollection(app: FastifyInstance, context: Context, speech: Speech, path: string): void {
  const { singular } = amphora

  app.get(path, async request => {
    allowRule(request.caller, 'amphora:get_all')
    return list(context, request.caller, speech, 'amphora', request.query as Query, urlOf(request))
  })

  app.get(`${path}/:id`, async request => {
    const id = idOf(request)
    await standingFor(context.pool, request.caller, 'amphora:get_one', id)
    const object = await show(context, speech, 'amphora', id, request.query as Query)
    if (!object) throw new Rejected('not_found', { resource: amphora.title, id })
    return { [singular]: object }
  })

  app.get(`${path}/:id/stats`, async request => {
    const id = idOf(request)
    await standingFor(context.pool, request.caller, 'amphora:get_stats', id)
    const counted = await statistics.ofAmphora(context.pool, id)
    if (counted.length === 0) throw new Rejected('not_found', { resource: 'Amphora stats for', id })
    const amphora_stats = counted.map(({ load_balancer_id, ...one }) => ({
      ...one,
      id,
      loadbalancer_id: load_balancer_id,
    }))
    return { amphora_stats }
  })

  app.put(`${path}/:id/failover`, async (request, reply) => {
    await acceptFailover(context, request.caller, speech.dialect, 'amphora', idOf(request))
    return reply.code(202).send()
  })

  app.put(`${path}/:id/config`, async (request, reply) => {
    await acceptConfigure(context, request.caller, idOf(request))
    return reply.code(202).send()
  })

  app.delete(`${path}/:id`, async (request, reply) => {
    await acceptAmphoraDelete(context, request.caller, idOf(request))
    return reply.code(204).send()
  })
}

function idOf(request: FastifyRequest): string {
  return (request.params as { id: string }).id
}
