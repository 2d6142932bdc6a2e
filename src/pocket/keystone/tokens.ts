/** Who may: users, projects, roles, and the tokens that stand for them. Tokens survive a restart. */
import { createHash, randomBytes, scryptSync, timingSafeEqual } from 'node:crypto'
import { type Document, drop, keep, type Store } from '../store.ts'

export type User = Document & {
  name: string
  domain_id: string
  enabled: boolean
  /** The project of a token for which none is named. */
  default_project_id?: string
  _password: string
}
export type Project = Document & { name: string; domain_id: string; enabled: boolean; description: string }
export type Role = Document & { name: string; options: { immutable?: boolean } }
export type Assignment = Document & { user_id: string; project_id: string; role_id: string }

/** Who a request's token stands for. */
export type Identity = {
  user_id: string
  user_name: string
  project_id: string | null
  roles: string[]
  /** Sees and changes what belongs to others. */
  admin: boolean
}

export type Token = Document & {
  user_id: string
  project_id: string | null
  methods: string[]
  audit_ids: string[]
  issued_at: string
  expires_at: string
  /** What it came from, where that was an application credential: its roles are all that the token has, and no token
   *  that comes from this one has more. */
  credential: TokenCredential | null
}

export type TokenCredential = { id: string; name: string; role_ids: string[] }

const lifetime_ms = 24 * 3_600_000

/** Issues, finds and revokes tokens. Only a token's hash is stored. */
export class Tokens {
  readonly identity_url: string
  readonly #store: Store

  constructor(store: Store, identity_url: string) {
    this.#store = store
    this.identity_url = identity_url
  }

  async issue(
    token: Pick<Token, 'user_id' | 'project_id' | 'methods' | 'credential'> & { parent?: Token },
  ): Promise<{ secret: string; token: Token }> {
    const secret = `gAAAAA${randomBytes(48).toString('base64url')}`
    const now = Date.now()
    const { parent, ...fields } = token
    const expires = parent?.expires_at ?? times(new Date(now + lifetime_ms))
    const audit = [randomBytes(16).toString('base64url'), ...(parent ? [parent.audit_ids.at(-1)!] : [])]
    const made: Token = {
      id: hash(secret),
      ...fields,
      audit_ids: audit,
      issued_at: times(new Date(now)),
      expires_at: expires,
    }
    await this.#store.commit(keep('token', made), ...this.#expired(now))
    return { secret, token: made }
  }

  find(secret: string): Token | null {
    const token = this.#store.get<Token>('token', hash(secret))
    if (!token || Date.parse(token.expires_at) <= Date.now()) return null
    const revoked = token.credential && !this.#store.get('credential', token.credential.id)
    return revoked ? null : token
  }

  async revoke(token: Token): Promise<void> {
    await this.#store.commit(drop('token', token.id))
  }

  identity(secret: string): Identity | null {
    const token = this.find(secret)
    const user = token && this.#store.get<User>('user', token.user_id)
    if (!token || !user?.enabled) return null
    const roles = this.roles(token).map(role => role.name)
    const { user_id, project_id } = token
    return { user_id, user_name: user.name, project_id, roles, admin: roles.includes('admin') }
  }

  roles(token: Token): Role[] {
    return this.#store
      .all<Assignment>('assignment')
      .filter(a => a.user_id === token.user_id && a.project_id === token.project_id)
      .filter(a => !token.credential || token.credential.role_ids.includes(a.role_id))
      .flatMap(a => this.#store.get<Role>('role', a.role_id) ?? [])
  }

  #expired(now_ms: number) {
    return this.#store
      .all<Token>('token')
      .filter(token => Date.parse(token.expires_at) <= now_ms)
      .map(token => drop('token', token.id))
  }
}

/** scrypt with a salt; the cost keeps a token's issue at a few tens of milliseconds. */
export function hashPassword(password: string): string {
  const salt = randomBytes(16)
  return `${salt.toString('hex')}:${scryptSync(password, salt, 32, { N: 4096 }).toString('hex')}`
}

export function passwordFits(password: string, stored: string): boolean {
  const [salt, expected] = stored.split(':').map(part => Buffer.from(part, 'hex'))
  return timingSafeEqual(scryptSync(password, salt!, 32, { N: 4096 }), expected!)
}

function hash(secret: string): string {
  return createHash('sha256').update(secret).digest('hex')
}

/** Keystone's form of times. */
function times(date: Date): string {
  return `${date.toISOString().slice(0, 19)}.000000Z`
}
