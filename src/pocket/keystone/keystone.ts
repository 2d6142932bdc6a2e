/** Keystone v3: versions, tokens, catalogue, projects, users, roles. */
import { randomBytes, randomUUID } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { identityOf, Refusal, type SharedOptions, service, statusTitles } from '../service.ts'
import { type Document, drop, keep, type Store } from '../store.ts'
import { type Catalog, catalogOf } from './catalog.ts'
import {
  type Assignment,
  hashPassword,
  type Project,
  passwordFits,
  type Role,
  type Token,
  type Tokens,
  type User,
} from './tokens.ts'

type Credential = Document & { name: string; user_id: string; project_id: string; _secret: string; _role_ids: string[] }
type AuthBody = {
  auth?: {
    identity?: {
      methods?: string[]
      password?: { user?: { id?: string; name?: string; password?: string } }
      token?: { id?: string }
      application_credential?: { id?: string; name?: string; secret?: string; user?: { id?: string; name?: string } }
    }
    scope?: { project?: { id?: string; name?: string } } | string
  }
}

export function keystone(store: Store, catalog: Catalog, shared: SharedOptions): FastifyInstance {
  const { tokens } = shared
  const app = service({
    ...shared,
    name: 'identity',
    not_found: new Refusal(404, 'html', ''),
    request_id_header: 'x-openstack-request-id',
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
  const subjectOf = (request: FastifyRequest) => {
    identityOf(request, tokens)
    const secret = String(request.headers['x-subject-token'] ?? '')
    const token = tokens.find(secret)
    if (!token) throw notFound(/^gAAAAA/.test(secret) ? 'Failed to validate token' : 'Could not recognize Fernet token')
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
    identityOf(request, tokens)
    return { catalog: catalogOf(catalog), links: { next: null, self: `${url}/v3/auth/catalog`, previous: null } }
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
    const { user_id } = identityOf(request, tokens)
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
      const identity = identityOf(request, tokens)
      const query = request.query as Record<string, string>
      const mine = kind === 'project' && query.name !== undefined
      if (!identity.admin && !mine && kind !== 'domain') throw forbidden(`identity:list_${plural}`)
      const found = documentsOf(kind).filter(document =>
        Object.entries(query).every(([key, value]) => !(key in document) || String(document[key]) === value),
      )
      return list(plural, request.url, found.map(shown(plural)))
    })
    app.get(`/v3/${plural}/:id`, request => {
      const identity = identityOf(request, tokens)
      const { id } = request.params as { id: string }
      const document = documentsOf(kind).find(d => d.id === id)
      const own = id === identity.project_id || id === identity.user_id || kind === 'domain'
      if (!identity.admin && !own) throw forbidden(`identity:get_${kind}`)
      if (!document) throw notFound(`Could not find ${kind}: ${id}.`)
      return { [kind]: shown(plural)(document) }
    })
  }
  app.get('/v3/role_assignments', request => {
    if (!identityOf(request, tokens).admin) throw forbidden('identity:list_role_assignments')
    const assignments = store.all<Assignment>('assignment').map(a => ({
      role: { id: a.role_id },
      user: { id: a.user_id },
      scope: { project: { id: a.project_id } },
      links: { assignment: `${url}/v3/projects/${a.project_id}/users/${a.user_id}/roles/${a.role_id}` },
    }))
    return list('role_assignments', request.url, assignments)
  })
  app.post('/v3/projects', async (request, reply) => {
    if (!identityOf(request, tokens).admin) throw forbidden('identity:create_project')
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
    if (!identityOf(request, tokens).admin) throw forbidden('identity:create_user')
    const { user } = request.body as { user?: { name?: string; password?: string } }
    if (!user?.name) throw badRequest(expecting('name', 'user'))
    const made = newUser(user.name, user.password ?? randomUUID())
    await store.commit(keep('user', made))
    return reply.status(201).send({ user: shown('users')(made) })
  })
  app.put('/v3/projects/:project_id/users/:user_id/roles/:role_id', async (request, reply) => {
    if (!identityOf(request, tokens).admin) throw forbidden('identity:create_grant')
    await store.commit(keep('assignment', newAssignment(request.params as Parameters<typeof newAssignment>[0])))
    return reply.status(204).send()
  })
  app.post('/v3/users/:user_id/application_credentials', async (request, reply) =>
    createCredential(store, identityOf(request, tokens), request, reply),
  )
  app.delete('/v3/users/:user_id/application_credentials/:id', async (request, reply) => {
    const { user_id } = identityOf(request, tokens)
    const { id } = request.params as { id: string }
    if (store.get<Credential>('credential', id)?.user_id !== user_id)
      throw notFound(`Could not find Application Credential: ${id}.`)
    await store.commit(drop('credential', id))
    return reply.status(204).send()
  })
  return app
}

export function newProject(name: string, description: string): Project {
  return {
    id: hexId(),
    name,
    domain_id: 'default',
    description,
    enabled: true,
    parent_id: 'default',
    is_domain: false,
    tags: [],
    options: {},
  }
}

export function newUser(name: string, password: string): User {
  return {
    id: hexId(),
    name,
    domain_id: 'default',
    enabled: true,
    password_expires_at: null,
    options: {},
    _password: hashPassword(password),
  }
}

export function newAssignment(fields: { user_id: string; project_id: string; role_id: string }): Assignment {
  const { user_id, project_id, role_id } = fields
  return { id: `${project_id}/${user_id}/${role_id}`, user_id, project_id, role_id }
}

/** Keystone's ids have no dashes. */
export function hexId(): string {
  return randomUUID().replace(/-/g, '')
}

type Subject = {
  user_id: string
  methods: string[]
  role_ids: string[] | null
  project_id: string | null
  parent?: Token
}

function authenticate(store: Store, tokens: Tokens, auth: NonNullable<AuthBody['auth']>): Subject {
  const { methods = [], password, token, application_credential } = auth.identity!
  if (methods.includes('password')) {
    const given = password?.user
    const user = store.all<User>('user').find(u => (given?.id ? u.id === given.id : u.name === given?.name))
    if (!user || !given?.password || !passwordFits(given.password, user._password)) throw unauthorized(tokens)
    return { user_id: user.id, methods: ['password'], role_ids: null, project_id: null }
  }
  if (methods.includes('token')) {
    const parent = tokens.find(String(token?.id))
    if (!parent) throw unauthorized(tokens)
    return {
      user_id: parent.user_id,
      methods: [...new Set([...parent.methods, 'token'])],
      role_ids: null,
      project_id: null,
      parent,
    }
  }
  if (methods.includes('application_credential')) {
    const given = application_credential
    const found = store
      .all<Credential>('credential')
      .find(c => (given?.id ? c.id === given.id : c.name === given?.name))
    if (!found || !given?.secret || !passwordFits(given.secret, found._secret)) throw unauthorized(tokens)
    return {
      user_id: found.user_id,
      methods: ['application_credential'],
      role_ids: found._role_ids,
      project_id: found.project_id,
    }
  }
  throw unauthorized(tokens)
}

/** The project that the token is for. A project in which the user has no role is the same 401 as a wrong password. */
function projectOf(
  store: Store,
  tokens: Tokens,
  subject: Subject,
  scope: NonNullable<AuthBody['auth']>['scope'],
): string | null {
  if (subject.project_id) return subject.project_id
  if (!scope || typeof scope === 'string' || !scope.project) return null
  const { id, name } = scope.project
  const project = store.all<Project>('project').find(p => (id ? p.id === id : p.name === name))
  const member = store
    .all<Assignment>('assignment')
    .some(a => a.user_id === subject.user_id && a.project_id === project?.id)
  if (!project || !member) throw unauthorized(tokens)
  return project.id
}

async function createCredential(
  store: Store,
  identity: { user_id: string; project_id: string | null },
  request: FastifyRequest,
  reply: FastifyReply,
) {
  const { application_credential: wanted } = request.body as {
    application_credential?: { name?: string; secret?: string; roles?: { id?: string; name?: string }[] }
  }
  if (!wanted?.name) throw badRequest(expecting('name', 'application_credential'))
  const own = store
    .all<Assignment>('assignment')
    .filter(a => a.user_id === identity.user_id && a.project_id === identity.project_id)
  const roles = own
    .map(a => store.get<Role>('role', a.role_id)!)
    .filter(role => !wanted.roles || wanted.roles.some(r => r.id === role.id || r.name === role.name))
  const secret = wanted.secret ?? randomBytes(64).toString('base64url')
  const shown = {
    id: hexId(),
    name: wanted.name,
    description: null,
    user_id: identity.user_id,
    project_id: identity.project_id!,
    system: null,
    expires_at: null,
    unrestricted: null,
  }
  await store.commit(
    keep('credential', { ...shown, _secret: hashPassword(secret), _role_ids: roles.map(role => role.id) }),
  )
  const shownRoles = roles.map(({ id, name }) => ({ id, name, domain_id: null, description: null, options: {} }))
  return reply.status(201).send({ application_credential: { ...shown, roles: shownRoles, secret } })
}

const authenticationText = 'The request you have made requires authentication.'
const notFoundPage = `<!doctype html>
<html lang=en>
<title>404 Not Found</title>
<h1>Not Found</h1>
<p>The requested URL was not found on the server. If you entered the URL manually please check your spelling and try again.</p>
`

function unauthorized(tokens: Tokens): Refusal {
  return new Refusal(401, 'unauthorized', authenticationText, {
    'www-authenticate': `Keystone uri="${tokens.identity_url}/v3"`,
  })
}

function badRequest(message: string): Refusal {
  return new Refusal(400, 'badRequest', message)
}

function notFound(message: string): Refusal {
  return new Refusal(404, 'notFound', message)
}

function forbidden(action: string): Refusal {
  return new Refusal(403, 'forbidden', `You are not authorized to perform the requested action: ${action}.`)
}

function expecting(attribute: string, target: string): string {
  return `Expecting to find ${attribute} in ${target}. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.`
}
