/** Who may read and change secrets and containers. An administrator is one of his own project only: the service user of
 *  another project reads what an ACL lets him read, and nothing else. */
import type { Identity } from '../keystone/tokens.ts'
import { Refusal } from '../service.ts'
import type { Guarded } from './documents.ts'

/** Whether metadata, payload and consumers are open to him. */
export function mayRead(identity: Identity, thing: Guarded): boolean {
  return mayChange(identity, thing) || (thing._acl?.users.includes(identity.user_id) ?? false)
}

/** Whether he may change or delete it and its ACL. */
export function mayChange(identity: Identity, thing: Guarded): boolean {
  if (identity.project_id !== thing.project_id || !mayMake(identity)) return false
  return (
    identity.roles.includes('admin') || thing.creator_id === identity.user_id || (thing._acl?.project_access ?? true)
  )
}

/** Whether he may keep secrets in his project at all. Up to Zed that took the role creator, later it takes member. */
export function mayMake(identity: Identity): boolean {
  return identity.project_id !== null && ['admin', 'creator', 'member'].some(role => identity.roles.includes(role))
}

/** `what` is Barbican's name of the attempt. */
export function allow(allowed: boolean, what: string): void {
  if (allowed) return
  throw new Refusal(403, 'forbidden', `${what} attempt not allowed - please review your user/project privileges`)
}
