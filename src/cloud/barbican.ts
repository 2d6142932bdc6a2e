/** Barbican: containers and secrets, their payloads, and who may read them. */
import { Secret } from '../service/secret.ts'
import { CloudError, type CloudRequest, type OpenStack } from './openstack.ts'

/** What a ref names: they are URLs, of which the host tells nothing (a cloud has several names for itself). */
export type BarbicanRef = { kind: 'secret' | 'container'; id: string }

export type SecretContainer = {
  name: string | null
  type: string
  secret_refs: { name: string | null; secret_ref: string }[]
}

/** The payload in base64: it may be any bytes. */
export type SecretPayload = { content_type: string; base64: Secret }

export type Acl = { users: string[]; project_access: boolean }

/** `token`: a tenant's own, to act with his rights instead of the session's. */
export type Acting = { token?: string; signal?: AbortSignal }

/** The ref's parts; null for what is no ref. A bare id is a container's, as neutron-lbaas had it. */
export function parseRef(ref: string): BarbicanRef | null {
  const bare = uuid.exec(ref)
  if (bare) return { kind: 'container', id: ref.toLowerCase() }
  const found = /^https?:\/\/[^\s/?#]+(?:\/[\w.~-]+)*?\/(secrets|containers)\/([^/]+)\/?$/.exec(ref)
  if (!found || !uuid.test(found[2]!)) return null
  return { kind: found[1] === 'secrets' ? 'secret' : 'container', id: found[2]!.toLowerCase() }
}

/** Barbican's calls that load balancing needs. All go to the catalogue's Barbican, wherever a ref points: a token must
 *  never be sent where a tenant says. Errors are CloudErrors. */
export class Barbican {
  readonly #os: OpenStack

  constructor(os: OpenStack) {
    this.#os = os
  }

  async container(id: string, acting: Acting = {}): Promise<SecretContainer> {
    const { body } = await this.#request('GET', pathOf({ kind: 'container', id }), acting)
    return body as SecretContainer
  }

  /** Two requests: Barbican serves a payload in one type only, which the secret's description tells. */
  async payload(id: string, acting: Acting = {}): Promise<SecretPayload> {
    const path = pathOf({ kind: 'secret', id })
    const { body } = await this.#request('GET', path, acting)
    const { content_types } = body as { content_types?: { default?: string } }
    const content_type = content_types?.default
    if (content_type === undefined)
      throw new CloudError('key-manager', 404, 'NoPayload', 'the secret has no payload yet', null)
    const options = { ...acting, headers: { accept: content_type }, bytes: true }
    const answer = await this.#request('GET', `${path}/payload`, options)
    return { content_type, base64: new Secret((answer.body as Buffer).toString('base64')) }
  }

  /** Only the owner's project may ask, so it takes a tenant's token. */
  async acl(ref: BarbicanRef, acting: Acting): Promise<Acl> {
    const { body } = await this.#request('GET', `${pathOf(ref)}/acl`, acting)
    const { read } = body as { read?: { users?: string[]; 'project-access'?: boolean } }
    return { users: read?.users ?? [], project_access: read?.['project-access'] ?? true }
  }

  /** Replaces the ACL. */
  async setAcl(ref: BarbicanRef, { users, project_access }: Acl, acting: Acting): Promise<void> {
    const body = { read: { users, 'project-access': project_access } }
    await this.#request('PUT', `${pathOf(ref)}/acl`, { ...acting, body })
  }

  /** The id of the session's own user: whom tenants are to let read. */
  userId(signal?: AbortSignal): Promise<string> {
    return this.#os.userId(signal)
  }

  #request(method: string, path: string, options: CloudRequest) {
    return this.#os.request('key-manager', method, path, options)
  }
}

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

function pathOf({ kind, id }: BarbicanRef): string {
  return `/${kind}s/${encodeURIComponent(id)}`
}
