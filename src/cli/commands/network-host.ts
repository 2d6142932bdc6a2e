/** `ottavia serve network-host`: the program of a network host. It needs no database, and no cloud. */
import { isIP } from 'node:net'
import { startNetworkHost } from '../../agent/network-host.ts'
import { agentSettings, bootConfig, parseAgentConfig } from '../../amphora/agent-config.ts'
import { openLog } from '../../service/log.ts'
import { loadOptions, OptionsError } from '../../service/options.ts'
import { Stop } from '../../service/stop.ts'

/** Runs until the process is asked to end; what it has made goes on without it. */
export async function networkHostRole(config: string | null): Promise<void> {
  const { haproxy, health_manager, certificates } = loadOptions(config, process.env)
  const { host, bind_host, bind_port, server_cert, loadbalancer_state_path, haproxy_cmd } = haproxy
  const needed = {
    '[haproxy] host': host,
    '[haproxy] server_cert': server_cert,
    '[certificates] client_ca': certificates.client_ca,
  }
  for (const [option, value] of Object.entries(needed)) if (value === '') throw new OptionsError(`${option} is empty`)
  if (isIP(bind_host) === 0) throw new OptionsError(`[haproxy] bind_host is ${bind_host}; it must be an address`)
  const log = openLog('network-host')
  const stop = new Stop(log)
  // heartbeats as an amphora sends them, one for each load balancer under its own id
  const settings = agentSettings(
    parseAgentConfig(
      bootConfig({
        amphora_id: host,
        bind_host,
        bind_port,
        controller_ip_port_list: health_manager.controller_ip_port_list.split(','),
        heartbeat_interval: health_manager.heartbeat_interval,
        heartbeat_key: health_manager.heartbeat_key.reveal(),
      }),
    ),
  )
  const running = await startNetworkHost(host, {
    ...settings,
    base_path: loadbalancer_state_path.replace(/\/+$/, ''),
    haproxy_cmd,
    agent_server_cert: server_cert,
    agent_server_ca: certificates.client_ca,
  })
  stop.add('the network host', () => running.close())
  log.info({ host, bind_host, bind_port }, 'ready')
  process.send?.({ ready: true })
}
