/** What the cloud's web services share: sockets, request ids, tokens, bodies, and errors in each one's own form. */
import { randomUUID } from 'node:crypto'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { Faults } from './faults.ts'
import type { Identity, Tokens } from './keystone/tokens.ts'

/** The cloud's services, as its options, ports and faults name them. */
export type ServiceName = (typeof serviceNames)[number]
export const serviceNames = ['identity', 'image', 'compute', 'network', 'key_manager'] as const

export type Listen = { fd?: number; host?: string; port?: number }

/** A refusal. `kind` is the service's own name of it; `extra` are headers. */
export class Refusal extends Error {
  readonly status: number
  readonly kind: string
  readonly headers: Record<string, string>

  constructor(status: number, kind: string, message: string, headers: Record<string, string> = {}) {
    super(message)
    this.status = status
    this.kind = kind
    this.headers = headers
  }
}

/** How a service writes its refusals. */
export type RefusalForm = (refusal: Refusal) => { type: string; body: string }

/** What a service adds to what all share. */
export type SharedOptions = Pick<ServiceOptions, 'tokens' | 'faults' | 'log'>

export type ServiceOptions = {
  name: ServiceName
  /** Headers that carry the request's id. */
  request_id_headers: string[]
  form: RefusalForm
  malformed: Refusal
  /** For a path that nothing answers. */
  not_found: Refusal
  tokens: Tokens
  faults: Faults
  log: (text: string, fields: Record<string, unknown>) => void
}

/** A web service without routes. JSON bodies are parsed whatever their type says, as OpenStack's servers do. */
export function service(options: ServiceOptions): FastifyInstance {
  const app = Fastify({
    logger: false,
    // of what is read into memory; what is uploaded streams
    bodyLimit: 4 << 20,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 512 },
    exposeHeadRoutes: true,
  })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/octet-stream', (_request, payload, done) => done(null, payload))
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => {
    try {
      done(null, body === '' ? undefined : JSON.parse(String(body)))
    } catch {
      done(options.malformed)
    }
  })
  app.addHook('onRequest', async (_request, reply) => {
    const request_id = `req-${randomUUID()}`
    for (const header of options.request_id_headers) reply.header(header, request_id)
  })
  options.faults.watch(app, options.name)
  app.setErrorHandler((error, _request, reply) => refuse(reply, options, error))
  app.setNotFoundHandler((_request, reply) => refuse(reply, options, options.not_found))
  return app
}

/** Who sends the request; refuses it when nobody known does, and says where to log in. */
export function identityOf(request: FastifyRequest, tokens: Tokens, log_in_url = tokens.identity_url): Identity {
  const token = request.headers['x-auth-token']
  const identity = typeof token === 'string' ? tokens.identity(token) : null
  if (identity) return identity
  throw new Refusal(401, 'unauthorized', 'The request you have made requires authentication.', {
    'www-authenticate': `Keystone uri="${log_in_url}"`,
  })
}

/** Listens on every socket: one handed in from the host's loopback, one of our own. The first is taken by fastify, the
 *  others share its request handling. */
export async function listenOn(app: FastifyInstance, sockets: Listen[]): Promise<{ close: () => Promise<void> }> {
  await app.ready()
  const http = await import('node:http')
  const servers = await Promise.all(
    sockets.map(
      socket =>
        new Promise<import('node:http').Server>((resolve, reject) => {
          const server = http.createServer({ keepAliveTimeout: 60_000 }, (request, response) =>
            app.routing(request, response),
          )
          server.once('error', reject)
          server.listen(socket.fd === undefined ? { host: socket.host, port: socket.port } : { fd: socket.fd }, () =>
            resolve(server),
          )
        }),
    ),
  )
  const close = async () => {
    for (const server of servers) {
      server.close()
      server.closeAllConnections()
    }
    await app.close()
  }
  return { close }
}

function refuse(reply: FastifyReply, options: ServiceOptions, error: unknown): FastifyReply {
  const refusal = error instanceof Refusal ? error : unexpected(options, error)
  const { type, body } = options.form(refusal)
  return reply.status(refusal.status).headers(refusal.headers).type(type).send(body)
}

function unexpected(options: ServiceOptions, error: unknown): Refusal {
  const { statusCode, message, stack } = error as { statusCode?: number; message: string; stack?: string }
  if (statusCode === 413) return new Refusal(413, 'badRequest', 'The request body is too large.')
  options.log('a request failed unexpectedly', { service: options.name, error: stack ?? message })
  return new Refusal(500, 'computeFault', `Unexpected error: ${message}`)
}

/** The page that paste-based services answer with instead of JSON. */
export function htmlPage(title: string, text: string, detail = ''): string {
  const [shown, more] = [escapeHtml(text), escapeHtml(detail)]
  return `<html>\n <head>\n  <title>${title}</title>\n </head>\n <body>\n  <h1>${title}</h1>\n  ${shown}<br /><br />\n${more}\n\n\n </body>\n</html>`
}

function escapeHtml(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;')
}

export const statusTitles: Record<number, string> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  406: 'Not Acceptable',
  409: 'Conflict',
  413: 'Request Entity Too Large',
  415: 'Unsupported Media Type',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
}

/** The form of keystonemiddleware's 401, the same in every service but Glance. */
export function unauthorizedBody(refusal: Refusal): string {
  return JSON.stringify({ error: { code: 401, title: 'Unauthorized', message: refusal.message } })
}

/** OpenStack's form of times. */
export function timestamp(date = new Date()): string {
  return `${date.toISOString().slice(0, 19)}Z`
}
