/** One listener's configuration brought into force by an agent: uploaded, asked for, then started or reloaded. */
import { AgentError } from './agent-error.ts'
import type { AmphoraClient } from './client.ts'
import { type ListenerInput, renderListener } from './haproxy/listener.ts'

/** Answers with the text's ETag, and with what the agent had to lower or leave out on its machine. Rejects with Refused when
 *  haproxy does not take it. */
export async function applyListener(
  agent: ListenerCalls,
  listener_id: string,
  input: ListenerInput,
  pause: (wait_ms: number) => Promise<void>,
): Promise<{ etag: string | null; warning: string | null }> {
  const uploaded = await agent.uploadListener(listener_id, renderListener(input)).catch(error => {
    throw error instanceof AgentError && error.kind === 'refused' ? refused(error) : error
  })
  const { status } = await agent.listener(listener_id)
  for (let failures = 1; ; failures++) {
    try {
      if (status === 'ACTIVE') await agent.reloadListener(listener_id)
      else await agent.startListener(listener_id)
      return uploaded
    } catch (error) {
      // a valid configuration that does not run, because its port is taken: what has it may be just ending
      if (!(error instanceof AgentError && /^Error (start|reload)ing haproxy/.test(error.message))) throw error
      if (failures === 4) throw refused(error)
      await pause(900)
    }
  }
}

export type ListenerCalls = {
  [K in 'uploadListener' | 'listener' | 'startListener' | 'reloadListener']: AmphoraClient[K]
}

/** haproxy's own words. */
export class Refused extends Error {}

function refused(error: AgentError): Refused {
  return new Refused(error.details || error.message)
}
