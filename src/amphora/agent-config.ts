/** /etc/octavia/amphora-agent.conf, the file from which an agent learns who it is (oslo's ini form). */

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
}

/** Throws when a value cannot be used. */
export function agentSettings(config: AgentConfig): AgentSettings {
  const haproxy = config.haproxy_amphora ?? {}
  const agent = config.amphora_agent ?? {}
  const bind_port = Number(haproxy.bind_port ?? 9443)
  if (!Number.isInteger(bind_port) || bind_port < 1 || bind_port > 65_535) {
    throw new RangeError(`haproxy_amphora.bind_port is ${haproxy.bind_port}; it must be a port number`)
  }
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
  }
}

/** What a controller writes for a new amphora (amphora and its network, not the certificates). */
export function bootConfig(amphora: {
  amphora_id: string
  bind_host?: string
  bind_port: number
  controller_ip_port_list?: string[]
  heartbeat_interval?: number
  heartbeat_key?: string
}): string {
  const heartbeat = {
    controller_ip_port_list: (amphora.controller_ip_port_list ?? []).join(', '),
    heartbeat_interval: String(amphora.heartbeat_interval ?? 10),
    ...(amphora.heartbeat_key === undefined ? {} : { heartbeat_key: amphora.heartbeat_key }),
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
    },
  })
}
