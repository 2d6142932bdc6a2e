/** The policy: the default rules and, over them, those of the operator's file, which is read again when it changes. */
import fs from 'node:fs'
import { isMap, isScalar, LineCounter, parseDocument } from 'yaml'
import { ExpressionError, type Rules, readExpression, references } from './expression.ts'
import { defaultRules, rule_prefix } from './rules.ts'

type Log = { info: (text: string) => void; error: (text: string) => void }

/** How often the file's date is looked at, at most. */
const look_again_ms = 1_000

/** The rules in force. Opening it throws PolicyError when the file is wrong; when it becomes wrong later, that is logged
 *  and the rules that were good stay in force. */
export class Policy {
  readonly #file: string | null
  readonly #log: Log
  #rules: Rules
  #seen = ''
  #looked_ms = 0

  /** `file`: null for the defaults alone. */
  constructor(file: string | null, log: Log) {
    this.#file = file
    this.#log = log
    this.#rules = defaultRules()
    if (file === null) return
    this.#seen = stamp(file)
    this.#rules = readPolicy(file)
    this.#looked_ms = performance.now()
  }

  /** As the file has them now. */
  rules(): Rules {
    if (this.#file !== null && performance.now() - this.#looked_ms > look_again_ms) this.#look(this.#file)
    return this.#rules
  }

  #look(file: string): void {
    this.#looked_ms = performance.now()
    const now = stamp(file)
    if (now === this.#seen) return
    this.#seen = now
    try {
      this.#rules = readPolicy(file)
      this.#log.info(`the policy file ${file} has changed and is in force`)
    } catch (error) {
      this.#log.error(`the policy stays as it was: ${(error as Error).message}`)
    }
  }
}

/** What an operator must correct in a policy file: where, what, and what to do. */
export class PolicyError extends Error {}

/** The default rules with those of the file over them. Throws PolicyError. */
function readPolicy(file: string): Rules {
  const rules = defaultRules()
  const lines = new Map<string, number>()
  for (const { name, value, line } of entriesOf(file)) {
    if (name.startsWith(rule_prefix) && !rules.has(name)) throw wrong(file, line, unknownRule(name, [...rules.keys()]))
    try {
      rules.set(name, readExpression(value))
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error
      throw wrong(file, line, `${name}: ${error.message}`)
    }
    lines.set(name, line)
  }
  refuseDangling(file, rules, lines)
  return rules
}

type Entry = { name: string; value: unknown; line: number }

function entriesOf(file: string): Entry[] {
  const counter = new LineCounter()
  const document = parseDocument(textOf(file), { lineCounter: counter, prettyErrors: false, uniqueKeys: true })
  const line = (offset: number) => counter.linePos(offset).line
  const [broken] = document.errors
  if (broken) throw wrong(file, line(broken.pos[0]), `this is no YAML: ${broken.message}`)
  const { contents } = document
  if (contents === null || (isScalar(contents) && contents.value === null)) return []
  if (!isMap(contents)) throw wrong(file, 1, 'the file must be a map of names to rules, e.g. "service": "role:service"')
  return contents.items.map(({ key, value }) => {
    const at = line(key?.range?.[0] ?? 0)
    const name = isScalar(key) && typeof key.value === 'string' ? key.value : null
    if (name === null) throw wrong(file, at, 'names of rules are texts; put it in quotes')
    return { name, value: value?.toJS(document) ?? null, line: at }
  })
}

function textOf(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8')
  } catch (error) {
    throw new PolicyError(
      `${file}: it cannot be read (${(error as Error).message}); correct [oslo_policy] policy_file, or the file's owner and mode`,
    )
  }
}

/** Refuses references to rules that are not there, and circles. */
function refuseDangling(file: string, rules: Rules, lines: ReadonlyMap<string, number>): void {
  const visit = (name: string, path: readonly string[]): void => {
    const expression = rules.get(name)!
    // of those on the way, one is the file's: the defaults are sound
    const line = lines.get([...path, name].findLast(one => lines.has(one)) ?? '') ?? 1
    if (path.includes(name))
      throw wrong(file, line, `${[...path.slice(path.indexOf(name)), name].join(' → ')} goes in a circle; break it`)
    for (const other of references(expression)) {
      if (!rules.has(other)) throw wrong(file, line, `${name}: ${unknownRule(other, [...rules.keys()])}`)
      visit(other, [...path, name])
    }
  }
  for (const name of rules.keys()) visit(name, [])
}

function unknownRule(name: string, known: readonly string[]): string {
  const resource = name.split(':').at(-2)
  const near = resource === undefined ? [] : known.filter(one => one.split(':').at(-2) === resource)
  const hint = near.length ? `there are ${near.slice(0, 8).join(', ')}` : 'define it in the file, or correct the name'
  return `there is no rule ${name}; ${hint}`
}

function wrong(file: string, line: number, text: string): PolicyError {
  return new PolicyError(`${file}:${line}: ${text}`)
}

/** Changes when the file does, also when it is replaced; empty while it is not there. */
function stamp(file: string): string {
  const found = fs.statSync(file, { throwIfNoEntry: false })
  return found ? `${found.ino} ${found.mtimeMs} ${found.size}` : ''
}
