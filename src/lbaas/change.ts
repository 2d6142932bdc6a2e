/** The frame of every change: (tree, request, terms) to the intended tree, or Rejected. */
import { amphora } from './amphora.ts'
import type { ZoneData } from './availability-zone.ts'
import { createListener, createLoadBalancer, createMember, createMonitor, createPool } from './creation.ts'
import { Rejected } from './errors.ts'
import type { FlavorData } from './flavor.ts'
import {
  checkMonitor,
  completedMonitor,
  type HealthMonitorPost,
  type HealthMonitorPut,
  healthMonitor,
} from './health-monitor.ts'
import { checkListener, type ListenerPost, type ListenerPut, listener } from './listener.ts'
import type { LoadBalancerPost, LoadBalancerPut, Topology, Vip } from './load-balancer.ts'
import { checkMember, type MemberPost, type MemberPut, type MemberSubnet, member } from './member.ts'
import { checkPool, type PoolPost, type PoolPut, pool } from './pool.ts'
import { type Link, type Locking, refuseLocked } from './provisioning.ts'
import { found, link, replaced, root, touch, touchPool } from './touch.ts'
import { leaving, listenerOf, memberOf, membersOf, monitorOf, poolOf, type Tree, type TreeObject } from './tree.ts'

/** What a request asks for, its fields checked against the declaration and defaults filled in. */
export type Request =
  | CreateLoadBalancer
  | { verb: 'create'; resource: 'listener'; fields: ListenerPost }
  | { verb: 'create'; resource: 'pool'; fields: PoolPost }
  | { verb: 'create'; resource: 'member'; pool_id: string; fields: MemberPost; subnet: MemberSubnet | null }
  | { verb: 'create'; resource: 'health_monitor'; fields: HealthMonitorPost }
  | { verb: 'update'; resource: 'load_balancer'; id: string; fields: LoadBalancerPut }
  | { verb: 'update'; resource: 'listener'; id: string; fields: ListenerPut }
  | { verb: 'update'; resource: 'pool'; id: string; fields: PoolPut }
  | { verb: 'update'; resource: 'member'; pool_id: string; id: string; fields: MemberPut }
  | { verb: 'update'; resource: 'health_monitor'; id: string; fields: HealthMonitorPut }
  | { verb: 'delete'; resource: 'load_balancer'; id: string; cascade: boolean }
  | { verb: 'delete'; resource: 'listener' | 'pool' | 'health_monitor'; id: string }
  | { verb: 'delete'; resource: 'member'; pool_id: string; id: string }
  /** Of all amphorae of a load balancer, or of one. */
  | { verb: 'failover'; resource: 'load_balancer' | 'amphora'; id: string }

/** `flavor` and `zone` are what the chosen ones say; `topology` is the deployment's where the flavor says nothing of it. */
export type CreateLoadBalancer = {
  verb: 'create'
  resource: 'load_balancer'
  fields: LoadBalancerPost
  vip: Vip
  topology: Topology
  flavor?: FlavorData
  zone?: ZoneData
}

/** What a change is told instead of looking it up. */
export type Terms = {
  /** The instant that new stamps carry. */
  now: string
  /** The id that a created object gets. */
  id: string
  locking: Locking
  reserved_ips: readonly string[]
  /** May members be asked by an echo (PING)? */
  ping_allowed: boolean
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
    if (request.resource === 'member') return createMember(tree, next, request, terms)
    return createMonitor(tree, next, request.fields, terms)
  }
  const links = linksTo(tree, request)
  refuseLocked(links, request.verb, terms.locking)
  if (request.verb === 'delete') return remove(tree, next, request)
  if (request.verb === 'failover') return failOver(next, request)
  return update(next, request, terms)
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
    case 'health_monitor': {
      const row = completedMonitor(written(monitorOf(next, request.id)!, request.fields))
      const changed = touchPool({ ...next, health_monitors: replaced(next.health_monitors, row) }, row.pool_id)
      checkMonitor(changed, row, true) // a type that was allowed once stays
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
        health_monitors: next.health_monitors.map(gone),
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
        health_monitors: touched.health_monitors.map(one => (one.pool_id === id ? gone(one) : one)),
      }
    }
    case 'member':
      return touchPool({ ...next, members: replaced(next.members, gone(memberOf(next, request.id)!)) }, request.pool_id)
    case 'health_monitor': {
      const row = gone(monitorOf(next, request.id)!)
      return touchPool({ ...next, health_monitors: replaced(next.health_monitors, row) }, row.pool_id)
    }
  }
}

/** The amphorae are to be replaced, each when it is its turn; until then they serve on. */
function failOver(next: Tree, { resource, id }: Extract<Request, { verb: 'failover' }>): Tree {
  const meant = next.amphorae.filter(one => resource === 'load_balancer' || one.id === id)
  if (resource === 'amphora' && meant.length === 0) throw new Rejected('not_found', { resource: amphora.title, id })
  const going = (status: string) => status === 'PENDING_DELETE' || status === 'DELETED'
  const amphorae = next.amphorae.map(one =>
    meant.includes(one) && !going(one.status) ? { ...one, replace: true } : one,
  )
  return { ...next, amphorae }
}

function linksTo(tree: Tree, request: Exclude<Request, { verb: 'create' }>): Link[] {
  switch (request.resource) {
    case 'load_balancer':
    case 'amphora':
      return [root(tree)]
    case 'listener':
      return [root(tree), link(listener.title, found(listenerOf(tree, request.id), listener.title, request.id))]
    case 'pool':
      return [root(tree), link(pool.title, found(poolOf(tree, request.id), pool.title, request.id))]
    case 'health_monitor': {
      const row = found(monitorOf(tree, request.id), healthMonitor.title, request.id)
      const parent = found(poolOf(tree, row.pool_id), pool.title, row.pool_id)
      return [root(tree), link(pool.title, parent), link(healthMonitor.title, row)]
    }
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
