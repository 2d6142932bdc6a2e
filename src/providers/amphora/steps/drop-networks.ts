/** Networks without members any more: their ports are taken from the amphora and deleted. */
import { amphoraStep } from '../../../controller/flow.ts'
import { memberNetworks } from '../../../lbaas/tree.ts'
import type { Clients } from '../clients.ts'
import { release } from './ports.ts'

export const dropNetworks = amphoraStep<Clients>({
  title: 'unplug networks without members',
  upstream: 'HandleNetworkDeltas',
  deadline_s: 120,
  done: (amphora, tree) => amphora.member_ports.every(port => memberNetworks(tree).has(port.network_id)),
  ensure: async (amphora, tree, context) => {
    const wanted = memberNetworks(tree)
    for (const port of amphora.member_ports) if (!wanted.has(port.network_id)) await release(context, port.port_id)
    return { member_ports: amphora.member_ports.filter(port => wanted.has(port.network_id)) }
  },
})
