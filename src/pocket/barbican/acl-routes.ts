/** ACLs of secrets and containers: users of any project who may read, and whether the own project still may. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { keep } from '../store.ts'
import { checkedBody, isText } from './bodies.ts'
import { type Acl, barbicanTime, type Kind, words } from './documents.ts'
import { allow, mayChange } from './rights.ts'
import type { Vault } from './vault.ts'

export function aclRoutes(app: FastifyInstance, vault: Vault, kind: Kind): void {
  const { store, url } = vault
  const { plural, title } = words[kind]
  const path = `/v1/${plural}/:id/acl`
  /** The object, for one who may change it: whom an ACL lets read may not see the ACL. */
  const own = (request: FastifyRequest, attempt: string) => {
    const { thing, identity } = vault.guarded(kind, request)
    allow(mayChange(identity, thing), `${title}ACL(s) ${attempt}`)
    return thing
  }
  /** What the request says of reading; null when it says nothing. */
  const wished = (request: FastifyRequest): { users?: string[]; 'project-access'?: boolean } | null => {
    const body = checkedBody(request, {
      what: `${title}ACL(s) Update`,
      name: 'ACL',
      fields: { read: isRule },
      closed: true,
    })
    return (body.read as ReturnType<typeof wished>) ?? null
  }
  const save = async (request: FastifyRequest, replaced: (before: Acl | null) => Acl | null) => {
    const thing = own(request, 'Update')
    await store.commit(keep(kind, { ...thing, _acl: replaced(thing._acl) }))
    return { acl_ref: `${url}/v1/${plural}/${thing.id}/acl` }
  }

  app.get(path, request => {
    const { _acl } = own(request, 'retrieval')
    if (_acl === null) return { read: { 'project-access': true } }
    const { users, project_access, created, updated } = _acl
    return { read: { 'project-access': project_access, users, created, updated } }
  })
  app.put(path, request =>
    save(request, before => {
      const rule = wished(request)
      return rule && made(before, { users: rule.users ?? [], project_access: rule['project-access'] ?? true })
    }),
  )
  app.patch(path, request =>
    save(request, before => {
      const rule = wished(request)
      const { users = [], project_access = true } = before ?? {}
      return rule
        ? made(before, { users: rule.users ?? users, project_access: rule['project-access'] ?? project_access })
        : before
    }),
  )
  app.delete(path, async (request, reply) => {
    const thing = own(request, 'deletion')
    await store.commit(keep(kind, { ...thing, _acl: null }))
    return reply.status(200).send()
  })
}

function made(before: Acl | null, rule: Pick<Acl, 'users' | 'project_access'>): Acl {
  const now = barbicanTime()
  return {
    users: [...new Set(rule.users)],
    project_access: rule.project_access,
    created: before?.created ?? now,
    updated: now,
  }
}

function isRule(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const { users, 'project-access': project_access, ...rest } = value as Record<string, unknown>
  return (
    Object.keys(rest).length === 0 &&
    (users === undefined || (Array.isArray(users) && users.length <= 1000 && users.every(isText(255)))) &&
    (project_access === undefined || typeof project_access === 'boolean')
  )
}
