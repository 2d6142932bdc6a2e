/** L7 policies and rules: positions, arguments of actions, what fits together, and what becomes of them. */
import { describe, expect, test } from 'vitest'
import { change, type Request } from './change.ts'
import { checkFields } from './check.ts'
import { Rejected } from './errors.ts'
import { assertInvariants } from './invariants.ts'
import { l7policy, policiesOf } from './l7-policy.ts'
import { settle } from './provisioning.ts'
import { applied, creates, sampleId, sampleTerms, sampleTree } from './sample.ts'
import { listenersUsing, type Tree } from './tree.ts'

const [listener, pool] = [2, 3].map(sampleId) as [string, string]
const settled = (tree: Tree) => settle(tree, { generation: tree.load_balancer.generation, failed: new Map() })!
const accept = (tree: Tree, request: Request, n = 40) => {
  const made = change(tree, request, sampleTerms(n))
  assertInvariants(made)
  return made
}
const refusal = (work: () => unknown) => {
  try {
    work()
    return 'accepted'
  } catch (error) {
    if (error instanceof Rejected) return error.code
    throw error
  }
}
const order = (tree: Tree) => policiesOf(tree, { id: listener }).map(({ name, position }) => `${position} ${name}`)
const named = (name: string, body: object = {}) => creates.policy(listener, { name, ...body })
/** Policies 20 (a), 21 (b), 22 (c), and rule 23 of the first; all applied. */
const three = () => settled(applied([named('a'), named('b'), named('c'), creates.rule(sampleId(20))], sampleTree(), 20))

describe('positions', () => {
  test('the next one is the last', () => {
    expect(order(three())).toEqual(['1 a', '2 b', '3 c'])
  })

  test.each([
    [1, ['1 d', '2 a', '3 b', '4 c']],
    [2, ['1 a', '2 d', '3 b', '4 c']],
    [99, ['1 a', '2 b', '3 c', '4 d']],
  ])('one that is made at %i makes the others move', (position, expected) => {
    expect(order(accept(three(), named('d', { position })))).toEqual(expected)
  })

  test.each([
    [20, 3, ['1 b', '2 c', '3 a']],
    [22, 1, ['1 c', '2 a', '3 b']],
    [21, 2, ['1 a', '2 b', '3 c']],
    [20, 2_147_483_647, ['1 b', '2 c', '3 a']],
  ])('%i is moved to %i', (id, position, expected) => {
    const request = { verb: 'update', resource: 'l7policy', id: sampleId(id), fields: { position } } as const
    expect(order(accept(three(), request))).toEqual(expected)
  })

  test('the others close up when one goes', () => {
    const tree = accept(three(), { verb: 'delete', resource: 'l7policy', id: sampleId(20) })
    expect(order(tree)).toEqual(['1 b', '2 c'])
    expect(tree.l7rules[0]!.provisioning_status).toBe('PENDING_DELETE')
    expect(settled(tree).l7rules).toEqual([])
  })
})

describe('what is written', () => {
  test('a rule touches its policy and listener, a policy its listener, neither the pool', () => {
    const tree = accept(three(), creates.rule(sampleId(21)))
    const touched = [...tree.listeners, ...tree.pools, ...tree.l7policies].filter(
      one => one.provisioning_status !== 'ACTIVE',
    )
    expect(touched.map(one => one.id)).toEqual([listener, sampleId(21)])
  })

  test('a pool that a policy sends to is used by its listener, and cannot be deleted', () => {
    const other = creates.pool({ name: 'other' })
    const redirect = { action: 'REDIRECT_TO_POOL', redirect_pool_id: sampleId(30) }
    const tree = settled(applied([other, named('r', redirect)], three(), 30))
    expect(listenersUsing(tree, sampleId(30)).map(one => one.id)).toEqual([listener])
    const remove = { verb: 'delete', resource: 'pool', id: sampleId(30) } as const
    expect(refusal(() => accept(tree, remove))).toBe('pool_in_use')
    const without = accept(tree, { verb: 'delete', resource: 'l7policy', id: sampleId(31) })
    expect(accept(without, remove).pools.at(-1)!.provisioning_status).toBe('PENDING_DELETE')
    const member = accept(tree, creates.member(sampleId(30), { address: '10.0.0.9' }))
    expect(member.listeners[0]!.provisioning_status).toBe('PENDING_UPDATE')
  })

  test('a listener takes its policies and their rules with it', () => {
    const tree = settled(accept(three(), { verb: 'delete', resource: 'listener', id: listener }))
    expect([tree.l7policies, tree.l7rules, tree.listeners]).toEqual([[], [], []])
    expect(tree.pools.map(one => one.id)).toEqual([pool])
  })
})

describe('actions and their arguments', () => {
  const made = (body: object) => accept(three(), named('x', body)).l7policies.at(-1)!
  const url = 'https://www.example.org/'
  test.each([
    [
      { action: 'REJECT', redirect_url: url },
      { redirect_url: null, redirect_http_code: null },
    ],
    [
      { action: 'REDIRECT_TO_URL', redirect_url: url },
      { redirect_url: url, redirect_http_code: 302 },
    ],
    [
      { action: 'REDIRECT_PREFIX', redirect_prefix: url, redirect_http_code: 308 },
      { redirect_prefix: url, redirect_url: null, redirect_http_code: 308 },
    ],
    [
      { action: 'REDIRECT_TO_POOL', redirect_pool_id: pool, redirect_url: url, redirect_http_code: 301 },
      { redirect_pool_id: pool, redirect_url: null, redirect_http_code: null },
    ],
  ])('%j', (body, expected) => {
    expect(made(body)).toMatchObject(expected)
  })

  test.each([
    [{ action: 'REDIRECT_TO_POOL' }, 'l7policy_pool'],
    [{ action: 'REDIRECT_TO_URL' }, 'l7policy_url'],
    [{ action: 'REDIRECT_PREFIX' }, 'l7policy'],
    [{ action: 'REDIRECT_TO_POOL', redirect_pool_id: sampleId(77) }, 'pool_elsewhere'],
    [{ listener_id: sampleId(30) }, 'l7_protocol'],
    [{ listener_id: sampleId(77) }, 'not_found'],
  ])('%j is refused as %s', (body, expected) => {
    const tree = applied([creates.listener({ protocol: 'TCP', protocol_port: 81 })], three(), 30)
    expect(refusal(() => accept(tree, named('x', body)))).toBe(expected)
  })

  test('a change that names an argument means its action; two of them mean nothing', () => {
    const update = (fields: object) =>
      accept(three(), { verb: 'update', resource: 'l7policy', id: sampleId(20), fields } as Request).l7policies[0]!
    expect(update({ redirect_url: url })).toMatchObject({ action: 'REDIRECT_TO_URL', redirect_http_code: 302 })
    expect(update({ redirect_pool_id: pool })).toMatchObject({ action: 'REDIRECT_TO_POOL' })
    expect(update({ description: 'x' })).toMatchObject({ action: 'REJECT', description: 'x' })
    expect(refusal(() => update({ redirect_url: url, redirect_pool_id: pool }))).toBe('l7policy')
    expect(refusal(() => update({ action: 'REDIRECT_TO_URL' }))).toBe('l7policy_url')
  })

  test.each([
    ['http://a/b?c=d%20#e', 'accepted'],
    ['HTTPS://a', 'accepted'],
    ['ftp://a', 'bad_value'],
    ['/a', 'bad_value'],
    ['http://a b', 'bad_value'],
    ['http://a\nb', 'bad_value'],
    ['http://a"b', 'bad_value'],
    ['http://a%zz', 'bad_value'],
    ['javascript:alert(1)', 'bad_value'],
  ])('a redirect to %j is %s', (redirect_url, expected) => {
    const body = { listener_id: listener, action: 'REDIRECT_TO_URL', redirect_url }
    expect(refusal(() => checkFields(l7policy, 'POST', 'octavia', body))).toBe(expected)
  })

  test('a redirect has one of five codes', () => {
    const put = (redirect_http_code: unknown) =>
      refusal(() => checkFields(l7policy, 'PUT', 'octavia', { redirect_http_code }))
    expect([301, 302, 303, 307, 308, '301'].map(put)).toEqual(Array(6).fill('accepted'))
    expect([300, 304, 0, 'x'].map(put)).toEqual(Array(4).fill('bad_value'))
  })
})

describe('rules', () => {
  test.each([
    [{ type: 'HOST_NAME', compare_type: 'EQUAL_TO', value: 'www.example.org' }, 'accepted'],
    [{ type: 'HOST_NAME', compare_type: 'REGEX', value: '^(www|api)\\.' }, 'accepted'],
    [{ type: 'PATH', compare_type: 'REGEX', value: '(?i)\\.(jpe?g|png)$' }, 'accepted'],
    [{ type: 'PATH', compare_type: 'REGEX', value: 'a++(?>b)[[:alpha:]](?P<c>d)' }, 'accepted'],
    [{ type: 'PATH', compare_type: 'REGEX', value: '(' }, 'l7rule_regex'],
    [{ type: 'PATH', compare_type: 'CONTAINS', value: 'a b' }, 'l7rule_characters'],
    [{ type: 'PATH', compare_type: 'CONTAINS', value: '"a b"' }, 'accepted'],
    [{ type: 'FILE_TYPE', compare_type: 'EQUAL_TO', value: 'jpg' }, 'accepted'],
    [{ type: 'FILE_TYPE', compare_type: 'STARTS_WITH', value: 'jpg' }, 'l7rule_comparison'],
    [{ type: 'HEADER', compare_type: 'EQUAL_TO', key: 'X-A', value: 'b' }, 'accepted'],
    [{ type: 'HEADER', compare_type: 'EQUAL_TO', value: 'b' }, 'l7rule_key_missing'],
    [{ type: 'HEADER', compare_type: 'EQUAL_TO', key: 'X A', value: 'b' }, 'l7rule_characters'],
    [{ type: 'COOKIE', compare_type: 'ENDS_WITH', key: 'sid', value: 'b' }, 'accepted'],
    [{ type: 'COOKIE', compare_type: 'ENDS_WITH', key: 'sid', value: 'b;c' }, 'l7rule_characters'],
    [{ type: 'PATH', compare_type: 'EQUAL_TO', key: 'k', value: '/' }, 'l7rule'],
    [{ type: 'SSL_CONN_HAS_CERT', compare_type: 'EQUAL_TO', value: 'True' }, 'accepted'],
    [{ type: 'SSL_CONN_HAS_CERT', compare_type: 'EQUAL_TO', value: 'no' }, 'l7rule'],
    [{ type: 'SSL_CONN_HAS_CERT', compare_type: 'REGEX', value: 'True' }, 'l7rule_comparison'],
    [{ type: 'SSL_VERIFY_RESULT', compare_type: 'EQUAL_TO', value: '0' }, 'accepted'],
    [{ type: 'SSL_VERIFY_RESULT', compare_type: 'EQUAL_TO', value: '-1' }, 'l7rule'],
    [{ type: 'SSL_DN_FIELD', compare_type: 'STARTS_WITH', key: 'CN', value: 'a' }, 'accepted'],
    [{ type: 'SSL_DN_FIELD', compare_type: 'STARTS_WITH', key: 'C N', value: 'a' }, 'l7rule'],
  ])('%j is %s', (body, expected) => {
    expect(refusal(() => accept(three(), creates.rule(sampleId(20), body)))).toBe(expected)
  })

  test('a policy has fifty at most; those on their way out do not count', () => {
    const full = applied(Array(49).fill(creates.rule(sampleId(20))), three(), 100)
    expect(refusal(() => accept(full, creates.rule(sampleId(20)), 200))).toBe('too_many_rules')
    const request = { verb: 'delete', resource: 'l7rule', parent_id: sampleId(20), id: sampleId(100) } as const
    expect(refusal(() => accept(accept(full, request), creates.rule(sampleId(20)), 200))).toBe('accepted')
  })

  test('a rule is asked for below its own policy', () => {
    const request = { verb: 'delete', resource: 'l7rule', parent_id: sampleId(21), id: sampleId(23) } as const
    expect(refusal(() => accept(three(), request))).toBe('rule_not_found')
  })
})
