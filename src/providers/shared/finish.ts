/** The end of a removal. */
import { treeStep } from '../../controller/flow.ts'
import type { SharedClients } from './clients.ts'

/** Nothing of the load balancer is left in the cloud: its rows go. */
export const finish = treeStep<SharedClients>({
  title: 'forget load balancer',
  upstream: 'MarkLBDeletedInDB',
  deadline_s: 30,
  done: () => false, // as long as there are rows
  ensure: async () => ({ load_balancer: null }),
})
