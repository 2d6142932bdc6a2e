/** What nftables does for a UDP listener whose members IPVS chooses: it keeps strangers out, counts, and brings answers back. */
import type { DatagramListener } from './datagram-listener.ts'
import { chainsOf, counters, type Ruleset, tableOf } from './listener-table.ts'

/** `flows` counts first datagrams: IPVS' own counters begin anew with every start of keepalived, and are told by its own
 *  program only. */
export function guardOf(listener: DatagramListener): Ruleset {
  return {
    family: 'inet',
    table: tableOf(listener.id),
    counters,
    clients: null,
    members: [],
    // IPVS gives datagrams another destination and leaves the sender: answers would go past this machine
    chains: chainsOf(listener, 'inet', { admit: ['counter name received'], choose: [], returning: '' }),
  }
}
