/** Each listener's configuration on the amphora: uploaded, asked for, then started or reloaded, as the described agent saw it. */
import { AgentError } from '../../amphora/agent-error.ts'
import { digestOf } from '../../amphora/digest.ts'
import { filesOf, listenerInput } from '../../amphora/haproxy/input.ts'
import { type ListenerInput, renderListener } from '../../amphora/haproxy/listener.ts'
import { datagramText } from '../../amphora/nftables/datagram-listener.ts'
import { amphoraStep, type StepContext } from '../../controller/flow.ts'
import { Permanent } from '../../controller/outcome.ts'
import type { Amphora, Applied } from '../../lbaas/amphora.ts'
import type { Tree } from '../../lbaas/tree.ts'
import type { SharedClients } from './clients.ts'

type Listener = Tree['listeners'][number]

export const uploadListeners = amphoraStep<SharedClients>({
  title: 'upload listeners',
  upstream: 'ListenersUpdate',
  deadline_s: 120,
  done: (amphora, tree) => renderedListeners(tree).every(({ listener, input }) => isApplied(amphora, listener, input)),
  look: async (amphora, _tree, { clients }) => {
    const agent = clients.agent(amphora)
    const running = await agent.listeners()
    const kept: Record<string, Applied> = {}
    for (const [id, applied] of Object.entries(amphora.applied)) {
      const found = running.find(l => l.uuid === id && l.status === 'ACTIVE')
      if (!found) continue
      const { etag } = await (found.type === 'UDP' ? agent.datagramConfig(id) : agent.listenerConfig(id))
      if (etag === null || applied.etag === null || etag === applied.etag) kept[id] = applied
    }
    return Object.keys(kept).length === Object.keys(amphora.applied).length ? {} : { applied: kept }
  },
  ensure: async (amphora, tree, context) => {
    const applied = { ...amphora.applied }
    for (const { listener, input } of renderedListeners(tree)) {
      if (isApplied(amphora, listener, input)) continue
      await uploadFiles(amphora, listener, input, tree, context)
      const etag = await apply(amphora, listener, input, context)
      applied[listener.id] = { input: digestOf(input), etag }
    }
    return { applied }
  },
})

/** The listeners that run on amphorae, each with the input that it is rendered from: what is in ERROR keeps the last good
 *  one, so that a refused edit never turns a failover into an outage. */
export function renderedListeners(tree: Tree): { listener: Listener; input: ListenerInput }[] {
  if (!tree.load_balancer.admin_state_up) return []
  return tree.listeners
    .filter(listener => listener.provisioning_status !== 'PENDING_DELETE' && listener.admin_state_up)
    .flatMap(listener => {
      if (listener.provisioning_status !== 'ERROR') return [{ listener, input: listenerInput(tree, listener) }]
      return listener.serving === null ? [] : [{ listener, input: listener.serving as ListenerInput }]
    })
}

function isApplied(amphora: Amphora, listener: Listener, input: ListenerInput): boolean {
  return amphora.applied[listener.id]?.input === digestOf(input)
}

/** The certificates and keys that the configuration names. */
async function uploadFiles(
  amphora: Amphora,
  listener: Listener,
  input: ListenerInput,
  tree: Tree,
  { clients }: StepContext<SharedClients>,
): Promise<void> {
  for (const name of filesOf(input)) {
    const pem = await clients.vault.fetch(tree.load_balancer.id, name)
    if (pem === null)
      throw new Permanent('A certificate is lost; change the listener.', `${name} is not kept`, listener.id)
    await clients.agent(amphora).uploadTlsFile(listener.id, name, Buffer.from(pem.reveal()))
  }
}

/** One listener; answers with the text's ETag. What the agent had to lower or leave out on its machine goes to the
 *  journal. */
async function apply(
  amphora: Amphora,
  listener: Listener,
  input: ListenerInput,
  { clients, say, pause }: StepContext<SharedClients>,
): Promise<string | null> {
  const agent = clients.agent(amphora)
  const datagrams = listener.protocol === 'UDP'
  const upload = async () => {
    const { warning, etag } = await (datagrams
      ? agent.uploadDatagrams(listener.id, datagramText(input))
      : agent.uploadListener(listener.id, renderListener(input)))
    if (warning) say(warning)
    return etag
  }
  const refused = (error: AgentError) => {
    // an image that has no such endpoint
    const unknown = datagrams && error.kind === 'not_found'
    const words = unknown ? 'the agent knows no UDP listeners; roll out a newer image' : error.details || error.message
    const who = datagrams ? 'the agent' : 'haproxy'
    return new Permanent(
      `${who} refused the configuration: ${words}`,
      `${who} on amphora ${amphora.id}: ${words}`,
      // in ERROR it is the last good one that is refused: there is nothing left to fall back to
      listener.provisioning_status === 'ERROR' ? null : listener.id,
    )
  }
  const etag = await upload().catch(error => {
    const final = (kind: string) => kind === 'refused' || (datagrams && kind === 'not_found')
    throw error instanceof AgentError && final(error.kind) ? refused(error) : error
  })
  const { status } = await agent.listener(listener.id)
  for (let failures = 1; ; failures++) {
    try {
      if (status === 'ACTIVE') await agent.reloadListener(listener.id)
      else await agent.startListener(listener.id)
      return etag
    } catch (error) {
      // a valid configuration that does not run, because its port is taken: what has it may be just ending
      if (!(error instanceof AgentError && /^Error (start|reload)ing haproxy/.test(error.message))) throw error
      if (failures === 4) throw refused(error)
      await pause(900)
    }
  }
}
