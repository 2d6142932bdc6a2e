/** Creations: the tree with a new object in it. */

import type { CreateLoadBalancer, Request, Terms } from './change.ts'
import { Rejected } from './errors.ts'
import { checkMonitor, completedMonitor, type HealthMonitorPost, isMonitored } from './health-monitor.ts'
import { checkPolicy, completedPolicy, type L7Policy, type L7PolicyPost } from './l7-policy.ts'
import { checkRule, type L7Rule } from './l7-rule.ts'
import { checkListener, freePeerPort, type Listener, type ListenerPost } from './listener.ts'
import { type LoadBalancer, refuseWithoutVip } from './load-balancer.ts'
import { checkMember, type Member, memberWarning } from './member.ts'
import { initialOperating } from './operating.ts'
import { checkPool, type Pool, type PoolPost } from './pool.ts'
import { refuseLocked } from './provisioning.ts'
import type { ChildResource, TreeResource } from './resource.ts'
import { completedTls, terminates } from './tls.ts'
import { linksTo, placePolicy, replaced, root, touch, touchPolicy, touchPool } from './touch.ts'
import { listenerOf, type Tree } from './tree.ts'

export function createLoadBalancer(
  { fields, vip, topology, flavor = {}, zone = {} }: CreateLoadBalancer,
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
    topology: flavor.loadbalancer_topology ?? topology,
    compute_flavor: flavor.compute_flavor ?? null,
    amp_image_tag: flavor.amp_image_tag ?? null,
    unit: flavor.unit ?? null,
    additional_vips: vip.additional.map(({ subnet_id, address }) => {
      return { subnet_id, ip_address: address, port_id: vip.port_id }
    }),
    vip_vnic_type: flavor.sriov_vip ? 'direct' : 'normal',
    allow_member_sriov: flavor.allow_member_sriov ?? false,
    vip_port_settings: null,
    vip_subnets: Object.fromEntries(
      vip.additional.map(({ subnet_id, cidr, gateway }) => [subnet_id, { cidr, gateway }]),
    ),
    compute_zone: zone.compute_zone ?? null,
    management_network: zone.management_network ?? null,
    vip_subnet_cidr: vip.subnet_cidr,
    vip_gateway: vip.gateway,
    security_group_id: null,
    security_group_rules: null,
    late_effects_until: null,
    server_group_id: null,
    vrrp_group: null,
    gone: [],
  }
  return {
    load_balancer,
    listeners: [],
    pools: [],
    members: [],
    health_monitors: [],
    l7policies: [],
    l7rules: [],
    amphorae: [],
  }
}

/** `next` is the tree with its root touched; `tree` how it was. */
export function createChild(
  tree: Tree,
  next: Tree,
  request: Exclude<Extract<Request, { verb: 'create' }>, CreateLoadBalancer>,
  terms: Terms,
): Tree {
  switch (request.resource) {
    case 'listener':
      return createListener(tree, next, request.fields, terms)
    case 'pool':
      return createPool(tree, next, request.fields, terms)
    case 'member':
      return createMember(tree, next, request, terms)
    case 'health_monitor':
      return createMonitor(tree, next, request.fields, terms)
    case 'l7policy':
      return createPolicy(tree, next, request.fields, terms)
    case 'l7rule':
      return createRule(tree, next, request, terms)
  }
}

function createListener(tree: Tree, next: Tree, fields: ListenerPost, terms: Terms): Tree {
  refuseLocked([root(tree)], 'create', terms.locking)
  const row: Listener = {
    ...completedTls(fields, terminates(fields), terms.tls.listener),
    ...born('listener', terms, next.load_balancer.generation),
    load_balancer_id: tree.load_balancer.id,
    peer_port: freePeerPort(tree),
    tls_files: {},
    serving: null,
  }
  const made = { ...next, listeners: [...next.listeners, row] }
  checkListener(made, row, terms.tls)
  return made
}

function createPool(tree: Tree, next: Tree, { listener_id, ...fields }: PoolPost, terms: Terms): Tree {
  const user = listener_id === null ? null : listenerOf(tree, listener_id)
  if (listener_id !== null && !user) throw new Rejected('parents_differ', {})
  refuseLocked(user ? linksTo(tree, 'listener', user.id) : [root(tree)], 'create', terms.locking)
  const generation = next.load_balancer.generation
  const row: Pool = {
    ...completedTls(fields, fields.tls_enabled, terms.tls.pool),
    ...born('pool', terms, generation),
    load_balancer_id: tree.load_balancer.id,
    tls_files: {},
  }
  checkPool(row, terms.tls)
  const made = { ...next, pools: [...next.pools, row] }
  if (!user) return made
  if (user.default_pool_id !== null)
    throw new Rejected('listener_has_pool', { listener_id: user.id, pool_id: user.default_pool_id })
  const using: Listener = { ...touch(user, generation), default_pool_id: row.id, updated_at: terms.now }
  const used = { ...made, listeners: replaced(made.listeners, using) }
  checkListener(used, using, terms.tls)
  return used
}

type CreateOf<R extends ChildResource> = Extract<Request, { verb: 'create'; resource: R }>

function createMember(tree: Tree, next: Tree, { parent_id, fields, subnet }: CreateOf<'member'>, terms: Terms): Tree {
  refuseLocked(linksTo(tree, 'pool', parent_id), 'create', terms.locking)
  const { request_sriov, ...kept } = fields
  if (request_sriov && !tree.load_balancer.allow_member_sriov) throw new Rejected('member_sriov', {})
  const row: Member = {
    ...kept,
    vnic_type: request_sriov ? 'direct' : 'normal',
    ...born('member', terms, next.load_balancer.generation),
    pool_id: parent_id,
    operating_status: isMonitored(next, parent_id) ? 'OFFLINE' : 'NO_MONITOR',
    network_id: subnet?.network_id ?? null,
    subnet_cidr: subnet?.cidr ?? null,
  }
  row.reason = memberWarning(row)
  const made = touchPool({ ...next, members: [...next.members, row] }, parent_id)
  checkMember(made, row, terms.reserved_ips)
  return made
}

function createMonitor(tree: Tree, next: Tree, fields: HealthMonitorPost, terms: Terms): Tree {
  const { pool_id } = fields
  refuseLocked(linksTo(tree, 'pool', pool_id), 'create', terms.locking)
  const row = completedMonitor({ ...fields, ...born('health_monitor', terms, next.load_balancer.generation) })
  const made = touchPool({ ...next, health_monitors: [...next.health_monitors, row] }, pool_id)
  checkMonitor(made, row, terms.ping_allowed)
  return made
}

function createPolicy(tree: Tree, next: Tree, fields: L7PolicyPost, terms: Terms): Tree {
  const { listener_id } = fields
  refuseLocked(linksTo(tree, 'listener', listener_id), 'create', terms.locking)
  const born_now = born('l7policy', terms, next.load_balancer.generation)
  const row: L7Policy = completedPolicy({ ...fields, ...born_now }, fields)
  const made = placePolicy(next, row)
  checkPolicy(made, row)
  return made
}

function createRule(tree: Tree, next: Tree, { parent_id, fields }: CreateOf<'l7rule'>, terms: Terms): Tree {
  refuseLocked(linksTo(tree, 'l7policy', parent_id), 'create', terms.locking)
  const row: L7Rule = {
    ...fields,
    ...born('l7rule', terms, next.load_balancer.generation),
    l7policy_id: parent_id,
  }
  const made = touchPolicy({ ...next, l7rules: [...next.l7rules, row] }, parent_id)
  checkRule(made, row)
  return made
}

function born(resource: TreeResource, terms: Terms, generation: number) {
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
