/** The end of a flow: what was applied becomes ACTIVE, what was removed is forgotten. */

import { listenerInput } from '../../../amphora/haproxy/input.ts'
import type { Facts } from '../../../controller/flow.ts'
import { treeStep } from '../../../controller/flow.ts'
import { settled } from '../../../lbaas/provisioning.ts'
import type { Clients } from '../clients.ts'

/** Stamps not newer than what was applied become ACTIVE; rows whose removal was applied go. */
export const settle = treeStep<Clients>({
  title: 'settle',
  upstream: 'MarkLBActiveInDB',
  deadline_s: 30,
  done: tree => Object.keys(settled(tree)).length === 0,
  ensure: async tree => {
    const facts: Facts = settled(tree)
    for (const [id, fields] of Object.entries(facts.listeners ?? {})) {
      const listener = tree.listeners.find(l => l.id === id)!
      if (fields) facts.listeners![id] = { ...fields, serving: listenerInput(tree, listener) }
    }
    return facts
  },
})

/** Nothing of the load balancer is left in the cloud: its rows go. */
export const finish = treeStep<Clients>({
  title: 'forget load balancer',
  upstream: 'MarkLBDeletedInDB',
  deadline_s: 30,
  done: () => false, // as long as there are rows
  ensure: async () => ({ load_balancer: null }),
})
