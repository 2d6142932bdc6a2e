/** Which load balancer a request is about, and whether the caller may. */
import type pg from 'pg'
import { amphora } from '../lbaas/amphora.ts'
import { isUuid } from '../lbaas/check.ts'
import { Rejected } from '../lbaas/errors.ts'
import type { Dialect, TreeResource } from '../lbaas/resource.ts'
import { notFound } from '../lbaas/touch.ts'
import { type Standing, standingOf } from '../store/amphorae.ts'
import { tables } from '../store/schema.ts'
import * as trees from '../store/trees.ts'
import type { RuleName } from './policy/rules.ts'
import { allow, allowRule, type Caller, type Deed, ruleOf } from './policy.ts'

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

/** The owner of what a write is about: of its target, or, of a create, of the parent that it names. */
export async function locate(pool: pg.Pool, caller: Caller, dialect: Dialect, intent: Target): Promise<Owner> {
  const { resource, parent_id, id } = intent
  const of = (located: TreeResource, id: string) => ownerFor(pool, caller, dialect, intent.verb, located, id, resource)
  const { parent } = tables[resource]
  if (parent?.in_path) {
    const owner = await of(parent.of, parent_id!)
    if (id !== undefined && !isUuid(id)) throw notFound(resource, id, parent_id)
    return owner
  }
  if (intent.verb !== 'create') return of(resource, id!)
  const named = intent.fields![parent!.field]
  if (typeof named === 'string') return of(parent!.of, named)
  const { listener_id, default_pool_id } = intent.fields as Record<string, string | null | undefined>
  if (resource === 'pool') {
    if (listener_id) return of('listener', listener_id)
    throw new Rejected('pool_without_parent', {})
  }
  if (default_pool_id && dialect === 'neutron') return of('pool', default_pool_id)
  throw new Rejected('listener_without_parent', {})
}

type Target = {
  verb: 'create' | 'update' | 'delete'
  resource: TreeResource
  parent_id?: string | undefined
  id?: string
  fields?: Readonly<Record<string, unknown>>
}

/** Refuses fields that name a listener or pool that is not there for the caller, or is of another load balancer; but for
 *  what the same request makes. */
export async function refuseForeignReferences(
  pool: pg.Pool,
  caller: Caller,
  dialect: Dialect,
  { resource, fields }: { resource: TreeResource; fields: Readonly<Record<string, unknown>> },
  load_balancer_id: string,
  made: ReadonlySet<string> = new Set(),
): Promise<void> {
  for (const [name, field] of Object.entries(tables[resource].fields)) {
    const id = fields[name]
    const of = field.options.of
    if (typeof id !== 'string' || (of !== 'pool' && of !== 'listener') || made.has(id)) continue
    const owner = await ownerFor(pool, caller, dialect, 'read', of, id)
    if (owner.load_balancer_id === load_balancer_id) continue
    if (of === 'listener') throw new Rejected('parents_differ', {})
    throw new Rejected('pool_elsewhere', { pool_id: id, load_balancer_id: owner.load_balancer_id })
  }
}

/** Refuses to make something in a project in which the caller may not. */
export function refuseForeignProject(caller: Caller, resource: TreeResource, fields: { project_id?: unknown }): void {
  const { project_id: named } = fields
  if (typeof named !== 'string' || named === '' || named === caller.project_id) return
  if (caller.may(ruleOf(tables[resource], 'post'), named)) return
  throw new Rejected('foreign_project', {})
}
