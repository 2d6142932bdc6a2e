/** The namespace of a load balancer on its host, with its agent: made, and taken away with everything in it. */
import { AgentError } from '../../../amphora/agent-error.ts'
import { amphoraStep } from '../../../controller/flow.ts'
import { Later } from '../../../controller/outcome.ts'
import type { Clients } from '../clients.ts'

/** A host that does not answer is asked again after this time. */
const again_ms = 30_000

export const namespace = amphoraStep<Clients>({
  title: 'make namespace',
  upstream: 'deploy_instance',
  deadline_s: 60,
  done: amphora => amphora.status === 'ALLOCATED',
  look: async (amphora, _tree, { clients }) => {
    if (await clients.hosts.has(amphora)) return {}
    return { status: 'PENDING_CREATE', vip_plugged: false, member_ports: [], applied: {} }
  },
  ensure: async (amphora, _tree, { clients, say }) => {
    try {
      await clients.hosts.take(amphora)
    } catch (error) {
      if (!(error instanceof AgentError && error.kind === 'unavailable')) throw error
      // nothing is known to be there yet: another host may do
      const answering = await clients.hosts.answering()
      if (answering.length === 0 || answering.some(host => host.name === amphora.network_host)) throw error
      say(`network host ${amphora.network_host} does not answer; another one is chosen`)
      return { status: 'PENDING_DELETE' }
    }
    // from now on its beats are expected
    return { status: 'ALLOCATED' }
  },
})

/** The row goes with it. Of a host that the operator has taken out nothing is asked any more. */
export const clearHost = amphoraStep<Clients>({
  title: 'clear network host',
  upstream: 'undeploy_instance',
  deadline_s: 30,
  done: () => false, // as long as there is a row there may be something
  ensure: async (amphora, _tree, { clients, now, say }) => {
    if (!clients.hosts.known.some(host => host.name === amphora.network_host)) {
      say(`network host ${amphora.network_host} is none of ours any more: whatever it has of this stays there`)
      return null
    }
    try {
      await clients.hosts.drop(amphora)
      return null
    } catch (error) {
      if (!(error instanceof AgentError && error.kind === 'unavailable')) throw error
      const until = new Date(now().getTime() + again_ms)
      throw new Later(until, `network host ${amphora.network_host} does not answer: it is cleared when it does`)
    }
  },
})
