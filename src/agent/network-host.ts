/** The program of a network host: load balancers in namespaces, and no server for any of them. */
import path from 'node:path'
import type { AgentSettings } from '../amphora/agent-config.ts'
import { Fence } from './fence.ts'
import { HostedLoadBalancers } from './hosted.ts'
import { log } from './log.ts'
import { makeServer } from './server.ts'

/** Puts everything back first, then answers controllers. Resolves when it serves; when it ends, haproxy goes on. */
export async function startNetworkHost(name: string, settings: AgentSettings): Promise<{ close: () => Promise<void> }> {
  if (settings.base_path.length > longest_path)
    throw new Error(
      `${settings.base_path} is too long: paths of sockets end at 107 bytes; at most ${longest_path} here`,
    )
  const hosted = new HostedLoadBalancers({ name, settings, log })
  const fence = new Fence(path.join(settings.base_path, 'fence.json'))
  const server = makeServer(settings, () => hosted.endpoints, fence, log)
  await hosted.resume()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: settings.bind_host, port: settings.bind_port }, resolve)
  })
  log('the network host serves', { name, host: settings.bind_host, port: settings.bind_port })
  const close = async () => {
    hosted.letGo()
    server.close()
    server.closeAllConnections()
  }
  return { close }
}

/** Behind it come the folder of the load balancer (18), of the listener (36), `master.sock`, and what haproxy appends to
 *  the name while it binds. */
const longest_path = 107 - '/'.length - 18 - '/'.length - 36 - '/master.sock'.length - '.4194304.tmp'.length
