/** Barbican v1: secrets, the containers that bundle them, and who may read them. */
import type { FastifyInstance } from 'fastify'
import { Refusal, type SharedOptions, service, statusTitles, unauthorizedBody } from '../service.ts'
import type { Store } from '../store.ts'
import { aclRoutes } from './acl-routes.ts'
import { consumerRoutes } from './consumer-routes.ts'
import { containerRoutes } from './container-routes.ts'
import { secretRoutes } from './secret-routes.ts'
import { Vault } from './vault.ts'

export function barbican(store: Store, url: string, shared: SharedOptions): FastifyInstance {
  const app = service({
    ...shared,
    name: 'key_manager',
    not_found: new Refusal(404, 'notFound', ''),
    request_id_headers: ['x-openstack-request-id'],
    malformed: new Refusal(400, 'badRequest', 'Malformed JSON'),
    form: refusal => ({
      type: 'application/json',
      body: refusal.status === 401 ? unauthorizedBody(refusal) : refusalBody(refusal),
    }),
  })
  // The second step of a secret is its payload as it is.
  app.removeContentTypeParser('application/octet-stream')
  for (const type of ['application/octet-stream', 'text/plain'])
    app.addContentTypeParser(type, { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers({ 'openstack-api-version': 'key-manager 1.0', vary: 'openstack-api-version' })
  })
  const v1 = {
    id: 'v1',
    status: 'stable',
    links: [
      { rel: 'self', href: `${url}/v1/` },
      { rel: 'describedby', type: 'text/html', href: 'https://docs.openstack.org/' },
    ],
    'media-types': [{ base: 'application/json', type: 'application/vnd.openstack.key-manager-v1+json' }],
  }
  app.get('/', (_request, reply) => reply.status(300).send({ versions: { values: [v1] } }))
  app.get('/v1', () => ({ version: v1 }))
  const vault = new Vault(store, url, shared.tokens)
  secretRoutes(app, vault)
  containerRoutes(app, vault)
  for (const kind of ['secret', 'container'] as const) {
    aclRoutes(app, vault, kind)
    consumerRoutes(app, vault, kind)
  }
  return app
}

function refusalBody({ status, message }: Refusal): string {
  const title = statusTitles[status] ?? 'Error'
  return JSON.stringify({ code: status, title, description: message === '' ? null : message })
}
