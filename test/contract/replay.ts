/** Replays recorded exchanges against a running cloud and tells how its answers differ. Recorded ids, addresses and
 *  secrets are bound to this cloud's own at their first appearance and must stay bound. */
import fs from 'node:fs'
import path from 'node:path'
import type { ServiceName } from '../../src/pocket/service.ts'
import type { Answer, PocketStack } from './pocket-stack.ts'

export type Exchange = {
  label: string
  request: { method: string; url: string; headers: Record<string, string>; body: unknown }
  response: { status: number; headers: Record<string, string>; body: unknown }
}

export type Difference = { path: string; expected: unknown; actual: unknown }

export const recordings = ['keystone', 'glance', 'neutron', 'nova', 'barbican'] as const
export type Recording = (typeof recordings)[number]

export function readRecording(name: Recording): Exchange[] {
  return JSON.parse(fs.readFileSync(path.join(import.meta.dirname, 'recordings', `${name}.json`), 'utf8'))
}

/** The difference in one line. */
export function told({ path, expected, actual }: Difference): string {
  const short = (value: unknown) => String(JSON.stringify(value)).slice(0, 300)
  return `${path}: recorded ${short(expected)}, here ${short(actual)}`
}

/** Recorded words and what they are called here. */
export class Replay {
  readonly #stack: PocketStack
  readonly #words = new Map<string, string>()

  constructor(stack: PocketStack) {
    this.#stack = stack
    for (const [service, port] of Object.entries(recordedPorts))
      this.bind(`http://127.0.0.1:${port}`, stack.endpoints[service as ServiceName])
  }

  bind(recorded: string, here: string): void {
    this.#words.set(recorded, here)
  }

  /** This cloud's word for a recorded one. */
  here(recorded: string): string {
    return this.#words.get(recorded) ?? recorded
  }

  async send(exchange: Exchange): Promise<Answer> {
    const { method, url, headers, body } = exchange.request
    const target = new URL(url)
    const service = Object.entries(recordedPorts).find(([, port]) => port === target.port)![0] as ServiceName
    const sent = Object.fromEntries(
      Object.entries(headers)
        .filter(([name]) => /^(x-|content-type|accept$|openstack-)/i.test(name))
        .map(([name, value]) => [name, this.#translated(value)]),
    )
    return this.#stack.send(service, method, this.#translated(target.pathname + target.search), {
      headers: sent,
      body: this.#sentBody(body),
    })
  }

  /** How the answer differs from the recorded one. Binds new words only when it does not. */
  compare(exchange: Exchange, answer: Answer, excused: (difference: Difference) => boolean): Difference[] {
    const fresh = new Map<string, string>()
    const { response } = exchange
    const differences: Difference[] = []
    if (response.status !== answer.status)
      differences.push({ path: 'status', expected: response.status, actual: answer.status })
    for (const [name, value] of Object.entries(response.headers))
      this.#header(name.toLowerCase(), value, answer, fresh, differences)
    this.#value('body', response.body, answer.body, fresh, differences)
    const left = differences.filter(difference => !excused(difference))
    // What was made exists from now on, however its answer looked.
    const made = exchange.request.method !== 'GET' && response.status === answer.status
    if (left.length === 0 || made) for (const [recorded, here] of fresh) this.bind(recorded, here)
    return left
  }

  #header(name: string, value: string, answer: Answer, fresh: Map<string, string>, differences: Difference[]): void {
    const actual = answer.headers[name]
    if (name === 'x-subject-token' && actual) {
      fresh.set(value, actual)
      return
    }
    if (name === 'content-type') {
      // an answer without a body has no type to compare
      if (answer.text !== '')
        this.#value('content-type', value.split(';')[0], actual?.split(';')[0], fresh, differences)
    } else if (comparedHeaders.includes(name)) this.#value(name, value, actual, fresh, differences)
    else if (/request-id$/.test(name) && !/^req-/.test(actual ?? ''))
      differences.push({ path: name, expected: value, actual })
  }

  #value(
    where: string,
    expected: unknown,
    actual: unknown,
    fresh: Map<string, string>,
    differences: Difference[],
  ): void {
    if (Array.isArray(expected) && Array.isArray(actual)) {
      this.#list(where, expected, actual, fresh, differences)
      return
    }
    if (isObject(expected) && isObject(actual)) {
      for (const key of new Set([...Object.keys(expected), ...Object.keys(actual)])) {
        const inner = `${where}.${this.#translated(key)}`
        if (!(key in actual)) differences.push({ path: inner, expected: expected[key], actual: undefined })
        else if (!(key in expected)) differences.push({ path: inner, expected: undefined, actual: actual[key] })
        else this.#value(inner, expected[key], actual[key], fresh, differences)
      }
      return
    }
    if (typeof expected === 'string' && typeof actual === 'string') {
      const [, beginning, chars] = abridged.exec(expected) ?? []
      if (beginning !== undefined && actual.startsWith(beginning) && actual.length === Number(chars)) return
      if (expected === `(${Buffer.byteLength(actual)} bytes, binary)`) return
      const random = randomFields.find(([field]) => field.test(where))
      if (random ? random[1].test(actual) : this.#sameText(expected, actual, fresh)) return
    }
    if (expected !== actual) differences.push({ path: where, expected, actual })
  }

  /** Lists of objects are paired by what names their items, whatever their order; each missing and each additional item
   *  is a difference of its own. */
  #list(
    where: string,
    expected: unknown[],
    actual: unknown[],
    fresh: Map<string, string>,
    differences: Difference[],
  ): void {
    if (where.endsWith('.audit_ids') && expected.length === actual.length) {
      for (const [index, item] of expected.entries())
        this.#value(`${where}[${index}]`, item, actual[index], fresh, differences)
      return
    }
    const left = [...actual]
    for (const [index, item] of expected.entries()) {
      const trimmed = isObject(item) && '_trimmed' in item ? item : null
      if (trimmed) {
        this.#trimmed(where, trimmed, left, differences)
        return
      }
      const at = this.#partner(item, left, fresh)
      const name = isObject(item) ? String(item.alias ?? item.name ?? item.type ?? item.binary ?? index) : String(index)
      if (at < 0) differences.push({ path: `${where}[${name}]`, expected: item, actual: undefined })
      else this.#value(`${where}[${name}]`, item, left.splice(at, 1)[0], fresh, differences)
    }
    for (const item of left) {
      const name = isObject(item) ? String(item.alias ?? item.name ?? item.type ?? item.host ?? '?') : String(item)
      differences.push({ path: `${where}[+${name}]`, expected: undefined, actual: item })
    }
  }

  /** The recording says how many items it left out, or which. */
  #trimmed(
    where: string,
    { _trimmed, aliases }: Record<string, unknown>,
    left: unknown[],
    differences: Difference[],
  ): void {
    if (Array.isArray(aliases)) {
      const known = left.map(item => (item as { alias?: string }).alias)
      for (const alias of aliases)
        if (!known.includes(alias)) differences.push({ path: `${where}[${alias}]`, expected: alias, actual: undefined })
    } else if (left.length !== _trimmed)
      differences.push({ path: `${where}.length`, expected: _trimmed, actual: left.length })
  }

  #partner(item: unknown, candidates: unknown[], fresh: Map<string, string>): number {
    if (!isObject(item)) {
      const same = candidates.findIndex(
        c => c === item || (typeof c === 'string' && typeof item === 'string' && this.here(item) === c),
      )
      return same >= 0
        ? same
        : candidates.findIndex(
            c =>
              typeof c === 'string' &&
              typeof item === 'string' &&
              !this.#words.has(item) &&
              kindOf(item) !== null &&
              kindOf(item) === kindOf(c),
          )
    }
    const attempts = candidates.map(candidate => {
      const differences: Difference[] = []
      this.#value('', item, candidate, new Map(fresh), differences)
      const same =
        isObject(candidate) &&
        naming.every(
          key =>
            item[key] === undefined ||
            this.#translated(String(item[key])) === String(candidate[key]) ||
            kindOf(String(item[key])) !== null,
        )
      return { same, count: differences.length }
    })
    const best = Math.min(...attempts.filter(a => a.same).map(a => a.count))
    return attempts.findIndex(a => a.same && a.count === best)
  }

  #sameText(expected: string, actual: string, fresh: Map<string, string>): boolean {
    if (expected === actual) return true
    const bound = fresh.get(expected) ?? this.#words.get(expected)
    if (bound !== undefined) return bound === actual
    const translated = this.#translated(expected)
    if (translated === actual) return true
    const kind = kindOf(expected)
    if (kind === null) return this.#sameWithin(translated, actual, fresh)
    if (kindOf(actual) !== kind) return false
    if (kind !== 'time' && kind !== 'host') fresh.set(expected, actual)
    return true
  }

  /** Texts that contain ids, such as links and messages: the same but for those, each of which is bound. */
  #sameWithin(expected: string, actual: string, fresh: Map<string, string>): boolean {
    const split = /([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32})/
    const [left, right] = [expected.split(split), actual.split(split)]
    if (left.length === 1 || left.length !== right.length) return false
    return left.every((part, i) => (i % 2 === 0 ? part === right[i] : this.#sameText(part, right[i]!, fresh)))
  }

  #sentBody(body: unknown): unknown {
    if (body === null) return undefined
    if (body === '(stream)') return new Uint8Array(1024).fill(120)
    if (typeof body === 'string') return body
    const text = JSON.stringify(body).replace(/"eHh4[^"]*chars\)"/, `"${Buffer.alloc(11_264, 'x').toString('base64')}"`)
    const sent = JSON.parse(this.#translated(text))
    if (typeof sent.payload === 'string') sent.payload = this.#unabridged(sent)
    return sent
  }

  /** A payload of the length that the recording says: `<beginning>...(<n> chars)`. Barbican cuts the white space at its end. */
  #unabridged({ payload, payload_content_encoding }: { payload: string; payload_content_encoding?: string }): string {
    const [, beginning, chars] = abridged.exec(payload) ?? []
    if (beginning === undefined) return payload
    if (payload_content_encoding === 'base64') return Buffer.alloc(2_515, 'x').toString('base64')
    return `${beginning.padEnd(Number(chars) - 1, 'x')}\n`
  }

  /** The text with every recorded word replaced, the longest first. */
  #translated(text: string): string {
    const words = [...this.#words.keys()].sort((a, b) => b.length - a.length)
    if (words.length === 0) return text
    const pattern = new RegExp(`(?<![\\w.-])(?:${words.map(quoted).join('|')})(?![\\w-]|\\.\\d)`, 'g')
    return text.replace(pattern, word => this.here(this.here(word)))
  }
}

const recordedPorts: Record<ServiceName, string> = {
  identity: '5000',
  image: '9292',
  compute: '8774',
  network: '9696',
  key_manager: '9311',
}

/** A long text of which the recording keeps the beginning and the length. */
const abridged = /^(.*)\.\.\.\((\d+) chars\)$/s

const comparedHeaders = ['location', 'www-authenticate', 'openstack-api-version', 'x-openstack-nova-api-version']

const naming = [
  'alias',
  'name',
  'type',
  'binary',
  'interface',
  'direction',
  'ethertype',
  'protocol',
  'port_range_min',
  'network_id',
  'device_owner',
  'rel',
  'url',
  'version',
]

type Kind = 'id' | 'hex' | 'digest' | 'token' | 'time' | 'address' | 'mac' | 'secret' | 'host'

/** Fields that are random each time and never sent again: their form alone is compared. */
const randomFields: [path: RegExp, form: RegExp][] = [
  [/\.audit_ids\[\d+\]$/, /^[\w-]{22}$/],
  [/\.adminPass$/, /^[A-Za-z0-9]{12}$/],
  [/\.OS-EXT-SRV-ATTR:reservation_id$/, /^r-[a-z0-9]{8}$/],
  [/\.OS-EXT-SRV-ATTR:instance_name$/, /^instance-[0-9a-f]{8}$/],
]

/** What kind of name a text is that only one cloud knows; null for all others. */
function kindOf(text: unknown): Kind | null {
  if (typeof text !== 'string') return null
  const forms: [Kind, RegExp][] = [
    ['id', /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/],
    ['hex', /^[0-9a-f]{32}$/],
    ['digest', /^[0-9a-f]{128}$/],
    ['token', /^(gAAAAA|\$TOKEN)/],
    ['time', /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{6})?Z?$/],
    ['address', /^(10\.0\.0|172\.31\.0|192\.168\.0)\.\d{1,3}$/],
    ['mac', /^fa:16:3e(:[0-9a-f]{2}){3}$/],
    ['secret', /^[\w-]{86}$/],
    // a host, and its digest for tenants: this cloud has several
    ['host', /^(osrig|pocket-\d|pocket|[0-9a-f]{56})$/],
  ]
  return forms.find(([, form]) => form.test(text))?.[0] ?? null
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function quoted(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
