/** Nova v2.1: its routes. */
import { randomInt } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Fabric } from '../fabric/fabric.ts'
import type { Network } from '../neutron/documents.ts'
import type { Ports } from '../neutron/ports.ts'
import { identityOf, Refusal, type SharedOptions, service, unauthorizedBody } from '../service.ts'
import { keep, type Store } from '../store.ts'
import { type BuildBody, serversOf } from './build-request.ts'
import type { Caller } from './caller.ts'
import { computeRoutes } from './compute.ts'
import { type Server, serverLinks, shownServer } from './documents.ts'
import { faultRoutes } from './fault-routes.ts'
import { flavorRoutes } from './flavors.ts'
import { groupRoutes } from './groups.ts'
import { keypairRoutes } from './keypairs.ts'
import type { Machines } from './machines.ts'
import { askedVersion, minorOf, newest_minor } from './microversion.ts'
import { instanceLimit, quotaRoutes } from './quotas.ts'
import { serverRoutes } from './server-routes.ts'

export type NovaOptions = { store: Store; fabric: Fabric; ports: Ports; machines: Machines; url: string }

export function nova(options: NovaOptions, shared: SharedOptions): FastifyInstance {
  const { store, ports, machines, url } = options
  const app = service({
    ...shared,
    name: 'compute',
    not_found: new Refusal(404, 'itemNotFound', 'The resource could not be found.'),
    request_id_headers: ['x-openstack-request-id', 'x-compute-request-id'],
    malformed: new Refusal(400, 'badRequest', 'Malformed request body'),
    form: refusal => ({
      type: 'application/json',
      body:
        refusal.status === 401
          ? unauthorizedBody(refusal)
          : JSON.stringify({ [refusal.kind]: { code: refusal.status, message: refusal.message } }),
    }),
  })
  app.addHook('onRequest', async (request, reply) => {
    reply.header('vary', 'OpenStack-API-Version, X-OpenStack-Nova-API-Version')
    // a version that is not announced is named all the same, garbage is not
    const asked = askedVersion(request)
    const named = /^\d+\.\d+$/.test(asked) ? asked : `2.${minorOf(request)}`
    reply.headers({ 'openstack-api-version': `compute ${named}`, 'x-openstack-nova-api-version': named })
    minorOf(request)
  })
  const caller = (request: FastifyRequest): Caller => ({
    identity: identityOf(request, shared.tokens),
    minor: minorOf(request),
  })
  const version = (id: string, status: string, path: string, newest: string, oldest: string, updated: string) => ({
    id,
    status,
    version: newest,
    min_version: oldest,
    updated,
    links: [{ rel: 'self', href: `${url}/${path}/` }],
  })
  const current = version('v2.1', 'CURRENT', 'v2.1', `2.${newest_minor}`, '2.1', '2013-07-23T11:33:21Z')
  app.get('/', () => ({ versions: [version('v2.0', 'SUPPORTED', 'v2', '', '', '2011-01-21T11:33:21Z'), current] }))
  app.get('/v2.1', () => ({
    version: {
      ...current,
      links: [...current.links, { rel: 'describedby', type: 'text/html', href: 'http://docs.openstack.org/' }],
      'media-types': [{ base: 'application/json', type: 'application/vnd.openstack.compute+json;version=2.1' }],
    },
  }))

  const find = (request: FastifyRequest, id = (request.params as { id: string }).id): Server => {
    const { identity } = caller(request)
    const server = store.get<Server>('server', id)
    if (server && (identity.admin || server.project_id === identity.project_id)) return server
    throw new Refusal(404, 'itemNotFound', `Instance ${id} could not be found.`)
  }
  const networkName = (id: string) => store.get<Network>('network', id)?.name ?? id
  const groupName = (id: string) => String(store.get('group', id)?.name ?? id)
  const show = (server: Server, { identity, minor }: Caller) =>
    shownServer(server, ports.ofServer(server.id), networkName, groupName, url, minor, identity.admin)
  const listed = (request: FastifyRequest): Server[] => {
    const { identity } = caller(request)
    const query = request.query as Record<string, string>
    const everyone = identity.admin && ['1', 'true', 'True'].includes(query.all_tenants ?? '')
    return filtered(
      store.all<Server>('server').filter(server => everyone || server.project_id === identity.project_id),
      query,
      everyone,
    ).reverse() // the newest first
  }
  const paged = (request: FastifyRequest, servers: Server[], shown: (server: Server) => object) => {
    const { limit, marker } = request.query as Record<string, string>
    const start = marker ? servers.findIndex(server => server.id === marker) + 1 : 0
    const size = Math.min(Number(limit ?? 1000) || 1000, 1000)
    const page = servers.slice(start, start + size)
    const search = new URLSearchParams({ ...(request.query as Record<string, string>), marker: page.at(-1)?.id ?? '' })
    const next =
      start + size < servers.length ? [{ rel: 'next', href: `${url}${request.url.split('?')[0]}?${search}` }] : []
    return { servers: page.map(shown), ...(next.length > 0 && { servers_links: next }) }
  }
  app.get('/v2.1/servers', request =>
    paged(request, listed(request), ({ id, name }) => ({ id, name, links: serverLinks(id, url) })),
  )
  app.get('/v2.1/servers/detail', request => {
    const who = caller(request)
    return paged(request, listed(request), server => show(server, who))
  })
  app.get('/v2.1/servers/:id', request => ({ server: show(find(request), caller(request)) }))
  app.post('/v2.1/servers', async (request, reply) => {
    const { identity } = caller(request)
    const limits = { instances: instanceLimit(store, identity.project_id!) }
    const servers = serversOf(store, identity, (request.body ?? {}) as BuildBody, limits)
    await store.commit(...servers.map(server => keep('server', server)))
    for (const server of servers)
      void machines
        .build(server.id)
        .catch(error => shared.log('a server was not built', { server_id: server.id, error: String(error) }))
    const { id } = servers[0]!
    const groups = (request.body as BuildBody).server!.security_groups ?? [{ name: 'default' }]
    return reply
      .status(202)
      .header('location', `${url}/v2.1/servers/${id}`)
      .send({
        server: {
          id,
          links: serverLinks(id, url),
          'OS-DCF:diskConfig': 'MANUAL',
          security_groups: groups,
          adminPass: password(),
        },
      })
  })
  app.put('/v2.1/servers/:id', async request => {
    const server = find(request)
    const { name } = ((request.body as { server?: { name?: unknown } } | undefined)?.server ?? {}) as { name?: unknown }
    if (name !== undefined && (typeof name !== 'string' || name === '' || name.length > 255))
      throw new Refusal(
        400,
        'badRequest',
        'Invalid input for field/attribute name. It is a text of 1 to 255 characters.',
      )
    const after = { ...server, ...(name !== undefined && { name }) }
    await store.commit(keep('server', after))
    return { server: show(after, caller(request)) }
  })
  app.delete('/v2.1/servers/:id', async (request, reply) => {
    // answered at once, done behind it: whoever needs to know asks until 404
    await machines.delete(find(request))
    return reply.status(204).send()
  })
  serverRoutes(app, options, { caller, find, show, groupName })
  flavorRoutes(app, url, caller)
  keypairRoutes(app, store, caller)
  groupRoutes(app, store, caller)
  quotaRoutes(app, store, caller)
  computeRoutes(app, store, shared.faults, caller)
  faultRoutes(app, shared.faults, machines, caller)
  return app
}

/** A name is a pattern in a real Nova. Patterns of tenants can be made to run for ever, so that of them only
 *  anchors, `.` and `.*` mean something. */
function pattern(text: string): RegExp {
  const body = text.replace(/^\^/, '').replace(/\$$/, '')
  const parts = body.split('.*').map(part => part.replace(/\\(?=.)/g, '').replace(/[*+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`${text.startsWith('^') ? '^' : ''}${parts.join('[^]*?')}${text.endsWith('$') ? '$' : ''}`)
}

function filtered(servers: Server[], query: Record<string, string>, everyone: boolean): Server[] {
  const name = query.name === undefined ? null : pattern(String(query.name).slice(0, 255))
  const equal: [asked: string | undefined, of: (server: Server) => string | null][] = [
    [query.status?.toUpperCase(), server => server.status],
    [query.host, server => server.host],
    [query.uuid, server => server.id],
    [query.image, server => server.image_id],
    [query.flavor, server => server.flavor_id],
    [query.key_name, server => server.key_name],
    [query.availability_zone, server => server.zone ?? 'nova'],
    [everyone ? (query.project_id ?? query.tenant_id) : undefined, server => server.project_id],
    [everyone ? query.user_id : undefined, server => server.user_id],
  ]
  return servers.filter(
    server =>
      (name === null || name.test(server.name)) &&
      equal.every(([asked, of]) => asked === undefined || asked === of(server)),
  )
}

function password(): string {
  return Array.from(
    { length: 12 },
    () => 'abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789'[randomInt(56)],
  ).join('')
}
