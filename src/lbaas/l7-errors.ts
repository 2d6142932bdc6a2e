/** Refusals of L7 policies and rules. */
import { alike, bad, type Entry, invalid } from './error-text.ts'

export const l7_errors = {
  l7_protocol: {
    rule: 'Only what understands HTTP can look into requests.',
    ...alike(
      'HTTPBadRequest',
      v => `L7 policies are only for listeners of protocol HTTP or TERMINATED_HTTPS, not ${v.protocol}.`,
    ),
  },
  l7policy: {
    rule: 'The arguments of an L7 policy do not fit together, or not to its action.',
    octavia: [400, v => `Invalid L7 Policy arguments: ${v.detail}`],
    neutron: bad(v => `Invalid L7 Policy arguments: ${v.detail}`),
  },
  l7policy_pool: {
    rule: 'REDIRECT_TO_POOL needs a pool.',
    octavia: [400, () => 'Invalid L7 Policy arguments: redirect_pool_id or redirect_pool must not be None'],
    neutron: [
      409,
      'L7PolicyRedirectPoolIdMissing',
      () => 'Redirect pool id is missing for L7 Policy with pool redirect action.',
    ],
  },
  l7policy_url: {
    rule: 'REDIRECT_TO_URL needs a URL.',
    octavia: [400, () => 'Invalid L7 Policy arguments: redirect_url must not be None'],
    neutron: [
      409,
      'L7PolicyRedirectUrlMissing',
      () => 'Redirect URL is missing for L7 Policy with URL redirect action.',
    ],
  },
  too_many_rules: {
    rule: 'haproxy takes conditions of limited length.',
    octavia: [409, v => `Too many rules on L7 policy ${v.id}`],
    neutron: [409, 'TooManyL7Rules', v => `Too many rules on L7 policy ${v.id}`],
  },
  l7rule: {
    rule: 'The parts of an L7 rule do not fit together.',
    octavia: [400, v => `Error parsing L7Rule: ${v.detail}`],
    neutron: bad(v => `Invalid input for ${v.field}. Reason: ${v.detail}.`),
  },
  l7rule_comparison: {
    rule: 'Not everything can be compared in every way.',
    octavia: invalid(() => 'Invalid L7 Rule: invalid comparison type for rule type'),
    neutron: [400, 'L7RuleUnsupportedCompareType', v => `Unsupported compare type for rule of ${v.type} type.`],
  },
  l7rule_key_missing: {
    rule: 'Rules about a header, a cookie or a field of a DN name it.',
    octavia: invalid(() => 'Invalid L7 Rule: L7 rule type requires a key'),
    neutron: [
      404,
      'L7RuleKeyMissing',
      () => 'Rule key is missing. Key should be specified for rules of HEADER and COOKIE types.',
    ],
  },
  l7rule_characters: {
    rule: 'Keys and values are of the characters that HTTP allows there (RFC 6265, RFC 7230).',
    octavia: invalid(v => `Invalid characters in ${v.what}`),
    neutron: [
      400,
      v => neutronCharacters[String(v.what)]?.[0] ?? 'L7RuleInvalidKey',
      v => `Invalid characters in ${neutronCharacters[String(v.what)]?.[1] ?? v.what}.`,
    ],
  },
  l7rule_regex: {
    rule: 'The value of a REGEX rule is a regular expression (PCRE).',
    octavia: invalid(v => `Unable to parse regular expression: ${v.error}`),
    neutron: [400, 'L7RuleInvalidRegex', v => `Unable to parse regular expression: ${v.error}.`],
  },
  pool_in_use: {
    rule: 'An L7 policy sends requests to the pool; change or delete that first.',
    octavia: [409, v => `Pool ${v.id} is in use by L7 policy ${v.l7policy_id}`],
    neutron: [409, 'EntityInUse', v => `l7policy ${v.l7policy_id} is using this pool`],
  },
} as const satisfies Record<string, Entry>

/** The class and the words of neutron-lbaas, by ours. */
const neutronCharacters: Readonly<Record<string, readonly [type: string, what: string]>> = {
  key: ['L7RuleInvalidKey', 'key. See RFCs 2616, 2965, 6265, 7230'],
  'header value': ['L7RuleInvalidHeaderValue', 'value. See RFC 7230'],
  'comparison value': ['L7RuleInvalidHeaderValue', 'value. See RFC 7230'],
  'cookie value': ['L7RuleInvalidCookieValue', 'value. See RFCs 2616, 2965, 6265'],
}
