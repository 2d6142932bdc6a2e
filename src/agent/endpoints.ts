/** The endpoints of REST 0.5 and, where it has none, of 1.0, and what each of them calls. */
import { isIP } from 'node:net'
import path from 'node:path'
import { createSecureContext } from 'node:tls'
import { type AgentSettings, agentSettings, parseAgentConfig } from '../amphora/agent-config.ts'
import { type Applied, type Details, NEWER_PREFIX, PREFIX, paths, peerName } from '../amphora/rest.ts'
import { canonical } from './address.ts'
import { type Answer, frameworkError, Refusal } from './answer.ts'
import { DatagramKernel } from './datagram-kernel.ts'
import { writeWhole } from './files.ts'
import { thisMachine } from './fit.ts'
import { HeartbeatSender } from './heartbeat-sender.ts'
import { Ipvs } from './ipvs.ts'
import { Listeners } from './listeners.ts'
import type { Log } from './log.ts'
import { aboutMachine, machineDetails } from './machine.ts'
import { interfacesIn, NAMESPACE } from './namespace.ts'
import { writePingWrapper } from './ping.ts'
import { Plugs } from './plug.ts'
import { Prober } from './prober.ts'
import { TlsFiles } from './tls-files.ts'
import { Totals } from './totals.ts'
import { Vrrp } from './vrrp.ts'

export type Endpoint = {
  method: 'GET' | 'PUT' | 'POST' | 'DELETE'
  path: RegExp
  /** With the groups of the path, decoded. */
  answer: (params: string[], body: Buffer) => Promise<Answer> | Answer
}

export type Agent = {
  endpoints: Endpoint[]
  plugs: Plugs
  listeners: Listeners
  vrrp: Vrrp
  prober: Prober
  heartbeats: HeartbeatSender
}

/** `renewed` is called after the agent's own certificate has been replaced on disk; `config_file` is the agent's own. */
export async function makeAgent(
  settings: AgentSettings,
  config_file: string,
  log: Log,
  renewed: () => Promise<void>,
): Promise<Agent> {
  const applied: Record<Applied, number> = { none: 0, runtime: 0, reload: 0, start: 0 }
  const totals = new Totals(path.join(settings.base_path, 'stats_counters.json'), log)
  await totals.load()
  await writePingWrapper(settings.base_path)
  const plugs = new Plugs(settings, log)
  const own = [process.execPath, process.argv[1]!]
  const prober = new Prober(own, log)
  const tls_files = new TlsFiles(settings.base_path)
  const listeners: Listeners = new Listeners({
    base_path: settings.base_path,
    haproxy_cmd: settings.haproxy_cmd,
    namespace: settings.namespace,
    peer: peerName(settings.amphora_id),
    tls_files,
    machine: { ...thisMachine(), ...(settings.namespace ? { base_path: settings.base_path } : {}) },
    log,
    totals,
    kernel: new DatagramKernel(),
    prober,
    ipvs: settings.amphora_udp_driver === 'keepalived_lvs' ? new Ipvs() : null,
    agent: own,
    count: how => {
      applied[how]++
    },
    note: () => vrrp.note(),
    noted: () => vrrp.noteListeners(),
  })
  const vrrp = new Vrrp({
    base_path: settings.base_path,
    agent: own,
    listeners: () => listeners.duties(),
    log,
  })
  const heartbeats = new HeartbeatSender({ settings, listeners, totals, vrrp, log })
  const about = await aboutMachine(settings.haproxy_cmd)

  const details = async (): Promise<Details> => {
    const entries = await listeners.entries()
    return {
      ...about,
      active: true,
      topology: 'SINGLE',
      topology_status: 'OK',
      packages: {},
      ...(await machineDetails(settings.namespace)),
      haproxy_count: entries.filter(each => each.status === 'ACTIVE' && each.type !== 'UDP').length,
      listeners: entries.map(each => each.uuid),
      applied,
      vrrp: vrrp.details(),
    }
  }

  const endpoints: Endpoint[] = [
    { method: 'GET', path: at('/info'), answer: () => ({ status: 200, body: about }) },
    { method: 'GET', path: at('/details'), answer: async () => ({ status: 200, body: await details() }) },
    { method: 'GET', path: at('/interface/([^/]+)'), answer: ([ip]) => interfaceOf(ip!, settings.namespace) },
    { method: 'GET', path: at('/listeners'), answer: async () => ({ status: 200, body: await listeners.entries() }) },
    { method: 'GET', path: at(`/listeners/${id}`), answer: ([listener]) => listeners.details(listener!) },
    { method: 'DELETE', path: at(`/listeners/${id}`), answer: ([listener]) => listeners.remove(listener!) },
    { method: 'GET', path: at(`/listeners/${id}/haproxy`), answer: ([listener]) => listeners.config(listener!) },
    {
      method: 'PUT',
      path: at(`/listeners/${id}/${id}/haproxy`),
      answer: ([, listener], body) => listeners.upload(listener!, body),
    },
    {
      method: 'PUT',
      path: at(`/listeners/${id}/([A-Za-z]+)`),
      answer: ([listener, action]) => listeners.act(listener!, action!),
    },
    {
      method: 'PUT',
      path: at(`/listeners/${id}/certificates/([^/]+)`),
      answer: ([listener, name], body) => tls_files.put(listener!, name!, body),
    },
    {
      method: 'GET',
      path: at(`/listeners/${id}/certificates/([^/]+)`),
      answer: ([listener, name]) => tls_files.digest(listener!, name!),
    },
    {
      method: 'DELETE',
      path: at(`/listeners/${id}/certificates/([^/]+)`),
      answer: ([listener, name]) => tls_files.remove(listener!, name!),
    },
    // what 0.5 has not; a listener's actions and its end are the same under both
    {
      method: 'PUT',
      path: at(`/listeners/${id}/${id}/udp_listener`, NEWER_PREFIX),
      answer: ([, listener], body) => listeners.uploadDatagrams(listener!, body),
    },
    {
      method: 'GET',
      path: at(`/listeners/${id}/udp_listener`, NEWER_PREFIX),
      answer: ([listener]) => listeners.config(listener!),
    },
    {
      method: 'PUT',
      path: at(`/loadbalancer/${id}/([A-Za-z]+)`, NEWER_PREFIX),
      answer: ([listener, action]) => listeners.act(listener!, action!),
    },
    {
      method: 'DELETE',
      path: at(`/listeners/${id}`, NEWER_PREFIX),
      answer: ([listener]) => listeners.remove(listener!),
    },
    { method: 'PUT', path: at('/vrrp/upload'), answer: (_, body) => vrrp.upload(body) },
    { method: 'PUT', path: at('/vrrp/([A-Za-z]+)'), answer: ([action]) => vrrp.act(action!) },
    { method: 'POST', path: at('/plug/vip/([^/]+)'), answer: ([vip], body) => plugs.vip(vip!, body) },
    { method: 'POST', path: at('/plug/network'), answer: (_, body) => plugs.network(body) },
    {
      method: 'PUT',
      path: at('/certificate'),
      answer: async (_, body) => {
        expectUsable(body)
        await writeWhole(settings.agent_server_cert, body)
        await renewed()
        return { status: 202, body: { message: 'OK' } }
      },
    },
    {
      method: 'PUT',
      path: new RegExp(`^${paths.config}$`),
      answer: async (_, body) => {
        const given = usableSettings(body, settings.amphora_id)
        await writeWhole(config_file, body)
        heartbeats.configure(given)
        return { status: 202, body: { message: 'OK' } }
      },
    },
  ]
  return { endpoints, plugs, listeners, vrrp, prober, heartbeats }
}

/** Ids name folders: nothing in them may lead elsewhere. */
const id = '([A-Za-z0-9][A-Za-z0-9_-]{0,63})'

function at(path: string, prefix = PREFIX): RegExp {
  return new RegExp(`^${prefix}${path}$`)
}

/** A certificate that does not load, or not with its key, would lock the controllers out at the next start. */
function expectUsable(pem: Buffer): void {
  try {
    createSecureContext({ cert: pem, key: pem })
  } catch (error) {
    throw frameworkError(400, `The certificate cannot be used (${(error as NodeJS.ErrnoException).code}).`)
  }
}

/** A configuration that the agent could not start with, or that is another amphora's, would be the end of it. */
function usableSettings(body: Buffer, amphora_id: string): AgentSettings {
  const refused = (details: string) =>
    new Refusal(400, { message: 'Unable to update amphora-agent configuration.', details })
  try {
    const given = agentSettings(parseAgentConfig(body.toString('utf8')))
    if (given.amphora_id === amphora_id) return given
    throw new RangeError(`it is of amphora ${given.amphora_id}, and this is ${amphora_id}`)
  } catch (error) {
    throw error instanceof RangeError ? refused(error.message) : error
  }
}

async function interfaceOf(ip: string, namespace = NAMESPACE): Promise<Answer> {
  if (isIP(ip) === 0) throw new Refusal(400, { message: 'Invalid IP address' })
  const wanted = canonical(ip)
  const found = (await interfacesIn(namespace)).find(each => each.addr_info.some(a => canonical(a.local) === wanted))
  if (found === undefined) throw new Refusal(404, { message: 'Error interface not found for IP address' })
  return { status: 200, body: { message: 'OK', interface: found.ifname } }
}
