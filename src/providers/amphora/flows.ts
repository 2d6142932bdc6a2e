/** The flows of the described system, as lists: what a load balancer goes through. One screen. */
import { each, type Flow, flow, when, without } from '../../controller/flow.ts'
import type { Tree } from '../../lbaas/tree.ts'
import { doomed } from '../shared/doomed.ts'
import { dropListeners } from '../shared/drop-listeners.ts'
import { fetchCertificates } from '../shared/fetch-certificates.ts'
import { finish } from '../shared/finish.ts'
import { releaseSecurityGroup, securityGroup } from '../shared/security-group.ts'
import { uploadListeners } from '../shared/upload-listeners.ts'
import { releaseVipPort, vipPort } from '../shared/vip-port.ts'
import type { Clients } from './clients.ts'
import { bypassing, fresh, inTurn, pair, serving } from './serving.ts'
import { configureAgent } from './steps/agent-config.ts'
import { amphoraRows, replacement } from './steps/amphora-rows.ts'
import { certificate, renewCertificate } from './steps/certificate.ts'
import { deleteServer, deleteServerFirst } from './steps/delete-server.ts'
import { dropNetworks } from './steps/drop-networks.ts'
import { forget } from './steps/forget.ts'
import { nextInTurn } from './steps/in-turn.ts'
import { memberPorts } from './steps/member-ports.ts'
import { plugVip } from './steps/plug-vip.ts'
import { server } from './steps/server.ts'
import { releaseServerGroup, serverGroup } from './steps/server-group.ts'
import { settle } from './steps/settle.ts'
import { standDown, startListeners, takeOver } from './steps/take-over.ts'
import { twins } from './steps/twins.ts'
import { vipPorts } from './steps/vip-ports.ts'
import { vipRules } from './steps/vip-rules.ts'
import { keepalived, vrrpGroup, vrrpInterface } from './steps/vrrp.ts'
import { vrrpPort } from './steps/vrrp-port.ts'

/** Creating, changing, resuming and repairing are one list. */
export const serve: Flow<Clients> = flow('serve', [
  each(serving, [dropListeners, dropNetworks]), // removals before additions
  when(pair, [serverGroup]),
  vipPort,
  securityGroup,
  fetchCertificates,
  amphoraRows,
  each(serving, [certificate, server, renewCertificate, configureAgent, vrrpPort, plugVip, memberPorts]),
  when(bypassing, [each(serving, [vipRules])]),
  when(pair, [vrrpGroup, each(serving, [vrrpInterface, keepalived])]),
  vipPorts,
  each(serving, [uploadListeners]),
  settle,
])

/** The new amphora is ready before anything is taken from the old one: least outage. */
export const replaceFirst: Flow<Clients> = flow(
  'replace amphora',
  [
    replacement, // a spare, or a new row
    each(fresh, [certificate, server, memberPorts, uploadListeners]),
    each(doomed, [standDown]),
    each(fresh, [takeOver, vrrpPort, plugVip]),
    when(bypassing, [each(fresh, [vipRules])]),
    when(pair, [vrrpGroup, each(fresh, [vrrpInterface, keepalived])]),
    each(fresh, [startListeners]),
    each(doomed, [deleteServer, forget]),
  ],
  { yields: true },
)

/** The described order, for clouds without room for both. The old row is forgotten last: its addresses stand there. */
export const replaceDeleteFirst: Flow<Clients> = flow(
  'replace amphora',
  [
    each(doomed, [standDown, deleteServerFirst]),
    replacement,
    each(fresh, [certificate, server, uploadListeners, takeOver, vrrpPort, plugVip, memberPorts]),
    when(bypassing, [each(fresh, [vipRules])]),
    when(pair, [vrrpGroup, each(fresh, [vrrpInterface, keepalived])]),
    each(fresh, [startListeners]),
    each(doomed, [deleteServer, forget]),
  ],
  { yields: true },
)

/** One amphora after another. */
export const takeTurns: Flow<Clients> = flow('failover in turn', [nextInTurn], { yields: true })

/** What calls whose answers were lost have made. */
export const comeLate: Flow<Clients> = flow('come late', [twins], { yields: true })

/** Nothing of it stays, neither in the cloud nor in the rows. */
export const remove: Flow<Clients> = flow('remove', [
  each(all, [deleteServer]),
  twins,
  each(all, [forget]),
  releaseVipPort,
  releaseSecurityGroup,
  when(pair, [releaseServerGroup]),
  finish,
])

/** How the operator wants it. */
export type Ways = { failover_order: 'replace_first' | 'delete_first'; anti_affinity: boolean }

const default_ways: Ways = { failover_order: 'replace_first', anti_affinity: true }

/** What is due for a tree, in order: survivors are served first, so that a dead amphora never keeps a change from the
 *  living one. */
export function due(tree: Tree, { failover_order, anti_affinity }: Ways = default_ways): Flow<Clients>[] {
  if (tree.load_balancer.provisioning_status === 'PENDING_DELETE') return [remove]
  const replace = failover_order === 'replace_first' ? replaceFirst : replaceDeleteFirst
  const failover = doomed(tree).length > 0 ? [replace] : inTurn(tree).length > 0 ? [takeTurns] : []
  return [anti_affinity ? serve : without(serve, serverGroup), ...failover, comeLate]
}

function all(tree: Tree): Tree['amphorae'] {
  return tree.amphorae
}
