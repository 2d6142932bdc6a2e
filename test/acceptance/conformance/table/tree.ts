/** The seven resources of a tenant's, as they stand on the bed: how each is made, changed and deleted, and what that does
 *  to what it belongs to and to traffic. */
import { type Bed, type Dialect, unknown_id } from './bed.ts'
import type { Cell, Refusal } from './cell.ts'
import { changed } from './objects.ts'
import * as refusals from './refusals.ts'
import type { Declared } from './usual-cells.ts'

/** Those of one dialect, parents first. */
export function declaredIn(dialect: Dialect) {
  return {
    loadbalancer: loadBalancer(dialect),
    listener: listener(dialect),
    pool: pool(dialect),
    member: member(dialect),
    healthmonitor: healthMonitor(dialect),
    l7policy: l7policy(dialect),
    rule: rule(dialect),
  }
}

const updating = { loadbalancers: 'PENDING_UPDATE' } as const
const with_listener = { ...updating, listeners: 'PENDING_UPDATE' } as const
const with_pool = { ...with_listener, pools: 'PENDING_UPDATE' } as const
const with_policy = { ...with_listener, l7policies: 'PENDING_UPDATE' } as const

/** Where a stranger would make something below an object: Octavia refuses him, in Neutron that is not there. */
const strange = (dialect: Dialect, missing: (bed: Bed) => Refusal): Declared['stranger'] =>
  dialect === 'octavia' ? { status: 403, refusal: () => refusals.policy('') } : { status: 404, refusal: missing }

const noLoadBalancer = (bed: Bed, id = bed.ids.loadbalancers!) => refusals.notFound('Load Balancer', 'loadbalancer', id)
const noListener = (bed: Bed, id = bed.ids.listeners!) => refusals.notFound('Listener', 'listener', id)
const noPool = (bed: Bed, id = bed.ids.pools!) => refusals.notFound('Pool', 'pool', id)
const noPolicy = (bed: Bed, id = bed.ids.l7policies!) => refusals.notFound('L7 Policy', 'l7policy', id)

const byName = (bed: Bed) => `name=${bed.name}`
const nobodyAnswers: Cell['effect'] = bed => bed.tells(0)
const is =
  (status: number, path = '/'): Cell['effect'] =>
  bed =>
    bed.tells(status, path)
const answer =
  (...who: string[]): Cell['effect'] =>
  bed =>
    bed.answeredBy(...who)

function loadBalancer(dialect: Dialect): Declared {
  const one = '/v2.0/lbaas/loadbalancers/{id}'
  return {
    ...{ collection: 'loadbalancers', singular: 'loadbalancer', title: 'Load Balancer', notFound: noLoadBalancer },
    create: {
      body: bed => ({
        ...{ name: bed.name, description: 'd', vip_subnet_id: bed.ground.subnet_id, flavor_id: bed.ids.flavors },
        ...(dialect === 'octavia' ? { availability_zone: bed.ids.availabilityzones, tags: ['table'] } : {}),
        ...(dialect === 'octavia' ? { project_id: bed.ground.project_id } : { tenant_id: bed.ground.project_id }),
      }),
      effect: async (bed, body) => {
        bed.vip = (body.loadbalancer as { vip_address: string }).vip_address
        await bed.applied()
        await bed.tells(0)
      },
    },
    related: bed => ({
      listeners: [{ id: bed.ids.listeners }, { id: bed.ids['second listener'] }],
      pools: [{ id: bed.ids.pools }, { id: bed.ids['second pool'] }],
    }),
    ...{ filter: byName, fields: ['id', 'vip_address'] },
    update: {
      body: () => ({ name: 'n', description: 'e', admin_state_up: false }),
      locks: updating,
      meanwhile: [
        {
          // a write is not refused because an earlier one is not applied yet
          ...{ route: `PUT ${one}`, does: 'is changed again before that is applied', status: 200 },
          body: bed => ({ loadbalancer: { name: bed.name } }),
          answer: bed => ({ loadbalancer: changed(bed.known.loadbalancers!, { name: bed.name }) }),
        },
      ],
      effect: nobodyAnswers,
    },
    remove: { locks: {} },
    required: 'vip_subnet_id',
    missing: {
      ...refusals.missing('vip_subnet_id'),
      octavia: 'Validation failure: VIP must contain one of: vip_port_id, vip_network_id, vip_subnet_id.',
    },
    wrong: ['admin_state_up', 'perhaps'],
    fixed: ['vip_address', '10.0.0.9'],
    stranger:
      dialect === 'octavia'
        ? { status: 403, refusal: () => refusals.policy('') }
        : {
            status: 400,
            refusal: () => ({
              neutron: [
                'HTTPBadRequest',
                "Specifying 'project_id' or 'tenant_id' other than the authenticated project in request requires admin privileges",
              ],
            }),
          },
  }
}

function listener(dialect: Dialect): Declared {
  return {
    ...{ collection: 'listeners', singular: 'listener', title: 'Listener', notFound: noListener },
    create: {
      body: bed => ({ name: bed.name, loadbalancer_id: bed.ids.loadbalancers, protocol: 'HTTP', protocol_port: 80 }),
      hidden: ['loadbalancer_id'],
      locks: { ...updating, listeners: 'PENDING_CREATE' },
      effect: is(503),
    },
    related: bed => ({ default_pool_id: bed.ids.pools, l7policies: [{ id: bed.ids.l7policies }] }),
    ...{ filter: byName, fields: ['id', 'protocol_port'] },
    update: {
      body: () => ({ connection_limit: 500, admin_state_up: false, ...in_octavia(dialect, { tags: ['t'] }) }),
      locks: with_listener,
      effect: nobodyAnswers,
    },
    remove: { locks: { ...updating, listeners: 'PENDING_DELETE' }, effect: nobodyAnswers },
    required: 'protocol',
    wrong: ['protocol_port', 65_536],
    fixed: ['protocol', 'TCP'],
    stranger: strange(dialect, noLoadBalancer),
  }
}

function pool(dialect: Dialect): Declared {
  const round_robin = { protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' }
  return {
    ...{ collection: 'pools', singular: 'pool', title: 'Pool', notFound: noPool },
    create: {
      body: bed => ({ name: bed.name, listener_id: bed.ids.listeners, ...round_robin }),
      answer: bed => ({ listeners: [{ id: bed.ids.listeners }] }),
      hidden: ['listener_id'],
      locks: { ...with_listener, pools: 'PENDING_CREATE' },
      effect: is(503),
    },
    related: bed => ({
      members: [{ id: bed.ids.members }, { id: bed.ids['second member'] }],
      healthmonitor_id: bed.ids.healthmonitors,
    }),
    ...{ filter: byName, fields: ['id', 'lb_algorithm'] },
    update: {
      body: () => ({ lb_algorithm: 'SOURCE_IP', session_persistence: { type: 'HTTP_COOKIE' } }),
      answer: () => ({
        session_persistence: {
          ...{ type: 'HTTP_COOKIE', cookie_name: null },
          ...in_octavia(dialect, { persistence_timeout: null, persistence_granularity: null }),
        },
      }),
      locks: with_pool,
      effect: bed => bed.answeredByOne(),
    },
    remove: {
      locks: { ...with_listener, pools: 'PENDING_DELETE', 'second member': 'PENDING_DELETE' },
      effect: is(503),
    },
    required: 'lb_algorithm',
    wrong: ['lb_algorithm', 'BY_CHANCE'],
    fixed: ['protocol', 'TCP'],
    stranger: strange(dialect, noListener),
  }
}

function member(dialect: Dialect): Declared {
  const notFound = (bed: Bed, id: string): Refusal => ({
    octavia: `Member ${id} not found.`,
    neutron: ['MemberNotFoundForPool', `Member ${id} could not be found in pool ${bed.ids.pools}`],
  })
  return {
    ...{ collection: 'members', below: 'pools/{pool_id}/', singular: 'member', title: 'Member', notFound },
    create: {
      body: bed => ({
        ...{ name: bed.name, address: bed.ground.servers.address, protocol_port: 8201 },
        ...{ subnet_id: bed.ground.subnet_id, weight: 2 },
      }),
      locks: { ...with_pool, members: 'PENDING_CREATE' },
      effect: answer('a'),
    },
    ...{ filter: byName, fields: ['id', 'protocol_port'] },
    update: {
      body: () => ({ admin_state_up: false, weight: 3 }),
      locks: { ...with_pool, members: 'PENDING_UPDATE' },
      effect: answer('b'),
    },
    remove: { locks: { ...with_pool, members: 'PENDING_DELETE' }, effect: answer('b') },
    required: 'address',
    wrong: ['weight', 257],
    fixed: ['address', '10.0.0.9'],
    orphan: noPool,
    stranger: strange(dialect, noPool),
  }
}

function healthMonitor(dialect: Dialect): Declared {
  const notFound = (_: Bed, id: string) => refusals.notFound('Health Monitor', 'healthmonitor', id)
  return {
    ...{ collection: 'healthmonitors', singular: 'healthmonitor', title: 'Health Monitor', notFound },
    create: {
      body: bed => ({
        ...{ name: bed.name, pool_id: bed.ids.pools, type: 'HTTP', delay: 1, timeout: 1, max_retries: 1 },
      }),
      hidden: ['pool_id'],
      locks: { ...with_pool, healthmonitors: 'PENDING_CREATE' },
      effect: is(200),
    },
    ...{ filter: byName, fields: ['id', 'type'] },
    update: {
      // members answer 200, so that none is well
      body: () => ({ expected_codes: '404', url_path: '/up' }),
      locks: { ...with_pool, healthmonitors: 'PENDING_UPDATE' },
      effect: is(503),
    },
    remove: {
      locks: { ...with_pool, healthmonitors: 'PENDING_DELETE' },
      effect: is(200),
    },
    required: 'delay',
    wrong: ['max_retries', 11],
    fixed: ['type', 'TCP'],
    stranger: strange(dialect, noPool),
  }
}

function l7policy(dialect: Dialect): Declared {
  const redirect_url = 'http://www.example.org/'
  return {
    ...{ collection: 'l7policies', singular: 'l7policy', title: 'L7 Policy', notFound: noPolicy },
    create: {
      body: bed => ({ name: bed.name, listener_id: bed.ids.listeners, action: 'REJECT' }),
      locks: { ...with_listener, l7policies: 'PENDING_CREATE' },
      effect: is(200, '/private'), // without rules it matches nothing
    },
    related: bed => ({ rules: [{ id: bed.ids.rules }] }),
    ...{ filter: byName, fields: ['id', 'action'] },
    update: {
      body: () => ({ action: 'REDIRECT_TO_URL', redirect_url }),
      answer: () => in_octavia(dialect, { redirect_http_code: 302 }),
      locks: with_policy,
      effect: is(302, '/secret'),
    },
    remove: { locks: { ...with_listener, l7policies: 'PENDING_DELETE' }, effect: is(200, '/secret') },
    required: 'action',
    wrong: ['position', 0],
    fixed: ['listener_id', unknown_id],
    stranger: strange(dialect, noListener),
  }
}

function rule(dialect: Dialect): Declared {
  const notFound = (bed: Bed, id: string): Refusal => ({
    octavia: `L7 Rule ${id} not found.`,
    neutron: ['RuleNotFoundForL7Policy', `Rule ${id} could not be found in l7 policy ${bed.ids.l7policies}.`],
  })
  return {
    ...{ collection: 'rules', below: 'l7policies/{l7policy_id}/', singular: 'rule', title: 'L7 Rule', notFound },
    create: {
      body: () => ({ type: 'PATH', compare_type: 'STARTS_WITH', value: '/private' }),
      locks: { ...with_policy, rules: 'PENDING_CREATE' },
      effect: async bed => {
        await bed.tells(403, '/private')
        await bed.tells(200)
      },
    },
    ...{ filter: () => 'type=PATH', fields: ['id', 'value'] },
    update: {
      body: () => ({ value: '/secret' }),
      locks: { ...with_policy, rules: 'PENDING_UPDATE' },
      effect: async bed => {
        await bed.tells(200, '/private')
        await bed.tells(403, '/secret')
      },
    },
    remove: { locks: { ...with_policy, rules: 'PENDING_DELETE' }, effect: is(200, '/secret') },
    required: 'value',
    wrong: ['compare_type', 'LOOKS_LIKE'],
    fixed: ['id', unknown_id],
    orphan: noPolicy,
    stranger: strange(dialect, noPolicy),
  }
}

function in_octavia<T extends object>(dialect: Dialect, fields: T): Partial<T> {
  return dialect === 'octavia' ? fields : {}
}
