/** Operating statuses: what an object starts with, what settling makes of it, and the tree of both statuses. */
import type { OperatingStatus } from './resource.ts'
import { membersOf, poolsUsed, type Tree, type TreeObject } from './tree.ts'

/** What an object has before anything was heard of it. A member that nobody monitors never has more. */
export function initialOperating(resource: 'load_balancer' | 'listener' | 'pool' | 'member'): OperatingStatus {
  return resource === 'member' ? 'NO_MONITOR' : 'OFFLINE'
}

/** What an object has when its configuration has been applied and no amphora has said otherwise: an object that is up
 *  and was not yet heard of counts as ONLINE, one that is down as OFFLINE. */
export function settledOperating(object: TreeObject): OperatingStatus {
  if (!object.admin_state_up) return 'OFFLINE'
  if ('pool_id' in object) return object.operating_status === 'OFFLINE' ? 'NO_MONITOR' : object.operating_status
  return object.operating_status === 'OFFLINE' ? 'ONLINE' : object.operating_status
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
  pools?: StatusNode[]
  members?: StatusNode[]
}

/** The load balancer's statuses with its listeners, their pools and the pools' members; `pools` of the load balancer
 *  itself lists all of them, used or not. */
export function statusTree(tree: Tree): StatusNode {
  const poolNode = (pool: Tree['pools'][number]): StatusNode => ({
    ...node(pool),
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
    })),
    pools: tree.pools.map(poolNode),
  }
}

function node(object: TreeObject): StatusNode {
  const { id, name, provisioning_status, operating_status, reason } = object
  return { id, name, provisioning_status, operating_status, ...(reason === null ? {} : { reason }) }
}
