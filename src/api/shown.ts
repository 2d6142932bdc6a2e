/** Objects of a tree as a dialect shows them: alone, or with all that is below them. */
import type { TreeResource } from '../lbaas/resource.ts'
import { collections, listenersUsing, type Tree } from '../lbaas/tree.ts'
import type { Related, Speech } from './speech.ts'

/** The object, with the ids of what belongs to it. */
export function shownIn(tree: Tree, speech: Speech, resource: TreeResource, id: string): Record<string, unknown> {
  const rows: { id: string }[] = resource === 'load_balancer' ? [tree.load_balancer] : tree[collections[resource]]
  const row = rows.find(one => one.id === id)!
  return speech.showObject(resource, row, relatedIn(tree, resource, id))
}

/** The object with the objects below it in place of their ids, as upstream answers a POST that brought them along. */
export function shownWhole(tree: Tree, speech: Speech, resource: TreeResource, id: string): Record<string, unknown> {
  const all = (of: TreeResource, rows: { id: string }[]) => rows.map(row => shownWhole(tree, speech, of, row.id))
  const object = shownIn(tree, speech, resource, id)
  switch (resource) {
    case 'load_balancer':
      return { ...object, listeners: all('listener', tree.listeners), pools: all('pool', tree.pools) }
    case 'listener': {
      const l7policies = tree.l7policies.filter(one => one.listener_id === id)
      return { ...object, l7policies: all('l7policy', l7policies) }
    }
    case 'l7policy':
      return {
        ...object,
        rules: all(
          'l7rule',
          tree.l7rules.filter(one => one.l7policy_id === id),
        ),
      }
    case 'pool': {
      const [monitor] = tree.health_monitors.filter(one => one.pool_id === id)
      const members = tree.members.filter(one => one.pool_id === id)
      const healthmonitor = monitor ? shownIn(tree, speech, 'health_monitor', monitor.id) : null
      return { ...object, members: all('member', members), healthmonitor }
    }
    default:
      return object
  }
}

function relatedIn(tree: Tree, resource: TreeResource, id: string): Related {
  const ids = (objects: { id: string }[]) => objects.map(one => one.id)
  switch (resource) {
    case 'load_balancer':
      return { listeners: ids(tree.listeners), pools: ids(tree.pools) }
    case 'listener':
      return { l7policies: ids(tree.l7policies.filter(one => one.listener_id === id)) }
    case 'pool':
      return {
        listeners: ids(listenersUsing(tree, id)),
        members: ids(tree.members.filter(one => one.pool_id === id)),
        health_monitors: ids(tree.health_monitors.filter(one => one.pool_id === id)),
      }
    case 'l7policy':
      return { rules: ids(tree.l7rules.filter(one => one.l7policy_id === id)) }
    default:
      return {}
  }
}
