/** The amphora's server goes. A 204 is a promise only, so the delete is repeated until the server is gone. */
import { amphoraStep, type StepContext } from '../../../controller/flow.ts'
import { Later } from '../../../controller/outcome.ts'
import type { Amphora } from '../../../lbaas/amphora.ts'
import type { Clients } from '../clients.ts'
import { serverName } from './server.ts'

/** A server on a host that is down stays for ever after a first delete (measured); a later one works. */
const again_ms = 30_000
/** Whoever waits for longer keeps others waiting. */
const patience_ms = 10_000

export const deleteServer = amphoraStep<Clients>({
  title: 'delete server',
  upstream: 'ComputeDelete',
  deadline_s: 120,
  done: amphora => amphora.status === 'DELETED' && amphora.compute_id === null,
  ensure: async (amphora, _tree, context) => {
    await endServers(amphora, context)
    return { status: 'DELETED', compute_id: null }
  },
})

/** The described order begins with it. A server that stays for now keeps nobody waiting: its host may be dead. */
export const deleteServerFirst = amphoraStep<Clients>({
  title: 'delete server',
  upstream: 'ComputeDelete',
  deadline_s: 120,
  done: amphora => amphora.status === 'DELETED',
  ensure: async (amphora, _tree, context) => {
    const ids = await serversOf(amphora, context)
    for (const id of ids) if (!(await gone(context, id))) return { status: 'DELETED' }
    return { status: 'DELETED', compute_id: null }
  },
})

/** The amphora's server and whatever else bears its name. */
export async function endServers(amphora: Amphora, context: StepContext<Clients>): Promise<void> {
  for (const id of await serversOf(amphora, context)) await endServer(context, id)
}

/** Rejects with Later when the server is not gone for now. */
export async function endServer(context: StepContext<Clients>, id: string): Promise<void> {
  if (await gone(context, id)) return
  const until = new Date(context.now().getTime() + again_ms)
  throw new Later(until, `server ${id} does not go; its deletion is asked for again at ${until.toISOString()}`)
}

async function serversOf(amphora: Amphora, { clients }: StepContext<Clients>): Promise<Set<string>> {
  const named = (await clients.nova.serversNamed(serverName(amphora.id))).map(server => server.id)
  return new Set([...named, ...(amphora.compute_id ? [amphora.compute_id] : [])])
}

async function gone({ clients, pause }: StepContext<Clients>, id: string): Promise<boolean> {
  await clients.nova.deleteServer(id)
  for (let waited_ms = 0, wait_ms = 20; ; waited_ms += wait_ms, wait_ms = Math.min(wait_ms * 1.5, 900)) {
    if ((await clients.nova.server(id)) === null) return true
    if (waited_ms >= patience_ms) return false
    await pause(wait_ms)
  }
}
