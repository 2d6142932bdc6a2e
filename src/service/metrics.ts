/** Metrics: the page that Prometheus reads. */
import http from 'node:http'
import type { Registry } from 'prom-client'
import type { Log } from './log.ts'

/** Serves GET /metrics until it is closed. Resolves when it listens. */
export async function serveMetrics(
  registry: Registry,
  { host, port }: { host: string; port: number },
  log: Log,
): Promise<{ port: number; close: () => Promise<void> }> {
  const server = http.createServer(async (request, response) => {
    if (request.method !== 'GET' || request.url !== '/metrics') {
      response.writeHead(404).end('There is only GET /metrics here.\n')
      return
    }
    try {
      response.writeHead(200, { 'content-type': registry.contentType }).end(await registry.metrics())
    } catch (error) {
      log.error({ err: error }, 'the metrics could not be collected')
      response.writeHead(500).end()
    }
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, resolve)
  })
  const close = async () => {
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  }
  return { port: (server.address() as { port: number }).port, close }
}
