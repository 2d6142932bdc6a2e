/** The program inside an amphora. `agent --config /etc/octavia/amphora-agent.conf` */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { parseArgs } from 'node:util'
import { agentSettings, parseAgentConfig } from '../amphora/agent-config.ts'
import { type Endpoint, makeAgent } from './endpoints.ts'
import { Fence } from './fence.ts'
import { log } from './log.ts'
import { serveMetrics } from './metrics.ts'
import type { Plugs } from './plug.ts'
import { PROBE_MODE, probeMembers } from './probe.ts'
import { makeServer, renewCertificate } from './server.ts'
import { checkByDatagram, UDP_CHECK_MODE } from './udp-check.ts'
import { CHECK_MODE, checkSockets } from './vrrp-scripts.ts'

if (process.argv[2] === CHECK_MODE) process.exitCode = await checkSockets(process.argv.slice(3))
else if (process.argv[2] === UDP_CHECK_MODE) process.exitCode = await checkByDatagram(process.argv.slice(3))
else if (process.argv[2] === PROBE_MODE) await probeMembers()
else await main()

/** Puts the network and the listeners back first, then answers controllers. When it ends, haproxy goes on. */
async function main(): Promise<void> {
  const { values } = parseArgs({ options: { config: { type: 'string', default: '/etc/octavia/amphora-agent.conf' } } })
  const settings = agentSettings(parseAgentConfig(readFileSync(values.config, 'utf8')))
  let endpoints: Endpoint[] = []
  const fence = new Fence(path.join(settings.base_path, 'fence.json'))
  const server = makeServer(settings, () => endpoints, fence, log)
  const agent = await makeAgent(settings, values.config, log, async () => renewCertificate(server, settings))
  endpoints = agent.endpoints
  await agent.vip_rules.restore().catch(error => log('rules do not come back', { error: String(error) }))
  await restore(agent.plugs, 0)
  await agent.listeners.resume()
  await agent.vrrp.resume().catch(error => log('keepalived does not come back', { error: String(error) }))
  await agent.heartbeats.begin()
  const metrics = await serveMetrics(settings.base_path, () => agent.listeners.sockets())
  server.listen({ host: settings.bind_host, port: settings.bind_port }, () => {
    log('the agent serves', { amphora: settings.amphora_id, host: settings.bind_host, port: settings.bind_port })
    agent.plugs.prepare().catch(error => log('the namespace cannot be made', { error: String(error) }))
  })
  server.on('error', error => {
    log('the agent cannot serve', { error: error.message })
    process.exit(1)
  })
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      agent.listeners.letGo()
      agent.vrrp.letGo()
      agent.prober.end()
      agent.heartbeats.end()
      metrics.close()
      metrics.closeAllConnections()
      server.close()
      server.closeAllConnections()
    })
  }
}

/** After a reboot the cloud may plug interfaces later than this program starts. */
async function restore(plugs: Plugs, tried: number): Promise<void> {
  const missing = await plugs.restore()
  if (missing.length === 0) return
  log('interfaces are missing', { mac_addresses: missing })
  if (tried < RESTORE_TRIES) setTimeout(() => restore(plugs, tried + 1), RESTORE_AGAIN_MS).unref()
}

const RESTORE_AGAIN_MS = 1_000
const RESTORE_TRIES = 300
