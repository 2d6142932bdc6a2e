/** What a load balancer goes through that is haproxy in a namespace of a network host. One screen. */
import { each, type Flow, flow } from '../../controller/flow.ts'
import { leaving, type Tree } from '../../lbaas/tree.ts'
import { doomed } from '../shared/doomed.ts'
import { dropListeners } from '../shared/drop-listeners.ts'
import { fetchCertificates } from '../shared/fetch-certificates.ts'
import { finish } from '../shared/finish.ts'
import { releaseSecurityGroup, securityGroup } from '../shared/security-group.ts'
import { uploadListeners } from '../shared/upload-listeners.ts'
import { releaseVipPort, vipPort } from '../shared/vip-port.ts'
import type { Clients } from './clients.ts'
import { all, leavingHost, serving } from './serving.ts'
import { dropNetworks, memberPorts, releaseMemberPorts } from './steps/member-ports.ts'
import { clearHost, namespace } from './steps/namespace.ts'
import { anotherHost, networkHost } from './steps/network-host.ts'
import { settle } from './steps/settle.ts'
import { twins } from './steps/twins.ts'
import { bindVip, freeVip, vipSettings } from './steps/vip.ts'

/** Creating, changing, resuming and repairing are one list. The VIP comes last: until it does, who had it serves on. */
export const serve: Flow<Clients> = flow('serve', [
  each(serving, [dropListeners, dropNetworks]), // removals before additions
  vipPort,
  securityGroup,
  fetchCertificates,
  networkHost,
  each(serving, [namespace, memberPorts, uploadListeners, bindVip]),
  vipSettings,
  settle,
])

/** A failover that was asked for: another host, where another one answers. */
const move: Flow<Clients> = flow('move', [each(leavingHost, [anotherHost])], { yields: true })

/** A host that was given up is cleared when it answers again; its ports are elsewhere by then. */
const clear: Flow<Clients> = flow('clear', [each(doomed, [clearHost])], { yields: true })

/** What calls whose answers were lost have made. */
const comeLate: Flow<Clients> = flow('come late', [twins], { yields: true })

/** Nothing of it stays, neither in the cloud, nor on a host, nor in the rows. What the tenants' traffic needs goes first:
 *  a host that is dead keeps the rest waiting. */
const remove: Flow<Clients> = flow('remove', [
  freeVip,
  releaseVipPort,
  releaseMemberPorts,
  twins,
  releaseSecurityGroup,
  each(all, [clearHost]),
  finish,
])

/** What is due for a tree, in order. */
export function due(tree: Tree): Flow<Clients>[] {
  if (leaving(tree.load_balancer)) return [remove]
  const replaced = serving(tree).some(amphora => amphora.vip_plugged)
  return [
    serve,
    ...(leavingHost(tree).length > 0 ? [move] : []),
    ...(replaced && doomed(tree).length > 0 ? [clear] : []),
    comeLate,
  ]
}
