/** What happened to a load balancer, what is left to do, and why: the plan and the journal, in words. */
import { childrenOf, isMember, type Tree } from '../lbaas/tree.ts'
import type { JournalLine } from '../store/journal.ts'
import { type Flow, plan } from './flow.ts'

/** A page for a person. `flows` are those that are due for the tree. */
export function explain<Clients>(tree: Tree, flows: Flow<Clients>[], journal: JournalLine[]): string {
  const lb = tree.load_balancer
  const left = plan(flows, tree)
  const objects = childrenOf(tree).filter(object => object.provisioning_status !== 'ACTIVE' || object.reason !== null)
  return [
    `load balancer ${lb.name || '(no name)'} ${lb.id}`,
    `  ${lb.provisioning_status}, ${lb.operating_status}; VIP ${lb.vip_address}; generation ${lb.generation}`,
    ...(lb.reason ? [`  ${lb.reason}`] : []),
    ...tree.amphorae.map(
      a =>
        `  amphora ${a.id}: ${a.status}${a.role ? ` ${a.role}` : ''}, ${a.network_host ? `on network host ${a.network_host}` : `server ${a.compute_id ?? 'none yet'}`}, ${a.lb_network_ip ?? 'no address yet'}`,
    ),
    ...objects.map(
      o =>
        `  ${kindOf(o)} ${('name' in o && o.name) || o.id}: ${o.provisioning_status}${o.reason ? `: ${o.reason}` : ''}`,
    ),
    '',
    left.length === 0 ? 'Nothing is left to do.' : 'Left to do, in order:',
    ...left.map(
      ({ step, amphora }, index) => `  ${index + 1}. ${step.title}${amphora ? ` (amphora ${amphora.id})` : ''}`,
    ),
    '',
    journal.length === 0 ? 'The journal is empty.' : 'What happened (newest last):',
    ...journal.map(
      line => `  ${line.at}  ${line.title}${line.object_id ? ` (${line.object_id.slice(0, 8)})` : ''}: ${line.text}`,
    ),
    '',
  ].join('\n')
}

function kindOf(object: object): string {
  if (isMember(object)) return 'member'
  if ('max_retries' in object) return 'health monitor'
  if ('redirect_pool_id' in object) return 'L7 policy'
  if ('compare_type' in object) return 'L7 rule'
  return 'lb_algorithm' in object ? 'pool' : 'listener'
}
