/** Which host: of those that answer the one with the fewest load balancers, and not one that was given up. */
import { amphoraStep, type StepContext, treeStep } from '../../../controller/flow.ts'
import { Transient } from '../../../controller/outcome.ts'
import { newAmphora } from '../../../lbaas/amphora.ts'
import { doomed } from '../../shared/doomed.ts'
import type { Clients, NetworkHost } from '../clients.ts'
import { serving } from '../serving.ts'

export const networkHost = treeStep<Clients>({
  title: 'choose network host',
  upstream: 'schedule',
  deadline_s: 30,
  done: tree => serving(tree).length > 0,
  ensure: async (tree, context) => {
    const { clients, now, say } = context
    const given_up = doomed(tree).map(amphora => amphora.network_host)
    const answering = await answeringHosts(context)
    const host = answering.find(({ name }) => !given_up.includes(name)) ?? answering[0]!
    say(`network host ${host.name}`)
    const id = clients.newId()
    const row = newAmphora({
      id,
      created_at: now().toISOString(),
      load_balancer_id: tree.load_balancer.id,
      role: 'STANDALONE',
      network_host: host.name,
      unit: tree.load_balancer.unit ?? clients.unit,
      lb_network_ip: host.address,
    })
    return { amphorae: { [id]: row } }
  },
})

/** The amphora is given up, and its place becomes another's; where no other host answers it stays. */
export const anotherHost = amphoraStep<Clients>({
  title: 'leave network host',
  upstream: 'reschedule_lbaas_from_down_agents',
  deadline_s: 30,
  done: amphora => !amphora.replace,
  ensure: async (amphora, _tree, context) => {
    const others = (await answeringHosts(context)).filter(host => host.name !== amphora.network_host)
    if (others.length > 0) return { replace: false, status: 'PENDING_DELETE' }
    context.say(`no network host but ${amphora.network_host} answers: the load balancer stays there`)
    return { replace: false }
  },
})

async function answeringHosts({ clients }: StepContext<Clients>): Promise<NetworkHost[]> {
  const answering = await clients.hosts.answering()
  if (answering.length > 0) return answering
  const names = clients.hosts.known.map(host => host.name).join(', ')
  throw new Transient(`waiting for a network host: none answers of ${names || 'none ([haproxy] network_hosts)'}`)
}
