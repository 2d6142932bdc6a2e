/** L7 policies in haproxy's words: a condition for each, and what becomes of the requests that meet it. */
import type { l7policy } from '../../lbaas/l7-policy.ts'
import type { l7rule } from '../../lbaas/l7-rule.ts'
import type { Rendered } from '../../lbaas/resource.ts'
import { fetchArgument, word } from './language.ts'

export type L7PolicyInput = Rendered<typeof l7policy> & { rules: L7RuleInput[] }
export type L7RuleInput = Rendered<typeof l7rule>

/** Lines of the frontend, from policies in the order of their positions. A policy counts only with a rule that is up, and
 *  one that redirects to a pool only with a pool of `backends`. haproxy takes `http-request` before `redirect` before
 *  `use_backend`, wherever they stand; so they stand in that order. `backendOf`: what the backend of a pool is called. */
export function policyLines(
  policies: readonly L7PolicyInput[],
  backends: ReadonlySet<string>,
  backendOf: (pool_id: string) => string,
): string[] {
  const counting = policies.filter(
    ({ admin_state_up, action, redirect_pool_id, rules }) =>
      admin_state_up &&
      rules.some(rule => rule.admin_state_up) &&
      (action !== 'REDIRECT_TO_POOL' || backends.has(redirect_pool_id ?? '')),
  )
  const acted = (...actions: L7PolicyInput['action'][]) =>
    counting
      .filter(({ action }) => actions.includes(action))
      .map(policy => `${outcome(policy, backendOf)} if ${condition(policy)}`)
  return [
    ...counting.flatMap(({ rules }) => enabled(rules).map(acl)),
    ...acted('REJECT'),
    ...acted('REDIRECT_TO_URL', 'REDIRECT_PREFIX'),
    ...acted('REDIRECT_TO_POOL'),
  ]
}

/** `redirect` takes its text as it stands, unlike `http-request redirect`, which looks for `%` expressions (measured). */
function outcome(policy: L7PolicyInput, backendOf: (pool_id: string) => string): string {
  const { action, redirect_pool_id, redirect_url, redirect_prefix, redirect_http_code } = policy
  const code = `code ${redirect_http_code ?? 302}`
  switch (action) {
    case 'REJECT':
      return 'http-request deny'
    case 'REDIRECT_TO_URL':
      return `redirect location ${word(redirect_url ?? '')} ${code}`
    case 'REDIRECT_PREFIX':
      return `redirect prefix ${word(redirect_prefix ?? '')} ${code}`
    case 'REDIRECT_TO_POOL':
      return `use_backend ${word(backendOf(redirect_pool_id ?? ''))}`
  }
}

function condition({ rules }: L7PolicyInput): string {
  return enabled(rules)
    .map(({ id, invert }) => `${invert ? '!' : ''}${word(id)}`)
    .join(' ')
}

function acl(rule: L7RuleInput): string {
  const { id, type, compare_type, value } = rule
  const name = `acl ${word(id)}`
  if (type === 'SSL_CONN_HAS_CERT') return `${name} ssl_c_used`
  if (type === 'SSL_VERIFY_RESULT') return `${name} ssl_c_verify -- ${word(value)}`
  const method = type === 'FILE_TYPE' && compare_type === 'EQUAL_TO' ? 'end' : methods[compare_type]
  // Names of hosts are the same in capitals.
  const any_case = type === 'HOST_NAME' ? ' -i' : ''
  return `${name} ${sample(rule)}${any_case} -m ${method} -- ${word(value)}`
}

const methods: Readonly<Record<L7RuleInput['compare_type'], string>> = {
  CONTAINS: 'sub',
  ENDS_WITH: 'end',
  EQUAL_TO: 'str',
  REGEX: 'reg',
  STARTS_WITH: 'beg',
}

function sample({ type, key }: L7RuleInput): string {
  const name = fetchArgument(key ?? '')
  switch (type) {
    case 'HOST_NAME':
      return 'req.hdr(host)'
    case 'HEADER':
      return `req.hdr(${name})`
    case 'COOKIE':
      return `req.cook(${name})`
    case 'SSL_DN_FIELD':
      return `ssl_c_s_dn(${name})`
    default:
      return 'path'
  }
}

/** In any order, for all of them must match. */
function enabled(rules: readonly L7RuleInput[]): L7RuleInput[] {
  return rules.filter(rule => rule.admin_state_up).sort((a, b) => (a.id < b.id ? -1 : 1))
}
