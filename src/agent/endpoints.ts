/** The endpoints of REST 0.5 and 1.0, and what each of them calls. */
import { isIP } from 'node:net'
import path from 'node:path'
import { createSecureContext } from 'node:tls'
import { type AgentSettings, agentSettings, parseAgentConfig } from '../amphora/agent-config.ts'
import { type Applied, NEWER_PREFIX, PREFIX, peerName, type Rest } from '../amphora/rest.ts'
import { canonical } from './address.ts'
import { type Answer, frameworkError, Refusal } from './answer.ts'
import { DatagramKernel } from './datagram-kernel.ts'
import { writeWhole } from './files.ts'
import { thisMachine } from './fit.ts'
import { HeartbeatSender } from './heartbeat-sender.ts'
import { Ipvs } from './ipvs.ts'
import { Listeners } from './listeners.ts'
import type { Log } from './log.ts'
import { MachineReport } from './machine-report.ts'
import { interfacesIn, NAMESPACE } from './namespace.ts'
import { writePingWrapper } from './ping.ts'
import { Plugs } from './plug.ts'
import { Prober } from './prober.ts'
import { TlsFiles } from './tls-files.ts'
import { Totals } from './totals.ts'
import { VipRules } from './vip-rules.ts'
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
  vip_rules: VipRules
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
  const vip_rules = new VipRules(settings.base_path, settings.namespace)
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
  const machine = new MachineReport(settings, { listeners, vrrp, applied })

  const endpoints: Endpoint[] = [
    { method: 'GET', path: /^\/$/, answer: () => ({ status: 200, body: { api_version: NEWER_PREFIX.slice(1) } }) },
    { method: 'GET', path: either('/info'), answer: async ([rest]) => ok(await machine.info(rest as Rest)) },
    { method: 'GET', path: either('/details'), answer: async ([rest]) => ok(await machine.details(rest as Rest)) },
    { method: 'GET', path: either('/interface/([^/]+)'), answer: ([, ip]) => interfaceOf(ip!, settings.namespace) },
    {
      method: 'PUT',
      path: at(NEWER_PREFIX, '/interface/([^/]+)/rules'),
      answer: async ([ip], body) => vip_rules.set(await interfaceNamed(ip!, settings.namespace), body),
    },
    { method: 'GET', path: either('/listeners'), answer: async () => ok(await listeners.entries()) },
    { method: 'PUT', path: either('/vrrp/upload'), answer: (_, body) => vrrp.upload(body) },
    { method: 'PUT', path: either('/vrrp/([A-Za-z]+)'), answer: ([, action]) => vrrp.act(action!) },
    {
      method: 'POST',
      path: either('/plug/vip/([^/]+)'),
      answer: ([rest, vip], body) => plugs.vip(vip!, body, rest as Rest),
    },
    { method: 'POST', path: either('/plug/network'), answer: ([rest], body) => plugs.network(body, rest as Rest) },
    {
      method: 'PUT',
      path: either('/certificate'),
      answer: async (_, body) => {
        expectUsable(body)
        await writeWhole(settings.agent_server_cert, body)
        await renewed()
        return { status: 202, body: { message: 'OK' } }
      },
    },
    {
      method: 'PUT',
      path: at(NEWER_PREFIX, '/config'),
      answer: async (_, body) => {
        const given = usableSettings(body, settings.amphora_id)
        await writeWhole(config_file, body)
        heartbeats.configure(given)
        return { status: 202, body: { message: 'OK' } }
      },
    },
    ...listenerEndpoints(listeners, tls_files),
    ...loadBalancerEndpoints(listeners, tls_files),
  ]
  return { endpoints, plugs, vip_rules, listeners, vrrp, prober, heartbeats }
}

/** One haproxy for each listener. */
function listenerEndpoints(listeners: Listeners, tls_files: TlsFiles): Endpoint[] {
  const file = at(PREFIX, `/listeners/${id}/certificates/([^/]+)`)
  return [
    { method: 'GET', path: at(PREFIX, `/listeners/${id}`), answer: ([listener]) => listeners.details(listener!) },
    { method: 'DELETE', path: at(PREFIX, `/listeners/${id}`), answer: ([listener]) => listeners.remove(listener!) },
    {
      method: 'GET',
      path: at(PREFIX, `/listeners/${id}/haproxy`),
      answer: ([listener]) => listeners.config(listener!),
    },
    {
      method: 'PUT',
      path: at(PREFIX, `/listeners/${id}/${id}/haproxy`),
      answer: ([, listener], body) => listeners.upload(listener!, body),
    },
    {
      method: 'PUT',
      path: at(PREFIX, `/listeners/${id}/([A-Za-z]+)`),
      answer: ([listener, action]) => listeners.act(listener!, action!),
    },
    { method: 'PUT', path: file, answer: ([listener, name], body) => tls_files.put(listener!, name!, body) },
    { method: 'GET', path: file, answer: ([listener, name]) => tls_files.digest(listener!, name!) },
    { method: 'DELETE', path: file, answer: ([listener, name]) => tls_files.remove(listener!, name!) },
  ]
}

/** One haproxy for each load balancer; listeners of datagrams by themselves. What is to go and is not there has gone. */
function loadBalancerEndpoints(listeners: Listeners, tls_files: TlsFiles): Endpoint[] {
  const file = at(NEWER_PREFIX, `/loadbalancer/${id}/certificates/([^/]+)`)
  const gone = async (removal: Promise<Answer>): Promise<Answer> => {
    return removal.catch(error => {
      if (error instanceof Refusal && error.answer.status === 404) return ok({ message: 'OK' })
      throw error
    })
  }
  return [
    {
      method: 'PUT',
      path: at(NEWER_PREFIX, `/loadbalancer/${id}/${id}/haproxy`),
      answer: ([, unit], body) => listeners.upload(unit!, body),
    },
    {
      method: 'GET',
      path: at(NEWER_PREFIX, `/loadbalancer/${id}/haproxy`),
      answer: ([unit]) => listeners.config(unit!, 'Loadbalancer'),
    },
    {
      method: 'PUT',
      path: at(NEWER_PREFIX, `/loadbalancer/${id}/([A-Za-z]+)`),
      answer: ([unit, action]) => listeners.act(unit!, action!, 'Loadbalancer'),
    },
    { method: 'PUT', path: file, answer: ([unit, name], body) => tls_files.put(unit!, name!, body) },
    { method: 'GET', path: file, answer: ([unit, name]) => tls_files.digest(unit!, name!) },
    { method: 'DELETE', path: file, answer: ([unit, name]) => gone(tls_files.remove(unit!, name!)) },
    {
      method: 'PUT',
      path: at(NEWER_PREFIX, `/listeners/${id}/${id}/udp_listener`),
      answer: ([, listener], body) => listeners.uploadDatagrams(listener!, body),
    },
    {
      method: 'GET',
      path: at(NEWER_PREFIX, `/listeners/${id}/udp_listener`),
      answer: ([listener]) => listeners.config(listener!, 'UDP Listener'),
    },
    { method: 'DELETE', path: at(NEWER_PREFIX, `/listeners/${id}`), answer: ([unit]) => gone(listeners.remove(unit!)) },
  ]
}

/** Ids name folders: nothing in them may lead elsewhere. */
const id = '([A-Za-z0-9][A-Za-z0-9_-]{0,63})'

function at(prefix: string, path: string): RegExp {
  return new RegExp(`^${prefix.replace('.', '\\.')}${path}$`)
}

/** Under both versions; the first group says which. */
function either(path: string): RegExp {
  return new RegExp(`^/(0\\.5|1\\.0)${path}$`)
}

function ok(body: object): Answer {
  return { status: 200, body }
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

async function interfaceOf(ip: string, namespace?: string): Promise<Answer> {
  return ok({ message: 'OK', interface: await interfaceNamed(ip, namespace) })
}

async function interfaceNamed(ip: string, namespace = NAMESPACE): Promise<string> {
  if (isIP(ip) === 0) throw new Refusal(400, { message: 'Invalid IP address' })
  const wanted = canonical(ip)
  const found = (await interfacesIn(namespace)).find(each => each.addr_info.some(a => canonical(a.local) === wanted))
  if (found === undefined) throw new Refusal(404, { message: 'Error interface not found for IP address' })
  return found.ifname
}
