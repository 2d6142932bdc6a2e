/** The L7 policy: its declaration and its rules. */
import { Rejected } from './errors.ts'
import { type Listener, refuseUnfitPool } from './listener.ts'
import {
  admin_state_up,
  description,
  enumeration,
  identity,
  integer,
  lifecycle,
  type Post,
  type Put,
  type Row,
  resource,
  string,
  uuid,
} from './resource.ts'
import { leaving, listenerOf, type Tree } from './tree.ts'

/** http or https, then what a URI may be made of (RFC 3986); never white space, quotes or control characters. */
const url = { null: true, change: true, max_length: 255, pattern: urlPattern() } as const

/** Behind all others. */
const LAST_POSITION = 2_147_483_647

export const l7policy = resource({
  name: 'l7policy',
  title: 'L7 Policy',
  singular: 'l7policy',
  plural: 'l7policies',
  path: 'l7policies',
  parent: { field: 'listener_id', of: 'listener' },
  nested: { rules: { of: 'l7rule', many: true }, redirect_pool: { of: 'pool', many: false } },
  fields: {
    ...identity,
    description,
    listener_id: uuid({ rendered: false, of: 'listener', doc: 'The listener whose requests it looks at.' }),
    admin_state_up,
    action: enumeration({
      values: ['REDIRECT_TO_POOL', 'REDIRECT_TO_URL', 'REDIRECT_PREFIX', 'REJECT'],
      neutron_values: ['REJECT', 'REDIRECT_TO_POOL', 'REDIRECT_TO_URL'],
      change: true,
      doc: 'What becomes of a request that all its rules match. REJECT goes before redirects, redirects before pools.',
    }),
    redirect_pool_id: uuid({ null: true, change: true, of: 'pool', doc: 'With REDIRECT_TO_POOL: the pool.' }),
    redirect_url: string({ ...url, doc: 'With REDIRECT_TO_URL: where the client is sent.' }),
    redirect_prefix: string({
      ...url,
      neutron: false,
      since: '2.6',
      doc: "With REDIRECT_PREFIX: what is put before the request's own path.",
    }),
    redirect_http_code: integer({
      null: true,
      change: true,
      neutron: false,
      since: '2.9',
      one_of: [301, 302, 303, 307, 308],
      doc: 'With REDIRECT_TO_URL and REDIRECT_PREFIX: the status of the answer; 302 where none is named.',
    }),
    position: integer({
      default: LAST_POSITION,
      min: 1,
      max: LAST_POSITION,
      change: true,
      rendered: false,
      doc: 'Its place among the policies of its listener, from 1 on; others make room.',
    }),
    ...lifecycle,
  },
})

export type L7Policy = Row<typeof l7policy>
export type L7PolicyPost = Post<typeof l7policy>
export type L7PolicyPut = Put<typeof l7policy>
type Action = L7Policy['action']

/** The argument that each action needs. */
const arguments_of = {
  REDIRECT_TO_POOL: 'redirect_pool_id',
  REDIRECT_TO_URL: 'redirect_url',
  REDIRECT_PREFIX: 'redirect_prefix',
} as const

/** The policy with what the named fields make of it: naming an argument alone means its action, and the arguments of
 *  other actions go. Throws Rejected when the action's own argument is missing, or two are named. */
export function completedPolicy(row: L7Policy, named: Readonly<L7PolicyPut>): L7Policy {
  const pairs = Object.entries(arguments_of) as [Exclude<Action, 'REJECT'>, keyof L7PolicyPut & keyof L7Policy][]
  const given = pairs.filter(([, argument]) => named[argument] !== undefined && named[argument] !== null)
  if (given.length > 1 && named.action === undefined)
    throw new Rejected('l7policy', {
      detail: `Cannot specify ${given.map(([, argument]) => argument).join(' and ')} at the same time`,
    })
  const action = named.action ?? given[0]?.[0] ?? row.action
  const completed: L7Policy = { ...row, action }
  for (const [of, argument] of pairs) {
    if (of !== action) completed[argument] = null as never
    else if (completed[argument] === null) throw missingArgument(action, argument)
  }
  const redirects = action === 'REDIRECT_TO_URL' || action === 'REDIRECT_PREFIX'
  return { ...completed, redirect_http_code: redirects ? (row.redirect_http_code ?? 302) : null }
}

/** Refuses a policy that does not fit to its listener or pool. */
export function checkPolicy(tree: Tree, row: L7Policy): void {
  const listener = listenerOf(tree, row.listener_id)
  if (listener === null) throw new Error(`L7 policy ${row.id} has no listener`)
  if (listener.protocol === 'PROMETHEUS') throw new Rejected('prometheus_children', {})
  if (listener.protocol !== 'HTTP' && listener.protocol !== 'TERMINATED_HTTPS')
    throw new Rejected('l7_protocol', { protocol: listener.protocol })
  if (row.redirect_pool_id !== null) refuseUnfitPool(tree, listener.protocol, row.redirect_pool_id)
}

/** The policies of a listener in the order of their positions, without those on their way out. */
export function policiesOf(tree: Tree, { id }: Pick<Listener, 'id'>): L7Policy[] {
  return tree.l7policies
    .filter(policy => policy.listener_id === id && !leaving(policy))
    .sort((a, b) => a.position - b.position || (a.id < b.id ? -1 : 1))
}

function missingArgument(action: Action, argument: string): Rejected {
  if (action === 'REDIRECT_TO_POOL') return new Rejected('l7policy_pool', {})
  if (action === 'REDIRECT_TO_URL') return new Rejected('l7policy_url', {})
  return new Rejected('l7policy', { detail: `${argument} must not be None` })
}

function urlPattern(): string {
  const letters = "A-Za-z0-9\\-._~:\\/?#\\[\\]@!$&'()*+,;="
  return `^[hH][tT][tT][pP][sS]?:\\/\\/(?:[${letters}]|%[A-Fa-f0-9]{2})+$`
}
