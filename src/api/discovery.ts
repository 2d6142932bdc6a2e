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

/** The days on which the Octavia API got its minor versions, from 2.0 on, as upstream says; clients choose what they send
 *  by the newest. 2.29 brought vip_sg_ids, 2.30 ports of members by SR-IOV. */
const minor_versions = [
  '2016-12-11',
  '2018-04-20',
  '2018-07-31',
  '2018-12-18',
  '2018-12-19',
  '2019-01-21',
  '2019-01-25',
  '2018-01-25',
  '2019-02-12',
  '2019-03-04',
  '2019-03-05',
  '2019-06-24',
  '2019-09-11',
  '2019-09-13',
  '2019-11-10',
  '2020-03-10',
  '2020-03-15',
  '2020-04-29',
  '2020-04-29',
  '2020-05-12',
  '2020-08-02',
  '2020-09-03',
  '2020-09-04',
  '2020-09-07',
  '2020-10-15',
  '2021-10-02',
  '2022-08-29',
  '2023-05-05',
  '2023-11-08',
  '2024-10-15',
  '2025-02-26',
]

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
  return minor_versions.map((day, minor) => ({
    id: `v2.${minor}`,
    status: minor === minor_versions.length - 1 ? 'CURRENT' : 'SUPPORTED',
    updated: `${day}T00:00:00Z`,
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
