/** What the steps about ports share: attaching, releasing, and the twins of a create whose answer was lost. */
import { CloudError } from '../../../cloud/openstack.ts'
import type { StepContext } from '../../../controller/flow.ts'
import { Transient } from '../../../controller/outcome.ts'
import type { Clients } from '../clients.ts'

/** Attaches a port to a server; a port that is attached to this very server is done. Waits until Neutron shows it: an
 *  answer of Nova may have been lost, or have been late. */
export async function attach(
  { clients, pause }: StepContext<Clients>,
  compute_id: string,
  port_id: string,
): Promise<void> {
  const { neutron, nova } = clients
  if ((await neutron.port(port_id))?.device_id === compute_id && (await shownByNova(clients, compute_id, port_id)))
    return
  try {
    await nova.attach(compute_id, port_id)
  } catch (error) {
    // 409: attached already, here (done) or elsewhere; 500 or nothing: unknown. Either way the port tells.
    if (!(error instanceof CloudError) || (error.kind !== 'conflict' && error.kind !== 'unavailable')) throw error
    const port = await neutron.port(port_id)
    if (port && port.device_id !== '' && port.device_id !== compute_id)
      throw new Transient(`port ${port_id} is attached to ${port.device_id}`)
    if (port?.device_id !== compute_id) throw error
  }
  for (let wait_ms = 20; !(await isAttached(clients, port_id, compute_id)); wait_ms = Math.min(wait_ms * 2, 900))
    await pause(wait_ms)
}

/** Whether the port is there and belongs to that server. */
export async function isAttached(clients: Clients, port_id: string, compute_id: string): Promise<boolean> {
  return (await clients.neutron.port(port_id))?.device_id === compute_id
}

/** Detaches a port from a server, waits until it is free, and deletes it. One that is gone is done. */
export async function release({ clients, pause }: StepContext<Clients>, port_id: string): Promise<void> {
  const { neutron, nova } = clients
  const port = await neutron.port(port_id)
  if (!port) return
  if (port.device_owner.startsWith('compute:') && port.device_id !== '') {
    await nova.detach(port.device_id, port_id)
    for (
      let waited_ms = 0, wait_ms = 20;
      waited_ms < 10_000;
      waited_ms += wait_ms, wait_ms = Math.min(wait_ms * 2, 900)
    ) {
      const now = await neutron.port(port_id)
      if (!now || now.device_id === '') break
      await pause(wait_ms)
    }
  }
  // a bound port can be deleted too: a dead host must not hold it
  await neutron.deletePort(port_id)
}

/** Deletes every port of that name and network but one. */
export async function deleteTwinPorts(clients: Clients, filter: { name: string; network_id: string }, keep_id: string) {
  for (const twin of await clients.neutron.ports(filter))
    if (twin.id !== keep_id) await clients.neutron.deletePort(twin.id)
}

async function shownByNova(clients: Clients, compute_id: string, port_id: string): Promise<boolean> {
  return ((await clients.nova.interfaces(compute_id)) ?? []).some(i => i.port_id === port_id)
}
