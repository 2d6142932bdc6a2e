/** The server group that keeps a pair's servers on different hosts, one for each load balancer. */
import { treeStep } from '../../../controller/flow.ts'
import type { Clients } from '../clients.ts'

export const serverGroup = treeStep<Clients>({
  title: 'server group',
  upstream: 'NovaServerGroupCreate',
  deadline_s: 60,
  done: tree => tree.load_balancer.server_group_id !== null,
  look: async (tree, { clients }) => {
    const found = await clients.nova.serverGroup(tree.load_balancer.server_group_id!)
    return found ? {} : { load_balancer: { server_group_id: null } }
  },
  ensure: async (tree, { clients }) => {
    const { nova, choices } = clients
    const name = serverGroupName(tree.load_balancer.id)
    const known = (await nova.serverGroupsNamed(name))[0]
    const id = known?.id ?? (await nova.createServerGroup(name, choices.anti_affinity_policy))
    for (const twin of await nova.serverGroupsNamed(name)) if (twin.id !== id) await nova.deleteServerGroup(twin.id)
    return { load_balancer: { server_group_id: id } }
  },
})

export const releaseServerGroup = treeStep<Clients>({
  title: 'delete server group',
  upstream: 'NovaServerGroupDelete',
  deadline_s: 60,
  done: tree => tree.load_balancer.gone.includes('server_group'),
  ensure: async (tree, { clients }) => {
    for (const { id } of await clients.nova.serverGroupsNamed(serverGroupName(tree.load_balancer.id)))
      await clients.nova.deleteServerGroup(id)
    return { load_balancer: { gone: [...tree.load_balancer.gone, 'server_group'] } }
  },
})

export function serverGroupName(load_balancer_id: string): string {
  return `octavia-lb-${load_balancer_id}`
}
