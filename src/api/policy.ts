/** Who may: roles to rights, in both sets of roles that Octavia knows. */
import { Rejected } from '../lbaas/errors.ts'
import type { Verb } from '../lbaas/provisioning.ts'
import type { Dialect, Resource } from '../lbaas/resource.ts'

export type Rights = {
  /** What belongs to the caller's own project. */
  read_own: boolean
  write_own: boolean
  read_all: boolean
  write_all: boolean
  /** Members of any project (other services ask for them). */
  read_members: boolean
  quotas_all: boolean
}

/** Legacy roles `load-balancer_*`, Keystone's default roles, and admin, side by side: what any of them gives holds. */
export function rightsOf(roles: readonly string[]): Rights {
  const has = (...names: string[]) => roles.some(role => names.includes(role))
  const admin = has('admin', 'load-balancer_admin')
  const read_all = admin || has('load-balancer_global_observer')
  const write_own = admin || has('load-balancer_member', 'member')
  return {
    read_own: read_all || write_own || has('load-balancer_observer', 'reader'),
    write_own,
    read_all,
    write_all: admin,
    read_members: read_all || has('service'),
    quotas_all: admin || has('load-balancer_quota_admin'),
  }
}

type Owner = { project_id: string }
type Asking = { project_id: string | null; rights: Rights }

/** Refuses when the caller may not do this to an object of that project. The Octavia dialect says so; in Neutron's an
 *  object of another project is not there. */
export function allow(
  caller: Asking,
  dialect: Dialect,
  verb: 'read' | Verb,
  resource: Resource,
  id: string,
  owner: Owner,
): void {
  const { rights } = caller
  const own = caller.project_id === owner.project_id
  const may =
    verb === 'failover'
      ? rights.write_all
      : verb === 'read'
        ? rights.read_all || (own && rights.read_own) || (resource.name === 'member' && rights.read_members)
        : rights.write_all || (own && rights.write_own)
  if (may) return
  if (!own && dialect === 'neutron') throw new Rejected('not_found', { resource: resource.title, id })
  throw new Rejected('forbidden', { action: `${verb === 'read' ? 'get' : verb}_${resource.singular}` })
}

/** Refuses everyone but administrators: what shows or moves the machinery is theirs. */
export function allowAdmin({ rights }: Asking, action: string): void {
  if (!rights.write_all) throw new Rejected('forbidden', { action })
}

/** Refuses who may read nothing at all. */
export function allowReader({ rights }: Asking, action: string): void {
  if (!rights.read_own && !rights.read_all) throw new Rejected('forbidden', { action })
}
