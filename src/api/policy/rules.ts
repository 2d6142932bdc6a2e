/** Octavia's rules by name, with its defaults for both sets of roles side by side: what either gives holds. */
import { type Expression, readExpression } from './expression.ts'

/** Every rule, as it is where no policy file says otherwise. */
export function defaultRules(): Map<string, Expression> {
  const texts = { ...aliases, ...Object.fromEntries(ruleTexts()) }
  return new Map(Object.entries(texts).map(([name, text]) => [name, readExpression(text)]))
}

/** Every rule's name begins with it, but those of aliases do not. */
export const rule_prefix = 'os_load-balancer_api:'

/** What the rules below are made of. A policy file may redefine any of them. The legacy roles are called
 *  `load-balancer_*`; Keystone's are reader, member, admin and service. */
const aliases = {
  context_is_admin: 'role:admin or role:load-balancer_admin',
  service: 'role:service',
  'project-member': 'role:member and project_id:%(project_id)s',
  'project-reader': 'role:reader and project_id:%(project_id)s',
  'load-balancer:owner': 'project_id:%(project_id)s',
  'load-balancer:admin': 'is_admin:True or role:admin or role:load-balancer_admin',
  'load-balancer:global_observer': 'role:admin or role:load-balancer_global_observer',
  'load-balancer:member_and_owner': 'rule:project-member or role:load-balancer_member and rule:load-balancer:owner',
  'load-balancer:observer_and_owner': 'rule:project-reader or role:load-balancer_observer and rule:load-balancer:owner',
  'load-balancer:quota-admin': 'role:admin or role:load-balancer_quota_admin',
  'load-balancer:read':
    'rule:load-balancer:observer_and_owner or rule:load-balancer:global_observer or ' +
    'rule:load-balancer:member_and_owner or rule:load-balancer:admin',
  'load-balancer:read-global': 'rule:load-balancer:global_observer or rule:load-balancer:admin',
  'load-balancer:write': 'rule:load-balancer:member_and_owner or rule:load-balancer:admin',
  'load-balancer:read-quota':
    'rule:load-balancer:observer_and_owner or rule:load-balancer:global_observer or ' +
    'rule:load-balancer:member_and_owner or rule:load-balancer:quota-admin or rule:load-balancer:admin',
  'load-balancer:read-quota-global':
    'rule:load-balancer:global_observer or rule:load-balancer:quota-admin or rule:load-balancer:admin',
  'load-balancer:write-quota': 'rule:load-balancer:quota-admin or rule:load-balancer:admin',
}

type Alias = keyof typeof aliases

const tenants_own = {
  get_all: 'load-balancer:read',
  'get_all-global': 'load-balancer:read-global',
  get_one: 'load-balancer:read',
  post: 'load-balancer:write',
  put: 'load-balancer:write',
  delete: 'load-balancer:write',
} as const
/** Of what hangs below one parent, there is no list over all projects. */
const { 'get_all-global': _none, ...below_a_parent } = tenants_own
const offered = {
  get_all: 'load-balancer:read',
  get_one: 'load-balancer:read',
  post: 'load-balancer:admin',
  put: 'load-balancer:admin',
  delete: 'load-balancer:admin',
} as const
const administrators = { ...offered, get_all: 'load-balancer:admin', get_one: 'load-balancer:admin' } as const

/** Resource to action to who may. */
const rules = {
  loadbalancer: {
    ...tenants_own,
    'post:vip_sg_ids': 'load-balancer:write',
    'put:vip_sg_ids': 'load-balancer:write',
    get_status: 'load-balancer:read',
    get_stats: 'load-balancer:read',
    put_failover: 'load-balancer:admin',
  },
  listener: { ...tenants_own, get_stats: 'load-balancer:read' },
  pool: tenants_own,
  member: { ...below_a_parent, get_all: ['load-balancer:read', 'service'] },
  healthmonitor: tenants_own,
  l7policy: tenants_own,
  l7rule: below_a_parent,
  quota: {
    get_all: 'load-balancer:read-quota',
    'get_all-global': 'load-balancer:read-quota-global',
    get_one: 'load-balancer:read-quota',
    get_defaults: 'load-balancer:read-quota',
    put: 'load-balancer:write-quota',
    delete: 'load-balancer:write-quota',
  },
  amphora: {
    get_all: 'load-balancer:admin',
    get_one: 'load-balancer:admin',
    get_stats: 'load-balancer:admin',
    put_config: 'load-balancer:admin',
    put_failover: 'load-balancer:admin',
    delete: 'load-balancer:admin',
  },
  provider: { get_all: 'load-balancer:read' },
  'provider-flavor': { get_all: 'load-balancer:admin' },
  'provider-availability-zone': { get_all: 'load-balancer:admin' },
  flavor: offered,
  'flavor-profile': administrators,
  'availability-zone': offered,
  'availability-zone-profile': administrators,
} as const satisfies Record<string, Record<string, Alias | readonly Alias[]>>

type Declared = typeof rules
/** A rule's name without its prefix, e.g. `loadbalancer:get_one`. */
export type RuleName = { [R in keyof Declared]: `${R}:${keyof Declared[R] & string}` }[keyof Declared]

function ruleTexts(): [string, string][] {
  return Object.entries(rules).flatMap(([resource, actions]) =>
    Object.entries(actions).map(([action, who]: [string, Alias | readonly Alias[]]): [string, string] => [
      `${rule_prefix}${resource}:${action}`,
      [who]
        .flat()
        .map(alias => `rule:${alias}`)
        .join(' or '),
    ]),
  )
}
