/** A row for each place: an amphora's row comes first, what is made for it later bears its id in its name. */
import { type StepContext, treeStep } from '../../../controller/flow.ts'
import { newAmphora } from '../../../lbaas/amphora.ts'
import type { Tree } from '../../../lbaas/tree.ts'
import type { Clients } from '../clients.ts'
import { lastOf, openPlaces, pair, type Role, serving } from '../serving.ts'

/** Rows for places that nobody has had. */
export const amphoraRows = treeStep<Clients>({
  title: 'amphora rows',
  upstream: 'CreateAmphoraInDB',
  deadline_s: 30,
  done: tree => openPlaces(tree).every(role => lastOf(tree, role) !== null),
  ensure: async (tree, context) => fill(tree, role => lastOf(tree, role) === null, context),
})

/** Rows for places that an amphora has left, or is to leave. */
export const replacement = treeStep<Clients>({
  title: 'replacement',
  upstream: 'CreateAmphoraInDB',
  deadline_s: 30,
  done: tree => openPlaces(tree).every(role => lastOf(tree, role) === null),
  ensure: async (tree, context) => fill(tree, role => lastOf(tree, role) !== null, context),
})

/** A spare where there is one, on another host than its partner; else a new row. */
async function fill(tree: Tree, wanted: (role: Role) => boolean, { clients, now, say }: StepContext<Clients>) {
  const amphorae: Record<string, ReturnType<typeof newAmphora>> = {}
  const hosts = pair(tree) ? serving(tree).map(amphora => amphora.host_id) : []
  for (const role of openPlaces(tree).filter(wanted)) {
    const place = {
      load_balancer_id: tree.load_balancer.id,
      role,
      replaces: lastOf(tree, role)?.id ?? null,
      vrrp_id: pair(tree) ? 1 : null,
      vrrp_priority: role === 'STANDALONE' ? null : clients.choices.vrrp.priority[role],
      unit: tree.load_balancer.unit ?? clients.choices.unit,
    }
    const spare = wantsOther(tree) ? null : await clients.adoptSpare(place, hosts)
    if (spare) {
      say(`took spare ${spare.id}`)
      hosts.push(spare.host_id)
      continue
    }
    const id = clients.newId()
    amphorae[id] = newAmphora({ id, created_at: now().toISOString(), ...place })
  }
  return Object.keys(amphorae).length === 0 ? {} : { amphorae }
}

/** Spares are as and where the deployment has them; a flavor may want other servers, a zone others elsewhere. */
function wantsOther({ load_balancer }: Tree): boolean {
  const { compute_flavor, amp_image_tag, compute_zone, management_network } = load_balancer
  return [compute_flavor, amp_image_tag, compute_zone, management_network].some(wish => wish !== null)
}
