/** The L7 rule: its declaration and its rules. */
import { Rejected } from './errors.ts'
import {
  admin_state_up,
  boolean,
  enumeration,
  identity,
  lifecycle,
  type Post,
  type Put,
  type Row,
  resource,
  string,
  uuid,
} from './resource.ts'
import { leaving, type Tree } from './tree.ts'

const { name: _unnamed, ...nameless } = identity
const text = { max_length: 255, change: true, pattern: '^[^\\r\\n]*$' } as const

export const l7rule = resource({
  name: 'l7rule',
  title: 'L7 Rule',
  singular: 'rule',
  plural: 'rules',
  path: 'rules',
  parent: { field: 'l7policy_id', of: 'l7policy', in_path: true },
  fields: {
    ...nameless,
    l7policy_id: uuid({ post: false, shown: false, rendered: false, of: 'l7policy', doc: 'The policy that it is of.' }),
    admin_state_up,
    type: enumeration({
      values: [
        ...['COOKIE', 'FILE_TYPE', 'HEADER', 'HOST_NAME', 'PATH'],
        ...['SSL_CONN_HAS_CERT', 'SSL_VERIFY_RESULT', 'SSL_DN_FIELD'],
      ] as const,
      neutron_values: ['HOST_NAME', 'PATH', 'FILE_TYPE', 'HEADER', 'COOKIE'],
      change: true,
      doc: 'What of a request it looks at.',
    }),
    compare_type: enumeration({
      values: ['CONTAINS', 'ENDS_WITH', 'EQUAL_TO', 'REGEX', 'STARTS_WITH'],
      change: true,
      doc: 'How that is compared with the value.',
    }),
    invert: boolean({ default: false, change: true, doc: 'Whether it matches what it would not match otherwise.' }),
    key: string({ ...text, null: true, doc: 'The name of the header or cookie, or the field of the DN.' }),
    value: string({ ...text, doc: 'What is compared with.' }),
    ...lifecycle,
  },
})

export type L7Rule = Row<typeof l7rule>
export type L7RulePost = Post<typeof l7rule>
export type L7RulePut = Put<typeof l7rule>

/** Upstream's limit; haproxy takes no more than 64 words in a condition. */
const most_rules = 50

/** Characters of tokens, cookies and headers (RFC 7230, RFC 6265). */
const token = /^[A-Za-z0-9!#$%&'*+\-.^_`|~]+$/
const cookie_value = /^[A-Za-z0-9!#$%&'()*+\-./:<=>?@[\]^_`{|}~]+$/
const header_value =
  /^[A-Za-z0-9!"#$%&'()*+,\-./:;<=>?@[\]^_`{|}~\\]+$|^"[A-Za-z0-9 \t!"#$%&'()*+,\-./:;<=>?@[\]^_`{|}~\\]*"$/
const distinguished_name_field = /^[a-zA-Z]{1,64}$|^[0-9]+(\.[0-9]+)+$/

/** Refuses a rule whose parts do not fit together, or that is one too many. */
export function checkRule(tree: Tree, row: L7Rule): void {
  const siblings = tree.l7rules.filter(rule => rule.l7policy_id === row.l7policy_id && !leaving(rule))
  if (siblings.length > most_rules) throw new Rejected('too_many_rules', { id: row.l7policy_id })
  checkComparison(row)
  checkKey(row)
  checkCharacters(row)
}

function checkComparison({ type, compare_type, value }: L7Rule): void {
  const only = (...allowed: string[]) => {
    if (!allowed.includes(compare_type)) throw new Rejected('l7rule_comparison', { type })
  }
  if (type === 'FILE_TYPE') only('EQUAL_TO', 'REGEX')
  if (type === 'SSL_CONN_HAS_CERT') {
    only('EQUAL_TO')
    if (value.toLowerCase() !== 'true') throw refuse('rule_value', 'rule value is not the boolean True')
  }
  if (type === 'SSL_VERIFY_RESULT') {
    only('EQUAL_TO')
    if (!/^\d{1,9}$/.test(value)) throw refuse('rule_value', 'rule value is not a positive integer or zero')
  }
}

function checkKey({ type, key }: L7Rule): void {
  const keyed = type === 'HEADER' || type === 'COOKIE' || type === 'SSL_DN_FIELD'
  if (keyed && (key === null || key === '')) throw new Rejected('l7rule_key_missing', {})
  if (!keyed && key !== null && key !== '') throw refuse('key', `L7rule type ${type} does not use the "key" field`)
  if (type === 'SSL_DN_FIELD' && !distinguished_name_field.test(key!))
    throw refuse('key', 'Invalid L7rule distinguished name field')
  if (keyed && type !== 'SSL_DN_FIELD' && !token.test(key!)) throw new Rejected('l7rule_characters', { what: 'key' })
}

function checkCharacters({ type, compare_type, value }: L7Rule): void {
  if (compare_type === 'REGEX') {
    const error = regexError(value)
    if (error !== null) throw new Rejected('l7rule_regex', { error })
    return
  }
  const [allowed, what] = type === 'COOKIE' ? [cookie_value, 'cookie value'] : [header_value, valueName(type)]
  if (!allowed.test(value)) throw new Rejected('l7rule_characters', { what })
}

function valueName(type: L7Rule['type']): string {
  return type === 'HEADER' ? 'header value' : 'comparison value'
}

/** Why an expression cannot be one; null when it can. haproxy has the last word (PCRE2): what only that knows and
 *  JavaScript spells otherwise is respelled first, so that nothing good is refused here. */
function regexError(expression: string): string | null {
  const respelled = expression
    .replace(/^\(\?[imsxn]+\)/, '')
    .replaceAll('(?P<', '(?<')
    .replaceAll('(?>', '(?:')
    .replace(/([*+?}])\+/g, '$1')
    .replace(/\[\[:\^?[a-z]+:\]/g, '[a')
  try {
    new RegExp(respelled)
    return null
  } catch (error) {
    return (error as Error).message.replace(/^Invalid regular expression: /, '').slice(0, 300)
  }
}

function refuse(field: string, detail: string): Rejected {
  return new Rejected('l7rule', { field, detail })
}
