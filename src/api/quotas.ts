/** Quotas over the API, as the Octavia dialect has them. */
import type { FastifyInstance } from 'fastify'
import { checkFields, isRecord } from '../lbaas/check.ts'
import { Rejected } from '../lbaas/errors.ts'
import { quota } from '../lbaas/quota.ts'
import * as quotas from '../store/quotas.ts'
import type { Context } from './context.ts'
import { list, type Query } from './list.ts'
import type { RuleName } from './policy/rules.ts'
import { allowRule, type Caller } from './policy.ts'
import { urlOf } from './routes.ts'
import type { Speech } from './speech.ts'

export function addQuotas(app: FastifyInstance, context: Context, speech: Speech): void {
  const { pool, options } = context
  for (const prefix of speech.prefixes) {
    app.get(`${prefix}/quotas`, async request => {
      const { caller } = request
      const ofRow = (row: Record<string, unknown>) => ({
        project_id: row.project_id,
        ...shown(quotas.limitsIn(row, options.quotas)),
      })
      return list(context, caller, speech, 'quota', request.query as Query, urlOf(request), {}, ofRow)
    })
    app.get(`${prefix}/quotas/defaults`, async request => {
      allowRule(request.caller, 'quota:get_defaults')
      return { quota: shown(options.quotas) }
    })
    app.get(`${prefix}/quotas/:project_id`, async request => {
      const { project_id } = request.params as { project_id: string }
      allowOf(request.caller, 'quota:get_one', project_id)
      return { quota: shown(await quotas.limitsOf(pool, project_id, options.quotas)) }
    })
    app.get(`${prefix}/quotas/:project_id/default`, async request => {
      allowOf(request.caller, 'quota:get_defaults', (request.params as { project_id: string }).project_id)
      return { quota: shown(options.quotas) }
    })
    app.put(`${prefix}/quotas/:project_id`, async (request, reply) => {
      const { project_id } = request.params as { project_id: string }
      allowOf(request.caller, 'quota:put', project_id)
      const body = speech.readBody(quota, request.body)
      const limits = checkFields(quota, 'PUT', speech.dialect, otherSpelling(body))
      await quotas.set(pool, project_id, limits)
      return reply.code(202).send({ quota: shown(await quotas.limitsOf(pool, project_id, options.quotas)) })
    })
    app.delete(`${prefix}/quotas/:project_id`, async (request, reply) => {
      const { project_id } = request.params as { project_id: string }
      allowOf(request.caller, 'quota:delete', project_id)
      if (!(await quotas.clear(pool, project_id)))
        throw new Rejected('not_found', { resource: 'Quota', id: project_id })
      return reply.code(204).send()
    })
  }
}

/** `loadbalancer` and `healthmonitor` are older spellings; both are answered, either is taken. */
function shown(limits: Readonly<quotas.Limits>): Record<string, number> {
  return { loadbalancer: limits.load_balancer, healthmonitor: limits.health_monitor, ...limits }
}

/** A body with the spellings of the declaration. */
export function otherSpelling(body: unknown): unknown {
  if (!isRecord(body)) return body
  const spelled: Record<string, string> = { loadbalancer: 'load_balancer', healthmonitor: 'health_monitor' }
  const entries = Object.entries(body).map(([name, limit]): [string, unknown] => [spelled[name] ?? name, limit])
  return Object.fromEntries(entries)
}

/** As the rule says of that project. */
export function allowOf(caller: Caller, rule: RuleName, project_id: string): void {
  if (!caller.may(rule, project_id)) throw new Rejected('forbidden', { action: rule.replace('quota:', 'quota_') })
}
