/** The one path of every write: locate, policy, look-ups, then one transaction; answered 2xx is written. */
import { amphora } from '../lbaas/amphora.ts'
import type { Request } from '../lbaas/change.ts'
import { Rejected } from '../lbaas/errors.ts'
import { batchOfMembers } from '../lbaas/member-batch.ts'
import type { Creation } from '../lbaas/nested.ts'
import type { Dialect, TreeResource } from '../lbaas/resource.ts'
import { childOf, type Tree } from '../lbaas/tree.ts'
import * as amphorae from '../store/amphorae.ts'
import { wake } from '../store/claims.ts'
import * as journal from '../store/journal.ts'
import { tables } from '../store/schema.ts'
import * as trees from '../store/trees.ts'
import { checkCertificates } from './certificate-references.ts'
import type { Context } from './context.ts'
import { acceptLoadBalancer, completed, tenantOf } from './creations.ts'
import { refuseUnknownPortParts } from './lookups.ts'
import { locate, ownerFor, refuseForeignProject, refuseForeignReferences, standingFor } from './owners.ts'
import type { Caller } from './policy.ts'
import { type Numbered, untilThrough, write } from './write.ts'

/** What a request asks for: its fields are checked against the declaration, nothing else is. Of creations the first
 *  one is what the request is about. */
export type Intent =
  | { verb: 'create'; main: Creation; all: Creation[] }
  | { verb: 'update'; resource: TreeResource; parent_id?: string; id: string; fields: Record<string, unknown> }
  | { verb: 'delete'; resource: TreeResource; parent_id?: string; id: string; cascade: boolean }

/** Accepts the write, or throws Rejected and has written nothing. Answers with the intended tree and the object's id. */
export async function accept(
  context: Context,
  caller: Caller,
  dialect: Dialect,
  intent: Intent,
): Promise<{ tree: Tree; id: string }> {
  if (intent.verb === 'create') return acceptCreate(context, caller, dialect, intent)
  const { id } = intent
  const owner = await locate(context.pool, caller, dialect, intent)
  if (intent.verb === 'update') {
    await refuseForeignReferences(context.pool, caller, dialect, intent, owner.load_balancer_id)
    refuseForeignProject(caller, intent.resource, intent.fields)
    if (intent.resource === 'load_balancer')
      await refuseUnknownPortParts(context, tenantOf(caller, owner.project_id), intent.fields)
    await checkCertificates(context, caller, intent.resource, intent.fields, await rowAfter(context, owner, intent))
  }
  return { tree: await write(context, caller, { ...owner, id, requests: [intent as Request] }), id }
}

/** The fields as they will be, where that takes a look at the row. */
async function rowAfter(
  { pool }: Context,
  { load_balancer_id }: { load_balancer_id: string },
  { resource, id, fields }: Extract<Intent, { verb: 'update' }>,
): Promise<Record<string, unknown>> {
  const of = Object.keys(fields).map(name => tables[resource].fields[name]?.options.of)
  const tree = of.includes('revocations') || of.includes('authority') ? await trees.read(pool, load_balancer_id) : null
  return { ...(tree && resource !== 'load_balancer' ? childOf(tree, resource, id) : {}), ...fields }
}

async function acceptCreate(
  context: Context,
  caller: Caller,
  dialect: Dialect,
  { main, all }: Extract<Intent, { verb: 'create' }>,
): Promise<{ tree: Tree; id: string }> {
  const { new_id: id, resource, parent_id, fields } = main
  if (resource === 'load_balancer') {
    const others = all.filter(one => one !== main)
    return { tree: await acceptLoadBalancer(context, caller, dialect, [main, ...others]), id }
  }
  const owner = await locate(context.pool, caller, dialect, { verb: 'create', resource, parent_id, fields })
  const made = new Set(all.map(one => one.new_id))
  for (const one of all) await refuseForeignReferences(context.pool, caller, dialect, one, owner.load_balancer_id, made)
  refuseForeignProject(caller, resource, fields)
  const requests = await completed(context, caller, owner.project_id, all)
  return { tree: await write(context, caller, { ...owner, id, requests }), id }
}

/** Accepts that a pool's members become those that are given, by address and port: one change for all of them. */
export async function acceptMembers(
  context: Context,
  caller: Caller,
  dialect: Dialect,
  pool_id: string,
  members: { creation: Creation; named: Record<string, unknown> }[],
  additive_only: boolean,
): Promise<void> {
  const verbs = ['create', 'update', ...(additive_only ? [] : ['delete' as const])] as const
  const [owner] = await Promise.all(
    verbs.map(verb => ownerFor(context.pool, caller, dialect, verb, 'pool', pool_id, 'member')),
  )
  const creates = await completed(
    context,
    caller,
    owner!.project_id,
    members.map(one => one.creation),
  )
  const wanted = members.map(({ named }, i) => ({ create: creates[i] as Numbered & CreateMember, named }))
  const requests = (tree: Tree) => batchOfMembers(tree, pool_id, wanted, additive_only)
  await write(context, caller, { ...owner!, id: pool_id, requests })
}

type CreateMember = Extract<Request, { verb: 'create'; resource: 'member' }>

/** Accepts that amphorae be replaced: all of a load balancer, or one. A spare is let go of; another one is made. */
export async function acceptFailover(
  context: Context,
  caller: Caller,
  dialect: Dialect,
  resource: 'load_balancer' | 'amphora',
  id: string,
): Promise<void> {
  const requests: Request[] = [{ verb: 'failover', resource, id }]
  if (resource === 'load_balancer') {
    const owner = await ownerFor(context.pool, caller, dialect, 'failover', resource, id)
    await write(context, caller, { ...owner, id, requests })
    return
  }
  const standing = await standingFor(context.pool, caller, 'amphora:put_failover', id)
  const { load_balancer_id, project_id } = standing
  if (load_balancer_id !== null)
    await write(context, caller, { load_balancer_id, project_id: project_id!, id, requests })
  else if (standing.status !== 'PENDING_DELETE' && !(await amphorae.doom(context.pool, id, standing)))
    throw new Rejected('immutable', { resource: amphora.singular, id, state: standing.status })
}

/** Accepts that an amphora's agent be given its configuration again. A spare is let go of; another one is made. */
export async function acceptConfigure(context: Context, caller: Caller, id: string): Promise<void> {
  const standing = await standingFor(context.pool, caller, 'amphora:put_config', id)
  const { load_balancer_id, status } = standing
  const refused = new Rejected('immutable', { resource: amphora.singular, id, state: status })
  if (load_balancer_id === null) {
    if (status !== 'PENDING_DELETE' && !(await amphorae.doom(context.pool, id, standing))) throw refused
    return
  }
  await untilThrough(context, async tx => {
    const tree = await trees.loadForUpdate(tx, load_balancer_id)
    if (!tree || !(await amphorae.configure(tx, id))) throw refused
    const { generation } = tree.load_balancer
    const line = { load_balancer_id, generation, actor: caller.user_id, title: 'accept', text: 'configure amphora' }
    await journal.append(tx, { ...line, object_type: 'amphora', object_id: id })
    await wake(tx, load_balancer_id)
  })
}

/** Accepts that an amphora go whose making failed. */
export async function acceptAmphoraDelete(context: Context, caller: Caller, id: string): Promise<void> {
  const standing = await standingFor(context.pool, caller, 'amphora:delete', id)
  const { load_balancer_id, status } = standing
  const refused = new Rejected('immutable', { resource: amphora.singular, id, state: status })
  if (status !== 'ERROR') throw refused
  await untilThrough(context, async tx => {
    const tree = load_balancer_id === null ? null : await trees.loadForUpdate(tx, load_balancer_id)
    if (!(await amphorae.doom(tx, id, standing))) throw refused
    if (!tree || load_balancer_id === null) return
    const { generation } = tree.load_balancer
    const line = { load_balancer_id, generation, actor: caller.user_id, title: 'accept', text: 'delete amphora' }
    await journal.append(tx, { ...line, object_type: 'amphora', object_id: id })
    await wake(tx, load_balancer_id)
  })
}
