/** The cells that only some of a tenant's resources have: seconds, batches, redirects, the end of all, and what puts
 *  the tree back as it was. */
import { type Bed, type Dialect, unknown_id } from './bed.ts'
import type { Cell, Fields, Refusal } from './cell.ts'
import { changed, newObjects, settled, uuid } from './objects.ts'
import type { declaredIn } from './tree.ts'
import { type Declared, paths } from './usual-cells.ts'

type Of = ReturnType<typeof declaredIn>

/** A second one of three, so that lists have a next page. */
export function second(declared: Declared): Cell {
  const { collection, singular } = declared
  const name = `second ${singular}`
  const sent = (bed: Bed): { body: Fields; answer?: Fields } => {
    switch (collection) {
      case 'listeners':
        return { body: { name, loadbalancer_id: bed.ids.loadbalancers, protocol: 'TCP', protocol_port: 81 } }
      case 'pools':
        return { body: { name, loadbalancer_id: bed.ids.loadbalancers, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' } }
      default:
        return {
          body: { name, address: bed.ground.servers.address, protocol_port: 8202, subnet_id: bed.ground.subnet_id },
        }
    }
  }
  return {
    ...{ route: `POST ${paths(declared).all}`, does: 'is made once more', status: 201, keeps: name },
    body: bed => ({ [singular]: sent(bed).body }),
    answer: bed => {
      const { loadbalancer_id: _hidden, ...shown } = sent(bed).body
      return { [singular]: { ...newObjects[collection]!(bed), ...shown } }
    },
    effect: async bed => {
      await bed.applied()
      if (collection === 'members') await bed.answeredBy('a', 'b')
    },
  }
}

/** Puts back what an update has changed; the amphora does so too. */
export function restored(
  declared: Declared,
  fields: Fields,
  back: (bed: Bed) => Promise<void>,
  more: Fields = {},
): Cell {
  const { collection, singular } = declared
  return {
    ...{
      route: `PUT ${paths(declared).one}`,
      does: 'is changed back',
      status: 200,
      body: () => ({ [singular]: fields }),
    },
    answer: bed => ({ [singular]: changed(bed.known[collection]!, { ...fields, ...more }) }),
    effect: async bed => {
      await bed.applied()
      await back(bed)
    },
  }
}

/** A redirect to a pool, which cannot be deleted then. */
export function poolInUse(of: Of, dialect: Dialect): Cell[] {
  const { l7policy, pool } = of
  const redirect = (bed: Bed) => ({ action: 'REDIRECT_TO_POOL', redirect_pool_id: bed.ids['second pool'] })
  const cleared = { redirect_url: null, ...(dialect === 'octavia' ? { redirect_http_code: null } : {}) }
  return [
    {
      ...{ route: `PUT ${paths(l7policy).one}`, does: 'sends to a pool', status: 200 },
      body: bed => ({ l7policy: redirect(bed) }),
      answer: bed => ({ l7policy: changed(bed.known.l7policies!, { ...redirect(bed), ...cleared }) }),
      effect: async bed => {
        await bed.applied()
        await bed.tells(503, '/secret')
        await bed.tells(200)
      },
    },
    {
      ...{ route: `DELETE ${paths(pool).one}`, does: 'is refused while a policy sends to it', status: 409 },
      at: bed => ({ pools: bed.ids['second pool']! }),
      refusal: bed => ({
        octavia: `Pool ${bed.ids['second pool']} is in use by L7 policy ${bed.ids.l7policies}`,
        neutron: ['EntityInUse', `l7policy ${bed.ids.l7policies} is using this pool`],
      }),
    },
  ]
}

/** A pool's members as a list, which only Octavia has. */
export function batches(): Cell[] {
  const route = 'PUT /v2.0/lbaas/pools/{pool_id}/members'
  const at = (bed: Bed, port: number, more: Fields = {}) => ({
    ...{ address: bed.ground.servers.address, protocol_port: port, subnet_id: bed.ground.subnet_id, ...more },
  })
  const pending = { loadbalancers: 'PENDING_UPDATE', listeners: 'PENDING_UPDATE', pools: 'PENDING_UPDATE' } as const
  const addition = (bed: Bed) => ({ members: [at(bed, 8203, { name: 'third member' })] })
  const refusal = (): Refusal => ({ octavia: 'Policy does not allow this request to be performed.' })
  return [
    {
      ...{ route, does: 'adds to the members, and takes none away', query: 'additive_only=true', status: 202 },
      body: addition,
      locks: { ...pending, 'third member': 'PENDING_CREATE' },
      effect: bed => bed.answeredBy('a', 'b', 'c'),
    },
    {
      ...{ route, does: 'replaces the members', status: 202 },
      body: bed => ({ members: [at(bed, 8201, { weight: 5 }), at(bed, 8202)] }),
      locks: { ...pending, members: 'PENDING_UPDATE', 'third member': 'PENDING_DELETE' },
      effect: bed => bed.answeredBy('a', 'b'),
    },
    {
      route: 'GET /v2.0/lbaas/pools/{pool_id}/members',
      ...{ does: 'are those of the batch, and the same as before', query: 'fields=id&fields=weight', status: 200 },
      answer: bed => ({
        members: [
          { id: bed.ids.members, weight: 5 },
          { id: bed.ids['second member'], weight: 1 },
        ],
        members_links: [],
      }),
    },
    {
      ...{ route, does: 'is refused the same address twice', status: 409 },
      body: bed => ({ members: [at(bed, 8204), at(bed, 8204)] }),
      refusal: bed => ({
        octavia: `Another member on this pool is already using ip ${bed.ground.servers.address} on protocol_port 8204`,
      }),
    },
    {
      ...{ route, does: 'is refused a wrong weight', status: 400 },
      body: bed => ({ members: [at(bed, 8204, { weight: -1 })] }),
      refusal: () => ({ octavia: /^Invalid input for field\/attribute weight\. Value: '-1'\. / }),
    },
    {
      ...{ route, does: 'needs a pool', status: 404, at: { pools: unknown_id } },
      body: addition,
      refusal: () => ({ octavia: `Pool ${unknown_id} not found.` }),
    },
    { route, does: "is another project's", as: 'stranger', status: 403, body: addition, refusal },
    { route, does: 'is not for those who may only read', as: 'reader', status: 403, body: addition, refusal },
  ]
}

/** A listener that brings along all that belongs to it, which only Octavia knows; it is answered whole. */
export function whole({ listener, pool }: Of): Cell[] {
  const kept = (name: string) => (bed: Bed) => ({ [`${name}s`]: bed.ids[`whole ${name}`]! })
  const rule = { type: 'PATH', compare_type: 'STARTS_WITH', value: '/private' }
  const said = (bed: Bed): Fields => ({
    ...{ loadbalancer_id: bed.ids.loadbalancers, protocol: 'HTTP', protocol_port: 82 },
    default_pool: {
      ...{ name: 'whole', protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' },
      members: [{ address: bed.ground.servers.address, protocol_port: 8203, subnet_id: bed.ground.subnet_id }],
      healthmonitor: { type: 'TCP', delay: 1, timeout: 1, max_retries: 1 },
    },
    l7policies: [{ action: 'REJECT', rules: [rule] }],
  })
  const answer = (bed: Bed) => ({
    listener: {
      ...newObjects.listeners!(bed),
      ...{ protocol: 'HTTP', protocol_port: 82, default_pool_id: uuid },
      l7policies: [
        {
          ...{ ...newObjects.l7policies!(bed), listener_id: uuid, action: 'REJECT' },
          rules: [{ ...newObjects.rules!(bed), ...rule }],
        },
      ],
    },
  })
  return [
    {
      ...{ route: `POST ${paths(listener).all}`, does: 'is made whole', status: 201, keeps: 'whole listener' },
      ...{ body: bed => ({ listener: said(bed) }), answer },
      effect: async (bed, { listener: made }) => {
        bed.ids['whole pool'] = String((made as Fields).default_pool_id)
        await bed.applied()
        await bed.tells(200, ':82/')
        await bed.tells(403, ':82/private')
      },
    },
    {
      ...{
        route: `GET ${paths(pool).one}`,
        does: 'is shown as the listener brought it',
        status: 200,
        at: kept('pool'),
      },
      query: 'fields=name&fields=members&fields=healthmonitor_id',
      answer: () => ({ pool: { name: 'whole', members: [{ id: uuid }], healthmonitor_id: uuid } }),
    },
    { route: `DELETE ${paths(listener).one}`, does: 'goes again', status: 204, at: kept('listener') },
    {
      ...{ route: `DELETE ${paths(pool).one}`, does: 'goes with its members', status: 204, at: kept('pool') },
      effect: bed => bed.applied(),
    },
  ]
}

/** A load balancer is not deleted under its children, unless Octavia is told to; then all of it goes, and nobody answers. */
export function ends(of: Of, dialect: Dialect): Cell[] {
  const { loadbalancer, listener, pool } = of
  const route = `DELETE ${paths(loadbalancer).one}`
  const left = (declared: Declared): Cell => ({
    ...{ route: `DELETE ${paths(declared).one}`, does: 'second one is deleted', status: 204 },
    at: bed => ({ [declared.collection]: bed.ids[`second ${declared.singular}`]! }),
    effect: bed => bed.applied(),
  })
  const gone = (bed: Bed): Refusal => ({
    octavia: `Invalid state PENDING_DELETE of loadbalancer resource ${bed.ids.loadbalancers}`,
    neutron: ['StateInvalid', `Invalid state PENDING_DELETE of loadbalancer resource ${bed.ids.loadbalancers}`],
  })
  const immutable = (bed: Bed): Refusal => ({
    ...gone(bed),
    octavia: `Load Balancer ${bed.ids.loadbalancers} is immutable and cannot be updated.`,
  })
  return [
    {
      ...{ route, does: 'is not deleted under its children', status: dialect === 'octavia' ? 400 : 409 },
      refusal: bed => ({
        octavia: `Validation failure: Cannot delete Load Balancer ${bed.ids.loadbalancers} - it has children`,
        neutron: ['EntityInUse', `listener ${bed.ids['second listener']} is using this loadbalancer`],
      }),
    },
    ...(dialect === 'neutron' ? [left(listener), left(pool)] : []),
    {
      ...{ route, does: 'is deleted with all that it has', status: 204 },
      ...(dialect === 'octavia' ? { query: 'cascade=true' } : {}),
      locks: {
        loadbalancers: 'PENDING_DELETE',
        ...(dialect === 'octavia' ? { 'second listener': 'PENDING_DELETE', 'second pool': 'PENDING_DELETE' } : {}),
      },
      meanwhile: [
        {
          ...{ route: `GET ${paths(loadbalancer).one}`, does: 'is shown while it goes', status: 200 },
          answer: bed => ({ loadbalancer: { ...going(bed), provisioning_status: 'PENDING_DELETE' } }),
        },
        {
          ...{ route: `PUT ${paths(loadbalancer).one}`, does: 'is not changed while it goes', status: 409 },
          ...{ body: () => ({ loadbalancer: { name: 'x' } }), refusal: immutable },
        },
        {
          ...{ route: `POST ${paths(listener).all}`, does: 'is not made on what goes', status: 409 },
          ...{ body: bed => ({ listener: listener.create.body(bed) }), refusal: immutable },
        },
        { route, does: 'is not deleted twice', status: 409, refusal: gone },
      ],
      effect: bed => bed.tells(0),
    },
    {
      ...{ route: `GET ${paths(loadbalancer).one}`, does: 'is gone', status: 404 },
      refusal: bed => loadbalancer.notFound(bed, bed.ids.loadbalancers!),
    },
  ]
}

function going(bed: Bed): Fields {
  const left = bed.dialect === 'octavia'
  return {
    ...settled(bed.known.loadbalancers!),
    listeners: left ? [{ id: bed.ids['second listener'] }] : [],
    pools: left ? [{ id: bed.ids['second pool'] }] : [],
  }
}
