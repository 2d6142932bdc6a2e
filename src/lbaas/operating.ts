/** Operating statuses: what an object starts with, what settling makes of it, and the tree of both statuses. */
import { isMonitored } from './health-monitor.ts'
import type { OperatingStatus, TreeResource } from './resource.ts'
import { isMember, leaving, listenersUsing, membersOf, poolsUsed, type Tree, type TreeObject } from './tree.ts'

/** What an object has before anything was heard of it. A member that nobody monitors never has more. */
export function initialOperating(resource: TreeResource): OperatingStatus {
  return resource === 'member' ? 'NO_MONITOR' : 'OFFLINE'
}

/** What an object of the tree has when its configuration has been applied and no amphora has said otherwise: an object
 *  that is up and was not yet heard of counts as ONLINE, one that is down as OFFLINE. What a monitor once said of a
 *  member does not outlive it. An object that was ACTIVE before keeps what amphorae reported of it: settling and folding
 *  would else write in turns. */
export function settledOperating(tree: Tree, object: TreeObject): OperatingStatus {
  if (!object.admin_state_up) return 'OFFLINE'
  if (isMember(object)) {
    if (isMonitored(tree, object.pool_id) || object.operating_status === 'DRAINING') return object.operating_status
    return 'NO_MONITOR'
  }
  if (object.provisioning_status === 'ACTIVE' || object.operating_status !== 'OFFLINE') return object.operating_status
  return isRun(tree, object) ? 'ONLINE' : 'OFFLINE'
}

/** Is it in a configuration that runs? A pool is there for the listeners that use it. */
function isRun(tree: Tree, object: TreeObject): boolean {
  if (!('lb_algorithm' in object)) return true
  return listenersUsing(tree, object.id).some(listener => listener.admin_state_up && !leaving(listener))
}

/** An object's place in the tree of statuses, as both dialects show it; `reason` only where there is one. */
export type StatusNode = {
  id: string
  name: string
  provisioning_status: string
  operating_status: string
  reason?: string
  address?: string
  protocol_port?: number
  listeners?: StatusNode[]
  l7policies?: StatusNode[]
  rules?: StatusNode[]
  pools?: StatusNode[]
  members?: StatusNode[]
  /** Of a monitor or rule. */
  type?: string
  health_monitor?: StatusNode
}

/** The load balancer's statuses with its listeners, their pools and the pools' members; `pools` of the load balancer
 *  itself lists all of them, used or not. */
export function statusTree(tree: Tree): StatusNode {
  const poolNode = (pool: Tree['pools'][number]): StatusNode => ({
    ...node(pool),
    ...monitorNode(tree, pool.id),
    members: membersOf(tree, pool.id).map(member => ({
      ...node(member),
      address: member.address,
      protocol_port: member.protocol_port,
    })),
  })
  return {
    ...node(tree.load_balancer),
    listeners: tree.listeners.map(listener => ({
      ...node(listener),
      pools: poolsUsed(tree, listener).map(poolNode),
      l7policies: tree.l7policies
        .filter(policy => policy.listener_id === listener.id)
        .map(policy => ({
          ...node(policy),
          rules: tree.l7rules
            .filter(rule => rule.l7policy_id === policy.id)
            .map(rule => ({ ...node({ ...rule, name: '' }), type: rule.type })),
        })),
    })),
    pools: tree.pools.map(poolNode),
  }
}

/** A monitor on its way out is there until another one takes its place. */
function monitorNode(tree: Tree, pool_id: string): Pick<StatusNode, 'health_monitor'> {
  const monitors = tree.health_monitors.filter(one => one.pool_id === pool_id)
  const monitor = monitors.find(one => !leaving(one)) ?? monitors[0]
  return monitor ? { health_monitor: { ...node(monitor), type: monitor.type } } : {}
}

function node(object: Omit<StatusNode, 'reason'> & { reason: string | null }): StatusNode {
  const { id, name, provisioning_status, operating_status, reason } = object
  return { id, name, provisioning_status, operating_status, ...(reason === null ? {} : { reason }) }
}
