/** The frame of every change: (tree, request, terms) to the intended tree, or Rejected. */
import { amphora } from './amphora.ts'
import type { ZoneData } from './availability-zone.ts'
import { createChild, createLoadBalancer } from './creation.ts'
import { Rejected } from './errors.ts'
import type { FlavorData } from './flavor.ts'
import { checkMonitor, completedMonitor, type HealthMonitorPost, type HealthMonitorPut } from './health-monitor.ts'
import { checkPolicy, completedPolicy, type L7PolicyPost, type L7PolicyPut } from './l7-policy.ts'
import { checkRule, type L7RulePost, type L7RulePut } from './l7-rule.ts'
import { checkListener, type ListenerPost, type ListenerPut, listener } from './listener.ts'
import {
  type LoadBalancerPost,
  type LoadBalancerPut,
  refuseForeignCidrs,
  type Topology,
  type Vip,
} from './load-balancer.ts'
import { checkMember, type MemberPost, type MemberPut, type MemberSubnet } from './member.ts'
import { checkPool, type PoolPost, type PoolPut, pool } from './pool.ts'
import { type Locking, refuseLocked } from './provisioning.ts'
import { removed } from './removal.ts'
import type { ChildResource } from './resource.ts'
import { completedTls, type TlsTerms, terminates } from './tls.ts'
import { linksTo, placePolicy, replaced, root, touch, touchPolicy, touchPool } from './touch.ts'
import {
  leaving,
  listenerOf,
  memberOf,
  monitorOf,
  policyOf,
  poolOf,
  ruleOf,
  type Tree,
  type TreeObject,
} from './tree.ts'

/** What a request asks for, its fields checked against the declaration and defaults filled in. `parent_id` is the pool
 *  of a member, the policy of a rule. */
export type Request =
  | CreateLoadBalancer
  | { verb: 'create'; resource: 'listener'; fields: ListenerPost }
  | { verb: 'create'; resource: 'pool'; fields: PoolPost }
  | { verb: 'create'; resource: 'member'; parent_id: string; fields: MemberPost; subnet: MemberSubnet | null }
  | { verb: 'create'; resource: 'health_monitor'; fields: HealthMonitorPost }
  | { verb: 'create'; resource: 'l7policy'; fields: L7PolicyPost }
  | { verb: 'create'; resource: 'l7rule'; parent_id: string; fields: L7RulePost }
  | { verb: 'update'; resource: 'load_balancer'; id: string; fields: LoadBalancerPut }
  | { verb: 'update'; resource: 'listener'; id: string; fields: ListenerPut }
  | { verb: 'update'; resource: 'pool'; id: string; fields: PoolPut }
  | { verb: 'update'; resource: 'member'; parent_id: string; id: string; fields: MemberPut }
  | { verb: 'update'; resource: 'health_monitor'; id: string; fields: HealthMonitorPut }
  | { verb: 'update'; resource: 'l7policy'; id: string; fields: L7PolicyPut }
  | { verb: 'update'; resource: 'l7rule'; parent_id: string; id: string; fields: L7RulePut }
  | { verb: 'delete'; resource: 'load_balancer'; id: string; cascade: boolean }
  | { verb: 'delete'; resource: ChildResource; id: string; parent_id?: string }
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
  tls: TlsTerms
}

/** The tree as the request wants it: its generation raised, every object that the change touches stamped with it and
 *  pending. `tree` is null for the create of a load balancer only. Throws Rejected. */
export function change(tree: Tree | null, request: Request, terms: Terms): Tree {
  if (request.verb === 'create' && request.resource === 'load_balancer') return createLoadBalancer(request, terms)
  if (tree === null) throw new Error('only a load balancer is created without a tree')
  const next = { ...tree, load_balancer: touch(tree.load_balancer, tree.load_balancer.generation + 1) }
  if (request.verb === 'create') return createChild(tree, next, request, terms)
  const links =
    request.resource === 'load_balancer' || request.resource === 'amphora'
      ? [root(tree)]
      : linksTo(tree, request.resource, request.id, 'parent_id' in request ? request.parent_id : undefined)
  refuseLocked(links, request.verb, terms.locking)
  if (request.verb === 'failover') return failOver(next, request)
  if (request.verb === 'update') return update(next, request, terms)
  if (request.resource !== 'load_balancer') return removed(next, request.resource, request.id)
  if (!request.cascade) refuseChildren(tree)
  return removed(next, 'load_balancer', request.id)
}

/** A write of several requests: all or none. The first one finds the tree locked or not; the others are of the same. */
export function changeAll(tree: Tree | null, requests: readonly (Request & { new_id?: string })[], terms: Terms): Tree {
  let next = tree
  for (const [i, request] of requests.entries()) {
    const { new_id: id = terms.id } = request
    next = change(next, request, { ...terms, id, locking: i === 0 ? terms.locking : 'queue' })
  }
  return next!
}

/** How a load balancer with those children would look but for its VIP; throws Rejected if it would be refused. */
export function rehearse(
  root: Omit<CreateLoadBalancer, 'vip'>,
  children: readonly (Request & { new_id?: string })[],
  terms: Terms,
): Tree {
  // As long as the address is not known, nothing can be of the wrong family.
  const vip = { address: null as never, port_id: '', subnet_id: '', network_id: '', subnet_cidr: '', additional: [] }
  return changeAll(null, [{ ...root, vip: { ...vip, gateway: null, owned: true } }, ...children], terms)
}

function update(next: Tree, request: Extract<Request, { verb: 'update' }>, terms: Terms): Tree {
  const generation = next.load_balancer.generation
  const written = <T extends TreeObject>(row: T, fields: Partial<T>): T => ({
    ...touch(row, generation),
    ...fields,
    updated_at: terms.now,
  })
  switch (request.resource) {
    case 'load_balancer': {
      const load_balancer = written(next.load_balancer, request.fields)
      for (const { allowed_cidrs } of next.listeners) refuseForeignCidrs(load_balancer, allowed_cidrs)
      return { ...next, load_balancer }
    }
    case 'listener': {
      const fields = written(listenerOf(next, request.id)!, request.fields)
      const row = completedTls(fields, terminates(fields), terms.tls.listener)
      const changed = { ...next, listeners: replaced(next.listeners, row) }
      checkListener(changed, row, terms.tls)
      return changed
    }
    case 'pool': {
      const fields = written(poolOf(next, request.id)!, request.fields)
      const row = completedTls(fields, fields.tls_enabled, terms.tls.pool)
      checkPool(row, terms.tls)
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
    case 'l7policy': {
      const row = completedPolicy(written(policyOf(next, request.id)!, request.fields), request.fields)
      const changed = placePolicy(next, row)
      checkPolicy(changed, row)
      return changed
    }
    case 'l7rule': {
      const row = written(ruleOf(next, request.id)!, request.fields)
      const changed = touchPolicy({ ...next, l7rules: replaced(next.l7rules, row) }, row.l7policy_id)
      checkRule(changed, row)
      return changed
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

function refuseChildren(tree: Tree): void {
  const { id } = tree.load_balancer
  const user = tree.listeners.find(one => !leaving(one))
  if (user) throw new Rejected('has_children', { id, using: listener.title, using_id: user.id })
  const used = tree.pools.find(one => !leaving(one))
  if (used) throw new Rejected('has_children', { id, using: pool.title, using_id: used.id })
}
