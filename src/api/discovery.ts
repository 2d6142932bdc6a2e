/** What clients ask before anything else: versions, health, providers. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Context } from './context.ts'
import { providerName } from './dialects/neutron-lbaas.ts'
import { allowRule } from './policy.ts'
import type { Speech } from './speech.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Is it answered without a token? */
    open?: boolean
  }
}

/** The versions of the Octavia API whose additions, as far as the resources are offered, are there: 2.1 brought the
 *  listener's timeouts, 2.5 tags, 2.6 flavors. */
const minor_versions = [0, 1, 2, 3, 4, 5, 6]

export function addDiscovery(app: FastifyInstance, context: Context, speech: Speech): void {
  const open = { config: { open: true } }
  app.get('/healthcheck', open, async (_request, reply) => {
    const healthy = await context.pool.query('select 1').then(
      () => true,
      () => false,
    )
    return reply
      .code(healthy ? 200 : 503)
      .type('text/plain')
      .send(healthy ? 'OK' : 'The database is not available')
  })
  if (speech.dialect === 'neutron') {
    app.get('/v2.0/service-providers', async () => ({ service_providers: serviceProviders(context) }))
    return
  }
  app.get('/', open, async request => ({ versions: versions(request) }))
  for (const prefix of speech.prefixes)
    app.get(`${prefix}/providers`, async request => {
      allowRule(request.caller, 'provider:get_all')
      const providers = context.options.providers.flatMap(({ name, aliases, description }) =>
        [name, ...aliases].map(one => ({ name: one, description })),
      )
      return { providers, providers_links: [] }
    })
}

function versions(request: FastifyRequest): unknown[] {
  const href = `${request.protocol}://${request.host || 'localhost'}/v2`
  return minor_versions.map(minor => ({
    id: `v2.${minor}`,
    status: minor === minor_versions.at(-1) ? 'CURRENT' : 'SUPPORTED',
    updated: '2018-10-02T00:00:00Z',
    links: [{ rel: 'self', href }],
  }))
}

function serviceProviders({ options }: Context): unknown[] {
  return options.providers.map(({ name }) => ({
    service_type: 'LOADBALANCERV2',
    name: providerName(name),
    default: name === options.default_provider,
  }))
}
