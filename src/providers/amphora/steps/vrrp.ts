/** VRRP between the two of a pair: the interface that it runs on, what they have in common, and keepalived. */
import { digest } from '../../../amphora/digest.ts'
import { keepalivedInput } from '../../../amphora/keepalived/input.ts'
import { renderKeepalived } from '../../../amphora/keepalived/vrrp.ts'
import { amphoraStep, treeStep } from '../../../controller/flow.ts'
import type { Clients } from '../clients.ts'

/** The described `vrrp_group` row. */
export const vrrpGroup = treeStep<Clients>({
  title: 'VRRP group',
  upstream: 'CreateVRRPGroupForLB',
  deadline_s: 30,
  done: tree => tree.load_balancer.vrrp_group !== null,
  ensure: async (tree, { clients }) => ({
    load_balancer: {
      vrrp_group: {
        vrrp_group_name: tree.load_balancer.id.replaceAll('-', ''),
        advert_int: clients.choices.vrrp.advert_int_s,
      },
    },
  }),
})

export const vrrpInterface = amphoraStep<Clients>({
  title: 'ask for the VRRP interface',
  upstream: 'AmphoraUpdateVRRPInterface',
  deadline_s: 60,
  done: amphora => amphora.vrrp_interface !== null,
  ensure: async (amphora, _tree, { clients }) => {
    const found = await clients.agent(amphora).interface(amphora.vrrp_ip!)
    return { vrrp_interface: found.interface }
  },
})

export const keepalived = amphoraStep<Clients>({
  title: 'start keepalived',
  upstream: 'AmphoraVRRPStart',
  deadline_s: 60,
  done: (amphora, tree) => amphora.vrrp_applied === digest(keepalivedInput(tree, amphora)),
  look: async (amphora, tree, { clients, say }) => {
    const { vrrp } = await clients.agent(amphora).details()
    if (!vrrp) return {} // an agent that is not ours does not tell
    if (vrrp.etag === null) return { vrrp_applied: null }
    // two masters do not hear each other, or did not a moment ago: the preferred one announces itself anew
    if (vrrp.role !== 'MASTER' || amphora.role !== 'MASTER') return {}
    const others = tree.amphorae.filter(other => other.id !== amphora.id && other.vrrp_applied !== null)
    const roles = await Promise.all(
      others.map(async other => (await clients.agent(other).details()).vrrp?.role ?? null),
    )
    if (!roles.includes('MASTER')) return {}
    say('both amphorae say that they are MASTER; the preferred one announces itself anew')
    return { vrrp_applied: null }
  },
  ensure: async (amphora, tree, { clients, say }) => {
    const agent = clients.agent(amphora)
    const input = keepalivedInput(tree, amphora)
    const { warning } = await agent.uploadVrrp(renderKeepalived(input))
    if (warning) say(warning)
    await agent.startVrrp() // of one that runs it is a reload, which announces the VIP anew
    return { vrrp_applied: digest(input) }
  },
})
