/** The frame of every change: (tree, request, terms) to the intended tree, or Rejected. */
import { Rejected } from './errors.ts'
import {
  checkListener,
  freePeerPort,
  type Listener,
  type ListenerPost,
  type ListenerPut,
  listener,
} from './listener.ts'
import {
  type LoadBalancer,
  type LoadBalancerPost,
  type LoadBalancerPut,
  loadBalancer,
  refuseWithoutVip,
  type Topology,
  type Vip,
} from './load-balancer.ts'
import {
  checkMember,
  type Member,
  type MemberPost,
  type MemberPut,
  type MemberSubnet,
  member,
  memberWarning,
} from './member.ts'
import { initialOperating } from './operating.ts'
import { checkPool, type Pool, type PoolPost, type PoolPut, pool } from './pool.ts'
import { type Link, type Locking, pendingAfter, refuseLocked } from './provisioning.ts'
import { leaving, listenerOf, listenersUsing, memberOf, membersOf, poolOf, type Tree, type TreeObject } from './tree.ts'

/** What a request asks for, its fields checked against the declaration and defaults filled in. */
export type Request =
  | { verb: 'create'; resource: 'load_balancer'; fields: LoadBalancerPost; vip: Vip; topology: Topology }
  | { verb: 'create'; resource: 'listener'; fields: ListenerPost }
  | { verb: 'create'; resource: 'pool'; fields: PoolPost }
  | { verb: 'create'; resource: 'member'; pool_id: string; fields: MemberPost; subnet: MemberSubnet | null }
  | { verb: 'update'; resource: 'load_balancer'; id: string; fields: LoadBalancerPut }
  | { verb: 'update'; resource: 'listener'; id: string; fields: ListenerPut }
  | { verb: 'update'; resource: 'pool'; id: string; fields: PoolPut }
  | { verb: 'update'; resource: 'member'; pool_id: string; id: string; fields: MemberPut }
  | { verb: 'delete'; resource: 'load_balancer'; id: string; cascade: boolean }
  | { verb: 'delete'; resource: 'listener' | 'pool'; id: string }
  | { verb: 'delete'; resource: 'member'; pool_id: string; id: string }

/** What a change is told instead of looking it up. */
export type Terms = {
  /** The instant that new stamps carry. */
  now: string
  /** The id that a created object gets. */
  id: string
  locking: Locking
  reserved_ips: readonly string[]
}

/** The tree as the request wants it: its generation raised, every object that the change touches stamped with it and
 *  pending. `tree` is null for the create of a load balancer only. Throws Rejected. */
export function change(tree: Tree | null, request: Request, terms: Terms): Tree {
  if (request.verb === 'create' && request.resource === 'load_balancer') return createLoadBalancer(request, terms)
  if (tree === null) throw new Error('only a load balancer is created without a tree')
  const next = { ...tree, load_balancer: touch(tree.load_balancer, tree.load_balancer.generation + 1) }
  if (request.verb === 'create') {
    if (request.resource === 'listener') return createListener(tree, next, request.fields, terms)
    if (request.resource === 'pool') return createPool(tree, next, request.fields, terms)
    return createMember(tree, next, request, terms)
  }
  const links = linksTo(tree, request)
  refuseLocked(links, request.verb, terms.locking)
  if (request.verb === 'delete') return remove(tree, next, request)
  return update(next, request, terms)
}

function createLoadBalancer(
  { fields, vip, topology }: Extract<Request, { verb: 'create'; resource: 'load_balancer' }>,
  terms: Terms,
): Tree {
  refuseWithoutVip(fields)
  const load_balancer: LoadBalancer = {
    ...fields,
    ...born('load_balancer', terms, 1),
    vip_address: vip.address,
    vip_port_id: vip.port_id,
    vip_subnet_id: vip.subnet_id,
    vip_network_id: vip.network_id,
    vip_port_owned: vip.owned,
    flavor_id: null,
    availability_zone: null,
    topology,
    vip_subnet_cidr: vip.subnet_cidr,
    vip_gateway: vip.gateway,
    security_group_id: null,
    security_group_rules: null,
    late_effects_until: null,
    server_group_id: null,
    vrrp_group: null,
    gone: [],
  }
  return { load_balancer, listeners: [], pools: [], members: [], amphorae: [] }
}

function createListener(tree: Tree, next: Tree, fields: ListenerPost, terms: Terms): Tree {
  refuseLocked([root(tree)], 'create', terms.locking)
  const row: Listener = {
    ...fields,
    ...born('listener', terms, next.load_balancer.generation),
    load_balancer_id: tree.load_balancer.id,
    peer_port: freePeerPort(tree),
    serving: null,
  }
  const made = { ...next, listeners: [...next.listeners, row] }
  checkListener(made, row)
  return made
}

function createPool(tree: Tree, next: Tree, { listener_id, ...fields }: PoolPost, terms: Terms): Tree {
  const user = listener_id === null ? null : listenerOf(tree, listener_id)
  if (listener_id !== null && !user) throw new Rejected('parents_differ', {})
  refuseLocked(user ? [root(tree), link(listener.title, user)] : [root(tree)], 'create', terms.locking)
  const generation = next.load_balancer.generation
  const row: Pool = { ...fields, ...born('pool', terms, generation), load_balancer_id: tree.load_balancer.id }
  checkPool(row)
  const made = { ...next, pools: [...next.pools, row] }
  if (!user) return made
  if (user.default_pool_id !== null)
    throw new Rejected('listener_has_pool', { listener_id: user.id, pool_id: user.default_pool_id })
  const using: Listener = { ...touch(user, generation), default_pool_id: row.id, updated_at: terms.now }
  const used = { ...made, listeners: replaced(made.listeners, using) }
  checkListener(used, using)
  return used
}

function createMember(
  tree: Tree,
  next: Tree,
  { pool_id, fields, subnet }: Extract<Request, { verb: 'create'; resource: 'member' }>,
  terms: Terms,
): Tree {
  const parent = found(poolOf(tree, pool_id), pool.title, pool_id)
  refuseLocked([root(tree), link(pool.title, parent)], 'create', terms.locking)
  const row: Member = {
    ...fields,
    ...born('member', terms, next.load_balancer.generation),
    pool_id,
    network_id: subnet?.network_id ?? null,
    subnet_cidr: subnet?.cidr ?? null,
  }
  row.reason = memberWarning(row)
  const made = touchPool({ ...next, members: [...next.members, row] }, pool_id)
  checkMember(made, row, terms.reserved_ips)
  return made
}

function update(next: Tree, request: Extract<Request, { verb: 'update' }>, terms: Terms): Tree {
  const generation = next.load_balancer.generation
  const written = <T extends TreeObject>(row: T, fields: Partial<T>): T => ({
    ...touch(row, generation),
    ...fields,
    updated_at: terms.now,
  })
  switch (request.resource) {
    case 'load_balancer':
      return { ...next, load_balancer: written(next.load_balancer, request.fields) }
    case 'listener': {
      const row = written(listenerOf(next, request.id)!, request.fields)
      const changed = { ...next, listeners: replaced(next.listeners, row) }
      checkListener(changed, row)
      return changed
    }
    case 'pool': {
      const row = written(poolOf(next, request.id)!, request.fields)
      checkPool(row)
      return touchPool({ ...next, pools: replaced(next.pools, row) }, row.id)
    }
    case 'member': {
      const row = written(memberOf(next, request.id)!, request.fields)
      const changed = touchPool({ ...next, members: replaced(next.members, row) }, row.pool_id)
      checkMember(changed, row, terms.reserved_ips)
      return changed
    }
  }
}

function remove(tree: Tree, next: Tree, request: Extract<Request, { verb: 'delete' }>): Tree {
  const generation = next.load_balancer.generation
  const gone = <T extends TreeObject>(object: T): T => ({
    ...object,
    generation,
    provisioning_status: 'PENDING_DELETE',
  })
  switch (request.resource) {
    case 'load_balancer': {
      if (!request.cascade) refuseChildren(tree)
      return {
        ...next,
        load_balancer: gone(next.load_balancer),
        listeners: next.listeners.map(one => ({ ...gone(one), default_pool_id: null })),
        pools: next.pools.map(gone),
        members: next.members.map(gone),
      }
    }
    case 'listener':
      return { ...next, listeners: replaced(next.listeners, gone(listenerOf(next, request.id)!)) }
    case 'pool': {
      const { id } = request
      const touched = touchPool(next, id)
      return {
        ...touched,
        // The listeners let go of it at once, so that they can be given another one before it is gone.
        listeners: touched.listeners.map(one => (one.default_pool_id === id ? { ...one, default_pool_id: null } : one)),
        pools: replaced(touched.pools, gone(poolOf(next, id)!)),
        members: touched.members.map(one => (one.pool_id === id ? gone(one) : one)),
      }
    }
    case 'member':
      return touchPool({ ...next, members: replaced(next.members, gone(memberOf(next, request.id)!)) }, request.pool_id)
  }
}

/** The pool, and the listeners that use it, are written anew with the tree. */
function touchPool(next: Tree, pool_id: string): Tree {
  const generation = next.load_balancer.generation
  const using = new Set(listenersUsing(next, pool_id).map(one => one.id))
  return {
    ...next,
    pools: next.pools.map(one => (one.id === pool_id ? touch(one, generation) : one)),
    listeners: next.listeners.map(one => (using.has(one.id) ? touch(one, generation) : one)),
  }
}

function touch<T extends TreeObject>(object: T, generation: number): T {
  if (leaving(object)) return object
  const reason = 'pool_id' in object ? memberWarning(object) : null
  return { ...object, generation, reason, provisioning_status: pendingAfter(object.provisioning_status) }
}

function linksTo(tree: Tree, request: Exclude<Request, { verb: 'create' }>): Link[] {
  switch (request.resource) {
    case 'load_balancer':
      return [root(tree)]
    case 'listener':
      return [root(tree), link(listener.title, found(listenerOf(tree, request.id), listener.title, request.id))]
    case 'pool':
      return [root(tree), link(pool.title, found(poolOf(tree, request.id), pool.title, request.id))]
    case 'member': {
      const { pool_id, id } = request
      const parent = found(poolOf(tree, pool_id), pool.title, pool_id)
      const row = membersOf(tree, pool_id).find(one => one.id === id)
      if (!row) throw new Rejected('member_not_found', { id, pool_id })
      return [root(tree), link(pool.title, parent), link(member.title, row)]
    }
  }
}

function refuseChildren(tree: Tree): void {
  const { id } = tree.load_balancer
  const user = tree.listeners.find(one => !leaving(one))
  if (user) throw new Rejected('has_children', { id, using: listener.title, using_id: user.id })
  const used = tree.pools.find(one => !leaving(one))
  if (used) throw new Rejected('has_children', { id, using: pool.title, using_id: used.id })
}

function born(resource: 'load_balancer' | 'listener' | 'pool' | 'member', terms: Terms, generation: number) {
  return {
    id: terms.id,
    provisioning_status: 'PENDING_CREATE',
    operating_status: initialOperating(resource),
    created_at: terms.now,
    updated_at: null,
    generation,
    reason: null,
  } as const
}

function root(tree: Tree): Link {
  return { title: loadBalancer.title, object: tree.load_balancer }
}

function link(title: string, object: TreeObject): Link {
  return { title, object }
}

function found<T>(object: T | null, resource: string, id: string): T {
  if (object === null) throw new Rejected('not_found', { resource, id })
  return object
}

function replaced<T extends { id: string }>(objects: T[], object: T): T[] {
  return objects.map(one => (one.id === object.id ? object : one))
}
