/** As many rows as the topology wants amphorae. A row comes first: what is made for it later bears its id in its name. */
import { treeStep } from '../../../controller/flow.ts'
import { newAmphora } from '../../../lbaas/amphora.ts'
import type { Clients } from '../clients.ts'
import { serving } from '../serving.ts'

export const amphoraRows = treeStep<Clients>({
  title: 'amphora rows',
  upstream: 'CreateAmphoraInDB',
  deadline_s: 30,
  done: tree => serving(tree).length >= 1,
  ensure: async (tree, { clients, now }) => {
    const id = clients.newId()
    const row = newAmphora({
      id,
      load_balancer_id: tree.load_balancer.id,
      role: 'STANDALONE',
      created_at: now().toISOString(),
    })
    return { amphorae: { [id]: row } }
  },
})
