/** Expressions of oslo.policy's language: read from a text or its older list form, and evaluated. */

/** Reads a rule as a policy file has it: a text, or the older list of alternatives, each a list of checks that must all
 *  hold. Nothing at all always holds. Throws ExpressionError. */
export function readExpression(given: unknown): Expression {
  if (typeof given === 'string') return new Reader(given).whole()
  if (!Array.isArray(given)) throw new ExpressionError('a rule is a text, or a list of lists of checks')
  const alternatives = given
    .map((one: unknown) => (Array.isArray(one) ? one : [one]))
    .filter(one => one.length > 0)
    .map(checks => several('all', checks.map(readListed)))
  return given.length === 0 ? always : several('any', alternatives)
}

export type Expression =
  | { kind: 'all' | 'any'; of: readonly Expression[] }
  | { kind: 'not'; of: Expression }
  | { kind: 'constant'; holds: boolean }
  | Check

export type Check =
  | { kind: 'rule'; name: string }
  | { kind: 'role'; name: string }
  | { kind: 'is_admin'; wanted: boolean }
  /** `value` may take from the target, as in %(project_id)s. */
  | { kind: 'credential'; name: CredentialName; value: string }

/** What is known of who asks. */
export type Credentials = {
  user_id: string
  /** Null for tokens that are for no project. */
  project_id: string | null
  /** `all` for tokens of the whole cloud. */
  system_scope: string | null
  roles: readonly string[]
  is_admin: boolean
}

/** What is asked for: whose it is. */
export type Target = { project_id: string | null }

export type Rules = ReadonlyMap<string, Expression>

/** What is wrong with an expression, and what to write instead. */
export class ExpressionError extends Error {}

/** Does it hold? Rules that it refers to are in `rules`, without circles. */
export function holds(expression: Expression, credentials: Credentials, target: Target, rules: Rules): boolean {
  switch (expression.kind) {
    case 'all':
      return expression.of.every(one => holds(one, credentials, target, rules))
    case 'any':
      return expression.of.some(one => holds(one, credentials, target, rules))
    case 'not':
      return !holds(expression.of, credentials, target, rules)
    case 'constant':
      return expression.holds
    case 'rule':
      return holds(rules.get(expression.name)!, credentials, target, rules)
    case 'role':
      return credentials.roles.some(role => role.toLowerCase() === expression.name.toLowerCase())
    case 'is_admin':
      return credentials.is_admin === expression.wanted
    case 'credential': {
      const own = credentials[credential_names[expression.name]]
      const wanted = filledIn(expression.value, target)
      return own !== null && wanted !== null && own === wanted
    }
  }
}

/** The names of the rules that it refers to. */
export function references(expression: Expression): string[] {
  if (expression.kind === 'all' || expression.kind === 'any') return expression.of.flatMap(references)
  if (expression.kind === 'not') return references(expression.of)
  return expression.kind === 'rule' ? [expression.name] : []
}

const credential_names = {
  user_id: 'user_id',
  project_id: 'project_id',
  tenant_id: 'project_id',
  tenant: 'project_id',
  system_scope: 'system_scope',
} as const
export type CredentialName = keyof typeof credential_names

const always: Expression = { kind: 'constant', holds: true }

/** Alternatives of conjunctions of negations: `or` binds least, `not` most. */
class Reader {
  readonly #words: readonly string[]
  #next = 0

  constructor(text: string) {
    this.#words = text.match(/[()]|(?:%\([^()\s]*\)s|[^\s()])+/g) ?? []
  }

  whole(): Expression {
    if (this.#words.length === 0) return always
    const read = this.#alternatives()
    const left = this.#words[this.#next]
    if (left === ')') throw new ExpressionError('a ) closes nothing; take it away, or open a ( before it')
    if (left !== undefined) throw new ExpressionError(`before "${left}" there must be: and, or`)
    return read
  }

  #alternatives(): Expression {
    const of = [this.#conjunction()]
    while (this.#take('or')) of.push(this.#conjunction())
    return several('any', of)
  }

  #conjunction(): Expression {
    const of = [this.#negation()]
    while (this.#take('and')) of.push(this.#negation())
    return several('all', of)
  }

  #negation(): Expression {
    if (this.#take('not')) return { kind: 'not', of: this.#negation() }
    if (!this.#take('(')) return this.#check()
    const inside = this.#alternatives()
    if (!this.#take(')')) throw new ExpressionError('a ( is not closed; add the missing )')
    return inside
  }

  #check(): Expression {
    const word = this.#words[this.#next++]
    if (word === undefined) throw new ExpressionError('the rule ends where a check must stand, e.g. role:reader')
    if (['and', 'or', ')'].includes(word.toLowerCase()))
      throw new ExpressionError(`before "${word}" there must be a check, e.g. role:reader`)
    return readCheck(word)
  }

  #take(word: string): boolean {
    if (this.#words[this.#next]?.toLowerCase() !== word) return false
    this.#next++
    return true
  }
}

function readListed(given: unknown): Expression {
  if (typeof given === 'string' && /^\S+$/.test(given)) return readCheck(given)
  throw new ExpressionError('in the list form each element is one check, e.g. [["role:admin"], ["role:member"]]')
}

function readCheck(word: string): Expression {
  if (word === '@' || word === '!') return { kind: 'constant', holds: word === '@' }
  const [, kind, value] = /^([^:]*):(.+)$/.exec(word) ?? []
  if (kind === undefined || value === undefined)
    throw new ExpressionError(`"${word}" is no check; checks are kind:value (e.g. role:admin), @ and !`)
  if (kind === 'rule' || kind === 'role') {
    if (value.includes('%(')) throw new ExpressionError(`"${word}": a ${kind} is named as it is, without %(…)s`)
    return { kind, name: value }
  }
  if (kind === 'is_admin') return { kind, wanted: value.toLowerCase() === 'true' }
  if (!Object.hasOwn(credential_names, kind))
    throw new ExpressionError(
      `"${word}": there is no kind of check "${kind}"; use one of: rule, role, is_admin, ${Object.keys(credential_names).join(', ')}`,
    )
  for (const [, name] of value.matchAll(/%\(([^)]*)\)s/g))
    if (name !== 'project_id' && name !== 'tenant_id')
      throw new ExpressionError(`"${word}": of what is asked for only %(project_id)s is known, not %(${name})s`)
  return { kind: 'credential', name: kind as CredentialName, value }
}

/** Null when the target does not have what is to be filled in. */
function filledIn(value: string, { project_id }: Target): string | null {
  if (!value.includes('%(')) return value
  return project_id === null ? null : value.replaceAll(/%\([^)]*\)s/g, () => project_id)
}

function several(kind: 'all' | 'any', of: readonly Expression[]): Expression {
  return of.length === 1 ? of[0]! : { kind, of }
}
