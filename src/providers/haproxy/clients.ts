/** What the steps of this provider work with: Neutron, the network hosts, and the agents of load balancers on them. */
import type { AmphoraClient } from '../../amphora/client.ts'
import type { Amphora, UnitKind } from '../../lbaas/amphora.ts'
import type { Calls, ListenerAgent, SharedClients } from '../shared/clients.ts'

export type Clients = Omit<SharedClients, 'agent'> & {
  hosts: NetworkHosts
  /** The agent of this load balancer on its amphora's host. */
  agent: (amphora: Place) => Agent
  /** What one haproxy serves, where no flavor says. */
  unit: UnitKind
  newId: () => string
}

/** Where an amphora is. */
export type Place = Pick<Amphora, 'id' | 'load_balancer_id' | 'network_host' | 'unit'>

export type NetworkHosts = {
  /** Those that the operator has named. */
  known: readonly NetworkHost[]
  /** Those of the known that answer, the one with the fewest load balancers first. */
  answering: () => Promise<NetworkHost[]>
  /** Has the host a namespace for it, on its amphora's behalf? */
  has: (amphora: Place) => Promise<boolean>
  /** Makes the namespace; one that is there for another amphora of the same load balancer becomes this one's. */
  take: (amphora: Place) => Promise<void>
  /** Takes all of it away, unless it is another amphora's by now. */
  drop: (amphora: Place) => Promise<void>
}

export type NetworkHost = { name: string; address: string }

export type Agent = ListenerAgent & Pick<Calls<AmphoraClient>, 'interface' | 'plugVip' | 'plugNetwork'>
