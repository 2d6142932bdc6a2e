/** Twins: what a create made whose answer was lost, after we had looked for it and made another. Once no such create can
 *  still be under way, they are found by name and deleted. Hosts make no twins: what they have is named by the caller. */
import { treeStep } from '../../../controller/flow.ts'
import { Later } from '../../../controller/outcome.ts'
import { leaving } from '../../../lbaas/tree.ts'
import { deleteGroup, groupName } from '../../shared/security-group.ts'
import { vipPortName } from '../../shared/vip-port.ts'
import type { Clients } from '../clients.ts'
import { memberPortName } from './member-ports.ts'

export const twins = treeStep<Clients>({
  title: 'delete what came late',
  deadline_s: 120,
  done: tree => tree.load_balancer.late_effects_until === null,
  ensure: async (tree, context) => {
    const lb = tree.load_balancer
    const { neutron } = context.clients
    const until = new Date(lb.late_effects_until!)
    if (context.now() < until)
      throw new Later(until, `a call whose answer was lost may have its effect until ${until.toISOString()}`)
    const known = new Set([
      ...(leaving(lb) ? [] : [lb.vip_port_id]),
      ...tree.amphorae.flatMap(a => (leaving(lb) ? [] : a.member_ports.map(port => port.port_id))),
    ])
    for (const name of [...(lb.vip_port_owned ? [vipPortName(lb.id)] : []), memberPortName(lb.id)])
      for (const port of await neutron.ports({ name }))
        if (!known.has(port.id)) {
          await neutron.deletePort(port.id)
          context.say(`deleted port ${port.id}, the twin of another`)
        }
    // the removal takes groups by their name itself
    if (leaving(lb)) return { load_balancer: { late_effects_until: null } }
    for (const group of await neutron.securityGroups({ name: groupName(lb.id) }))
      if (group.id !== lb.security_group_id) await deleteGroup(context, group.id)
    // a rule of the group may have come late as well: they are compared once more
    return { load_balancer: { late_effects_until: null, security_group_rules: null } }
  },
})
