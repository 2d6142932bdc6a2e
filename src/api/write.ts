/** The transaction of every write: the tree is locked, changed by the domain's rules, and saved with its wake-up. */
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { changeAll, type Request, type Terms } from '../lbaas/change.ts'
import { Rejected } from '../lbaas/errors.ts'
import { assertInvariants } from '../lbaas/invariants.ts'
import { providerNamed, refuseUnsupported } from '../lbaas/provider.ts'
import { notFound } from '../lbaas/touch.ts'
import { memberOf, type Tree } from '../lbaas/tree.ts'
import { wake } from '../store/claims.ts'
import * as journal from '../store/journal.ts'
import * as quotas from '../store/quotas.ts'
import * as reservations from '../store/reservations.ts'
import { tables } from '../store/schema.ts'
import { isContention, type Tx, transaction } from '../store/transaction.ts'
import * as trees from '../store/trees.ts'
import type { Context } from './context.ts'
import type { Caller } from './policy.ts'

/** A request, with the id that what it creates gets. */
export type Numbered = Request & { new_id?: string }

/** `id` is the object that the write is about, for the journal; `requests` may depend on the tree as it is. */
export type Write = {
  load_balancer_id: string | null
  project_id: string
  id: string
  requests: Numbered[] | ((tree: Tree) => Numbered[])
}

/** Writes all of the requests, or throws Rejected and has written nothing. */
export async function write(context: Context, caller: Caller, target: Write): Promise<Tree> {
  const { options } = context
  const { load_balancer_id, project_id, id } = target
  return untilThrough(context, async tx => {
    // The project before the tree, always: two writes never wait for each other.
    if (mayCreate(target.requests)) await quotas.lockProject(tx, project_id)
    const before = load_balancer_id === null ? null : await trees.loadForUpdate(tx, load_balancer_id)
    if (load_balancer_id !== null && !before) throw goneMeanwhile(load_balancer_id, target)
    const requests = typeof target.requests === 'function' ? target.requests(before!) : target.requests
    if (before && requests.length === 0) return before
    const after = changeAll(
      before,
      requests.map(of => withProject(of, project_id)),
      termsOf(context, id),
    )
    if (requests.some(({ verb }) => verb !== 'delete'))
      refuseUnsupported(providerNamed(options.providers, after.load_balancer.provider), after)
    assertInvariants(after)
    await trees.save(tx, before, after)
    await refuseBeyondQuotas(tx, context, project_id, requests)
    const [first] = requests
    if (first?.verb === 'create' && first.resource === 'load_balancer' && first.vip.owned)
      if (!(await reservations.consume(tx, id))) throw new Rejected('reservation_gone', {})
    await record(tx, caller, after, requests, id)
    await wake(tx, after.load_balancer.id)
    return after
  })
}

/** What a change is told; `id` is what a single created object gets. */
export function termsOf({ options, clock }: Context, id: string): Terms {
  const { locking, reserved_ips, ping_allowed, tls } = options
  return { now: clock().toISOString(), id, locking, reserved_ips, ping_allowed, tls }
}

/** How long a write waits for others of its tree or project before it is told to come again. */
const patience_ms = 30_000

/** Tries again while others hold what it needs. */
export async function untilThrough<T>(context: Context, work: (tx: Tx) => Promise<T>): Promise<T> {
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

export function isBrokenBy(error: unknown, constraint: string): boolean {
  return error instanceof pg.DatabaseError && error.constraint === constraint
}

/** What the same write takes away makes room for what it makes, though its rows are there until they are gone. */
async function refuseBeyondQuotas(
  tx: Tx,
  { options }: Context,
  project_id: string,
  requests: Numbered[],
): Promise<void> {
  const created = new Set(requests.flatMap(of => (of.verb === 'create' ? [of.resource] : [])))
  for (const resource of created) {
    const going = requests.filter(of => of.verb === 'delete' && of.resource === resource).length
    await quotas.refuseBeyond(tx, project_id, resource, options.quotas, -going)
  }
}

/** One line for the write, and one for each warning. */
async function record(tx: Tx, caller: Caller, tree: Tree, requests: Numbered[], id: string): Promise<void> {
  const { generation, id: load_balancer_id } = tree.load_balancer
  const [first] = requests
  if (!first) return
  const more = requests.length > 1 ? ` and ${requests.length - 1} more` : ''
  const line = { load_balancer_id, generation, actor: caller.user_id, title: 'accept' }
  const object = { object_type: first.resource, object_id: id }
  await journal.append(tx, { ...line, ...object, text: `${first.verb} ${wordsOf(first.resource)}${more}` })
  for (const of of requests) {
    if (of.verb !== 'create' || of.resource !== 'member') continue
    const made = memberOf(tree, of.new_id ?? id)
    if (made?.reason)
      await journal.append(tx, { ...line, object_type: 'member', object_id: made.id, text: made.reason })
  }
}

function wordsOf(resource: Request['resource']): string {
  return resource.replace('_', ' ').replace('l7', 'L7 ')
}

/** Children belong to their load balancer's project, whoever makes them. */
function withProject(request: Numbered, project_id: string): Numbered {
  if (request.verb !== 'create') return request
  return { ...request, fields: { ...request.fields, project_id } } as Numbered
}

function mayCreate(requests: Write['requests']): boolean {
  return typeof requests === 'function' || requests.some(({ verb }) => verb === 'create')
}

function goneMeanwhile(load_balancer_id: string, { requests, id }: Write): Rejected {
  const [first] = typeof requests === 'function' ? [] : requests
  if (!first || first.verb === 'create')
    return new Rejected('not_found', { resource: tables.load_balancer.title, id: load_balancer_id })
  if (first.resource === 'amphora') return new Rejected('not_found', { resource: tables.amphora.title, id })
  return notFound(first.resource, id, 'parent_id' in first ? first.parent_id : undefined)
}
