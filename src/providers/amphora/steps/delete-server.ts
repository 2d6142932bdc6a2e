/** The amphora's server goes. A 204 is a promise only, so the delete is repeated until the server is gone. */
import { amphoraStep, type StepContext } from '../../../controller/flow.ts'
import type { Clients } from '../clients.ts'
import { serverName } from './server.ts'

/** A server on a host that is down stays for ever after a first delete (measured); a later one works. */
const repeat_ms = 30_000

export const deleteServer = amphoraStep<Clients>({
  title: 'delete server',
  upstream: 'ComputeDelete',
  deadline_s: 600,
  done: amphora => amphora.status === 'DELETED',
  ensure: async (amphora, _tree, context) => {
    const { nova } = context.clients
    const named = (await nova.serversNamed(serverName(amphora.id))).map(server => server.id)
    const ids = new Set([...named, ...(amphora.compute_id ? [amphora.compute_id] : [])])
    for (const id of ids) await endServer(context, id)
    return { status: 'DELETED', compute_id: null }
  },
})

/** Resolves when the server is gone. */
export async function endServer({ clients, pause, now }: StepContext<Clients>, id: string): Promise<void> {
  let asked_ms = Number.NEGATIVE_INFINITY
  for (let wait_ms = 20; ; wait_ms = Math.min(wait_ms * 1.5, 1_000)) {
    if (now().getTime() - asked_ms >= repeat_ms) {
      await clients.nova.deleteServer(id)
      asked_ms = now().getTime()
    }
    if ((await clients.nova.server(id)) === null) return
    await pause(wait_ms)
  }
}
