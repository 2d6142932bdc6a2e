/** The listeners' configurations on the amphora: uploaded, asked for, then started or reloaded, as the described agent saw it. */
import { AgentError } from '../../amphora/agent-error.ts'
import { amphoraStep, type StepContext } from '../../controller/flow.ts'
import { Permanent } from '../../controller/outcome.ts'
import type { Amphora, Applied } from '../../lbaas/amphora.ts'
import type { Tree } from '../../lbaas/tree.ts'
import type { SharedClients } from './clients.ts'
import { isApplied, offender, type Unit, unitsOf } from './units.ts'

export const uploadListeners = amphoraStep<SharedClients>({
  title: 'upload listeners',
  upstream: 'ListenersUpdate',
  deadline_s: 120,
  done: (amphora, tree) => unitsOf(amphora, tree).every(unit => isApplied(amphora, unit)),
  look: async (amphora, tree, { clients }) => {
    const agent = clients.agent(amphora)
    const running = (await agent.listeners()).filter(one => one.status === 'ACTIVE')
    const kept: Record<string, Applied> = {}
    for (const [id, applied] of Object.entries(amphora.applied)) {
      // of a load balancer's haproxy the agent lists the listeners
      const found = running.find(one => (id === tree.load_balancer.id ? one.type !== 'UDP' : one.uuid === id))
      if (!found) continue
      const { etag } = await (found.type === 'UDP' ? agent.datagramConfig(id) : agent.unitConfig(id))
      if (etag === null || applied.etag === null || etag === applied.etag) kept[id] = applied
    }
    return Object.keys(kept).length === Object.keys(amphora.applied).length ? {} : { applied: kept }
  },
  ensure: async (amphora, tree, context) => {
    const applied = { ...amphora.applied }
    for (const unit of unitsOf(amphora, tree)) {
      if (isApplied(amphora, unit)) continue
      await uploadFiles(amphora, unit, tree, context)
      const etag = await apply(amphora, unit, context)
      applied[unit.id] = { input: unit.digest(), etag }
    }
    return { applied }
  },
})

/** The certificates and keys that the configuration names. */
async function uploadFiles(
  amphora: Amphora,
  unit: Unit,
  tree: Tree,
  { clients }: StepContext<SharedClients>,
): Promise<void> {
  for (const { name, listener_id } of unit.files()) {
    const pem = await clients.vault.fetch(tree.load_balancer.id, name)
    if (pem === null)
      throw new Permanent('A certificate is lost; change the listener.', `${name} is not kept`, listener_id)
    await clients.agent(amphora).uploadTlsFile(unit.id, name, Buffer.from(pem.reveal()))
  }
}

/** One unit; answers with the text's ETag. What the agent had to lower or leave out on its machine goes to the journal. */
async function apply(
  amphora: Amphora,
  unit: Unit,
  { clients, say, pause }: StepContext<SharedClients>,
): Promise<string | null> {
  const agent = clients.agent(amphora)
  const datagrams = unit.kind === 'datagrams'
  const refused = (error: AgentError) => {
    // an image that has no such endpoint
    const unknown = datagrams && error.kind === 'not_found'
    const words = unknown ? 'the agent knows no UDP listeners; roll out a newer image' : error.details || error.message
    const who = datagrams ? 'the agent' : 'haproxy'
    return new Permanent(
      `${who} refused the configuration: ${words}`,
      `${who} on amphora ${amphora.id}: ${words}`,
      offender(unit, words)?.id ?? null,
    )
  }
  const text = unit.text()
  const uploading = datagrams ? agent.uploadDatagrams(unit.id, text) : agent.uploadUnit(unit.id, text)
  const { warning, etag } = await uploading.catch(error => {
    const final = (kind: string) => kind === 'refused' || (datagrams && kind === 'not_found')
    throw error instanceof AgentError && final(error.kind) ? refused(error) : error
  })
  if (warning) say(warning)
  // 1.0 has no such question: its reload starts what does not run
  const runs = amphora.unit === 'load_balancer' || (await agent.listener(unit.id)).status === 'ACTIVE'
  for (let failures = 1; ; failures++) {
    try {
      if (runs) await agent.reloadUnit(unit.id)
      else await agent.startUnit(unit.id)
      return etag
    } catch (error) {
      // a valid configuration that does not run, because its port is taken: what has it may be just ending
      if (!(error instanceof AgentError && /^Error (start|reload)ing haproxy/.test(error.message))) throw error
      if (failures === 4) throw refused(error)
      await pause(900)
    }
  }
}
