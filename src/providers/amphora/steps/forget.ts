/** The amphora's ports go, then its row: the addresses are remembered there until nothing needs them. */
import { amphoraStep } from '../../../controller/flow.ts'
import type { Clients } from '../clients.ts'
import { memberPortName } from './member-ports.ts'
import { release } from './ports.ts'
import { vrrpPortName } from './vrrp-port.ts'

export const forget = amphoraStep<Clients>({
  title: 'release ports and forget',
  upstream: 'UnplugVIP',
  deadline_s: 300,
  done: () => false, // as long as there is a row there is something to forget
  ensure: async (amphora, _tree, context) => {
    const { neutron } = context.clients
    const recorded = [amphora.vrrp_port_id, ...amphora.member_ports.map(port => port.port_id)]
    // by name too: one may have been made just before we died
    const named = await Promise.all(
      [vrrpPortName(amphora.id), memberPortName(amphora.id)].map(name => neutron.ports({ name })),
    )
    const ids = new Set([...recorded.filter(id => id !== null), ...named.flat().map(port => port.id)])
    for (const id of ids) await release(context, id)
    return null
  },
})
