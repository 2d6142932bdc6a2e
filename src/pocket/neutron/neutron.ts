/** Neutron v2: its routes, but for those of groups, quotas and QoS policies. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { htmlPage, Refusal, type SharedOptions, service, unauthorizedBody } from '../service.ts'
import { keep } from '../store.ts'
import { poolSize } from './addresses.ts'
import { badRequest } from './attributes.ts'
import { Desk, idOf, type Kind, kinds, type NeutronOptions, type Wishes } from './desk.ts'
import { changed, type Network, type Port, type QosPolicy, type Subnet, selfLinks, shown } from './documents.ts'
import { extensions } from './extensions.ts'
import { forward } from './forward.ts'
import { groupRoutes } from './group-routes.ts'
import { ensureDefaultGroup } from './groups.ts'
import { list, type Query, selected } from './list.ts'
import { checkSubnetChange, createNetwork, createSubnet, deleteNetwork, deleteSubnet } from './networks.ts'
import { policyRoutes } from './policy-routes.ts'
import type { PortWishes } from './ports.ts'
import { checkPolicyWish, checkSupport } from './qos.ts'
import { quotaRoutes } from './quota-routes.ts'

export function neutron(options: NeutronOptions, shared: SharedOptions): FastifyInstance {
  const app = service({
    ...shared,
    name: 'network',
    not_found: new Refusal(404, 'HTTPNotFound', 'The resource could not be found.'),
    request_id_headers: ['x-openstack-request-id'],
    malformed: badRequest('Body contains invalid data'),
    form: refusal => {
      if (refusal.kind === 'html')
        return {
          type: 'text/html; charset=UTF-8',
          body: htmlPage('404 Not Found', 'The resource could not be found.', refusal.message),
        }
      if (refusal.status === 401) return { type: 'application/json', body: unauthorizedBody(refusal) }
      return {
        type: 'application/json',
        body: JSON.stringify({ NeutronError: { type: refusal.kind, message: refusal.message, detail: '' } }),
      }
    },
  })
  const desk = new Desk(options, shared.tokens)
  const { url } = options
  app.get('/', () => ({
    versions: [{ id: 'v2.0', status: 'CURRENT', links: [{ rel: 'self', href: `${url}/v2.0/` }] }],
  }))
  app.get('/v2.0', () => ({ resources: selfLinks(url) }))
  readingRoutes(app, desk)
  networkRoutes(app, desk)
  subnetRoutes(app, desk)
  portRoutes(app, desk)
  groupRoutes(app, desk)
  quotaRoutes(app, desk)
  policyRoutes(app, desk)
  extensionRoutes(app, desk)
  if (options.lbaas_url !== null) forwardRoutes(app, options.lbaas_url)
  return app
}

/** Every list and every object, with what belongs to others left out; and their tags. */
function readingRoutes(app: FastifyInstance, desk: Desk): void {
  const { store } = desk
  for (const kind of Object.keys(kinds) as Kind[]) {
    const { plural, collection, singular, template } = kinds[kind]
    app.get(`/v2.0/${plural}`, async request => {
      const identity = desk.who(request)
      if (kind === 'group') await ensureDefaultGroup(store, identity.project_id)
      const found = store.all(kind).filter(document => desk.visible(kind, document, identity))
      const whole = found.map(document => desk.whole(kind, document))
      return list(collection, whole, request.query as Query, template, `${desk.options.url}/v2.0/${plural}`)
    })
    app.get(`/v2.0/${plural}/:id`, request => {
      const document = desk.whole(kind, desk.find(kind, idOf(request), desk.who(request)))
      return { [singular]: selected(document, request.query as Query) }
    })
    app.get(`/v2.0/${plural}/:id/tags`, request => ({
      tags: desk.find(kind, idOf(request), desk.who(request)).tags,
    }))
    const setTags = async (request: FastifyRequest, tags: string[]) => {
      const document = desk.own(kind, request)
      await store.commit(keep(kind, changed(document, { tags: [...new Set(tags)] })))
      return { tags: [...new Set(tags)] }
    }
    app.put(`/v2.0/${plural}/:id/tags`, request => setTags(request, tagsIn(request)))
    app.delete(`/v2.0/${plural}/:id/tags`, async (request, reply) => {
      await setTags(request, [])
      return reply.status(204).send()
    })
    const tagOf = (request: FastifyRequest) => (request.params as { tag: string }).tag
    const known = (request: FastifyRequest) => desk.own(kind, request).tags as string[]
    app.put(`/v2.0/${plural}/:id/tags/:tag`, async (request, reply) => {
      await setTags(request, [...known(request), tagOf(request)])
      return reply.status(201).send()
    })
    app.delete(`/v2.0/${plural}/:id/tags/:tag`, async (request, reply) => {
      if (!known(request).includes(tagOf(request)))
        throw new Refusal(404, 'TagNotFound', `Tag ${tagOf(request)} could not be found.`)
      await setTags(
        request,
        known(request).filter(tag => tag !== tagOf(request)),
      )
      return reply.status(204).send()
    })
  }
}

function tagsIn(request: FastifyRequest): string[] {
  const tags = (request.body as { tags?: unknown } | undefined)?.tags
  if (!Array.isArray(tags) || tags.length > 50 || !tags.every(tag => typeof tag === 'string' && tag.length <= 60))
    throw badRequest('Invalid input for tags. Reason: at most 50 texts of at most 60 characters.')
  return tags
}

function networkRoutes(app: FastifyInstance, desk: Desk): void {
  app.post('/v2.0/networks', async (request, reply) => {
    const wishes = desk.newOf('network', request)
    checkPolicyWish(desk, request, wishes)
    return desk.made(reply, 'network', await createNetwork(desk.options, wishes))
  })
  app.put('/v2.0/networks/:id', async request => {
    const network = desk.own<Network>('network', request)
    const wishes = desk.changesOf('network', request)
    checkPolicyWish(desk, request, wishes, network)
    const after = changed(network, wishes)
    const policy = desk.store.get<QosPolicy>('qos_policy', String(after.qos_policy_id))
    const heirs = desk.store
      .all<Port>('port')
      .filter(port => port.network_id === network.id && port.qos_policy_id === null)
    for (const port of heirs) checkSupport(port, policy)
    await desk.store.commit(keep('network', after))
    if ('qos_policy_id' in wishes) await desk.options.ports.follow(heirs)
    return { network: shown(after) }
  })
  app.delete('/v2.0/networks/:id', async (request, reply) => {
    await deleteNetwork(desk.options, desk.own('network', request))
    return reply.status(204).send()
  })
  app.get('/v2.0/network-ip-availabilities', request => ({
    network_ip_availabilities: desk.store
      .all<Network>('network')
      .filter(network => desk.visible('network', network, desk.who(request)))
      .map(network => availability(desk, network)),
  }))
  app.get('/v2.0/network-ip-availabilities/:id', request => ({
    network_ip_availability: availability(desk, desk.find('network', idOf(request), desk.who(request))),
  }))
}

function availability({ store }: Desk, network: Network) {
  const taken = store.all<Port>('port').flatMap(port => port.fixed_ips)
  const rows = store
    .all<Subnet>('subnet')
    .filter(subnet => subnet.network_id === network.id)
    .map(subnet => ({
      subnet_id: subnet.id,
      ip_version: subnet.ip_version,
      cidr: subnet.cidr,
      subnet_name: subnet.name,
      used_ips: taken.filter(ip => ip.subnet_id === subnet.id).length,
      total_ips: Number(poolSize(subnet.allocation_pools)),
    }))
  const sum = (key: 'used_ips' | 'total_ips') => rows.reduce((total, row) => total + row[key], 0)
  const { id, name, project_id } = network
  return {
    network_id: id,
    network_name: name,
    tenant_id: project_id,
    project_id,
    subnet_ip_availability: rows,
    used_ips: sum('used_ips'),
    total_ips: sum('total_ips'),
  }
}

function subnetRoutes(app: FastifyInstance, desk: Desk): void {
  app.post('/v2.0/subnets', async (request, reply) => {
    const wishes = desk.newOf('subnet', request)
    const identity = desk.who(request)
    const network = desk.find<Network>('network', String(wishes.network_id), identity)
    if (!identity.admin && network.project_id !== identity.project_id)
      throw new Refusal(403, 'PolicyNotAuthorized', 'rule:create_subnet is disallowed by policy')
    return desk.made(reply, 'subnet', await createSubnet(desk.options, network, wishes))
  })
  app.put('/v2.0/subnets/:id', async request => {
    const subnet = desk.own<Subnet>('subnet', request)
    const after = changed(subnet, desk.changesOf('subnet', request))
    checkSubnetChange(desk.store, after)
    await desk.store.commit(keep('subnet', after))
    return { subnet: shown(after) }
  })
  app.delete('/v2.0/subnets/:id', async (request, reply) => {
    await deleteSubnet(desk.options, desk.own('subnet', request))
    return reply.status(204).send()
  })
}

function portRoutes(app: FastifyInstance, desk: Desk): void {
  const { ports } = desk.options
  app.post('/v2.0/ports', async (request, reply) => {
    const wishes = desk.newOf('port', request)
    checkReferences(desk, request, wishes)
    checkPolicyWish(desk, request, wishes)
    desk.find('network', String(wishes.network_id), desk.who(request))
    return desk.made(
      reply,
      'port',
      await ports.create(wishes.project_id, wishes as Wishes & PortWishes & { network_id: string }),
    )
  })
  app.put('/v2.0/ports/:id', async request => {
    const port = desk.own<Port>('port', request)
    const wishes = desk.changesOf('port', request)
    checkPolicyWish(desk, request, wishes, port)
    checkReferences(desk, request, { device_owner: port.device_owner, device_id: port.device_id, ...wishes })
    return { port: shown(desk.whole('port', await ports.update(port, wishes as PortWishes))) }
  })
  app.delete('/v2.0/ports/:id', async (request, reply) => {
    await ports.delete(desk.own<Port>('port', request))
    return reply.status(204).send()
  })
}

/** Groups must be such as the asker sees. A port of the machine itself is for administrators, and its
 *  namespace's name becomes a word of the machine's commands. */
function checkReferences(desk: Desk, request: FastifyRequest, wishes: Record<string, unknown>): void {
  const identity = desk.who(request)
  for (const id of (wishes.security_groups as string[] | null | undefined) ?? []) desk.find('group', id, identity)
  if (!String(wishes.device_owner ?? '').startsWith('pocket:')) return
  if (!identity.admin)
    throw new Refusal(
      403,
      'PolicyNotAuthorized',
      '(rule:create_port and rule:create_port:device_owner) is disallowed by policy',
    )
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(String(wishes.device_id ?? '')))
    throw badRequest(`Invalid input for device_id. Reason: '${wishes.device_id}' is not the name of a namespace.`)
}

function extensionRoutes(app: FastifyInstance, desk: Desk): void {
  const known = extensions(desk.options.lbaas_url !== null)
  app.get('/v2.0/extensions', () => ({ extensions: known }))
  app.get('/v2.0/extensions/:id', request => {
    const extension = known.find(e => e.alias === idOf(request))
    if (!extension) throw new Refusal(404, 'html', `Extension with alias ${idOf(request)} does not exist`)
    return { extension }
  })
  app.get('/v2.0/availability_zones', request => {
    desk.who(request)
    return { availability_zones: [] }
  })
  // Neutron itself drives the switches: the only agents are those of a service behind it
  if (desk.options.lbaas_url === null)
    app.get('/v2.0/agents', request => {
      desk.who(request)
      return { agents: [] }
    })
}

function forwardRoutes(app: FastifyInstance, target: string): void {
  app.register(async plugin => {
    // bodies pass as they come, whatever their type
    plugin.removeAllContentTypeParsers()
    plugin.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
    const all = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH'] as const
    for (const [path, method] of [
      ['/v2.0/lbaas', all],
      ['/v2.0/lbaas/*', all],
      ['/v2.0/service-providers', ['GET']],
      ['/v2.0/agents', ['GET']],
      ['/v2.0/agents/*', ['GET']],
    ] as const)
      plugin.route({ method: [...method], url: path, handler: (request, reply) => forward(target, request, reply) })
  })
}
