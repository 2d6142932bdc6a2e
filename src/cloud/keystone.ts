/** Keystone: whose token is this? */
import { CloudError, type OpenStack } from './openstack.ts'

export type TokenOwner = {
  user_id: string
  project_id: string | null
  /** `all` for a token of the whole cloud. */
  system_scope: string | null
  roles: string[]
  expires_at: string
}

/** Asks Keystone about a token of somebody else. Null when Keystone knows no such token (unknown, expired, revoked). */
export async function validateToken(os: OpenStack, token: string, signal?: AbortSignal): Promise<TokenOwner | null> {
  try {
    const options = { headers: { 'x-subject-token': token }, query: { nocatalog: '' }, signal }
    const { body } = await os.request('identity', 'GET', '/auth/tokens', options)
    const found = (body as { token: TokenDocument }).token
    return {
      user_id: found.user.id,
      project_id: found.project?.id ?? null,
      system_scope: found.system?.all ? 'all' : null,
      roles: (found.roles ?? []).map(role => role.name),
      expires_at: found.expires_at,
    }
  } catch (error) {
    if (error instanceof CloudError && error.kind === 'not_found') return null
    throw error
  }
}

type TokenDocument = {
  user: { id: string }
  project?: { id: string }
  system?: { all?: boolean }
  roles?: { name: string }[]
  expires_at: string
}
