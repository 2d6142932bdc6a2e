/** Nova's quotas and limits. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Refusal } from '../service.ts'
import { type Document, keep, type Store } from '../store.ts'
import type { Caller } from './caller.ts'
import type { Server } from './documents.ts'
import { flavors } from './flavors.ts'

type QuotaSet = Document & { limits: Record<string, number> }

const defaults = {
  cores: 200,
  fixed_ips: -1,
  floating_ips: -1,
  injected_file_content_bytes: 10240,
  injected_file_path_bytes: 255,
  injected_files: 5,
  instances: 100,
  key_pairs: 100,
  metadata_items: 128,
  ram: 200000,
  security_group_rules: -1,
  security_groups: -1,
  server_group_members: 100,
  server_groups: 100,
}

/** How many servers a project may have; -1 is any number. */
export function instanceLimit(store: Store, project_id: string): number {
  return limitsOf(store, project_id).instances!
}

export function quotaRoutes(app: FastifyInstance, store: Store, caller: (request: FastifyRequest) => Caller): void {
  app.get('/v2.1/os-quota-sets/:id', request => {
    const { identity } = caller(request)
    const { id } = request.params as { id: string }
    if (!identity.admin && identity.project_id !== id)
      throw new Refusal(403, 'forbidden', "Policy doesn't allow os_compute_api:os-quota-sets:show to be performed.")
    return { quota_set: { id, ...limitsOf(store, id) } }
  })
  app.put('/v2.1/os-quota-sets/:id', async request => {
    if (!caller(request).identity.admin)
      throw new Refusal(403, 'forbidden', 'Policy does not allow os_compute_api:os-quota-sets:update to be performed.')
    const { id } = request.params as { id: string }
    const quota_set = (request.body as { quota_set?: Record<string, unknown> } | undefined)?.quota_set ?? {}
    for (const [name, value] of Object.entries(quota_set))
      if (!Object.hasOwn(defaults, name) || !Number.isInteger(value))
        throw new Refusal(400, 'badRequest', `Invalid input for field/attribute quota_set. Value: ${name}.`)
    const limits = { ...store.get<QuotaSet>('quota_set', id)?.limits, ...(quota_set as Record<string, number>) }
    await store.commit(keep('quota_set', { id, limits }))
    return { quota_set: limitsOf(store, id) }
  })
  app.get('/v2.1/limits', request => {
    const { project_id } = caller(request).identity
    const limits = limitsOf(store, project_id!)
    const servers = store.all<Server>('server').filter(server => server.project_id === project_id)
    const sum = (key: 'ram' | 'vcpus') =>
      servers.reduce((total, server) => total + (flavors.find(f => f.id === server.flavor_id)?.[key] ?? 0), 0)
    const absolute = {
      maxTotalInstances: limits.instances,
      maxTotalCores: limits.cores,
      maxTotalRAMSize: limits.ram,
      maxServerMeta: 128,
      maxImageMeta: 128,
      maxPersonality: 5,
      maxPersonalitySize: 10240,
      maxTotalKeypairs: 100,
      maxServerGroups: 100,
      maxServerGroupMembers: 100,
      maxTotalFloatingIps: -1,
      maxSecurityGroups: -1,
      maxSecurityGroupRules: -1,
      totalRAMUsed: sum('ram'),
      totalCoresUsed: sum('vcpus'),
      totalInstancesUsed: servers.length,
      totalFloatingIpsUsed: 0,
      totalSecurityGroupsUsed: 0,
      totalServerGroupsUsed: store.all('server_group').filter(group => group.project_id === project_id).length,
    }
    return { limits: { rate: [], absolute } }
  })
}

function limitsOf(store: Store, project_id: string): Record<string, number> {
  return { ...defaults, ...store.get<QuotaSet>('quota_set', project_id)?.limits }
}
