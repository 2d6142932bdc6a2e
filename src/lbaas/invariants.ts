/** What is true of every tree; asserted before a commit and after a load. */
import { transport } from './listener.ts'
import { childrenOf, leaving, type Tree, type TreeObject } from './tree.ts'

/** Throws a defect that names every broken invariant. A tenant's request can never cause one: rules refuse it first. */
export function assertInvariants(tree: Tree): void {
  const broken = brokenInvariants(tree)
  if (broken.length) throw new Error(`load balancer ${tree.load_balancer.id}: ${broken.join('; ')}`)
}

/** The broken invariants, in words. */
export function brokenInvariants(tree: Tree): string[] {
  return [...structure(tree), ...uniqueness(tree), ...statuses(tree), ...orphans(tree)]
}

function* structure(tree: Tree): Iterable<string> {
  const { load_balancer } = tree
  for (const object of [...tree.listeners, ...tree.pools])
    if (object.load_balancer_id !== load_balancer.id) yield `${object.id} belongs to another load balancer`
  const pools = new Map(tree.pools.map(pool => [pool.id, pool]))
  for (const listener of tree.listeners)
    if (listener.default_pool_id !== null && !pools.has(listener.default_pool_id))
      yield `listener ${listener.id} uses a pool that is not there`
  for (const member of tree.members)
    if (!pools.has(member.pool_id)) yield `member ${member.id} is of a pool that is not there`
  for (const monitor of tree.health_monitors)
    if (!pools.has(monitor.pool_id)) yield `health monitor ${monitor.id} is of a pool that is not there`
  const listeners = new Set(tree.listeners.map(listener => listener.id))
  for (const policy of tree.l7policies) {
    if (!listeners.has(policy.listener_id)) yield `L7 policy ${policy.id} is of a listener that is not there`
    if (policy.redirect_pool_id !== null && !pools.has(policy.redirect_pool_id))
      yield `L7 policy ${policy.id} uses a pool that is not there`
  }
  const policies = new Set(tree.l7policies.map(policy => policy.id))
  for (const rule of tree.l7rules)
    if (!policies.has(rule.l7policy_id)) yield `L7 rule ${rule.id} is of a policy that is not there`
  for (const amphora of tree.amphorae)
    if (amphora.load_balancer_id !== load_balancer.id) yield `amphora ${amphora.id} serves another load balancer`
  if (load_balancer.vip_address === null || load_balancer.vip_port_id === null) yield 'there is no VIP'
}

function* uniqueness(tree: Tree): Iterable<string> {
  const staying = <T extends TreeObject>(objects: T[]) => objects.filter(object => !leaving(object))
  const ids = [tree.load_balancer, ...childrenOf(tree), ...tree.amphorae].map(o => o.id)
  yield* repeated('id', ids)
  yield* repeated(
    'listener port',
    staying(tree.listeners).map(l => `${transport(l.protocol)} ${l.protocol_port}`),
  )
  yield* repeated(
    'peer port',
    tree.listeners.map(l => String(l.peer_port)),
  )
  yield* repeated(
    'member',
    staying(tree.members).map(m => `${m.pool_id} ${m.address} ${m.protocol_port} ${m.monitor_port}`),
  )
  yield* repeated(
    'position',
    staying(tree.l7policies).map(p => `${p.listener_id} ${p.position}`),
  )
  yield* repeated(
    'health monitor of pool',
    staying(tree.health_monitors).map(h => h.pool_id),
  )
}

function* statuses(tree: Tree): Iterable<string> {
  const { load_balancer } = tree
  const children = childrenOf(tree)
  for (const object of [load_balancer, ...children]) {
    if (object.generation > load_balancer.generation) yield `${object.id} is newer than its tree`
    if (object.provisioning_status === 'ERROR' && object.reason === null) yield `${object.id} is in ERROR for no reason`
  }
  for (const child of children) {
    if (load_balancer.provisioning_status === 'ACTIVE' && child.provisioning_status.startsWith('PENDING_'))
      yield `${child.id} is pending, and the load balancer ACTIVE`
    if (leaving(load_balancer) && !leaving(child) && child.provisioning_status !== 'ERROR')
      yield `${child.id} stays, and the load balancer goes`
  }
  for (const pool of tree.pools.filter(leaving)) {
    if (tree.listeners.some(l => l.default_pool_id === pool.id)) yield `pool ${pool.id} goes, and is in use`
    if (tree.l7policies.some(p => p.redirect_pool_id === pool.id && !leaving(p)))
      yield `pool ${pool.id} goes, and a policy uses it`
  }
}

/** What belongs to what goes, goes; unless it is stuck. */
function* orphans(tree: Tree): Iterable<string> {
  const going = new Set(
    childrenOf(tree)
      .filter(leaving)
      .map(one => one.id),
  )
  const stays = (one: TreeObject) => !leaving(one) && one.provisioning_status !== 'ERROR'
  for (const one of [...tree.members, ...tree.health_monitors])
    if (going.has(one.pool_id) && stays(one)) yield `pool ${one.pool_id} goes, and ${one.id} of it stays`
  for (const one of tree.l7policies)
    if (going.has(one.listener_id) && stays(one))
      yield `listener ${one.listener_id} goes, and its policy ${one.id} stays`
  for (const one of tree.l7rules)
    if (going.has(one.l7policy_id) && stays(one)) yield `policy ${one.l7policy_id} goes, and its rule ${one.id} stays`
}

function* repeated(what: string, values: string[]): Iterable<string> {
  const seen = new Set<string>()
  for (const value of values) {
    if (seen.has(value)) yield `${what} twice: ${value}`
    seen.add(value)
  }
}
