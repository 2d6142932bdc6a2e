/** Neutron v2: its routes. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Fabric } from '../fabric/fabric.ts'
import type { Identity } from '../keystone/tokens.ts'
import { htmlPage, identityOf, Refusal, type SharedOptions, service, unauthorizedBody } from '../service.ts'
import { type Change, type Document, drop, keep, type Store } from '../store.ts'
import { poolSize } from './addresses.ts'
import {
  changed,
  newGroup,
  newNetwork,
  newPort,
  newRule,
  newSubnet,
  type Port,
  type Rule,
  type SecurityGroup,
  type Subnet,
  selfLinks,
  shown,
} from './documents.ts'
import { extensions } from './extensions.ts'
import { forward } from './forward.ts'
import { createGroup, createRule, ensureDefaultGroup } from './groups.ts'
import { list, type Query, selected } from './list.ts'
import { createNetwork, createSubnet, deleteNetwork, deleteSubnet } from './networks.ts'
import { checkPort, checkPortUpdate, qosPolicy } from './port-policy.ts'
import type { Ports, PortWishes } from './ports.ts'
import type { Quotas } from './quotas.ts'

export type NeutronOptions = {
  store: Store
  fabric: Fabric
  ports: Ports
  quotas: Quotas
  url: string
  /** Where requests below /v2.0/lbaas go; null: there is no load balancing. */
  lbaas_url: string | null
}

type Kind = 'network' | 'subnet' | 'port' | 'group' | 'rule' | 'qos_policy'

const names: Record<Kind, { plural: string; singular: string; title: string; template: Document }> = {
  network: { plural: 'networks', singular: 'network', title: 'Network', template: newNetwork('', {}) },
  subnet: {
    plural: 'subnets',
    singular: 'subnet',
    title: 'Subnet',
    template: newSubnet('', { network_id: '', cidr: '', ip_version: 4 }),
  },
  port: { plural: 'ports', singular: 'port', title: 'Port', template: newPort('', { network_id: '' }) },
  group: { plural: 'security-groups', singular: 'security_group', title: 'Security group', template: newGroup('', {}) },
  rule: {
    plural: 'security-group-rules',
    singular: 'security_group_rule',
    title: 'Security group rule',
    template: newRule('', { security_group_id: '', direction: 'ingress', ethertype: 'IPv4' }),
  },
  qos_policy: {
    plural: 'qos/policies',
    singular: 'policy',
    title: 'QoS policy',
    template: { id: '', name: '', project_id: '', tenant_id: '', shared: false },
  },
}

export function neutron(options: NeutronOptions, shared: SharedOptions): FastifyInstance {
  const { store, ports, quotas, url } = options
  const { tokens } = shared
  const app = service({
    ...shared,
    name: 'network',
    not_found: new Refusal(404, 'HTTPNotFound', 'The resource could not be found.'),
    request_id_header: 'x-openstack-request-id',
    malformed: new Refusal(400, 'HTTPBadRequest', 'Body contains invalid data'),
    form: refusal => {
      if (refusal.kind === 'html')
        return { type: 'text/html; charset=UTF-8', body: htmlPage('404 Not Found', refusal.message) }
      if (refusal.status === 401) return { type: 'application/json', body: unauthorizedBody(refusal) }
      return {
        type: 'application/json',
        body: JSON.stringify({ NeutronError: { type: refusal.kind, message: refusal.message, detail: '' } }),
      }
    },
  })
  const who = (request: FastifyRequest): Identity => identityOf(request, tokens)
  const queryOf = (request: FastifyRequest) => request.query as Query
  const idOf = (request: FastifyRequest) => (request.params as { id: string }).id

  app.get('/', () => ({
    versions: [{ id: 'v2.0', status: 'CURRENT', links: [{ rel: 'self', href: `${url}/v2.0/` }] }],
  }))
  app.get('/v2.0', () => ({ resources: selfLinks(url) }))

  // Every list and every object, with what belongs to others left out.
  const visible = (kind: Kind, document: Document, identity: Identity): boolean => {
    if (identity.admin || document.project_id === identity.project_id || document.shared === true) return true
    if (kind === 'subnet') return store.get('network', String(document.network_id))?.shared === true
    return kind === 'port' && store.get('network', String(document.network_id))?.project_id === identity.project_id
  }
  const withRules = (kind: Kind, document: Document): Document => {
    if (kind !== 'group') return document
    const { tags, created_at, updated_at, revision_number, project_id, ...head } = document
    const rules = store.all<Rule>('rule').filter(rule => rule.security_group_id === document.id)
    return {
      ...head,
      security_group_rules: rules.map(shown),
      tags,
      created_at,
      updated_at,
      revision_number,
      project_id,
    } as Document
  }
  const find = <D extends Document>(kind: Kind, id: string, identity: Identity): D => {
    const document = store.get<D>(kind, id)
    if (document && visible(kind, document, identity)) return document
    throw missing(kind, id)
  }
  for (const kind of Object.keys(names) as Kind[]) {
    const { plural, singular, template } = names[kind]
    app.get(`/v2.0/${plural}`, async request => {
      const identity = who(request)
      if (kind === 'group') await defaultGroup(store, identity.project_id)
      const found = store.all(kind).filter(document => visible(kind, document, identity))
      const key = kind === 'qos_policy' ? 'policies' : plural.replace(/-/g, '_')
      return list(
        key,
        found.map(document => withRules(kind, document)),
        queryOf(request),
        template,
        `${url}/v2.0/${plural}`,
      )
    })
    app.get(`/v2.0/${plural}/:id`, request => {
      const document = withRules(kind, find(kind, idOf(request), who(request)))
      return { [singular]: selected(document, queryOf(request)) }
    })
    app.put(`/v2.0/${plural}/:id/tags`, async request => {
      const document = find(kind, idOf(request), who(request))
      const { tags } = request.body as { tags: string[] }
      await store.commit(keep(kind, changed(document, { tags })))
      return { tags }
    })
  }
  const wishesOf = <W>(request: FastifyRequest, kind: Kind): W => {
    const { singular, template } = names[kind]
    const wishes = (request.body as Record<string, unknown> | undefined)?.[singular]
    if (typeof wishes !== 'object' || wishes === null)
      throw new Refusal(400, 'HTTPBadRequest', `Unable to find '${singular}' in request body`)
    const unknown = Object.keys(wishes).filter(key => !(key in template) || key.startsWith('_'))
    if (unknown.length > 0)
      throw new Refusal(400, 'HTTPBadRequest', `Unrecognized attribute(s) ${unknown.map(key => `'${key}'`).join(', ')}`)
    return wishes as W
  }
  const owner = (identity: Identity, wishes: { project_id?: unknown; tenant_id?: unknown }): string => {
    const wanted = wishes.project_id ?? wishes.tenant_id
    if (wanted === undefined || wanted === identity.project_id) return identity.project_id!
    if (identity.admin) return String(wanted)
    throw new Refusal(
      403,
      'PolicyNotAuthorized',
      '(rule:create_port and rule:create_port:tenant_id) is disallowed by policy',
    )
  }
  const made = (reply: FastifyReply, kind: Kind, document: Document) =>
    reply.status(201).send({ [names[kind].singular]: shown(withRules(kind, document)) })

  app.post('/v2.0/networks', async (request, reply) => {
    const identity = who(request)
    const wishes = wishesOf<Record<string, unknown>>(request, 'network')
    return made(reply, 'network', await createNetwork(options, identity, owner(identity, wishes), wishes))
  })
  app.put('/v2.0/networks/:id', async request => {
    const network = find('network', idOf(request), who(request))
    const {
      name,
      description,
      admin_state_up,
      shared: isShared,
    } = wishesOf<Record<string, unknown>>(request, 'network')
    const fields = Object.entries({ name, description, admin_state_up, shared: isShared }).filter(
      ([, value]) => value !== undefined,
    )
    const after = changed(network, Object.fromEntries(fields))
    await store.commit(keep('network', after))
    return { network: shown(after) }
  })
  app.delete('/v2.0/networks/:id', async (request, reply) => {
    await deleteNetwork(options, find('network', idOf(request), who(request)))
    return reply.status(204).send()
  })
  app.post('/v2.0/subnets', async (request, reply) => {
    const identity = who(request)
    const wishes = wishesOf<Partial<Subnet>>(request, 'subnet')
    const network = find('network', String(wishes.network_id), identity)
    return made(reply, 'subnet', await createSubnet(options, network, owner(identity, wishes), wishes))
  })
  app.put('/v2.0/subnets/:id', async request => {
    const subnet = find<Subnet>('subnet', idOf(request), who(request))
    const { name, description, gateway_ip, host_routes, dns_nameservers } = wishesOf<Record<string, unknown>>(
      request,
      'subnet',
    )
    const fields = Object.entries({ name, description, gateway_ip, host_routes, dns_nameservers }).filter(
      ([, value]) => value !== undefined,
    )
    const after = changed(subnet, Object.fromEntries(fields))
    await store.commit(keep('subnet', after))
    return { subnet: shown(after) }
  })
  app.delete('/v2.0/subnets/:id', async (request, reply) => {
    await deleteSubnet(options, find('subnet', idOf(request), who(request)))
    return reply.status(204).send()
  })

  app.post('/v2.0/ports', async (request, reply) => {
    const identity = who(request)
    const wishes = wishesOf<PortWishes & { network_id: string }>(request, 'port')
    checkPort(identity, wishes)
    find('network', String(wishes.network_id), identity)
    if (wishes.qos_policy_id) qosPolicy(store, wishes.qos_policy_id)
    const { tenant_id: _, project_id: __, ...fields } = wishes
    return made(reply, 'port', await ports.create(owner(identity, wishes), fields as typeof wishes))
  })
  app.put('/v2.0/ports/:id', async request => {
    const identity = who(request)
    const port = find<Port>('port', idOf(request), identity)
    const wishes = wishesOf<PortWishes>(request, 'port')
    checkPortUpdate(identity, wishes)
    if (wishes.qos_policy_id) qosPolicy(store, wishes.qos_policy_id)
    return { port: shown(await ports.update(port, wishes)) }
  })
  app.delete('/v2.0/ports/:id', async (request, reply) => {
    await ports.delete(find<Port>('port', idOf(request), who(request)))
    return reply.status(204).send()
  })

  app.post('/v2.0/security-groups', async (request, reply) => {
    const identity = who(request)
    const wishes = wishesOf<Partial<SecurityGroup>>(request, 'group')
    const project_id = owner(identity, wishes)
    await defaultGroup(store, project_id)
    if (wishes.name === 'default')
      throw new Refusal(409, 'SecurityGroupDefaultAlreadyExists', 'Default security group already exists.')
    quotas.check('security_group', project_id)
    const { group, rules } = createGroup(project_id, wishes)
    await store.commit(keep('group', group), ...rules.map(rule => keep('rule', rule)))
    return made(reply, 'group', group)
  })
  app.put('/v2.0/security-groups/:id', async request => {
    const group = find<SecurityGroup>('group', idOf(request), who(request))
    const { name, description } = wishesOf<Partial<SecurityGroup>>(request, 'group')
    const after = changed(group, {
      ...(name !== undefined && { name }),
      ...(description !== undefined && { description }),
    })
    await store.commit(keep('group', after))
    return { security_group: shown(withRules('group', after)) }
  })
  app.delete('/v2.0/security-groups/:id', async (request, reply) => {
    const group = find<SecurityGroup>('group', idOf(request), who(request))
    const rules = store.all<Rule>('rule')
    const used = store.all<Port>('port').some(port => port.security_groups.includes(group.id))
    const named = rules.some(rule => rule.remote_group_id === group.id && rule.security_group_id !== group.id)
    if (used || named) throw new Refusal(409, 'SecurityGroupInUse', `Security Group ${group.id} in use.`)
    const gone = rules.filter(rule => rule.security_group_id === group.id).map(rule => drop('rule', rule.id))
    await store.commit(drop('group', group.id), ...gone)
    return reply.status(204).send()
  })
  app.post('/v2.0/security-group-rules', async (request, reply) => {
    const identity = who(request)
    const wishes = wishesOf<Partial<Rule>>(request, 'rule')
    find('group', String(wishes.security_group_id), identity)
    const project_id = owner(identity, wishes)
    quotas.check('security_group_rule', project_id)
    const rule = createRule(store, project_id, wishes)
    await store.commit(keep('rule', rule))
    await ports.groupsChanged([rule.security_group_id])
    return made(reply, 'rule', rule)
  })
  app.delete('/v2.0/security-group-rules/:id', async (request, reply) => {
    const rule = find<Rule>('rule', idOf(request), who(request))
    await store.commit(drop('rule', rule.id))
    await ports.groupsChanged([rule.security_group_id])
    return reply.status(204).send()
  })

  app.get('/v2.0/extensions', () => ({ extensions: extensions(options.lbaas_url !== null) }))
  app.get('/v2.0/extensions/:id', request => {
    const extension = extensions(options.lbaas_url !== null).find(e => e.alias === idOf(request))
    if (!extension)
      throw new Refusal(
        404,
        'html',
        `The resource could not be found.<br /><br />\nExtension with alias ${idOf(request)} does not exist`,
      )
    return { extension }
  })
  app.get('/v2.0/network-ip-availabilities/:id', request => {
    const network = find('network', idOf(request), who(request))
    const rows = store
      .all<Subnet>('subnet')
      .filter(subnet => subnet.network_id === network.id)
      .map(subnet => {
        const used = store
          .all<Port>('port')
          .flatMap(port => port.fixed_ips)
          .filter(ip => ip.subnet_id === subnet.id).length
        return {
          subnet_id: subnet.id,
          ip_version: subnet.ip_version,
          cidr: subnet.cidr,
          subnet_name: subnet.name,
          used_ips: used,
          total_ips: Number(poolSize(subnet.allocation_pools)),
        }
      })
    const sum = (key: 'used_ips' | 'total_ips') => rows.reduce((total, row) => total + row[key], 0)
    const { project_id } = network
    return {
      network_ip_availability: {
        network_id: network.id,
        network_name: network.name,
        tenant_id: project_id,
        project_id,
        subnet_ip_availability: rows,
        used_ips: sum('used_ips'),
        total_ips: sum('total_ips'),
      },
    }
  })
  app.get('/v2.0/availability_zones', request => {
    who(request)
    return { availability_zones: [] }
  })
  app.get('/v2.0/agents', request => {
    who(request)
    return { agents: [] }
  })
  quotaRoutes(app, quotas, who)
  app.post('/v2.0/qos/policies', async (request, reply) => {
    const identity = who(request)
    const { policy } = request.body as { policy: Record<string, unknown> }
    const group = newGroup(owner(identity, policy), {})
    const { id, project_id, tenant_id, created_at, updated_at, tags } = group
    const document = {
      id,
      project_id,
      name: '',
      shared: false,
      rules: [],
      is_default: false,
      revision_number: 0,
      description: '',
      created_at,
      updated_at,
      tenant_id,
      tags,
      ...policy,
    }
    await store.commit(keep('qos_policy', document))
    return made(reply, 'qos_policy', document)
  })
  app.delete('/v2.0/qos/policies/:id', async (request, reply) => {
    await store.commit(drop('qos_policy', find('qos_policy', idOf(request), who(request)).id))
    return reply.status(204).send()
  })
  if (options.lbaas_url !== null) {
    const target = options.lbaas_url
    app.register(async plugin => {
      plugin.removeAllContentTypeParsers()
      plugin.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => done(null, body))
      plugin.all('/v2.0/lbaas/*', (request, reply) => forward(target, request, reply))
      plugin.get('/v2.0/service-providers', (request, reply) => forward(target, request, reply))
    })
  }
  return app
}

function quotaRoutes(app: FastifyInstance, quotas: Quotas, who: (request: FastifyRequest) => Identity): void {
  const projectOf = (request: FastifyRequest) => {
    const identity = who(request)
    const { id } = request.params as { id: string }
    if (!identity.admin && identity.project_id !== id)
      throw new Refusal(
        403,
        'AdminRequired',
        'User does not have admin privileges: Only admin can view or configure quota.',
      )
    return id
  }
  app.get('/v2.0/quotas', request => {
    who(request)
    return { quotas: quotas.overridden() }
  })
  app.get('/v2.0/quotas/:id', request => ({ quota: quotas.limits(projectOf(request)) }))
  app.get('/v2.0/quotas/:id/details', request => ({ quota: quotas.details(projectOf(request)) }))
  app.get('/v2.0/quotas/:id/default', request => {
    projectOf(request)
    return { quota: quotas.defaults() }
  })
  app.put('/v2.0/quotas/:id', async request => {
    const id = projectOf(request)
    await quotas.set(id, (request.body as { quota: Record<string, unknown> }).quota)
    return { quota: quotas.limits(id) }
  })
  app.delete('/v2.0/quotas/:id', async (request, reply) => {
    await quotas.reset(projectOf(request))
    return reply.status(204).send()
  })
}

async function defaultGroup(store: Store, project_id: string | null): Promise<void> {
  if (project_id === null) return
  const changes: Change[] = []
  ensureDefaultGroup(store, project_id, changes)
  if (changes.length > 0) await store.commit(...changes)
}

function missing(kind: Kind, id: string): Refusal {
  const { title } = names[kind]
  const type =
    {
      'QoS policy': 'QosPolicyNotFound',
      'Security group': 'SecurityGroupNotFound',
      'Security group rule': 'SecurityGroupRuleNotFound',
    }[title] ?? `${title}NotFound`
  const text = title.startsWith('Security group')
    ? `${title} ${id} does not exist`
    : `${title} ${id} could not be found.`
  return new Refusal(404, type, text)
}
