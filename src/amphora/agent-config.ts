/** /etc/octavia/amphora-agent.conf, the file from which an agent learns who it is (oslo's ini form). */
import { isIP } from 'node:net'

/** Options by section and name, as text. */
export type AgentConfig = Record<string, Record<string, string>>

/** Writes the file. A value that holds a line break is refused, because it could not be read back. */
export function renderAgentConfig(config: AgentConfig): string {
  const sections = Object.entries(config).map(([section, options]) => {
    const lines = Object.entries(options).map(([name, value]) => {
      if (/[\r\n]/.test(name + value)) throw new RangeError(`the option ${section}.${name} holds a line break`)
      return `${name} = ${value}`
    })
    return [`[${section}]`, ...lines, ''].join('\n')
  })
  return sections.join('\n')
}

/** Reads the file: sections, `name = value` or `name: value`, comments by # and ;, indented lines that go on. */
export function parseAgentConfig(text: string): AgentConfig {
  const config: AgentConfig = {}
  let options = section(config, 'DEFAULT')
  let last: string | null = null
  for (const line of text.split(/\r?\n/)) {
    const head = /^\[([^\]]+)\]/.exec(line)
    const option = /^([^\s=:#;[][^=:]*?)\s*[=:]\s*(.*?)\s*$/.exec(line)
    if (head !== null) {
      options = section(config, head[1]!)
      last = null
    } else if (/^\s*($|[#;])/.test(line)) continue
    else if (/^\s/.test(line) && last !== null) options[last] += `\n${line.trim()}`
    else if (option !== null) {
      last = option[1]!
      options[last] = option[2]!
    }
  }
  return config
}

function section(config: AgentConfig, name: string): Record<string, string> {
  config[name] ??= {}
  return config[name]
}

/** The options that ottavia's own agent uses, with the defaults of the field. */
export type AgentSettings = {
  amphora_id: string
  base_path: string
  bind_host: string
  bind_port: number
  haproxy_cmd: string
  agent_server_cert: string
  agent_server_ca: string
  agent_server_network_dir: string
  /** Where heartbeats go, one after the other. */
  controllers: { host: string; port: number }[]
  heartbeat_interval_s: number
  /** Empty: none are sent. */
  heartbeat_key: string
  heartbeat_form: '0.5' | '1.0'
  amphora_udp_driver: UdpDriver
  /** Only on a network host, which has one for each load balancer; an amphora has the one. */
  namespace?: string
}

/** How datagrams are to be forwarded: by nftables alone, or by keepalived's virtual servers where the kernel has them. */
export type UdpDriver = (typeof udp_drivers)[number]
export const udp_drivers = ['nftables', 'keepalived_lvs'] as const

/** Throws when a value cannot be used. */
export function agentSettings(config: AgentConfig): AgentSettings {
  const haproxy = config.haproxy_amphora ?? {}
  const agent = config.amphora_agent ?? {}
  const health = config.health_manager ?? {}
  const bind_port = Number(haproxy.bind_port ?? 9443)
  if (!Number.isInteger(bind_port) || bind_port < 1 || bind_port > 65_535) {
    throw new RangeError(`haproxy_amphora.bind_port is ${haproxy.bind_port}; it must be a port number`)
  }
  const heartbeat_interval_s = Number(health.heartbeat_interval ?? 10)
  if (!(heartbeat_interval_s >= 0.1)) {
    throw new RangeError(`health_manager.heartbeat_interval is ${health.heartbeat_interval}; it must be 0.1 s or more`)
  }
  const heartbeat_form = health.heartbeat_form ?? '1.0'
  if (heartbeat_form !== '0.5' && heartbeat_form !== '1.0') {
    throw new RangeError(`health_manager.heartbeat_form is ${heartbeat_form}; it must be 0.5 or 1.0`)
  }
  const wanted = agent.amphora_udp_driver ?? 'nftables'
  const amphora_udp_driver = udp_drivers.find(each => each === wanted)
  if (amphora_udp_driver === undefined)
    throw new RangeError(`amphora_agent.amphora_udp_driver is ${wanted}; it must be ${udp_drivers.join(' or ')}`)
  if (!agent.amphora_id) throw new RangeError('amphora_agent.amphora_id is missing')
  return {
    amphora_id: agent.amphora_id,
    base_path: haproxy.base_path ?? '/var/lib/octavia',
    bind_host: haproxy.bind_host ?? '0.0.0.0',
    bind_port,
    haproxy_cmd: haproxy.haproxy_cmd ?? 'haproxy',
    agent_server_cert: agent.agent_server_cert ?? '/etc/octavia/certs/server.pem',
    agent_server_ca: agent.agent_server_ca ?? '/etc/octavia/certs/client_ca.pem',
    agent_server_network_dir: agent.agent_server_network_dir ?? '/etc/netns/amphora-haproxy/network/interfaces.d',
    controllers: controllersIn(health.controller_ip_port_list ?? ''),
    heartbeat_interval_s,
    heartbeat_key: health.heartbeat_key ?? '',
    heartbeat_form,
    amphora_udp_driver,
  }
}

/** `ip:port` and `[ip]:port`, separated by commas. */
function controllersIn(list: string): { host: string; port: number }[] {
  const places = list.split(/[\s,]+/).filter(each => each !== '')
  return places.map(each => {
    const [, host, port] = /^\[?([^\]]+)\]?:(\d+)$/.exec(each) ?? []
    if (host === undefined || isIP(host) === 0 || Number(port) < 1 || Number(port) > 65_535) {
      throw new RangeError(`health_manager.controller_ip_port_list has ${each}; it must be address:port`)
    }
    return { host, port: Number(port) }
  })
}

/** What a controller writes for a new amphora (amphora and its network, not the certificates). */
export function bootConfig(amphora: {
  amphora_id: string
  bind_host?: string
  bind_port: number
  controller_ip_port_list?: string[]
  /** Seconds, decimals too. */
  heartbeat_interval?: number
  heartbeat_key?: string
  /** Ours; left out, it is the agent's own (1.0). */
  heartbeat_form?: '0.5' | '1.0'
  /** Left out, it is the agent's own (nftables). */
  amphora_udp_driver?: UdpDriver
}): string {
  const heartbeat = {
    controller_ip_port_list: (amphora.controller_ip_port_list ?? []).join(', '),
    heartbeat_interval: String(amphora.heartbeat_interval ?? 10),
    ...(amphora.heartbeat_key === undefined ? {} : { heartbeat_key: amphora.heartbeat_key }),
    ...(amphora.heartbeat_form === undefined ? {} : { heartbeat_form: amphora.heartbeat_form }),
  }
  return renderAgentConfig({
    DEFAULT: { debug: 'False' },
    haproxy_amphora: {
      base_cert_dir: '/var/lib/octavia/certs',
      base_path: '/var/lib/octavia',
      bind_host: amphora.bind_host ?? '0.0.0.0',
      bind_port: String(amphora.bind_port),
      haproxy_cmd: '/usr/sbin/haproxy',
      respawn_count: '2',
      respawn_interval: '2',
      use_upstart: 'True',
    },
    health_manager: heartbeat,
    amphora_agent: {
      agent_server_ca: '/etc/octavia/certs/client_ca.pem',
      agent_server_cert: '/etc/octavia/certs/server.pem',
      agent_server_network_dir: '/etc/netns/amphora-haproxy/network/interfaces.d/',
      amphora_id: amphora.amphora_id,
      ...(amphora.amphora_udp_driver === undefined ? {} : { amphora_udp_driver: amphora.amphora_udp_driver }),
    },
  })
}
