/** The agent's own configuration, given to it again: somebody asked for it. What serves goes on serving. */
import { amphoraStep } from '../../../controller/flow.ts'
import type { Clients } from '../clients.ts'

export const configureAgent = amphoraStep<Clients>({
  title: 'configure agent',
  upstream: 'AmphoraConfigUpdate',
  deadline_s: 60,
  done: amphora => !amphora.config_due,
  ensure: async (amphora, _tree, { clients }) => {
    await clients.agent(amphora).configure(clients.agentConfig(amphora.id))
    return { config_due: false }
  },
})
