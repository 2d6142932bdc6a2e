/** Twins: what a create made whose answer was lost, after we had looked for it and made another. They bear our names, and
 *  nothing recorded. Once no such create can still be under way, they are found by name and deleted. */
import { type StepContext, treeStep } from '../../../controller/flow.ts'
import { Later } from '../../../controller/outcome.ts'
import { leaving, type Tree } from '../../../lbaas/tree.ts'
import { deleteGroup, groupName } from '../../shared/security-group.ts'
import { vipPortName } from '../../shared/vip-port.ts'
import type { Clients } from '../clients.ts'
import { endServer } from './delete-server.ts'
import { memberPortName } from './member-ports.ts'
import { release } from './ports.ts'
import { serverName } from './server.ts'
import { vrrpPortName } from './vrrp-port.ts'

export const twins = treeStep<Clients>({
  title: 'delete what came late',
  deadline_s: 120,
  done: tree => tree.load_balancer.late_effects_until === null,
  ensure: async (tree, context) => {
    const until = new Date(tree.load_balancer.late_effects_until!)
    if (context.now() < until)
      throw new Later(until, `a call whose answer was lost may have its effect until ${until.toISOString()}`)
    await deleteServers(tree, context) // the ports that Nova made for them go with them
    // the rest of a removal goes by names itself, in an order in which nothing is in use any more
    if (leaving(tree.load_balancer)) return { load_balancer: { late_effects_until: null } }
    await deletePorts(tree, context)
    await deleteGroups(tree, context)
    // a rule of the group may have come late as well: they are compared once more
    return { load_balancer: { late_effects_until: null, security_group_rules: null } }
  },
})

async function deleteServers(tree: Tree, context: StepContext<Clients>): Promise<void> {
  for (const amphora of tree.amphorae)
    for (const { id } of await context.clients.nova.serversNamed(serverName(amphora.id)))
      if (id !== amphora.compute_id) await told(context, 'server', id, endServer(context, id))
}

async function deletePorts(tree: Tree, context: StepContext<Clients>): Promise<void> {
  const { id, vip_port_id, vip_port_owned } = tree.load_balancer
  const known = new Set([
    vip_port_id,
    ...tree.amphorae.flatMap(a => [a.vrrp_port_id, ...a.member_ports.map(port => port.port_id)]),
  ])
  const names = [
    ...(vip_port_owned ? [vipPortName(id)] : []),
    ...tree.amphorae.flatMap(amphora => [vrrpPortName(amphora.id), memberPortName(amphora.id)]),
  ]
  for (const name of names)
    for (const port of await context.clients.neutron.ports({ name }))
      if (!known.has(port.id)) await told(context, 'port', port.id, release(context, port.id))
}

async function deleteGroups(tree: Tree, context: StepContext<Clients>): Promise<void> {
  const { id, security_group_id } = tree.load_balancer
  for (const group of await context.clients.neutron.securityGroups({ name: groupName(id) }))
    if (group.id !== security_group_id) await told(context, 'security group', group.id, deleteGroup(context, group.id))
}

async function told({ say }: StepContext<Clients>, what: string, id: string, deletion: Promise<void>): Promise<void> {
  await deletion
  say(`deleted ${what} ${id}, the twin of another`)
}
