/** Plugging, whoever's interface it is: what an agent is told of a port, and what its answers mean. */
import { AgentError } from '../../amphora/agent-error.ts'
import type { AmphoraClient } from '../../amphora/client.ts'
import type { Port } from '../../cloud/neutron.ts'
import { Transient } from '../../controller/outcome.ts'
import type { MemberPort } from '../../lbaas/amphora.ts'
import type { Calls, SharedClients } from './clients.ts'

/** The agent says 409 when it is so already: that is what we wanted. */
export async function plugged(call: () => Promise<unknown>): Promise<void> {
  try {
    await call()
  } catch (error) {
    if (!(error instanceof AgentError && error.kind === 'conflict' && /already exists/.test(error.message))) throw error
  }
}

/** Of a port's body: nothing where it is wired as usual, for clouds that know of no other way. */
export function wired(vnic_type: string): { 'binding:vnic_type'?: string } {
  return vnic_type === 'normal' ? {} : { 'binding:vnic_type': vnic_type }
}

/** Is there an interface inside that has the address? */
export async function hasInterface(agent: Pick<Calls<AmphoraClient>, 'interface'>, ip: string): Promise<boolean> {
  try {
    await agent.interface(ip)
    return true
  } catch (error) {
    if (error instanceof AgentError && error.kind === 'not_found') return false
    throw error
  }
}

/** A port's addresses with what their subnets say, as the agent is told them. */
export async function fixedIpsOf({ id, fixed_ips }: Port, { neutron }: Pick<SharedClients, 'neutron'>) {
  return Promise.all(
    fixed_ips.map(async ({ subnet_id, ip_address }) => {
      const subnet = await neutron.subnet(subnet_id)
      if (!subnet) throw new Transient(`subnet ${subnet_id} of port ${id} is not there`)
      return { ip_address, subnet_cidr: subnet.cidr, host_routes: subnet.host_routes }
    }),
  )
}

/** The port of a member network as it is recorded once it is plugged. */
export function pluggedPort(network_id: string, { id, mac_address, fixed_ips }: Port): MemberPort {
  return { network_id, port_id: id, mac_address, ip_address: fixed_ips[0]?.ip_address ?? '', plugged: true }
}
