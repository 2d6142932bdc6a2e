/** What steps of the network alone work with. */
import type { Neutron } from '../../cloud/neutron.ts'

export type NetworkClients = { neutron: { [K in keyof Neutron]: Neutron[K] } }
