/** The one path of every write: locate, policy, look-ups, then one transaction; answered 2xx is written. */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { amphora } from '../lbaas/amphora.ts'
import { change, type Request } from '../lbaas/change.ts'
import { Rejected } from '../lbaas/errors.ts'
import { assertInvariants } from '../lbaas/invariants.ts'
import { type LoadBalancerPost, refuseWithoutVip } from '../lbaas/load-balancer.ts'
import type { MemberPost } from '../lbaas/member.ts'
import { providerNamed, refuseUnsupported } from '../lbaas/provider.ts'
import type { Dialect, TreeResource } from '../lbaas/resource.ts'
import { memberOf, type Tree } from '../lbaas/tree.ts'
import * as amphorae from '../store/amphorae.ts'
import { wake } from '../store/claims.ts'
import * as journal from '../store/journal.ts'
import * as quotas from '../store/quotas.ts'
import * as reservations from '../store/reservations.ts'
import { tables } from '../store/schema.ts'
import { isContention, type Tx, transaction } from '../store/transaction.ts'
import * as trees from '../store/trees.ts'
import { chosenFor, goneChoice } from './choices.ts'
import type { Context } from './context.ts'
import { memberSubnet, settleVip, type Tenant } from './lookups.ts'
import { locate, ownerFor, refuseForeignReferences, standingFor } from './owners.ts'
import { allow, type Caller, ruleOf } from './policy.ts'

/** What a request asks for: its fields are checked against the declaration, nothing else is. */
export type Intent =
  | { verb: 'create'; resource: TreeResource; pool_id?: string; fields: Record<string, unknown> }
  | { verb: 'update'; resource: TreeResource; pool_id?: string; id: string; fields: Record<string, unknown> }
  | { verb: 'delete'; resource: TreeResource; pool_id?: string; id: string; cascade: boolean }

/** How long a write waits for others of its tree or project before it is told to come again. */
const patience_ms = 30_000

/** Accepts the write, or throws Rejected and has written nothing. Answers with the intended tree and the object's id. */
export async function accept(
  context: Context,
  caller: Caller,
  dialect: Dialect,
  intent: Intent,
): Promise<{ tree: Tree; id: string }> {
  const id = intent.verb === 'create' ? randomUUID() : intent.id
  if (intent.verb === 'create' && intent.resource === 'load_balancer')
    return { tree: await acceptLoadBalancer(context, caller, dialect, id, intent.fields as LoadBalancerPost), id }
  const owner = await locate(context.pool, caller, dialect, intent)
  if (intent.verb !== 'delete') {
    await refuseForeignReferences(context.pool, caller, dialect, intent, owner.load_balancer_id)
    refuseForeignProject(caller, intent.resource, intent.fields)
  }
  const request = await completed(context, caller, owner.project_id, intent)
  const tree = await write(context, caller, { ...owner, id, request })
  return { tree, id }
}

/** Accepts that amphorae be replaced: all of a load balancer, or one. A spare is let go of; another one is made. */
export async function acceptFailover(
  context: Context,
  caller: Caller,
  dialect: Dialect,
  resource: 'load_balancer' | 'amphora',
  id: string,
): Promise<void> {
  const request: Request = { verb: 'failover', resource, id }
  if (resource === 'load_balancer') {
    const owner = await ownerFor(context.pool, caller, dialect, 'failover', resource, id)
    await write(context, caller, { ...owner, id, request })
    return
  }
  const standing = await standingFor(context.pool, caller, 'amphora:put_failover', id)
  const { load_balancer_id, project_id } = standing
  if (load_balancer_id !== null)
    await write(context, caller, { load_balancer_id, project_id: project_id!, id, request })
  else if (standing.status !== 'PENDING_DELETE' && !(await amphorae.doom(context.pool, id, standing)))
    throw new Rejected('immutable', { resource: amphora.singular, id, state: standing.status })
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

async function acceptLoadBalancer(
  context: Context,
  caller: Caller,
  dialect: Dialect,
  id: string,
  given: LoadBalancerPost,
): Promise<Tree> {
  const { options, pool } = context
  const project_id = given.project_id || caller.project_id
  if (!project_id) throw new Rejected('missing_project', {})
  refuseForeignProject(caller, 'load_balancer', given)
  allow(caller, dialect, 'create', tables.load_balancer, id, { project_id })
  const { provider, flavor, zone } = await chosenFor(context, dialect, given)
  const fields = { ...given, project_id, provider: provider.name }
  refuseWithoutVip(fields)
  await quotas.refuseBeyond(pool, project_id, 'load_balancer', options.quotas, 1) // before a port is made for nothing
  const vip = await settleVip(context, tenantOf(caller, project_id), id, fields, zone)
  const { topology } = options
  const request: Request = { verb: 'create', resource: 'load_balancer', fields, vip, topology, flavor, zone }
  try {
    return await write(context, caller, { load_balancer_id: null, project_id, id, request })
  } catch (error) {
    // The port is left to the sweeper: should the commit have come through after all, the VIP is live. Should this
    // fail too, the reservation's age does.
    if (vip.owned) await reservations.abandon(pool, id).catch(() => {})
    throw (error instanceof pg.DatabaseError && goneChoice(error, given)) || error
  }
}

/** The request with what the cloud says about what it names. */
async function completed(context: Context, caller: Caller, project_id: string, intent: Intent): Promise<Request> {
  if (intent.verb !== 'create' || intent.resource !== 'member') return intent as Request
  const fields = { ...intent.fields, project_id } as MemberPost
  const { subnet_id } = fields
  const tenant = tenantOf(caller, project_id)
  const subnet = subnet_id === null ? null : await memberSubnet(context.neutron, tenant, subnet_id)
  return { verb: 'create', resource: 'member', pool_id: intent.pool_id!, fields, subnet }
}

type Write = { load_balancer_id: string | null; project_id: string; id: string; request: Request }

async function write(context: Context, caller: Caller, { request, ...target }: Write): Promise<Tree> {
  const { options } = context
  const { load_balancer_id, project_id, id } = target
  return untilThrough(context, async tx => {
    // The project before the tree, always: two writes never wait for each other.
    if (request.verb === 'create') await quotas.lockProject(tx, project_id)
    const before = load_balancer_id === null ? null : await trees.loadForUpdate(tx, load_balancer_id)
    if (load_balancer_id !== null && !before) throw goneMeanwhile(load_balancer_id, id, request)
    const now = context.clock().toISOString()
    const terms = {
      now,
      id,
      locking: options.locking,
      reserved_ips: options.reserved_ips,
      ping_allowed: options.ping_allowed,
    }
    const after = change(before, withProject(request, project_id), terms)
    if (request.verb !== 'delete')
      refuseUnsupported(providerNamed(options.providers, after.load_balancer.provider), after)
    assertInvariants(after)
    await trees.save(tx, before, after)
    if (request.verb === 'create') {
      await quotas.refuseBeyond(tx, project_id, request.resource, options.quotas, 0)
      if (request.resource === 'load_balancer' && request.vip.owned && !(await reservations.consume(tx, id)))
        throw new Rejected('reservation_gone', {})
    }
    await record(tx, caller, after, request, id)
    await wake(tx, after.load_balancer.id)
    return after
  })
}

/** Tries again while others hold what it needs. */
async function untilThrough<T>(context: Context, work: (tx: Tx) => Promise<T>): Promise<T> {
  const started_ms = performance.now()
  for (;;) {
    try {
      return await transaction(context.pool, work)
    } catch (error) {
      if (isBrokenBy(error, 'load_balancer_vip_port'))
        throw new Rejected('vip', { detail: 'The port of the VIP is already used by another load balancer.' })
      if (!isContention(error)) throw error
      if (performance.now() - started_ms > patience_ms) throw new Rejected('busy', {})
      await sleep(10 + Math.random() * 90)
    }
  }
}

async function record(tx: Tx, caller: Caller, tree: Tree, request: Request, id: string): Promise<void> {
  const { generation, id: load_balancer_id } = tree.load_balancer
  const text = `${request.verb} ${request.resource.replace('_', ' ')}`
  const line = {
    load_balancer_id,
    generation,
    actor: caller.user_id,
    title: 'accept',
    object_type: request.resource,
    object_id: id,
  }
  await journal.append(tx, { ...line, text })
  const warning = request.verb === 'create' && request.resource === 'member' ? memberOf(tree, id)?.reason : null
  if (warning) await journal.append(tx, { ...line, text: warning })
}

/** Children belong to their load balancer's project, whoever makes them. */
function withProject(request: Request, project_id: string): Request {
  if (request.verb !== 'create') return request
  return { ...request, fields: { ...request.fields, project_id } } as Request
}

function refuseForeignProject(caller: Caller, resource: TreeResource, fields: { project_id?: unknown }): void {
  const { project_id: named } = fields
  if (typeof named !== 'string' || named === '' || named === caller.project_id) return
  if (caller.may(ruleOf(tables[resource], 'post'), named)) return
  throw new Rejected('foreign_project', {})
}

function goneMeanwhile(load_balancer_id: string, id: string, request: Request): Rejected {
  if (request.verb === 'create')
    return new Rejected('not_found', { resource: tables.load_balancer.title, id: load_balancer_id })
  return new Rejected('not_found', { resource: tables[request.resource].title, id })
}

function tenantOf(caller: Caller, project_id: string): Tenant {
  return { project_id, is_admin: caller.is_admin }
}

function isBrokenBy(error: unknown, constraint: string): boolean {
  return error instanceof pg.DatabaseError && error.constraint === constraint
}
