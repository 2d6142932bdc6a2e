/** A new amphora takes over the place of another: its VRRP port moves, with its id, MAC and addresses. */
import { CloudError } from '../../../cloud/openstack.ts'
import { amphoraLane, amphoraStep, type StepContext } from '../../../controller/flow.ts'
import { Transient } from '../../../controller/outcome.ts'
import type { Amphora } from '../../../lbaas/amphora.ts'
import type { Tree } from '../../../lbaas/tree.ts'
import { wired } from '../../shared/plugging.ts'
import { unitsOf } from '../../shared/units.ts'
import type { Clients } from '../clients.ts'
import { attach } from './ports.ts'
import { vrrpPortBody, vrrpPortName } from './vrrp-port.ts'

/** How long a port may hang on a server that is gone before it is made again: the host may be dead. */
const patience_ms = 10_000

/** A planned change: the amphora steps down while it still can, and its partner takes over within an advertisement. */
export const standDown = amphoraStep<Clients>({
  title: 'step down',
  deadline_s: 10,
  done: amphora => !amphora.replace || amphora.vrrp_applied === null,
  ensure: async (amphora, _tree, { clients, say }) => {
    await clients
      .agent(amphora)
      .stopVrrp()
      .catch((error: Error) => say(`it does not step down by itself: ${error.message}`))
    return { vrrp_applied: null }
  },
})

/** At each moment one row of the two has the addresses: they change over together. */
export const takeOver = amphoraLane<Clients>({
  title: 'take over addresses',
  upstream: 'AmphoraUpdateFromFailed',
  deadline_s: 180,
  done: (amphora, tree) => amphora.vrrp_port_id !== null || !holder(amphora, tree)?.vrrp_ip,
  ensure: async (amphora, tree, context) => {
    const former = holder(amphora, tree)!
    const port_id = await freed(former, tree, context)
    // from its name on it is the new one's: what was left of a try before is found by it
    await context.clients.neutron.updatePort(port_id, { ...vrrpPortBody(tree), name: vrrpPortName(amphora.id) })
    await attach(context, amphora.compute_id!, port_id)
    const { vrrp_ip, vrrp_mac_address, ha_ip, ha_port_id } = former
    const taken = { vrrp_ip, vrrp_mac_address, ha_ip, ha_port_id }
    const nothing = { vrrp_port_id: null, vrrp_ip: null, vrrp_mac_address: null, ha_ip: null, ha_port_id: null }
    return { amphorae: { [amphora.id]: { ...taken, vrrp_port_id: port_id }, [former.id]: nothing } }
  },
})

/** The last of its steps: from here on it serves in its own right. A haproxy that began before it had its address has
 *  missed its partner and would try again seconds later, when the partner may be gone with all it knows; one that begins
 *  now learns the tables at once. */
export const startListeners = amphoraStep<Clients>({
  title: 'start listeners',
  upstream: 'ListenersStart',
  deadline_s: 60,
  done: amphora => amphora.replaces === null,
  ensure: async (amphora, tree, { clients }) => {
    const agent = clients.agent(amphora)
    const units = unitsOf(amphora, tree)
    for (const id of Object.keys(amphora.applied)) {
      if (units.some(unit => unit.id === id && unit.peers)) await agent.stopUnit(id)
      await agent.startUnit(id)
    }
    return { replaces: null }
  },
})

function holder(amphora: Amphora, tree: Tree): Amphora | null {
  return tree.amphorae.find(other => other.id === amphora.replaces) ?? null
}

/** The port, free of the former server: detached; where nobody there obeys any more, made again as it was. */
async function freed(former: Amphora, tree: Tree, context: StepContext<Clients>): Promise<string> {
  const { neutron, nova } = context.clients
  const known = former.vrrp_port_id ? await neutron.port(former.vrrp_port_id) : null
  if (!known) return madeAgain(former, tree, context)
  if (known.device_id === '' || known.name !== vrrpPortName(former.id)) return known.id // free, or on its way already
  // it may still answer with that address: its link goes first
  await nova.detach(known.device_id, known.id)
  for (let waited_ms = 0, wait_ms = 20; ; waited_ms += wait_ms, wait_ms = Math.min(wait_ms * 1.5, 900)) {
    const port = await neutron.port(known.id)
    if (!port) return madeAgain(former, tree, context)
    if (port.device_id === '') return port.id
    if (waited_ms >= patience_ms) break
    await context.pause(wait_ms)
  }
  context.say(`port ${known.id} stays on server ${known.device_id}: it is made again with its addresses`)
  await neutron.updatePort(known.id, { admin_state_up: false })
  await neutron.deletePort(known.id)
  return madeAgain(former, tree, context)
}

async function madeAgain(former: Amphora, tree: Tree, { clients }: StepContext<Clients>): Promise<string> {
  const { neutron } = clients
  const name = vrrpPortName(former.id)
  const found = (await neutron.ports({ name, network_id: tree.load_balancer.vip_network_id! }))[0]
  if (found) return found.id
  try {
    const port = await neutron.createPort({
      ...vrrpPortBody(tree),
      ...wired(tree.load_balancer.vip_vnic_type),
      name,
      mac_address: former.vrrp_mac_address!,
      network_id: tree.load_balancer.vip_network_id!,
      fixed_ips: [{ subnet_id: tree.load_balancer.vip_subnet_id!, ip_address: former.vrrp_ip! }],
      admin_state_up: true,
      device_owner: 'Octavia',
    })
    return port.id
  } catch (error) {
    if (error instanceof CloudError && error.kind === 'conflict')
      throw new Transient(`the address ${former.vrrp_ip} is not free yet: ${error.message}`)
    throw error
  }
}
