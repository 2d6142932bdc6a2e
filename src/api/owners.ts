/** Which load balancer a request is about, and whether the caller may. */
import type pg from 'pg'
import { amphora } from '../lbaas/amphora.ts'
import { isUuid } from '../lbaas/check.ts'
import { Rejected } from '../lbaas/errors.ts'
import type { Dialect, TreeResource } from '../lbaas/resource.ts'
import { type Standing, standingOf } from '../store/amphorae.ts'
import { tables } from '../store/schema.ts'
import * as trees from '../store/trees.ts'
import type { Intent } from './accept.ts'
import type { RuleName } from './policy/rules.ts'
import { allow, allowRule, type Caller, type Deed } from './policy.ts'

export type Owner = { load_balancer_id: string; project_id: string }

/** The owner of an object that the caller may read or write, or below which he may a `ruled` one; Rejected in the
 *  dialect's way when it is not there for him. */
export async function ownerFor(
  pool: pg.Pool,
  caller: Caller,
  dialect: Dialect,
  deed: Deed,
  resource: TreeResource,
  id: string,
  ruled: TreeResource = resource,
): Promise<Owner> {
  const declared = tables[resource]
  const owner = isUuid(id) ? await trees.ownerOf(pool, resource, id) : null
  if (!owner) throw new Rejected('not_found', { resource: declared.title, id })
  allow(caller, dialect, deed, declared, id, owner, tables[ruled])
  return owner
}

/** Where an amphora stands; for administrators only. */
export async function standingFor(pool: pg.Pool, caller: Caller, rule: RuleName, id: string): Promise<Standing> {
  allowRule(caller, rule)
  const standing = isUuid(id) ? await standingOf(pool, id) : null
  if (!standing) throw new Rejected('not_found', { resource: amphora.title, id })
  return standing
}

/** The owner of what the intent writes: of its target, or, of a create, of the parent that it names. */
export async function locate(pool: pg.Pool, caller: Caller, dialect: Dialect, intent: Intent): Promise<Owner> {
  const of = (resource: TreeResource, id: string) =>
    ownerFor(pool, caller, dialect, intent.verb, resource, id, intent.resource)
  if (intent.resource === 'member') {
    const owner = await of('pool', intent.pool_id!)
    if (intent.verb === 'create') return owner
    const { id, pool_id } = intent
    if (!isUuid(id)) throw new Rejected('member_not_found', { id, pool_id: pool_id! })
    return owner
  }
  if (intent.verb !== 'create') return of(intent.resource, intent.id)
  if (intent.resource === 'health_monitor') return of('pool', String(intent.fields.pool_id))
  const { load_balancer_id, listener_id, default_pool_id } = intent.fields as Record<string, string | null | undefined>
  if (load_balancer_id) return of('load_balancer', load_balancer_id)
  if (intent.resource === 'pool') {
    if (listener_id) return of('listener', listener_id)
    throw new Rejected('pool_without_parent', {})
  }
  if (default_pool_id && dialect === 'neutron') return of('pool', default_pool_id)
  throw new Rejected('listener_without_parent', {})
}

/** Refuses fields that name a listener or pool that is not there for the caller, or is of another load balancer. */
export async function refuseForeignReferences(
  pool: pg.Pool,
  caller: Caller,
  dialect: Dialect,
  intent: Extract<Intent, { fields: object }>,
  load_balancer_id: string,
): Promise<void> {
  for (const [name, field] of Object.entries(tables[intent.resource].fields)) {
    const id = intent.fields[name]
    const of = field.options.of
    if (typeof id !== 'string' || (of !== 'pool' && of !== 'listener')) continue
    const owner = await ownerFor(pool, caller, dialect, 'read', of, id)
    if (owner.load_balancer_id === load_balancer_id) continue
    if (of === 'listener') throw new Rejected('parents_differ', {})
    throw new Rejected('pool_elsewhere', { pool_id: id, load_balancer_id: owner.load_balancer_id })
  }
}
