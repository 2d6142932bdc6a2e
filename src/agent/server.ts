/** HTTPS for controllers alone: who has no certificate of the controllers' authority is not let in. */
import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import https from 'node:https'
import type { AgentSettings } from '../amphora/agent-config.ts'
import { TOKEN_HEADER } from '../amphora/rest.ts'
import { type Answer, frameworkError, Refusal } from './answer.ts'
import type { Endpoint } from './endpoints.ts'
import type { Fence } from './fence.ts'
import type { Log } from './log.ts'

/** The server, not yet listening. */
export function makeServer(settings: AgentSettings, endpoints: () => Endpoint[], fence: Fence, log: Log): https.Server {
  const server = https.createServer(secrets(settings), async (request, response) => {
    const began_ms = performance.now()
    const answer = await answerTo(request, endpoints(), fence, log)
    write(response, answer)
    const took_ms = Math.round(performance.now() - began_ms)
    log('answered', { method: request.method, path: request.url, status: answer.status, took_ms })
  })
  // Longer than controllers keep idle connections.
  server.keepAliveTimeout = 75_000
  server.on('tlsClientError', error => log('a connection was refused', { error: error.message }))
  return server
}

/** New connections use the certificate that is on disk now. Rejects when it cannot be used. */
export function renewCertificate(server: https.Server, settings: AgentSettings): void {
  server.setSecureContext(secrets(settings))
}

function secrets(settings: AgentSettings): https.ServerOptions {
  const pem = readFileSync(settings.agent_server_cert)
  return {
    cert: pem,
    key: pem,
    ca: readFileSync(settings.agent_server_ca),
    requestCert: true,
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
  }
}

async function answerTo(request: IncomingMessage, endpoints: Endpoint[], fence: Fence, log: Log): Promise<Answer> {
  try {
    const path = (request.url ?? '').replace(/\?.*$/, '')
    const here = endpoints.filter(each => each.path.test(path))
    if (here.length === 0) throw frameworkError(404, 'The requested URL was not found on the server.')
    const endpoint = here.find(each => each.method === request.method)
    if (endpoint === undefined) {
      const Allow = here.map(each => each.method).join(', ')
      throw frameworkError(405, 'The method is not allowed for the requested URL.', { Allow })
    }
    const params = endpoint.path.exec(path)!.slice(1).map(decoded)
    const body = await bodyOf(request)
    if (endpoint.method !== 'GET') await fence.admit(request.headers[TOKEN_HEADER]?.toString())
    return await endpoint.answer(params, body)
  } catch (error) {
    if (error instanceof Refusal) return error.answer
    log('an endpoint failed', { path: request.url, error: String((error as Error).stack ?? error) })
    return frameworkError(500, 'The agent failed; its log has more.').answer
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw frameworkError(400, 'The path is not valid percent-encoding.')
  }
}

const LARGEST_BODY_BYTES = 32 * 1024 * 1024

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > LARGEST_BODY_BYTES) throw frameworkError(413, 'The body is too large.', { Connection: 'close' })
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function write(response: ServerResponse, { status, body, headers = {} }: Answer): void {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  response.writeHead(status, {
    'Content-Type': typeof body === 'string' ? 'text/plain' : 'application/json',
    'Content-Length': Buffer.byteLength(text),
    ...headers,
  })
  response.end(text)
}
