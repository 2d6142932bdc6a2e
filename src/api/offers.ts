/** What administrators offer: flavors, availability zones, the profiles of both, and what providers understand of them.
 *  In the Octavia dialect; Neutron's had none. */
import { randomUUID } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { checkZoneData, type ZoneData } from '../lbaas/availability-zone.ts'
import { checkFields, isStorable, isUuid } from '../lbaas/check.ts'
import { Rejected } from '../lbaas/errors.ts'
import { checkFlavorData, type FlavorData } from '../lbaas/flavor.ts'
import type { OfferKind, ProfileKind } from '../lbaas/offer.ts'
import { type Provider, providerNamed } from '../lbaas/provider.ts'
import { keyOf } from '../lbaas/resource.ts'
import * as offers from '../store/offers.ts'
import { tables } from '../store/schema.ts'
import type { Context } from './context.ts'
import { list, type Query, show } from './list.ts'
import { refuseUnknownFlavorParts, refuseUnknownZoneParts } from './lookups.ts'
import { allowRule, ruleOf } from './policy.ts'
import { urlOf } from './routes.ts'
import type { Speech } from './speech.ts'

type Kind = OfferKind | ProfileKind

export function addOffers(app: FastifyInstance, context: Context, speech: Speech): void {
  for (const prefix of speech.prefixes) {
    for (const kind of ['flavor', 'flavor_profile', 'availability_zone', 'availability_zone_profile'] as const)
      addCollection(app, context, speech, prefix, kind)
    addCapabilities(app, context, `${prefix}/providers/:provider`)
  }
}

function addCollection(app: FastifyInstance, context: Context, speech: Speech, prefix: string, kind: Kind): void {
  const declared = tables[kind]
  const { singular } = declared
  const path = `${prefix}/${declared.path}`
  const key = keyOf(declared)
  const profile = kind in profiles ? profiles[kind as ProfileKind] : null
  const notFound = (of: string) => new Rejected('not_found', { resource: declared.title, id: of })
  const read = (request: FastifyRequest, method: 'POST' | 'PUT') =>
    checkFields(declared, method, speech.dialect, speech.readBody(declared, request.body))
  const shown = async (of: string, query: Query = {}) => {
    const object = await show(context, speech, kind, of, query)
    if (!object) throw notFound(of)
    return { [singular]: object }
  }
  /** The key that the path names; what cannot be one is of nothing. */
  const named = (request: FastifyRequest) => {
    const of = String((request.params as Record<string, string>)[key])
    if (key === 'id' ? isUuid(of) : isStorable(of)) return of
    throw notFound(of)
  }

  app.post(path, async (request, reply) => {
    allowRule(request.caller, ruleOf(declared, 'post'))
    const fields = read(request, 'POST')
    const created_at = context.clock().toISOString()
    const row: Record<string, unknown> = { ...fields, ...(key === 'id' ? { id: randomUUID() } : {}), created_at }
    await profile?.(context, row)
    await offers.insert(context.pool, kind, row)
    return reply.code(201).send(await shown(String(row[key])))
  })

  app.get(path, async request => {
    allowRule(request.caller, ruleOf(declared, 'get_all'))
    return list(context, request.caller, speech, kind, request.query as Query, urlOf(request))
  })

  app.get(`${path}/:${key}`, async request => {
    allowRule(request.caller, ruleOf(declared, 'get_one'))
    return shown(named(request), request.query as Query)
  })

  app.put(`${path}/:${key}`, async request => {
    allowRule(request.caller, ruleOf(declared, 'put'))
    const fields = read(request, 'PUT')
    const of = named(request)
    if (profile && Object.keys(fields).some(name => name !== 'name')) {
      const before = await offers.profileOf(context.pool, kind as ProfileKind, of)
      if (before) await profile(context, { ...before, ...fields })
    }
    if (!(await offers.update(context.pool, kind, of, fields))) throw notFound(of)
    return shown(of)
  })

  app.delete(`${path}/:${key}`, async (request, reply) => {
    allowRule(request.caller, ruleOf(declared, 'delete'))
    const of = named(request)
    if (!(await offers.remove(context.pool, kind, of))) throw notFound(of)
    return reply.code(204).send()
  })
}

type Profile = { provider_name?: string; flavor_data?: string; availability_zone_data?: string }

/** Does the provider understand the profile, and does the cloud have what it names? */
const profiles: Record<ProfileKind, (context: Context, profile: Profile) => Promise<FlavorData | ZoneData>> = {
  flavor_profile: async (context, { provider_name = '', flavor_data = '' }) => {
    const said = checkFlavorData(providerNamed(context.options.providers, provider_name), flavor_data)
    await refuseUnknownFlavorParts(context, said)
    return said
  },
  availability_zone_profile: async (context, { provider_name = '', availability_zone_data = '' }) => {
    const said = checkZoneData(providerNamed(context.options.providers, provider_name), availability_zone_data)
    await refuseUnknownZoneParts(context, said)
    return said
  },
}

function addCapabilities(app: FastifyInstance, { options }: Context, path: string): void {
  const answered = (request: FastifyRequest, of: 'flavor_capabilities' | 'availability_zone_capabilities') => {
    const provider: Provider = providerNamed(options.providers, (request.params as { provider: string }).provider)
    const { name, description } = request.query as Query
    const found = provider[of]
      .map(one => ({ name: one.name, description: one.description }))
      .filter(one => (name ?? one.name) === one.name && (description ?? one.description) === one.description)
    return { [of]: found }
  }
  app.get(`${path}/flavor_capabilities`, async request => {
    allowRule(request.caller, 'provider-flavor:get_all')
    return answered(request, 'flavor_capabilities')
  })
  app.get(`${path}/availability_zone_capabilities`, async request => {
    allowRule(request.caller, 'provider-availability-zone:get_all')
    return answered(request, 'availability_zone_capabilities')
  })
}
