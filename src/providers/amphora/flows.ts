/** The flows of the described system, as lists: what a load balancer goes through. One screen. */
import { each, type Flow, flow } from '../../controller/flow.ts'
import type { Tree } from '../../lbaas/tree.ts'
import type { Clients } from './clients.ts'
import { serving } from './serving.ts'
import { amphoraRows } from './steps/amphora-rows.ts'
import { certificate } from './steps/certificate.ts'
import { deleteServer } from './steps/delete-server.ts'
import { dropListeners } from './steps/drop-listeners.ts'
import { dropNetworks } from './steps/drop-networks.ts'
import { forget } from './steps/forget.ts'
import { memberPorts } from './steps/member-ports.ts'
import { plugVip } from './steps/plug-vip.ts'
import { releaseSecurityGroup, securityGroup } from './steps/security-group.ts'
import { server } from './steps/server.ts'
import { finish, settle } from './steps/settle.ts'
import { twins } from './steps/twins.ts'
import { uploadListeners } from './steps/upload-listeners.ts'
import { releaseVipPort, vipPort } from './steps/vip-port.ts'
import { vrrpPort } from './steps/vrrp-port.ts'

/** Creating, changing, resuming and repairing are one list. */
export const serve: Flow<Clients> = flow('serve', [
  each(serving, [dropListeners, dropNetworks]), // removals before additions
  vipPort,
  securityGroup,
  amphoraRows,
  each(serving, [certificate, server, vrrpPort, plugVip, memberPorts, uploadListeners]),
  settle,
  twins,
])

/** Nothing of it stays, neither in the cloud nor in the rows. */
export const remove: Flow<Clients> = flow('remove', [
  each(all, [deleteServer]),
  twins,
  each(all, [forget]),
  releaseVipPort,
  releaseSecurityGroup,
  finish,
])

/** What is due for a tree, in order. */
export function due(tree: Tree): Flow<Clients>[] {
  return tree.load_balancer.provisioning_status === 'PENDING_DELETE' ? [remove] : [serve]
}

function all(tree: Tree): Tree['amphorae'] {
  return tree.amphorae
}
