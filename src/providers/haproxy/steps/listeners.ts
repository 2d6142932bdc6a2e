/** Listeners in the namespace: those that are to go end first, the others get what they are to run. */
import { AgentError } from '../../../amphora/agent-error.ts'
import { applyListener, Refused } from '../../../amphora/apply-listener.ts'
import { digestOf } from '../../../amphora/digest.ts'
import { isApplied, renderedListeners } from '../../../amphora/haproxy/rendered.ts'
import { amphoraStep } from '../../../controller/flow.ts'
import { Permanent } from '../../../controller/outcome.ts'
import type { Applied } from '../../../lbaas/amphora.ts'
import type { Clients } from '../clients.ts'

export const dropListeners = amphoraStep<Clients>({
  title: 'stop listeners',
  deadline_s: 120,
  done: (amphora, tree) => {
    const wanted = renderedListeners(tree).map(({ listener }) => listener.id)
    return Object.keys(amphora.applied).every(id => wanted.includes(id))
  },
  ensure: async (amphora, tree, { clients }) => {
    const wanted = renderedListeners(tree).map(({ listener }) => listener.id)
    const applied = { ...amphora.applied }
    for (const id of Object.keys(applied)) {
      if (wanted.includes(id)) continue
      await clients
        .agent(amphora)
        .deleteListener(id)
        .catch(error => {
          if (!(error instanceof AgentError && error.kind === 'not_found')) throw error
        })
      delete applied[id]
    }
    return { applied }
  },
})

export const uploadListeners = amphoraStep<Clients>({
  title: 'upload listeners',
  deadline_s: 120,
  done: (amphora, tree) => renderedListeners(tree).every(({ listener, input }) => isApplied(amphora, listener, input)),
  look: async (amphora, _tree, { clients }) => {
    const agent = clients.agent(amphora)
    const running = await agent.listeners()
    const kept: Record<string, Applied> = {}
    for (const [id, applied] of Object.entries(amphora.applied)) {
      if (!running.some(l => l.uuid === id && l.status === 'ACTIVE')) continue
      const { etag } = await agent.listenerConfig(id)
      if (etag === null || applied.etag === null || etag === applied.etag) kept[id] = applied
    }
    return Object.keys(kept).length === Object.keys(amphora.applied).length ? {} : { applied: kept }
  },
  ensure: async (amphora, tree, { clients, say, pause }) => {
    const applied = { ...amphora.applied }
    for (const { listener, input } of renderedListeners(tree)) {
      if (isApplied(amphora, listener, input)) continue
      const { etag, warning } = await applyListener(clients.agent(amphora), listener.id, input, pause).catch(error => {
        if (!(error instanceof Refused)) throw error
        throw new Permanent(
          `haproxy refused the configuration: ${error.message}`,
          `haproxy on network host ${amphora.network_host}: ${error.message}`,
          // in ERROR it is the last good one that is refused: there is nothing left to fall back to
          listener.provisioning_status === 'ERROR' ? null : listener.id,
        )
      })
      if (warning) say(warning)
      applied[listener.id] = { input: digestOf(input), etag }
    }
    return { applied }
  },
})
