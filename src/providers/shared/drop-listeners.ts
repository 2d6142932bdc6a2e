/** Listeners that are to go, or are switched off: their processes end before anything new takes their ports. */
import { AgentError } from '../../amphora/agent-error.ts'
import { amphoraStep } from '../../controller/flow.ts'
import type { SharedClients } from './clients.ts'
import { unitsOf } from './units.ts'

export const dropListeners = amphoraStep<SharedClients>({
  title: 'stop listeners',
  upstream: 'ListenerDelete',
  deadline_s: 120,
  done: (amphora, tree) => {
    const wanted = unitsOf(amphora, tree).map(unit => unit.id)
    return Object.keys(amphora.applied).every(id => wanted.includes(id))
  },
  ensure: async (amphora, tree, { clients }) => {
    const wanted = unitsOf(amphora, tree).map(unit => unit.id)
    const applied = { ...amphora.applied }
    for (const id of Object.keys(applied)) {
      if (wanted.includes(id)) continue
      await gone(() => clients.agent(amphora).deleteUnit(id))
      delete applied[id]
    }
    return { applied }
  },
})

/** The described agent says 404 of a listener that it does not know: that is what we wanted. */
async function gone(call: () => Promise<unknown>): Promise<void> {
  try {
    await call()
  } catch (error) {
    if (!(error instanceof AgentError && error.kind === 'not_found')) throw error
  }
}
