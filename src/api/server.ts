/** The API's servers: one per dialect, on the same store. */
import { randomUUID } from 'node:crypto'
import http from 'node:http'
import net from 'node:net'
import {
  type FastifyBaseLogger,
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  fastify,
  LogController,
} from 'fastify'
import type pg from 'pg'
import type { CertificateStore } from '../cloud/certificates/certificate-store.ts'
import { Glance } from '../cloud/glance.ts'
import { Neutron } from '../cloud/neutron.ts'
import { Nova } from '../cloud/nova.ts'
import { CloudError, type OpenStack } from '../cloud/openstack.ts'
import { Rejected } from '../lbaas/errors.ts'
import { addAgents } from './agents.ts'
import { addAmphorae } from './amphorae.ts'
import type { ApiOptions, Context } from './context.ts'
import { neutron as neutronLbaas } from './dialects/neutron-lbaas.ts'
import { octavia } from './dialects/octavia.ts'
import { addDiscovery } from './discovery.ts'
import { Identity } from './identity.ts'
import { addNeutronQuotas } from './neutron-quotas.ts'
import { addOffers } from './offers.ts'
import { addOpenapi } from './openapi.ts'
import { Policy } from './policy/policy-file.ts'
import { addQuotas } from './quotas.ts'
import { addReferencePage } from './reference-page.ts'
import { addRoutes } from './routes.ts'
import type { Speech } from './speech.ts'

/** Where a server listens: a socket that listens already and was handed in, or an address. */
export type Endpoint = { fd: number } | { host: string; port: number }

export type Api = {
  /** Where the dialects can be reached, in the order that was asked for. */
  addresses: { octavia: net.AddressInfo[]; neutron: net.AddressInfo[] }
  /** What each dialect answers, e.g. `GET /v2.0/lbaas/pools/:id`. */
  routes: { octavia: string[]; neutron: string[] }
  /** Lets requests that are being answered end, and closes. */
  close: () => Promise<void>
}

/** The largest body that is read: fully populated trees are large, names are not. */
const body_limit_bytes = 512 * 1024

/** How long requests that are being answered may take when the API is asked to close. */
const close_patience_ms = 5_000

/** Starts both dialects. Without authentication it refuses to listen on anything but loopback. */
export async function startApi(given: {
  pool: pg.Pool
  cloud: OpenStack
  certificates: CertificateStore
  options: ApiOptions
  listen: { octavia: readonly Endpoint[]; neutron: readonly Endpoint[] }
  log: FastifyBaseLogger
  clock?: () => Date
}): Promise<Api> {
  const { pool, cloud, certificates, options, listen, log, clock = () => new Date() } = given
  if (options.auth_strategy === 'noauth')
    for (const endpoint of [...listen.octavia, ...listen.neutron])
      if ('host' in endpoint && !isLoopback(endpoint.host)) throw openToAll(endpoint.host)
  const policy = new Policy(options.policy_file, log)
  const identity = new Identity(cloud, options.auth_strategy, policy, clock)
  const clients = { neutron: new Neutron(cloud), nova: new Nova(cloud), glance: new Glance(cloud), certificates }
  const context: Context = { pool, ...clients, identity, options, log, clock }
  const opened: { app: FastifyInstance; servers: http.Server[] }[] = []
  const close = async () => {
    const servers = opened.flatMap(one => one.servers)
    await Promise.all(servers.map(closed))
    await Promise.all(opened.map(one => one.app.close()))
  }
  const open = async (speech: Speech, endpoints: readonly Endpoint[]) => {
    const { app, routes } = await appOf(context, speech)
    const servers: http.Server[] = []
    opened.push({ app, servers })
    for (const endpoint of endpoints) servers.push(await listening(app, endpoint))
    const addresses = servers.map(server => server.address() as net.AddressInfo)
    if (options.auth_strategy === 'noauth')
      for (const { address } of addresses) if (!isLoopback(address)) throw openToAll(address)
    return { addresses, routes }
  }
  try {
    const [first, second] = [await open(octavia, listen.octavia), await open(neutronLbaas, listen.neutron)]
    return {
      addresses: { octavia: first.addresses, neutron: second.addresses },
      routes: { octavia: first.routes, neutron: second.routes },
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

async function appOf(context: Context, speech: Speech): Promise<{ app: FastifyInstance; routes: string[] }> {
  const app: FastifyInstance = fastify({
    loggerInstance: context.log,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: body_limit_bytes,
    genReqId: () => `req-${randomUUID()}`,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 500 },
    frameworkErrors: (error, request, reply) =>
      sayError(context, speech, error, request as FastifyRequest, reply as FastifyReply),
  })
  const routes: string[] = []
  app.addHook('onRoute', ({ method, url }) => {
    if (method !== 'HEAD') routes.push(`${method} ${url}`)
  })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    if (body === '') return done(null, undefined)
    try {
      done(null, JSON.parse(String(body)))
    } catch {
      done(new Rejected('bad_json', {}))
    }
  })
  app.decorateRequest('caller')
  app.addHook('onRequest', async (request, reply) => {
    reply.header('x-openstack-request-id', request.id)
    if (!request.is404 && !request.routeOptions.config.open) request.caller = await context.identity.of(request.headers)
  })
  app.setErrorHandler((error, request, reply) => sayError(context, speech, error as FastifyError, request, reply))
  app.setNotFoundHandler((request, reply) =>
    sayError(context, speech, new Rejected('path_not_found', {}), request, reply),
  )
  addRoutes(app, context, speech)
  if (speech.dialect === 'octavia') {
    addQuotas(app, context, speech)
    addAmphorae(app, context, speech)
    addOffers(app, context, speech)
  } else {
    addNeutronQuotas(app, context, speech)
    addAgents(app, context, speech)
  }
  addDiscovery(app, context, speech)
  addOpenapi(app, speech)
  addReferencePage(app)
  await app.ready()
  return { app, routes }
}

/** Every error in the dialect's form. What is not a refusal is logged whole and answered with its id alone. */
function sayError(
  context: Context,
  speech: Speech,
  error: Error,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const request_id = request.id
  const rejected = asRejected(error, request)
  if (!rejected) context.log.error({ err: error, request_id }, 'a defect')
  else if (error instanceof Rejected) context.log.debug({ request_id, rule: rejected.rule }, rejected.message)
  else context.log.warn({ request_id, err: error }, rejected.message)
  const { status, body } = speech.showError(rejected ?? new Rejected('defect', { id: request_id }))
  if (status === 401) reply.header('www-authenticate', 'Keystone')
  if (status === 503) reply.header('retry-after', '1')
  return reply.header('x-openstack-request-id', request_id).code(status).send(body)
}

/** What an error means to the client; null for a defect of ours. */
function asRejected(error: Error & { code?: string }, request: FastifyRequest): Rejected | null {
  if (error instanceof Rejected) return error
  if (error instanceof CloudError)
    return error.kind === 'unavailable' ? new Rejected('unavailable', { service: error.service }) : null
  if (error.message.startsWith('Connection terminated')) return new Rejected('unavailable', { service: 'database' })
  switch (error.code) {
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new Rejected('wrong_content_type', { given: (request.headers['content-type'] ?? 'none').slice(0, 100) })
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new Rejected('too_large', {})
    case 'FST_ERR_BAD_URL':
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return new Rejected('path_not_found', {})
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return new Rejected('bad_json', {})
    // PostgreSQL is away, or going: admin_shutdown, crash_shutdown, cannot_connect_now.
    case 'ECONNREFUSED':
    case 'ECONNRESET':
    case 'ENOENT':
    case '57P01':
    case '57P02':
    case '57P03':
      return new Rejected('unavailable', { service: 'database' })
    default:
      return null
  }
}

function listening(app: FastifyInstance, endpoint: Endpoint): Promise<http.Server> {
  const server = http.createServer((request, response) => app.routing(request, response))
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(endpoint, () => {
      server.off('error', reject)
      resolve(server)
    })
  })
}

function closed(server: http.Server): Promise<void> {
  return new Promise(resolve => {
    const patience = setTimeout(() => server.closeAllConnections(), close_patience_ms)
    server.close(() => {
      clearTimeout(patience)
      resolve()
    })
    server.closeIdleConnections()
  })
}

function isLoopback(host: string): boolean {
  if (host === 'localhost') return true
  const loopback = new net.BlockList()
  loopback.addSubnet('127.0.0.0', 8)
  loopback.addAddress('::1', 'ipv6')
  return net.isIP(host) !== 0 && loopback.check(host, net.isIPv6(host) ? 'ipv6' : 'ipv4')
}

function openToAll(host: string): Error {
  return new Error(
    `auth_strategy noauth trusts everyone, so it may listen on loopback only, not on ${host}: bind to 127.0.0.1, or set auth_strategy to keystone`,
  )
}
