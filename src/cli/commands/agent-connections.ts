/** Connections to agents, kept between claims, and what their errors and the cloud's mean: the same for every provider. */
import { AgentError } from '../../amphora/agent-error.ts'
import { AmphoraClient, type AmphoraClientOptions, type Call } from '../../amphora/client.ts'
import type { Rest } from '../../amphora/rest.ts'
import { CloudError } from '../../cloud/openstack.ts'
import { type Classify, Permanent, Transient } from '../../controller/outcome.ts'
import type { UnitKind } from '../../lbaas/amphora.ts'
import type { Agent } from '../../providers/haproxy/clients.ts'
import type { Options } from '../../service/options.ts'

/** One client for each agent, each with a connection of its own. */
export class AgentConnections {
  readonly #timeouts: Pick<AmphoraClientOptions, 'connect_timeout_ms' | 'request_timeout_ms'>
  readonly #clients = new Map<string, AmphoraClient>()

  constructor({ haproxy_amphora }: Options) {
    this.#timeouts = {
      connect_timeout_ms: haproxy_amphora.rest_request_conn_timeout * 1000,
      request_timeout_ms: haproxy_amphora.rest_request_read_timeout * 1000,
    }
  }

  /** The client of that key, made with `options` where there is none yet. */
  client(key: string, options: () => AmphoraClientOptions): AmphoraClient {
    const known = this.#clients.get(key)
    if (known) return known
    if (this.#clients.size >= most_connections) this.#forgetOldest()
    const client = new AmphoraClient({ ...this.#timeouts, ...options() })
    this.#clients.set(key, client)
    return client
  }

  async close(): Promise<void> {
    await Promise.all([...this.#clients.values()].map(client => client.close()))
  }

  #forgetOldest(): void {
    const [key, client] = this.#clients.entries().next().value!
    this.#clients.delete(key)
    void client.close().catch(() => {})
  }
}

const most_connections = 1_000

/** The version that has what the amphora is laid out in. */
export function restOf(unit: UnitKind): Rest {
  return unit === 'listener' ? '0.5' : '1.0'
}

/** What every provider asks of an agent. */
export function agentCalls(client: AmphoraClient, call: Call): Agent {
  return {
    interface: ip => client.interface(ip, call),
    listeners: () => client.listeners(call),
    listener: id => client.listener(id, call),
    unitConfig: id => client.unitConfig(id, call),
    datagramConfig: id => client.datagramConfig(id, call),
    uploadUnit: (id, cfg) => client.uploadUnit(id, cfg, call),
    uploadDatagrams: (id, document) => client.uploadDatagrams(id, document, call),
    uploadTlsFile: (id, name, pem) => client.uploadTlsFile(id, name, pem, call),
    startUnit: id => client.startUnit(id, call),
    reloadUnit: id => client.reloadUnit(id, call),
    deleteUnit: id => client.deleteUnit(id, call),
    plugVip: (vip, body) => client.plugVip(vip, body, call),
    plugNetwork: body => client.plugNetwork(body, call),
  }
}

/** The one place where errors of the cloud and of agents are sorted; `agent` is what the agent's are told of, `owner` whose
 *  configuration it refuses. */
export function classifier(agent: string, owner: string): Classify {
  return error => {
    if (error instanceof CloudError) {
      if (error.kind === 'unavailable' || error.kind === 'conflict')
        return new Transient(`waiting for ${error.message}`, { unsure: error.unsure })
      if (error.kind === 'over_quota') return new Permanent('A quota of the cloud has been met.', error.message)
      if (error.kind === 'forbidden') return new Permanent('The cloud forbids it to the service.', error.message)
      return new Permanent('The cloud refused what the load balancer needs.', error.message)
    }
    if (!(error instanceof AgentError)) return null
    const text = `${agent}: ${error.message}${error.details ? `: ${error.details}` : ''}`
    if (error.kind === 'refused') return new Permanent(`${owner} refused its configuration.`, text)
    return new Transient(`waiting for ${text}`)
  }
}
