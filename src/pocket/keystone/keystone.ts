/** Keystone v3: versions, tokens, catalogue, projects, users, roles. */
import { randomUUID } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { identityOf as identityWith, Refusal, type SharedOptions, service, statusTitles } from '../service.ts'
import { type Document, drop, keep, type Store } from '../store.ts'
import { type Catalog, catalogOf } from './catalog.ts'
import { type Credential, createCredential } from './credentials.ts'
import { newAssignment, newProject, newUser } from './documents.ts'
import { type AuthBody, authenticate, projectOf } from './log-in.ts'
import { badRequest, expecting, forbidden, notFound } from './refusals.ts'
import type { Assignment, Project, Token, User } from './tokens.ts'

export function keystone(store: Store, catalog: Catalog, shared: SharedOptions): FastifyInstance {
  const { tokens } = shared
  const app = service({
    ...shared,
    name: 'identity',
    not_found: new Refusal(404, 'html', ''),
    request_id_headers: ['x-openstack-request-id'],
    malformed: badRequest('Malformed json in request body'),
    form: refusal =>
      refusal.kind === 'html'
        ? { type: 'text/html; charset=utf-8', body: notFoundPage }
        : {
            type: 'application/json',
            body: JSON.stringify({
              error: { code: refusal.status, message: refusal.message, title: statusTitles[refusal.status] },
            }),
          },
  })
  app.addHook('onRequest', async (_request, reply) => void reply.header('vary', 'X-Auth-Token'))
  const url = tokens.identity_url
  const identityOf = (request: FastifyRequest) => identityWith(request, tokens, `${url}/v3`)
  const version = {
    id: 'v3.14',
    status: 'stable',
    updated: '2020-04-07T00:00:00Z',
    links: [{ rel: 'self', href: `${url}/v3/` }],
    'media-types': [{ base: 'application/json', type: 'application/vnd.openstack.identity-v3+json' }],
  }
  app.get('/', (_request, reply) =>
    reply
      .status(300)
      .header('location', `${url}/v3/`)
      .send({ versions: { values: [version] } }),
  )
  app.get('/v3', () => ({ version }))

  const tokenDocument = (token: Token, with_catalog: boolean) => {
    const user = store.get<User>('user', token.user_id)!
    const project = token.project_id ? store.get<Project>('project', token.project_id) : undefined
    const domain = { id: 'default', name: 'Default' }
    return {
      token: {
        methods: token.methods,
        user: { domain, id: user.id, name: user.name, password_expires_at: null },
        audit_ids: token.audit_ids,
        expires_at: token.expires_at,
        issued_at: token.issued_at,
        ...(project && {
          project: { domain, id: project.id, name: project.name },
          is_domain: false,
          roles: tokens.roles(token).map(({ id, name }) => ({ id, name })),
          ...(with_catalog && { catalog: catalogOf(catalog) }),
        }),
        ...(token.credential && {
          application_credential: { id: token.credential.id, name: token.credential.name, restricted: true },
        }),
      },
    }
  }
  const wantsCatalog = (request: FastifyRequest) => !('nocatalog' in (request.query as object))

  app.post('/v3/auth/tokens', async (request, reply) => {
    const body = request.body as AuthBody
    if (!body?.auth) throw badRequest(expecting('auth', 'request body'))
    const { auth } = body
    if (!auth.identity) throw badRequest(expecting('identity', 'auth'))
    const subject = authenticate(store, tokens, auth)
    const project = projectOf(store, tokens, subject, auth.scope)
    const { secret, token } = await tokens.issue({ ...subject, project_id: project })
    return reply
      .status(201)
      .header('x-subject-token', secret)
      .send(tokenDocument(token, wantsCatalog(request)))
  })
  /** The token that is asked about: anybody may ask about his own, an administrator about every one. */
  const subjectOf = (request: FastifyRequest) => {
    const { admin } = identityOf(request)
    const secret = String(request.headers['x-subject-token'] ?? '')
    const token = tokens.find(secret)
    if (!token) throw notFound(/^gAAAAA/.test(secret) ? 'Failed to validate token' : 'Could not recognize Fernet token')
    if (!admin && secret !== request.headers['x-auth-token']) throw forbidden('identity:validate_token')
    return { secret, token }
  }
  app.get('/v3/auth/tokens', (request, reply) => {
    const { secret, token } = subjectOf(request)
    return reply.header('x-subject-token', secret).send(tokenDocument(token, wantsCatalog(request)))
  })
  app.delete('/v3/auth/tokens', async (request, reply) => {
    await tokens.revoke(subjectOf(request).token)
    return reply.status(204).send()
  })
  app.get('/v3/auth/catalog', request => {
    identityOf(request)
    return { catalog: catalogOf(catalog), links: { self: `${url}/v3/auth/catalog` } }
  })
  const list = (plural: string, path: string, documents: object[]) => ({
    [plural]: documents,
    links: { next: null, self: `${url}${path}`, previous: null },
  })
  const shown = (plural: string) => (document: Document) => ({
    ...Object.fromEntries(Object.entries(document).filter(([key]) => !key.startsWith('_'))),
    links: { self: `${url}/v3/${plural}/${document.id}` },
  })
  app.get('/v3/auth/projects', request => {
    const { user_id } = identityOf(request)
    const ids = new Set(
      store
        .all<Assignment>('assignment')
        .filter(a => a.user_id === user_id)
        .map(a => a.project_id),
    )
    const own = store.all('project').filter(project => ids.has(project.id))
    return list('projects', '/v3/auth/projects', own.map(shown('projects')))
  })

  const collections = {
    project: 'projects',
    user: 'users',
    role: 'roles',
    domain: 'domains',
    service: 'services',
    endpoint: 'endpoints',
    region: 'regions',
  }
  const documentsOf = (kind: string): Document[] => {
    if (kind === 'domain')
      return [
        { id: 'default', name: 'Default', description: 'The default domain', enabled: true, tags: [], options: {} },
      ]
    if (kind === 'region') return [{ id: 'RegionOne', description: '', parent_region_id: null }]
    if (kind === 'service') return catalogOf(catalog).map(({ id, name, type }) => ({ name, id, type, enabled: true }))
    if (kind === 'endpoint')
      return catalogOf(catalog).flatMap(s => s.endpoints.map(e => ({ ...e, service_id: s.id, enabled: true })))
    return store.all(kind)
  }
  for (const [kind, plural] of Object.entries(collections)) {
    app.get(`/v3/${plural}`, request => {
      const identity = identityOf(request)
      const query = request.query as Record<string, string>
      const mine = kind === 'project' && query.name !== undefined
      if (!identity.admin && !mine && kind !== 'domain') throw forbidden(`identity:list_${plural}`)
      const found = documentsOf(kind).filter(document =>
        Object.entries(query).every(([key, value]) => !(key in document) || String(document[key]) === value),
      )
      return list(plural, request.url, found.map(shown(plural)))
    })
    app.get(`/v3/${plural}/:id`, request => {
      const identity = identityOf(request)
      const { id } = request.params as { id: string }
      const document = documentsOf(kind).find(d => d.id === id)
      const own = id === identity.project_id || id === identity.user_id || kind === 'domain'
      if (!identity.admin && !own) throw forbidden(`identity:get_${kind}`)
      if (!document) throw notFound(`Could not find ${kind}: ${id}.`)
      return { [kind]: shown(plural)(document) }
    })
  }
  app.get('/v3/role_assignments', request => {
    if (!identityOf(request).admin) throw forbidden('identity:list_role_assignments')
    const assignments = store.all<Assignment>('assignment').map(a => ({
      role: { id: a.role_id },
      user: { id: a.user_id },
      scope: { project: { id: a.project_id } },
      links: { assignment: `${url}/v3/projects/${a.project_id}/users/${a.user_id}/roles/${a.role_id}` },
    }))
    return list('role_assignments', request.url, assignments)
  })
  app.post('/v3/projects', async (request, reply) => {
    if (!identityOf(request).admin) throw forbidden('identity:create_project')
    const { project } = request.body as { project?: { name?: string; description?: string } }
    if (!project?.name) throw badRequest(expecting('name', 'project'))
    if (store.all<Project>('project').some(p => p.name === project.name))
      throw new Refusal(
        409,
        'conflict',
        'Conflict occurred attempting to store project - it is not permitted to have two projects with the same name in the same domain.',
      )
    const made = newProject(project.name, project.description ?? '')
    await store.commit(keep('project', made))
    return reply.status(201).send({ project: shown('projects')(made) })
  })
  app.post('/v3/users', async (request, reply) => {
    if (!identityOf(request).admin) throw forbidden('identity:create_user')
    const { user } = request.body as { user?: { name?: string; password?: string } }
    if (!user?.name) throw badRequest(expecting('name', 'user'))
    if (store.all<User>('user').some(u => u.name === user.name))
      throw new Refusal(
        409,
        'conflict',
        `Conflict occurred attempting to store user - Duplicate entry found with name ${user.name} at domain ID default.`,
      )
    const made = newUser(user.name, user.password ?? randomUUID())
    await store.commit(keep('user', made))
    return reply.status(201).send({ user: shown('users')(made) })
  })
  app.put('/v3/projects/:project_id/users/:user_id/roles/:role_id', async (request, reply) => {
    if (!identityOf(request).admin) throw forbidden('identity:create_grant')
    const assignment = newAssignment(request.params as Parameters<typeof newAssignment>[0])
    for (const kind of ['project', 'user', 'role'] as const) {
      const id = assignment[`${kind}_id`]
      if (!store.get(kind, id)) throw notFound(`Could not find ${kind}: ${id}.`)
    }
    await store.commit(keep('assignment', assignment))
    return reply.status(204).send()
  })
  app.post('/v3/users/:user_id/application_credentials', async (request, reply) =>
    createCredential(store, tokens, identityOf(request), request, reply),
  )
  app.delete('/v3/users/:user_id/application_credentials/:id', async (request, reply) => {
    const { user_id } = identityOf(request)
    const { id } = request.params as { id: string }
    if (store.get<Credential>('credential', id)?.user_id !== user_id)
      throw notFound(`Could not find Application Credential: ${id}.`)
    await store.commit(drop('credential', id))
    return reply.status(204).send()
  })
  return app
}

const notFoundPage = `<!doctype html>
<html lang=en>
<title>404 Not Found</title>
<h1>Not Found</h1>
<p>The requested URL was not found on the server. If you entered the URL manually please check your spelling and try again.</p>
`
