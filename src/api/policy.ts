/** Who may: whether the policy lets a caller do this to an object of that project. */
import { Rejected } from '../lbaas/errors.ts'
import type { Verb } from '../lbaas/provisioning.ts'
import type { Dialect, Resource } from '../lbaas/resource.ts'
import type { Secret } from '../service/secret.ts'
import { type Credentials, holds } from './policy/expression.ts'
import type { Policy } from './policy/policy-file.ts'
import { type RuleName, rule_prefix } from './policy/rules.ts'

export type Caller = {
  user_id: string
  project_id: string | null
  /** Does the rule `context_is_admin` hold for him? Such may use what belongs to others. */
  is_admin: boolean
  /** May he do what the rule is for, in that project? Null: in none. */
  may: (rule: RuleName, project_id: string | null) => boolean
  /** There where Keystone is asked: with it the caller's own rights at other services are used. */
  token?: Secret
}

/** The caller as the policy in force sees him; `trusted`: everyone is admin. */
export function callerOf(policy: Policy, who: Omit<Credentials, 'is_admin'>, trusted: boolean): Caller {
  const rules = policy.rules()
  const { user_id, project_id } = who
  const asking = (is_admin: boolean): Credentials => ({ ...who, is_admin })
  const is_admin = trusted || holds(rules.get('context_is_admin')!, asking(false), who, rules)
  const may: Caller['may'] = (rule, of) => {
    const expression = rules.get(`${rule_prefix}${rule}`)
    if (!expression) throw new Error(`there is no rule ${rule}`)
    return holds(expression, asking(is_admin), { project_id: of }, rules)
  }
  return { user_id, project_id, is_admin, may }
}

type Owner = { project_id: string | null }
export type Deed = 'read' | 'list' | 'status' | 'statistics' | Verb

/** Refuses when the caller may not do this to an object of that project. The Octavia dialect says so; in Neutron's an
 *  object of another project is not there. `ruled` is whose rule decides where that is not the object's: a child's. */
export function allow(
  caller: Caller,
  dialect: Dialect,
  deed: Deed,
  resource: Resource,
  id: string,
  owner: Owner,
  ruled: Resource = resource,
): void {
  if (caller.may(ruleOf(ruled, actions[deed]), owner.project_id)) return
  if (caller.project_id !== owner.project_id && dialect === 'neutron')
    throw new Rejected('not_found', { resource: resource.title, id })
  throw new Rejected('forbidden', { action: `${neutron_words[deed]}_${ruled.singular}` })
}

/** Refuses who may not do what belongs to no project, as the rule says for the caller's own. */
export function allowRule(caller: Caller, rule: RuleName): void {
  const [resource, action] = rule.split(':')
  if (!caller.may(rule, caller.project_id)) throw new Rejected('forbidden', { action: `${action}_${resource}` })
}

/** The rule's name: Octavia writes what tenants make in one word, and what administrators offer with dashes. */
export function ruleOf({ name }: Pick<Resource, 'name'>, action: string): RuleName {
  const is_offered = /flavor|zone/.test(name)
  return `${name.replaceAll('_', is_offered ? '-' : '')}:${action}` as RuleName
}

const actions = {
  read: 'get_one',
  list: 'get_all',
  status: 'get_status',
  statistics: 'get_stats',
  create: 'post',
  update: 'put',
  delete: 'delete',
  failover: 'put_failover',
} as const satisfies Record<Deed, string>

const neutron_words = {
  ...actions,
  read: 'get',
  list: 'get',
  status: 'get',
  statistics: 'get',
  create: 'create',
  update: 'update',
}
