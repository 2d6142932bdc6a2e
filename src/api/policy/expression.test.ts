/** The policy language: what is read, what it means, and what is refused. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Credentials, type Expression, ExpressionError, holds, readExpression } from './expression.ts'

const asking = (given: Partial<Credentials>): Credentials => ({
  user_id: 'u',
  project_id: 'p',
  system_scope: null,
  roles: [],
  is_admin: false,
  ...given,
})

const rules = new Map([
  ['owner', readExpression('project_id:%(project_id)s')],
  ['load-balancer:read', readExpression('role:reader and rule:owner')],
])
const means = (given: unknown, who: Partial<Credentials>, project_id: string | null = 'p') =>
  holds(readExpression(given), asking(who), { project_id }, rules)

describe('an expression', () => {
  test.each<[given: unknown, who: Partial<Credentials>, holds: boolean]>([
    ['', {}, true],
    ['   ', {}, true],
    ['@', {}, true],
    ['!', {}, false],
    [[], {}, true],
    [[[]], {}, false],
    ['role:reader', { roles: ['Reader'] }, true],
    ['role:READER', { roles: ['reader'] }, true],
    ['role:reader', { roles: ['readers'] }, false],
    ['is_admin:True', { is_admin: true }, true],
    ['is_admin:True', {}, false],
    ['is_admin:False', {}, true],
    ['user_id:u', {}, true],
    ['user_id:v', {}, false],
    ['project_id:%(project_id)s', {}, true],
    ['tenant_id:%(tenant_id)s', {}, true],
    ['project_id:%(project_id)s', { project_id: 'q' }, false],
    ['project_id:%(project_id)s', { project_id: null }, false],
    ['project_id:x-%(project_id)s', { project_id: 'x-p' }, true],
    ['system_scope:all', { system_scope: 'all' }, true],
    ['system_scope:all', {}, false],
    ['rule:load-balancer:read', { roles: ['reader'] }, true],
    ['rule:load-balancer:read', { roles: ['reader'], project_id: 'q' }, false],
    ['not role:a', {}, true],
    ['not not role:a', {}, false],
    ['not role:a and role:b', { roles: ['b'] }, true],
    ['not (role:a or role:b)', { roles: ['b'] }, false],
    ['role:a or role:b and role:c', { roles: ['a'] }, true],
    ['(role:a or role:b) and role:c', { roles: ['a'] }, false],
    ['role:a and role:b or role:c and role:d', { roles: ['c', 'd'] }, true],
    ['role:a AND role:b OR NOT role:c', { roles: ['c'] }, false],
    ['  (role:a)or(role:b) ', { roles: ['b'] }, true],
    ['role:a or\n   role:b', { roles: ['b'] }, true],
    [[['role:a', 'role:b'], ['role:c']], { roles: ['a'] }, false],
    [[['role:a', 'role:b'], ['role:c']], { roles: ['b', 'a'] }, true],
    [[['role:a', 'role:b'], ['role:c']], { roles: ['c'] }, true],
    [['role:a', 'role:b'], { roles: ['b'] }, true],
    [[[], 'role:b'], {}, false],
  ])('%j for %j', (given, who, expected) => {
    expect(means(given, who)).toBe(expected)
  })

  test('of the project that nothing belongs to', () => {
    expect(means('project_id:%(project_id)s', {}, null)).toBe(false)
    expect(means('project_id:p', {}, null)).toBe(true)
  })

  test.each<[given: unknown, text: string]>([
    ['role:a role:b', 'before "role:b" there must be: and, or'],
    ['role:a and', 'the rule ends where a check must stand, e.g. role:reader'],
    ['and role:a', 'before "and" there must be a check, e.g. role:reader'],
    ['(role:a', 'a ( is not closed; add the missing )'],
    ['role:a)', 'a ) closes nothing; take it away, or open a ( before it'],
    ['()', 'before ")" there must be a check, e.g. role:reader'],
    ['admin', '"admin" is no check; checks are kind:value (e.g. role:admin), @ and !'],
    ['role:', '"role:" is no check; checks are kind:value (e.g. role:admin), @ and !'],
    [
      'http://decides.example',
      '"http://decides.example": there is no kind of check "http"; use one of: rule, role, is_admin, user_id, project_id, tenant_id, tenant, system_scope',
    ],
    ['constructor:x', expect.stringContaining('no kind of check "constructor"')],
    ['role:%(role)s', '"role:%(role)s": a role is named as it is, without %(…)s'],
    [
      'project_id:%(owner)s',
      '"project_id:%(owner)s": of what is asked for only %(project_id)s is known, not %(owner)s',
    ],
    [5, 'a rule is a text, or a list of lists of checks'],
    [null, 'a rule is a text, or a list of lists of checks'],
    [[['role:a and role:b']], expect.stringContaining('in the list form each element is one check')],
    [[[[]]], expect.stringContaining('in the list form each element is one check')],
  ])('%j is refused', (given, text) => {
    expect(() => readExpression(given)).toThrow(expect.objectContaining({ message: text }))
    expect(() => readExpression(given)).toThrow(ExpressionError)
  })
})

describe('for all expressions', () => {
  const name = fc.stringMatching(/^[a-z_-]{1,6}(:[a-z]{1,4})?$/)
  const check: fc.Arbitrary<Expression> = fc.oneof(
    fc.record({ kind: fc.constant('role' as const), name }),
    fc.record({ kind: fc.constant('is_admin' as const), wanted: fc.boolean() }),
    fc.record({ kind: fc.constant('constant' as const), holds: fc.boolean() }),
    fc.record({
      kind: fc.constant('credential' as const),
      name: fc.constantFrom('user_id' as const, 'project_id' as const),
      value: fc.constantFrom('u', 'p', '%(project_id)s', 'x%(project_id)s'),
    }),
  )
  const { any } = fc.letrec<{ any: Expression }>(tie => ({
    any: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      check,
      fc.record({ kind: fc.constant('not' as const), of: tie('any') }),
      fc.record({
        kind: fc.constantFrom('all' as const, 'any' as const),
        of: fc.array(tie('any'), { minLength: 2, maxLength: 4 }),
      }),
    ),
  }))

  test('what is written is read as it was', () => {
    fc.assert(
      fc.property(any, one => {
        expect(readExpression(written(one))).toEqual(one)
      }),
    )
  })

  test('not turns and into or', () => {
    const who = fc.record({
      roles: fc.subarray(['a', 'b', 'ab']),
      is_admin: fc.boolean(),
      project_id: fc.constantFrom('p', 'u'),
    })
    fc.assert(
      fc.property(fc.array(any, { minLength: 1, maxLength: 4 }), who, (of, given) => {
        const turned = of.map((one): Expression => ({ kind: 'not', of: one }))
        const target = { project_id: 'p' }
        const all = holds({ kind: 'all', of }, asking(given), target, rules)
        expect(holds({ kind: 'any', of: turned }, asking(given), target, rules)).toBe(!all)
        const some = holds({ kind: 'any', of }, asking(given), target, rules)
        expect(holds({ kind: 'all', of: turned }, asking(given), target, rules)).toBe(!some)
      }),
    )
  })

  test('parentheses that say nothing change nothing, nor do spaces and the case of words', () => {
    fc.assert(
      fc.property(any, one => {
        const text = `( ${written(one).replaceAll(/ (and|or) /g, word => `  ${word.toUpperCase()}\n`)} )`
        expect(readExpression(text)).toEqual(one)
      }),
    )
  })

  test('any text is read or refused, and nothing else happens', () => {
    const word = fc.constantFrom('(', ')', 'and', 'or', 'not', 'role:a', 'rule:b', '@', '!', 'x', '%(', ')s', ':')
    const text = fc.oneof(
      fc.string(),
      fc.array(word, { maxLength: 12 }).map(words => words.join(' ')),
    )
    fc.assert(
      fc.property(text, given => {
        try {
          expect(readExpression(written(readExpression(given)))).toEqual(readExpression(given))
        } catch (error) {
          expect(error).toBeInstanceOf(ExpressionError)
        }
      }),
      { numRuns: 500 },
    )
  })
})

/** The text of an expression; reading it gives the same. */
function written(expression: Expression): string {
  switch (expression.kind) {
    case 'all':
    case 'any':
      if (expression.of.length === 0) return expression.kind === 'all' ? '@' : '!'
      return `(${expression.of.map(written).join(expression.kind === 'all' ? ' and ' : ' or ')})`
    case 'not':
      return `not ${written(expression.of)}`
    case 'constant':
      return expression.holds ? '@' : '!'
    case 'rule':
    case 'role':
      return `${expression.kind}:${expression.name}`
    case 'is_admin':
      return `is_admin:${expression.wanted ? 'True' : 'False'}`
    case 'credential':
      return `${expression.name}:${expression.value}`
  }
}
