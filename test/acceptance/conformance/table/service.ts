/** The cells of what is the service's: discovery, quotas, amphorae, failovers, Neutron's agents and providers. */
import { expect } from 'vitest'
import { eventually } from '../../stack.ts'
import { type Bed, type Dialect, unknown_id } from './bed.ts'
import type { Cell, Fields, Refusal } from './cell.ts'
import { instant, uuid } from './objects.ts'

const denied = (): Refusal => ({
  octavia: 'Policy does not allow this request to be performed.',
  neutron: ['PolicyNotAuthorized', /^\(rule:\w+\) is disallowed by policy$/],
})

/** Answered without a token, in Octavia. */
export function discovery(): Cell[] {
  const version = (id: string, status: string) =>
    expect.objectContaining({ id, status, updated: expect.stringMatching(/^\d{4}-\d\d-\d\dT00:00:00Z$/) })
  const versions = Array.from({ length: 31 }, (_, n) => version(`v2.${n}`, n === 30 ? 'CURRENT' : 'SUPPORTED'))
  const open = { as: 'nobody', status: 200 } as const
  return [
    { ...open, route: 'GET /', does: 'tells the versions', answer: () => ({ versions }) },
    { ...open, route: 'GET /healthcheck', does: 'says that all is well', answer: () => 'OK' },
    {
      ...{ ...open, route: 'GET /openapi.json', does: 'is the document' },
      answer: () => expect.objectContaining({ openapi: expect.stringMatching(/^3\./), paths: expect.any(Object) }),
    },
    { ...open, route: 'GET /docs', does: 'is its page', answer: () => expect.stringMatching(/<html/i) },
    { ...open, route: 'GET /docs/{file}', does: 'is a part of that', answer: () => expect.any(String) },
    {
      ...{ route: 'GET /docs/{file}', does: 'has no other parts', as: 'nobody', status: 404, at: { docs: 'other.js' } },
      refusal: () => ({ octavia: 'The resource could not be found.' }),
    },
  ]
}

/** A project that nobody is in, so that its limits limit nobody. */
const project = 'table-project'
const at = { quotas: project }

export function quotas(dialect: Dialect): Cell[] {
  const prefix = dialect === 'octavia' ? '/v2.0/lbaas/quotas' : '/v2.0/quotas'
  const usual = { loadbalancer: -1, healthmonitor: -1, listener: -1, pool: -1, member: -1 }
  const limits = (more: Fields = {}): Fields =>
    dialect === 'octavia'
      ? { ...usual, load_balancer: -1, health_monitor: -1, l7policy: -1, l7rule: -1, ...more }
      : // Neutron shows its own limits beside
        expect.objectContaining({ ...usual, network: expect.any(Number), ...more })
  const shown = (more?: Fields) => () => ({ quota: limits(more) })
  const set = dialect === 'octavia' ? { loadbalancer: 7, load_balancer: 7, l7rule: 9 } : { loadbalancer: 7 }
  const ours = (body: Fields, status: number): Partial<Cell> => ({
    as: 'admin',
    at,
    status,
    body: () => ({ quota: body }),
  })
  const one = `${prefix}/{project_id}`
  const refusal = (): Refusal =>
    dialect === 'octavia' ? denied() : { neutron: ['AdminRequired', /^User does not have admin privileges: /] }
  const list = `GET ${prefix}`
  const row = { project_id: project, ...(dialect === 'octavia' ? {} : { tenant_id: project }) }
  const listed = (...rows: unknown[]) =>
    dialect === 'octavia' ? { quotas: rows, quotas_links: [] } : { quotas: expect.arrayContaining(rows) }
  const cells: Cell[] = [
    { route: `GET ${one}`, does: 'is shown to its project', as: 'reader', status: 200, answer: shown() },
    { route: `GET ${one}`, does: "is not another project's to see", at, status: 403, refusal },
    {
      ...{
        ...ours(
          { loadbalancer: 7, ...(dialect === 'octavia' ? { l7rule: 9 } : {}) },
          dialect === 'octavia' ? 202 : 200,
        ),
      },
      ...{ route: `PUT ${one}`, does: 'is set', answer: shown(set) },
    } as Cell,
    { route: `GET ${one}`, does: 'is shown as it was set', as: 'admin', at, status: 200, answer: shown(set) },
    {
      ...{ route: list, does: 'is listed where it was set', as: 'admin', status: 200 },
      ...(dialect === 'octavia' ? { query: `project_id=${project}` } : {}),
      answer: () =>
        listed(dialect === 'octavia' ? { ...limits(set), ...row } : expect.objectContaining({ ...set, ...row })),
    },
    { route: `GET ${one}/default`, does: 'says what it would be', as: 'admin', at, status: 200, answer: shown() },
    { route: `GET ${one}/default`, does: "is not another project's to see", at, status: 403, refusal },
    {
      ...ours({ loadbalancer: -2 }, 400),
      ...{ route: `PUT ${one}`, does: 'is refused a wrong limit' },
      refusal: () => ({
        octavia: /^Invalid input for field\/attribute load_balancer\. Value: '-2'\. /,
        neutron: ['HTTPBadRequest', /^Invalid input for load_?balancer\. Reason: /],
      }),
    } as Cell,
    {
      ...ours({ pool: 1 }, 403),
      route: `PUT ${one}`,
      does: 'is not set by tenants',
      as: 'demo',
      at: {},
      refusal,
    } as Cell,
    { route: `DELETE ${one}`, does: 'is not reset by tenants', status: 403, refusal },
    { route: `DELETE ${one}`, does: 'is reset', as: 'admin', at, status: 204 },
    { route: `GET ${one}`, does: 'is as it would be', as: 'admin', at, status: 200, answer: shown() },
  ]
  if (dialect === 'octavia')
    return [
      ...cells,
      { route: 'GET /v2.0/lbaas/quotas/defaults', does: 'are told', as: 'reader', status: 200, answer: shown() },
      { route: list, does: 'is listed for nobody who has none', as: 'stranger', status: 200, answer: () => listed() },
      {
        ...{ route: `DELETE ${one}`, does: 'is not there twice', as: 'admin', at, status: 404 },
        refusal: () => ({ octavia: `Quota ${project} not found.` }),
      },
    ]
  return [
    ...cells,
    { route: list, does: 'is not listed for tenants', status: 403, refusal },
    {
      ...{ route: `GET ${one}/details`, does: 'says what is used', as: 'reader', status: 200 },
      answer: () => ({
        quota: expect.objectContaining({ healthmonitor: { limit: -1, used: expect.any(Number), reserved: 0 } }),
      }),
    },
    { route: `GET ${one}/details`, does: "is not another project's to see", at, status: 403, refusal },
  ]
}

/** A quota that is used up. */
export function usedUp(dialect: Dialect): Cell[] {
  const one = dialect === 'octavia' ? '/v2.0/lbaas/quotas/{project_id}' : '/v2.0/quotas/{project_id}'
  return [
    {
      ...{
        route: `PUT ${one}`,
        does: 'is set to what is there',
        as: 'admin',
        body: () => ({ quota: { listener: 1 } }),
      },
      ...{
        status: dialect === 'octavia' ? 202 : 200,
        answer: () => ({ quota: expect.objectContaining({ listener: 1 }) }),
      },
    },
    {
      ...{ route: 'POST /v2.0/lbaas/listeners', does: 'is refused beyond the quota' },
      status: dialect === 'octavia' ? 403 : 409,
      body: bed => ({
        listener: { loadbalancer_id: bed.ids.loadbalancers, protocol: 'HTTP', protocol_port: 82 },
      }),
      refusal: () => ({
        octavia: 'Quota has been met for resources: Listener',
        neutron: ['OverQuota', "Quota exceeded for resources: ['listener']."],
      }),
    },
    { route: `DELETE ${one}`, does: 'is reset again', as: 'admin', status: 204 },
  ]
}

/** The amphora under Octavia's administrators, and its failovers, after which the VIP answers. */
export function amphorae(): Cell[] {
  const all = '/v2.0/octavia/amphorae'
  const one = `${all}/{id}`
  const own = (bed: Bed) => `loadbalancer_id=${bed.ids.loadbalancers}`
  const amphora = (bed: Bed) => ({
    id: bed.ids.amphorae ?? uuid,
    loadbalancer_id: bed.ids.loadbalancers,
    status: 'ALLOCATED',
    role: 'STANDALONE',
    compute_id: uuid,
    lb_network_ip: expect.stringMatching(/^192\.168\.0\./),
    vrrp_ip: expect.stringMatching(/^10\.0\.0\./),
    ha_ip: bed.vip,
    vrrp_port_id: uuid,
    ha_port_id: bed.known.loadbalancers!.vip_port_id,
    vrrp_interface: null,
    vrrp_id: null,
    vrrp_priority: null,
    cert_expiration: instant,
    cert_busy: false,
    cached_zone: 'nova',
    created_at: instant,
    updated_at: expect.toBeOneOf([null, instant]),
    image_id: uuid,
    compute_flavor: expect.any(String),
  })
  const figure = expect.any(Number)
  const stats = {
    ...{ active_connections: figure, bytes_in: figure, bytes_out: figure, request_errors: figure },
    total_connections: figure,
  }
  const ofListener = (bed: Bed, listener: string) => ({
    ...{ ...stats, id: bed.ids.amphorae, listener_id: bed.ids[listener], loadbalancer_id: bed.ids.loadbalancers },
  })
  const routes = [`GET ${one}`, `GET ${one}/stats`, `PUT ${one}/failover`, `PUT ${one}/config`, `DELETE ${one}`]
  const failover = 'PUT /v2.0/lbaas/loadbalancers/{id}/failover'
  const replaced = async (bed: Bed) => {
    const before = bed.ids.amphorae
    await eventually('another amphora serves', async () => {
      await bed.applied()
      return (await bed.amphora()).id !== before
    })
    bed.ids.amphorae = (await bed.amphora()).id
    await bed.tells(200)
  }
  return [
    {
      ...{ route: `GET ${all}`, does: 'is listed of its load balancer', as: 'admin', query: own, status: 200 },
      answer: bed => ({ amphorae: [amphora(bed)], amphorae_links: [] }),
      effect: async (bed, body) => {
        bed.ids.amphorae = (body.amphorae as { id: string }[])[0]!.id
      },
    },
    {
      ...{ route: `GET ${all}`, does: 'is listed with one field and a limit', as: 'admin', status: 200 },
      query: bed => `${own(bed)}&fields=id&limit=1&status=ALLOCATED`,
      answer: bed => ({ amphorae: [{ id: bed.ids.amphorae }], amphorae_links: [] }),
    },
    { route: `GET ${all}`, does: 'are not for tenants', status: 403, refusal: denied },
    { route: `GET ${one}`, does: 'is shown', as: 'admin', status: 200, answer: bed => ({ amphora: amphora(bed) }) },
    {
      ...{ route: `GET ${one}/stats`, does: 'says what passed', as: 'admin', status: 200, patient: true },
      answer: bed => ({
        amphora_stats: [ofListener(bed, 'listeners'), ofListener(bed, 'second listener')],
      }),
    },
    ...routes.map(route => ({ route, does: 'is not for tenants', status: 403, refusal: denied })),
    ...routes.map(
      (route): Cell => ({
        ...{ route, does: 'has an unknown id', as: 'admin', status: 404, at: { amphorae: unknown_id } },
        refusal: () => ({ octavia: `Amphora ${unknown_id} not found.` }),
      }),
    ),
    {
      ...{ route: `DELETE ${one}`, does: 'is not deleted while it serves', as: 'admin', status: 409 },
      refusal: bed => ({ octavia: `amphora ${bed.ids.amphorae} is immutable and cannot be updated.` }),
    },
    {
      ...{ route: `PUT ${one}/config`, does: 'is given its configuration again', as: 'admin', status: 202 },
      effect: bed => bed.applied(),
    },
    {
      ...{ route: `PUT ${one}/failover`, does: 'is replaced', as: 'admin', status: 202 },
      effect: replaced,
    },
    { route: failover, does: 'is replaced with all its amphorae', as: 'admin', status: 202, effect: replaced },
    { route: failover, does: 'is not for tenants', status: 403, refusal: denied },
    {
      ...{ route: failover, does: 'has an unknown id', as: 'admin', status: 404, at: { loadbalancers: unknown_id } },
      refusal: () => ({ octavia: `Load Balancer ${unknown_id} not found.` }),
    },
  ]
}

/** The same amphora under Neutron's administrators, as the agent that hosts the load balancer. */
export function agents(): Cell[] {
  const time = expect.stringMatching(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/)
  const agent = (bed: Bed) => ({
    id: bed.ids.agents,
    agent_type: 'Loadbalancerv2 agent',
    binary: 'amphora-agent',
    topic: 'n-lbaasv2_agent',
    host: `amphora-${bed.ids.agents}`,
    availability_zone: 'nova',
    admin_state_up: true,
    alive: true,
    created_at: time,
    started_at: time,
    heartbeat_timestamp: time,
    description: null,
    configurations: { device_drivers: ['octavia'], instances: 1 },
  })
  const hosting = 'GET /v2.0/lbaas/loadbalancers/{id}/loadbalancer-hosting-agent'
  const hosted = 'GET /v2.0/agents/{id}/agent-loadbalancers'
  const missing = (): Refusal => ({ neutron: ['AgentNotFound', `Agent ${unknown_id} could not be found.`] })
  return [
    {
      ...{
        route: hosting,
        does: 'is told',
        as: 'admin',
        status: 200,
        answer: bed => ({ agent: { ...agent(bed), id: uuid, host: expect.any(String) } }),
      },
      effect: async (bed, body) => {
        bed.ids.agents = (body.agent as { id: string }).id
        expect(bed.ids.agents).toBe((await bed.amphora()).id)
      },
    },
    { route: hosting, does: 'is not for tenants', status: 403, refusal: denied },
    {
      ...{ route: hosting, does: 'has an unknown id', as: 'admin', status: 404, at: { loadbalancers: unknown_id } },
      refusal: () => ({ neutron: ['EntityNotFound', `loadbalancer ${unknown_id} could not be found`] }),
    },
    {
      ...{ route: 'GET /v2.0/agents', does: 'is listed by its host', as: 'admin', status: 200 },
      query: bed => `host=amphora-${bed.ids.agents}`,
      answer: bed => ({ agents: [agent(bed)] }),
    },
    { route: 'GET /v2.0/agents', does: 'are none to tenants', status: 200, answer: () => ({ agents: [] }) },
    {
      ...{ route: 'GET /v2.0/agents/{id}', does: 'is shown', as: 'admin', status: 200 },
      answer: bed => ({ agent: agent(bed) }),
    },
    {
      ...{ route: hosted, does: 'are listed', as: 'admin', query: 'fields=id', status: 200 },
      answer: bed => ({ loadbalancers: [{ id: bed.ids.loadbalancers }] }),
    },
    ...['GET /v2.0/agents/{id}', hosted].flatMap((route): Cell[] => [
      { route, does: 'is not for tenants', status: 403, refusal: denied },
      { route, does: 'has an unknown id', as: 'admin', status: 404, at: { agents: unknown_id }, refusal: missing },
    ]),
    {
      ...{ route: 'GET /v2.0/service-providers', does: 'are listed', as: 'reader', status: 200 },
      answer: () => ({
        service_providers: [
          { service_type: 'LOADBALANCERV2', name: 'octavia', default: true },
          { service_type: 'LOADBALANCERV2', name: 'haproxy', default: false },
        ],
      }),
    },
  ]
}
