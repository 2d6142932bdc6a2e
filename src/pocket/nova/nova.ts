/** Nova v2.1: its routes. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Fabric } from '../fabric/fabric.ts'
import type { Network, Port } from '../neutron/documents.ts'
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
import { instanceLimit, quotaRoutes } from './quotas.ts'

export type NovaOptions = { store: Store; fabric: Fabric; ports: Ports; machines: Machines; url: string }

const newest_minor = 15

export function nova(options: NovaOptions, shared: SharedOptions): FastifyInstance {
  const { store, fabric, ports, machines, url } = options
  const app = service({
    ...shared,
    name: 'compute',
    not_found: new Refusal(404, 'itemNotFound', 'The resource could not be found.'),
    request_id_header: 'x-compute-request-id',
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
    const minor = minorOf(request)
    reply.headers({
      'openstack-api-version': `compute 2.${minor}`,
      'x-openstack-nova-api-version': `2.${minor}`,
      vary: 'OpenStack-API-Version, X-OpenStack-Nova-API-Version',
    })
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
    for (const server of servers) void machines.build(server.id)
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
    const { name } = (request.body as { server: { name?: string } }).server
    const after = { ...server, ...(name !== undefined && { name }) }
    await store.commit(keep('server', after))
    return { server: show(after, caller(request)) }
  })
  app.delete('/v2.1/servers/:id', async (request, reply) => {
    const server = find(request)
    // answered at once, done behind it: whoever needs to know asks until 404
    void machines
      .delete(server)
      .catch(error => shared.log('a server was not deleted', { server_id: server.id, error: String(error) }))
    return reply.status(204).send()
  })
  app.post('/v2.1/servers/:id/action', async (request, reply) => {
    const server = find(request)
    const [action, argument] = Object.entries((request.body ?? {}) as Record<string, unknown>)[0] ?? ['', null]
    switch (action) {
      case 'reboot':
        void machines.reboot(server.id, (argument as { type?: string })?.type === 'SOFT' ? 'REBOOT' : 'HARD_REBOOT')
        return reply.status(202).send()
      case 'os-stop':
        void machines.stop(server.id)
        return reply.status(202).send()
      case 'os-start':
        void machines.start(server.id)
        return reply.status(202).send()
      case 'os-getConsoleOutput': {
        const text = await fabric.console(server.id, 100_000)
        const { length } = argument as { length?: number | null }
        return {
          output: length
            ? text
                .split('\n')
                .slice(-length - 1)
                .join('\n')
            : text,
        }
      }
    }
    throw new Refusal(400, 'badRequest', `There is no such action: ${action}`)
  })
  app.get('/v2.1/servers/:id/ips', request => ({ addresses: show(find(request), caller(request)).addresses }))
  app.get('/v2.1/servers/:id/os-security-groups', request => {
    const ids = new Set(ports.ofServer(find(request).id).flatMap(port => port.security_groups))
    return { security_groups: [...ids].map(id => ({ id, name: groupName(id) })) }
  })
  app.get('/v2.1/servers/:id/os-volume_attachments', request => {
    find(request)
    return { volumeAttachments: [] }
  })
  app.get('/v2.1/servers/:id/os-instance-actions', request => {
    find(request)
    return { instanceActions: [] }
  })

  const attachment = (port: Port, port_state = port.status) => ({
    net_id: port.network_id,
    port_id: port.id,
    mac_addr: port.mac_address,
    port_state,
    fixed_ips: port.fixed_ips,
  })
  app.get('/v2.1/servers/:id/os-interface', request => ({
    interfaceAttachments: ports
      .ofServer(find(request).id)
      .reverse()
      .map(port => attachment(port)),
  }))
  app.post('/v2.1/servers/:id/os-interface', async request => {
    const server = find(request)
    const { port_id, net_id } =
      (request.body as { interfaceAttachment?: { port_id?: string; net_id?: string } }).interfaceAttachment ?? {}
    if (server.status === 'ERROR')
      throw new Refusal(
        409,
        'conflictingRequest',
        `Cannot 'attach_interface' instance ${server.id} while it is in vm_state error`,
      )
    if (port_id) {
      const port = store.get<Port>('port', port_id)
      const { identity } = caller(request)
      if (!port || (!identity.admin && port.project_id !== identity.project_id))
        throw new Refusal(404, 'itemNotFound', `Port id ${port_id} could not be found.`)
      if (port.device_id !== '') throw new Refusal(409, 'conflictingRequest', `Port ${port_id} is still in use.`)
      await machines.attach(server, port)
      return { interfaceAttachment: attachment(port, 'DOWN') }
    }
    if (!net_id || !store.get('network', net_id))
      throw new Refusal(
        500,
        'computeFault',
        "Unexpected API Error. Please report this at http://bugs.launchpad.net/nova/ and attach the Nova API log if possible.\n<class 'oslo_messaging.rpc.client.RemoteError'>",
      )
    const port = await ports.create(server.project_id, { network_id: net_id, _made_by_nova: true })
    await machines.attach(server, port)
    return { interfaceAttachment: attachment(port, 'DOWN') }
  })
  app.get('/v2.1/servers/:id/os-interface/:port_id', request => {
    const { port_id } = request.params as { port_id: string }
    const port = ports.ofServer(find(request).id).find(p => p.id === port_id)
    if (!port) throw new Refusal(404, 'itemNotFound', `Port id ${port_id} could not be found.`)
    return { interfaceAttachment: attachment(port) }
  })
  app.delete('/v2.1/servers/:id/os-interface/:port_id', async (request, reply) => {
    const { port_id } = request.params as { port_id: string }
    const port = ports.ofServer(find(request).id).find(p => p.id === port_id)
    if (port)
      void ports.unbind(port).catch(error => shared.log('a port was not detached', { port_id, error: String(error) }))
    return reply.status(202).send()
  })

  flavorRoutes(app, url, caller)
  keypairRoutes(app, store, caller)
  groupRoutes(app, store, caller)
  quotaRoutes(app, store, caller)
  computeRoutes(app, store, caller)
  faultRoutes(app, shared.faults, caller)
  return app
}

function minorOf(request: FastifyRequest): number {
  const header =
    request.headers['x-openstack-nova-api-version'] ??
    String(request.headers['openstack-api-version'] ?? '').replace(/^compute /, '')
  const text = String(header)
  if (text === '') return 1
  if (text === 'latest') return newest_minor
  const match = /^(\d+)\.(\d+)$/.exec(text)
  if (!match)
    throw new Refusal(
      400,
      'badRequest',
      `API Version String ${text} is of invalid format. Must be of format MajorNum.MinorNum.`,
    )
  const minor = Number(match[2])
  if (match[1] !== '2' || minor < 1 || minor > newest_minor)
    throw new Refusal(
      406,
      'computeFault',
      `Version ${text} is not supported by the API. Minimum is 2.1 and maximum is 2.${newest_minor}.`,
    )
  return minor
}

function filtered(servers: Server[], query: Record<string, string>, everyone: boolean): Server[] {
  let name: RegExp | null = null
  try {
    name = query.name === undefined ? null : new RegExp(query.name)
  } catch {
    throw new Refusal(400, 'badRequest', `Invalid regular expression: ${query.name}`)
  }
  return servers
    .filter(server => name === null || name.test(server.name))
    .filter(server => query.status === undefined || server.status === query.status.toUpperCase())
    .filter(server => query.host === undefined || server.host === query.host)
    .filter(server => !everyone || query.project_id === undefined || server.project_id === query.project_id)
    .filter(server => !everyone || query.tenant_id === undefined || server.project_id === query.tenant_id)
}

function password(): string {
  return Array.from(
    { length: 12 },
    () => 'abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789'[Math.floor(Math.random() * 56)],
  ).join('')
}
