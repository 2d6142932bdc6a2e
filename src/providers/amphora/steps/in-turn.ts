/** Amphorae whose failover was asked for are replaced one after another, the one that stands by first. */
import { treeStep } from '../../../controller/flow.ts'
import type { Clients } from '../clients.ts'
import { inTurn } from '../serving.ts'

export const nextInTurn = treeStep<Clients>({
  title: 'choose whom to replace',
  upstream: 'MarkAmphoraPendingDeleteInDB',
  deadline_s: 30,
  done: tree => inTurn(tree).length === 0,
  ensure: async tree => ({ amphorae: { [inTurn(tree)[0]!.id]: { status: 'PENDING_DELETE' } } }),
})
