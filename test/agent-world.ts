/** The agents of the cloud in memory: what they were told, and what they answer. */
import { AgentError } from '../src/amphora/agent-error.ts'

/** A server with an agent in it. */
export type Box = {
  id: string
  name: string
  mac_addresses: Set<string>
  plugged: Set<string>
  vip: string | null
  /** The configuration that its agent was given while it ran. */
  conf?: string
  /** Who may come to its VIP. */
  rules?: string
  keepalived: { cfg: string; running: boolean } | null
  /** Nobody there answers any more; Nova does not know. */
  dead: boolean
  /** `files`: the certificates that its haproxy has read. */
  listeners: Map<string, { cfg: string; running: boolean; files: string[] }>
  tls_files: Map<string, string>
}

type Port = { mac_address: string; fixed_ips: { ip_address: string }[] }

/** The calls of the agent in the box that `box` finds; it throws where nobody answers. `refuses`: what haproxy says of a text
 *  that it does not take. */
export function agentCalls(box: () => Box, ports: () => Port[], refuses: (cfg: string) => string | null) {
  const listener = (id: string) => {
    const found = box().listeners.get(id)
    if (!found) throw new AgentError(404, 'not_found', 'Listener Not Found')
    return found
  }

  const addresses = ({ plugged }: Box) =>
    ports()
      .filter(p => plugged.has(p.mac_address))
      .flatMap(p => p.fixed_ips.map(ip => ip.ip_address))
  return {
    info: async () => ({ hostname: box().name, haproxy_version: '2.6', api_version: '0.5' }),
    interface: async (ip: string) => {
      if (box().vip !== ip && !addresses(box()).includes(ip))
        throw new AgentError(404, 'not_found', 'Error interface not found for IP address')
      return { message: 'OK', interface: 'eth1' }
    },
    interfaceRules: async (_ip: string, rules: unknown[]) => {
      box().rules = JSON.stringify(rules)
    },
    listeners: async () =>
      [...box().listeners].map(([uuid, l]) => {
        return { uuid, status: l.running ? 'ACTIVE' : 'OFFLINE', type: l.cfg.startsWith('{') ? 'UDP' : '' }
      }),
    listener: async (id: string) => ({ uuid: id, status: listener(id).running ? 'ACTIVE' : 'OFFLINE', type: '' }),
    unitConfig: async (id: string) => ({ cfg: listener(id).cfg, etag: null }),
    datagramConfig: async (id: string) => ({ document: listener(id).cfg, etag: null }),
    details: async () => ({ vrrp: { role: null, etag: box().keepalived?.running ? 'etag' : null } }),
    renewCertificate: async () => void box(),
    configure: async (conf: string) => {
      box().conf = conf
    },
    uploadVrrp: async (cfg: string) => {
      const found = box()
      found.keepalived = { cfg, running: found.keepalived?.running ?? false }
      return { etag: null, warning: null }
    },
    startVrrp: async () => {
      box().keepalived!.running = true
    },
    stopVrrp: async () => {
      const found = box()
      if (found.keepalived) found.keepalived.running = false
    },
    uploadUnit: async (id: string, cfg: string) => {
      const files = [...cfg.matchAll(/\S+\/certs\/(\S+)/g)].map(([, file]) => file!)
      const missing = files.find(file => !box().tls_files.has(file))
      const said = missing ? `unable to load ${missing}` : refuses(cfg)
      if (said) throw new AgentError(400, 'refused', 'Invalid request', said)
      const read = files.map(file => `${file}: ${box().tls_files.get(file)}`)
      box().listeners.set(id, { cfg, running: box().listeners.get(id)?.running ?? false, files: read })
      return { etag: null, warning: null }
    },
    uploadDatagrams: async (id: string, cfg: string) => {
      box().listeners.set(id, { cfg, running: box().listeners.get(id)?.running ?? false, files: [] })
      return { etag: null, warning: null }
    },
    uploadTlsFile: async (id: string, name: string, pem: Buffer) => {
      box().tls_files.set(`${id}/${name}`, pem.toString())
    },
    startUnit: async (id: string) => {
      listener(id).running = true
    },
    stopUnit: async (id: string) => {
      listener(id).running = false
    },
    // one that does not run is started
    reloadUnit: async (id: string) => {
      listener(id).running = true
    },
    deleteUnit: async (id: string) => {
      listener(id)
      box().listeners.delete(id)
    },
    plugVip: async (vip: string, { mac_address }: { mac_address: string }) => {
      plug(box(), mac_address)
      box().vip = vip
    },
    plugNetwork: async ({ mac_address }: { mac_address: string }) => plug(box(), mac_address),
  }
}

function plug(box: Box, mac: string): void {
  if (box.plugged.has(mac)) throw new AgentError(409, 'conflict', 'Interface already exists')
  if (!box.mac_addresses.has(mac)) throw new AgentError(404, 'not_ready', 'No suitable network interface found')
  box.plugged.add(mac)
}
