/** Application credentials: a user's own second passwords, each for one project and some of his roles. */
import { randomBytes } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { type Document, keep, type Store } from '../store.ts'
import { hexId } from './documents.ts'
import { badRequest, expecting, forbidden } from './refusals.ts'
import { hashPassword, type Tokens } from './tokens.ts'

export type Credential = Document & {
  name: string
  user_id: string
  project_id: string
  _secret: string
  _role_ids: string[]
}

export async function createCredential(
  store: Store,
  tokens: Tokens,
  identity: { user_id: string; project_id: string | null },
  request: FastifyRequest,
  reply: FastifyReply,
) {
  const { application_credential: wanted } = request.body as {
    application_credential?: { name?: string; secret?: string; roles?: { id?: string; name?: string }[] }
  }
  // Made with an application credential, another one could outlive it.
  const token = tokens.find(String(request.headers['x-auth-token']))!
  const { user_id } = request.params as { user_id: string }
  if (user_id !== identity.user_id || token.credential || !token.project_id)
    throw forbidden('identity:create_application_credential')
  if (!wanted?.name) throw badRequest(expecting('name', 'application_credential'))
  const own = tokens.roles(token)
  const roles = (wanted.roles ?? own).map(wish => {
    const role = own.find(r => r.id === wish.id || r.name === wish.name)
    if (!role) throw badRequest('Invalid application credential: Could not find role assignment.')
    return role
  })
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
  const shownRoles = roles.map(({ id, name, options }) => ({ id, name, domain_id: null, description: null, options }))
  const links = { self: `${tokens.identity_url}/v3/application_credentials/${shown.id}` }
  return reply.status(201).send({ application_credential: { ...shown, roles: shownRoles, secret, links } })
}
