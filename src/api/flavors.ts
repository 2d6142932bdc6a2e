/** Flavors, their profiles, and what providers understand of them. In the Octavia dialect; Neutron's had none. */
import { randomUUID } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { checkFields, isUuid } from '../lbaas/check.ts'
import { Rejected } from '../lbaas/errors.ts'
import { checkFlavorData, type Flavor, type FlavorProfile } from '../lbaas/flavor.ts'
import { providerNamed } from '../lbaas/provider.ts'
import * as flavors from '../store/flavors.ts'
import { tables } from '../store/schema.ts'
import type { Context } from './context.ts'
import { list, type Query, show } from './list.ts'
import { allowRule, ruleOf } from './policy.ts'
import { urlOf } from './routes.ts'
import type { Speech } from './speech.ts'

type Kind = 'flavor' | 'flavor_profile'

export function addFlavors(app: FastifyInstance, context: Context, speech: Speech): void {
  for (const prefix of speech.prefixes) {
    addCollection(app, context, speech, prefix, 'flavor')
    addCollection(app, context, speech, prefix, 'flavor_profile')
    addCapabilities(app, context, prefix)
  }
}

function addCollection(app: FastifyInstance, context: Context, speech: Speech, prefix: string, kind: Kind): void {
  const declared = tables[kind]
  const { singular } = declared
  const path = `${prefix}/${declared.path}`
  const notFound = (id: string) => new Rejected('not_found', { resource: declared.title, id })
  const shown = async (id: string, query: Query = {}) => {
    const object = isUuid(id) ? await show(context, speech, kind, id, query) : null
    if (!object) throw notFound(id)
    return { [singular]: object }
  }

  app.post(path, async (request, reply) => {
    allowRule(request.caller, ruleOf(declared, 'post'))
    const fields = checkFields(declared, 'POST', speech.dialect, speech.readBody(declared, request.body))
    const created_at = context.clock().toISOString()
    const row = { ...fields, id: randomUUID(), created_at } as Flavor | FlavorProfile
    if ('flavor_data' in row) checkProfile(context, row)
    await flavors.insert(context.pool, kind, row)
    return reply.code(201).send(await shown(row.id))
  })

  app.get(path, async request => {
    allowRule(request.caller, ruleOf(declared, 'get_all'))
    return list(context, request.caller, speech, kind, request.query as Query, urlOf(request))
  })

  app.get(`${path}/:id`, async request => {
    allowRule(request.caller, ruleOf(declared, 'get_one'))
    return shown(idOf(request), request.query as Query)
  })

  app.put(`${path}/:id`, async request => {
    allowRule(request.caller, ruleOf(declared, 'put'))
    const id = idOf(request)
    const fields: Partial<FlavorProfile> = checkFields(
      declared,
      'PUT',
      speech.dialect,
      speech.readBody(declared, request.body),
    )
    const before = kind === 'flavor_profile' && isUuid(id) ? await flavors.profileOf(context.pool, id) : null
    if (before && ('flavor_data' in fields || 'provider_name' in fields))
      checkProfile(context, { ...before, ...fields })
    if (!isUuid(id) || !(await flavors.update(context.pool, kind, id, fields))) throw notFound(id)
    return shown(id)
  })

  app.delete(`${path}/:id`, async (request, reply) => {
    allowRule(request.caller, ruleOf(declared, 'delete'))
    const id = idOf(request)
    if (!isUuid(id) || !(await flavors.remove(context.pool, kind, id))) throw notFound(id)
    return reply.code(204).send()
  })
}

function addCapabilities(app: FastifyInstance, { options }: Context, prefix: string): void {
  const named = (request: FastifyRequest) =>
    providerNamed(options.providers, (request.params as { provider: string }).provider)

  app.get(`${prefix}/providers/:provider/flavor_capabilities`, async request => {
    allowRule(request.caller, 'provider-flavor:get_all')
    const { name, description } = request.query as Query
    const flavor_capabilities = named(request)
      .flavor_capabilities.map(one => ({ name: one.name, description: one.description }))
      .filter(one => (name ?? one.name) === one.name && (description ?? one.description) === one.description)
    return { flavor_capabilities }
  })

  app.get(`${prefix}/providers/:provider/availability_zone_capabilities`, async request => {
    allowRule(request.caller, 'provider-availability-zone:get_all')
    named(request)
    return { availability_zone_capabilities: [] }
  })
}

function checkProfile({ options }: Context, { provider_name, flavor_data }: FlavorProfile): void {
  checkFlavorData(providerNamed(options.providers, provider_name), flavor_data)
}

function idOf(request: FastifyRequest): string {
  return (request.params as { id: string }).id
}
