/** The API's own document of one dialect: OpenAPI 3.1, from the declarations, the rules and the table of errors. */
import type { JsonSchema } from '../../lbaas/json-schema.ts'
import type { Resource } from '../../lbaas/resource.ts'
import { tables } from '../../store/schema.ts'
import type { Speech } from '../speech.ts'
import { body, error_schemas, ref, refusals, resourceSchemas, text } from './bodies.ts'
import { collection, links_schema, type Operations, operation, pathOf } from './operations.ts'

export function documentOf(speech: Speech): JsonSchema {
  const { dialect } = speech
  const resources = dialect === 'octavia' ? [...tenants, ...administrators] : [...tenants, quota]
  const operations: Operations = {
    ...Object.assign({}, ...tenants.map(resource => collection(speech, resource))),
    ...reports(speech),
    ...(dialect === 'octavia' ? octaviaOnly(speech) : neutronOnly(speech)),
    ...discovery(speech),
  }
  return {
    openapi: '3.1.0',
    info: {
      title: `ottavia: the ${dialect === 'octavia' ? 'Octavia v2' : 'neutron-lbaas v2'} dialect`,
      version: '2',
      description: 'Load balancing as a service. Every answer has the header x-openstack-request-id.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    security: [{ token: [] }],
    tags: [...new Set(Object.values(operations).flatMap(({ tags }) => tags as string[]))].map(name => ({ name })),
    paths: pathsOf(operations),
    components: {
      securitySchemes: {
        token: { type: 'apiKey', in: 'header', name: 'X-Auth-Token', description: 'A token of Keystone.' },
      },
      schemas: {
        ...resourceSchemas(speech, resources),
        Statistics: statistics,
        Filter: { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }] },
        Error: error_schemas[dialect],
        KeystoneError: error_schemas.keystone,
      },
      responses: refusals(speech),
    },
  }
}

const { load_balancer, listener, pool, member, health_monitor, l7policy, l7rule, amphora, quota } = tables
const { flavor, flavor_profile, availability_zone, availability_zone_profile } = tables
const tenants: readonly Resource[] = [load_balancer, listener, pool, member, health_monitor, l7policy, l7rule]
const offers: readonly Resource[] = [flavor, flavor_profile, availability_zone, availability_zone_profile]
const administrators: readonly Resource[] = [...offers, amphora, quota]

const counts = ['bytes_in', 'bytes_out', 'active_connections', 'total_connections', 'request_errors']
const statistics: JsonSchema = text(Object.fromEntries(counts.map(name => [name, { type: 'integer', minimum: 0 }])))
const accepted = { description: 'Accepted.' }

function reports(speech: Speech): Operations {
  const statuses = operation(load_balancer, 'statuses', 'get_status', {
    200: body('The load balancer and what is below it, each with its statuses.', {
      statuses: { type: 'object', properties: { loadbalancer: { type: 'object' } }, required: ['loadbalancer'] },
    }),
  })
  const stats = (of: Resource) =>
    operation(of, 'statistics', 'get_stats', { 200: body('What passed through.', { stats: ref('Statistics') }) })
  const one = `${pathOf(speech, load_balancer)}/{id}`
  return {
    [`GET ${one}/statuses`]: statuses,
    [`GET ${one}/status`]: { ...statuses, operationId: 'statusLoadBalancer' },
    [`GET ${one}/stats`]: stats(load_balancer),
    [`GET ${pathOf(speech, listener)}/{id}/stats`]: stats(listener),
  }
}

function octaviaOnly(speech: Speech): Operations {
  const [prefix] = speech.prefixes
  const amphorae = `${pathOf(speech, amphora)}/{id}`
  const amphora_stats = {
    type: 'array',
    items: { allOf: [text({ id: {}, listener_id: {}, loadbalancer_id: {} }), ref('Statistics')] },
  }
  const provider = text({ name: {}, description: {} })
  const capabilities = (of: string) => ({
    [`GET ${prefix}/providers/{provider}/${of}_capabilities`]: operation(
      'Provider',
      `${of.replace('_', ' ')} capabilities`,
      `provider-${of.replace('_', '-')}:get_all`,
      { 200: body('What profiles may say.', { [`${of}_capabilities`]: { type: 'array', items: provider } }) },
    ),
  })
  return {
    [`PUT ${pathOf(speech, member)}`]: operation(member, 'batch update', 'put', {
      parameters: [
        {
          name: 'additive_only',
          in: 'query',
          description: 'Keep members that the list does not have.',
          schema: { type: 'boolean', default: false },
        },
      ],
      requestBody: { ...body('', { members: { type: 'array', items: ref('MemberWithin') } }), required: true },
      202: { description: 'Accepted: these become the members.' },
    }),
    [`PUT ${pathOf(speech, load_balancer)}/{id}/failover`]: operation(load_balancer, 'fail over', 'put_failover', {
      202: { description: 'Accepted: its amphorae are replaced.' },
    }),
    ...Object.assign({}, ...offers.map(resource => collection(speech, resource))),
    ...quotas(`${prefix}/quotas`, 202),
    [`GET ${prefix}/quotas/defaults`]: operation(quota, 'defaults', 'get_defaults', {
      200: body('The limits of the deployment.', { quota: ref('Quota') }),
    }),
    ...collection(speech, amphora, 'LSD'),
    [`GET ${amphorae}/stats`]: operation(amphora, 'statistics', 'get_stats', {
      200: body('What passed through, by listener.', { amphora_stats }),
    }),
    [`PUT ${amphorae}/failover`]: operation(amphora, 'fail over', 'put_failover', { 202: accepted }),
    [`PUT ${amphorae}/config`]: operation(amphora, 'configure', 'put_config', {
      202: { description: 'Accepted: its agent is given its configuration again.' },
    }),
    [`GET ${prefix}/providers`]: operation('Provider', 'list', 'provider:get_all', {
      200: body('Who serves load balancers.', {
        providers: { type: 'array', items: provider },
        providers_links: links_schema,
      }),
    }),
    ...capabilities('flavor'),
    ...capabilities('availability_zone'),
  }
}

function quotas(path: string, put: 200 | 202): Operations {
  const one = `${path}/{project_id}`
  const answer = (description: string) => body(description, { quota: ref('Quota') })
  return {
    [`GET ${path}`]: operation(quota, 'list', 'get_all', {
      200: body('The projects that have limits of their own.', { quotas: { type: 'array', items: ref('Quota') } }),
    }),
    [`GET ${one}`]: operation(quota, 'show', 'get_one', { 200: answer('The limits of the project.') }),
    [`GET ${one}/default`]: operation(quota, 'default', 'get_defaults', { 200: answer('The deployment’s limits.') }),
    [`PUT ${one}`]: operation(quota, 'update', 'put', {
      requestBody: { ...body('', { quota: ref('QuotaUpdate') }), required: true },
      [put]: answer('The limits from now on.'),
    }),
    [`DELETE ${one}`]: operation(quota, 'delete', 'delete', {
      204: { description: 'The deployment’s limits hold again.' },
    }),
  }
}

function neutronOnly(speech: Speech): Operations {
  const agent = { type: 'object', properties: { id: { type: 'string' }, alive: { type: 'boolean' } } }
  const agents = { type: 'array', items: agent }
  const loadbalancers = { type: 'array', items: ref('LoadBalancer') }
  const service_providers = { type: 'array', items: text({ service_type: {}, name: {}, default: { type: 'boolean' } }) }
  return {
    ...quotas('/v2.0/quotas', 200),
    'GET /v2.0/quotas/{project_id}/details': operation(quota, 'details', 'get_one', {
      200: body('Each limit with what is used of it.', { quota: { type: 'object' } }),
    }),
    'GET /v2.0/agents': operation('Agent', 'list', 'amphora:get_all', { 200: body('The amphorae.', { agents }) }),
    'GET /v2.0/agents/{id}': operation('Agent', 'show', 'amphora:get_one', { 200: body('The amphora.', { agent }) }),
    'GET /v2.0/agents/{id}/agent-loadbalancers': operation('Agent', 'load balancers', 'amphora:get_one', {
      200: body('What it hosts.', { loadbalancers }),
    }),
    [`GET ${pathOf(speech, load_balancer)}/{id}/loadbalancer-hosting-agent`]: operation(
      'Agent',
      'of a load balancer',
      'amphora:get_one',
      { 200: body('The amphora that serves it.', { agent }) },
    ),
    'GET /v2.0/service-providers': operation('Provider', 'list', null, {
      200: body('Who serves load balancers.', { service_providers }),
    }),
  }
}

/** Asked without a token. */
function discovery({ dialect }: Speech): Operations {
  const open = (verb: string, response: JsonSchema) => ({
    ...operation('Discovery', verb, null, { 200: response }),
    security: [],
  })
  const page = (type: string) => ({ description: 'It.', content: { [type]: {} } })
  const versions = { type: 'array', items: { type: 'object' } }
  return {
    ...(dialect === 'octavia' ? { 'GET /': open('versions', body('The versions.', { versions })) } : {}),
    'GET /healthcheck': open('health', page('text/plain')),
    'GET /openapi.json': open('this document', page('application/json')),
    'GET /docs': open('the page of reference', page('text/html')),
    'GET /docs/{file}': open('a file of that page', { description: 'It.' }),
  }
}

/** Path to method to operation, with the path's parameters. */
function pathsOf(operations: Operations): JsonSchema {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const [key, operation] of Object.entries(operations)) {
    const [method = '', path = ''] = key.split(' ')
    const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!)
    const parameters = names.map(name => ({ name, in: 'path', required: true, schema: { type: 'string' } }))
    paths[path] ??= parameters.length ? { parameters } : {}
    paths[path][method.toLowerCase()] = operation
  }
  return paths
}
