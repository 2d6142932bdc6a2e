/** Whose request is it? Keystone's answer about the token, remembered for a short while. */
import { createHash } from 'node:crypto'
import { type TokenOwner, validateToken } from '../cloud/keystone.ts'
import type { OpenStack } from '../cloud/openstack.ts'
import { Rejected } from '../lbaas/errors.ts'
import { Secret } from '../service/secret.ts'
import type { Policy } from './policy/policy-file.ts'
import { type Caller, callerOf } from './policy.ts'

export type AuthStrategy = 'keystone' | 'noauth'

/** How long an answer of Keystone's is believed: a revoked token works so much longer. */
const remember_ms = 30_000
const most_remembered = 1_000

export class Identity {
  readonly #cloud: OpenStack
  readonly #strategy: AuthStrategy
  readonly #policy: Policy
  readonly #clock: () => Date
  /** By the token's digest, so that a dump of the memory's maps holds no tokens. */
  readonly #known = new Map<string, { owner: Promise<TokenOwner | null>; until_ms: number }>()

  constructor(cloud: OpenStack, strategy: AuthStrategy, policy: Policy, clock: () => Date) {
    this.#cloud = cloud
    this.#strategy = strategy
    this.#policy = policy
    this.#clock = clock
  }

  /** The caller; throws Rejected when Keystone does not know the token. Without authentication everyone is admin of the
   *  project that the request names. */
  async of(headers: Readonly<Record<string, string | string[] | undefined>>): Promise<Caller> {
    if (this.#strategy === 'noauth') {
      const named = headers['x-project-id'] ?? headers['x-tenant-id']
      const project_id = typeof named === 'string' && named !== '' ? named : null
      return callerOf(this.#policy, { user_id: 'noauth', project_id, system_scope: null, roles: [] }, true)
    }
    const token = headers['x-auth-token']
    const owner = typeof token === 'string' && token !== '' ? await this.#ask(token) : null
    if (!owner) throw new Rejected('unauthenticated', {})
    return { ...callerOf(this.#policy, owner, false), token: new Secret(token as string) }
  }

  #ask(token: string): Promise<TokenOwner | null> {
    const key = createHash('sha256').update(token).digest('base64')
    const now_ms = this.#clock().getTime()
    const known = this.#known.get(key)
    if (known && known.until_ms > now_ms) return known.owner
    const entry = { owner: this.#validate(token), until_ms: now_ms + remember_ms }
    this.#known.delete(key)
    if (this.#known.size >= most_remembered) this.#known.delete(this.#known.keys().next().value!)
    this.#known.set(key, entry)
    // Neither a refusal nor a failure is remembered: a token may become known, and Keystone come back.
    const forget = () => {
      if (this.#known.get(key) === entry) this.#known.delete(key)
    }
    entry.owner.then(owner => owner ?? forget(), forget)
    return entry.owner
  }

  async #validate(token: string): Promise<TokenOwner | null> {
    const owner = await validateToken(this.#cloud, token)
    if (!owner || Date.parse(owner.expires_at) <= this.#clock().getTime()) return null
    return owner
  }
}
