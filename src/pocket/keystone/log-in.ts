/** Log-in: who does the body of POST /v3/auth/tokens prove to be, and for which project may the token be? */
import type { Store } from '../store.ts'
import type { Credential } from './credentials.ts'
import { unauthorized } from './refusals.ts'
import {
  type Assignment,
  type Project,
  passwordFits,
  type Token,
  type TokenCredential,
  type Tokens,
  type User,
} from './tokens.ts'

/** A user or a project, by id, or by name within a domain. */
type Named = { id?: string; name?: string; domain?: { id?: string; name?: string } }
export type AuthBody = {
  auth?: {
    identity?: {
      methods?: string[]
      password?: { user?: Named & { password?: string } }
      token?: { id?: string }
      application_credential?: { id?: string; name?: string; secret?: string; user?: Named }
    }
    scope?: { project?: Named } | string
  }
}

type Subject = {
  user_id: string
  methods: string[]
  credential: TokenCredential | null
  /** An application credential is for one project alone. */
  project_id: string | null
  parent?: Token
}

/** Refuses all doubts with the same 401. */
export function authenticate(store: Store, tokens: Tokens, auth: NonNullable<AuthBody['auth']>): Subject {
  const { methods = [], password, token, application_credential } = auth.identity!
  if (methods.includes('password')) {
    const given = password?.user
    const user = store.all<User>('user').find(u => u.enabled && isNamed(u, given))
    if (!user || !passwordFits(String(given?.password), user._password)) throw unauthorized(tokens)
    return { user_id: user.id, methods: ['password'], credential: null, project_id: null }
  }
  if (methods.includes('token')) {
    const parent = tokens.find(String(token?.id))
    if (!parent) throw unauthorized(tokens)
    return {
      user_id: parent.user_id,
      methods: [...new Set([...parent.methods, 'token'])],
      credential: parent.credential,
      project_id: parent.credential ? parent.project_id : null,
      parent,
    }
  }
  if (methods.includes('application_credential')) {
    const given = application_credential
    const owner = store.all<User>('user').find(u => isNamed(u, given?.user))
    const found = store
      .all<Credential>('credential')
      .find(c => (given?.id ? c.id === given.id : c.name === given?.name && c.user_id === owner?.id))
    if (!found || !passwordFits(String(given?.secret), found._secret)) throw unauthorized(tokens)
    return {
      user_id: found.user_id,
      methods: ['application_credential'],
      credential: { id: found.id, name: found.name, role_ids: found._role_ids },
      project_id: found.project_id,
    }
  }
  throw unauthorized(tokens)
}

/** The project that the token is for. A project in which the user has no role is the same 401 as a wrong password. */
export function projectOf(
  store: Store,
  tokens: Tokens,
  subject: Subject,
  scope: NonNullable<AuthBody['auth']>['scope'],
): string | null {
  const hasRole = (project_id: string) =>
    store.all<Assignment>('assignment').some(a => a.user_id === subject.user_id && a.project_id === project_id)
  if (scope === undefined) {
    if (subject.project_id) return subject.project_id
    const usual = subject.parent ? undefined : store.get<User>('user', subject.user_id)?.default_project_id
    return usual && hasRole(usual) ? usual : null
  }
  if (scope === null || typeof scope === 'string' || !scope.project) return subject.project_id
  const wanted = scope.project
  const project = store.all<Project>('project').find(p => p.enabled && isNamed(p, wanted))
  const elsewhere = subject.project_id !== null && subject.project_id !== project?.id
  if (!project || elsewhere || !hasRole(project.id)) throw unauthorized(tokens)
  return project.id
}

function isNamed({ id, name }: { id: string; name: string }, wanted: Named | undefined): boolean {
  if (!wanted) return false
  if (wanted.id) return wanted.id === id
  const { domain } = wanted
  return wanted.name === name && (!domain || domain.id === 'default' || domain.name === 'Default')
}
