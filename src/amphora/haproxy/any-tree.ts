/** For tests: any load balancer that the API accepts, with any string where a tenant may type one. */
import { randomUUID } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import fc from 'fast-check'
import { changeAll, type Request } from '../../lbaas/change.ts'
import { declarations } from '../../lbaas/declarations.ts'
import { Rejected } from '../../lbaas/errors.ts'
import { checkNested } from '../../lbaas/nested.ts'
import { amphora_provider, refuseUnsupported } from '../../lbaas/provider.ts'
import { type Field, type Resource, wireName } from '../../lbaas/resource.ts'
import { sample_subnet, sample_vip, sampleTerms } from '../../lbaas/sample.ts'
import { certificatesOf } from '../../lbaas/tls.ts'
import type { Tree } from '../../lbaas/tree.ts'
import { listenerInput } from './input.ts'
import type { ListenerInput } from './listener.ts'

/** What a client may send for the field; strings of any kind where the declaration has no pattern. */
function sendable(field: Field): fc.Arbitrary<unknown> {
  const { options } = field
  const some = ((): fc.Arbitrary<unknown> => {
    switch (field.kind) {
      case 'string':
        if (options.of) return fc.constantFrom('one', 'two')
        // a look-around cannot be generated from; the one such field is a host name
        if (options.pattern?.includes('(?=')) return fc.constantFrom('www.example.org', 'a')
        if (options.pattern) return fc.stringMatching(new RegExp(options.pattern)).filter(fits(options))
        return fc.string({ unit: 'binary', maxLength: Math.min(options.max_length ?? 40, 40) })
      case 'integer':
      case 'decimal':
        if (options.one_of) return fc.constantFrom(...options.one_of)
        return fc.integer({ min: options.min ?? 0, max: Math.min(options.max ?? 100_000, 100_000) })
      case 'boolean':
        return fc.boolean()
      case 'enumeration':
        return fc.constantFrom(...options.values!)
      case 'ip':
        return fc.oneof(fc.ipV4(), fc.ipV6())
      case 'cidr':
        return fc.constantFrom('10.0.0.0/8', '192.0.2.7/32')
      case 'list':
        return fc.uniqueArray(sendable(options.each!), { minLength: 1, maxLength: 2 })
      case 'map':
        return fc.dictionary(
          fc.constantFrom('X-Forwarded-For', 'X-Forwarded-Port', 'X-SSL-Client-DN'),
          fc.constantFrom('true', 'false'),
        )
      case 'record':
        return bodyOf(options.record!, [])
      default:
        return fc.constant(null)
    }
  })()
  return 'default' in options || options.null ? fc.option(some, { nil: undefined, freq: 2 }) : some
}

function fits({ max_length = 255 }: { max_length?: number }) {
  return (text: string) => text.length <= max_length
}

function bodyOf(fields: Resource['fields'], leave: readonly string[]): fc.Arbitrary<Record<string, unknown>> {
  const named = Object.entries(fields).filter(
    ([name, { options }]) =>
      !leave.includes(name) &&
      options.octavia !== false &&
      options.post !== false &&
      (options.state ?? 'intention') === 'intention',
  )
  return fc.record(Object.fromEntries(named.map(([name, field]) => [wireName(name, field), sendable(field)])))
}

const parents = [
  'project_id',
  'load_balancer_id',
  'listener_id',
  'pool_id',
  'default_pool_id',
  'redirect_pool_id',
  'subnet_id',
  'position',
]
const of = (name: 'listener' | 'pool' | 'member' | 'health_monitor' | 'l7policy' | 'l7rule') =>
  bodyOf(declarations[name].fields, parents)
const pool = fc
  .tuple(of('pool'), fc.array(of('member'), { maxLength: 3 }), fc.option(of('health_monitor'), { nil: undefined }))
  .map(([fields, members, healthmonitor]) => ({ ...fields, name: randomUUID(), members, healthmonitor }))

/** Rules and policies whose parts do not fit together are refused, and at random hardly any fit: these are drawn by kind. */
const compare_type = fc.constantFrom('CONTAINS', 'ENDS_WITH', 'EQUAL_TO', 'STARTS_WITH')
const printable = (letters: string) => fc.string({ unit: fc.constantFrom(...letters), minLength: 1, maxLength: 20 })
const rule = fc
  .tuple(
    of('l7rule'),
    fc.oneof(
      fc.record({
        type: fc.constantFrom('HOST_NAME', 'PATH', 'FILE_TYPE'),
        compare_type: fc.constant('EQUAL_TO'),
        value: printable('aZ09-._/%"\\#{}$\'[]!~'),
      }),
      fc.record({
        type: fc.constantFrom('HEADER', 'COOKIE'),
        compare_type,
        key: printable("aZ09!#$%&'*+-.^_`|~"),
        value: printable("aZ09!#$%&'()*+-./:<=>?@[]^_`{|}~"),
      }),
      fc.record({
        type: fc.constantFrom('HOST_NAME', 'PATH', 'FILE_TYPE'),
        compare_type: fc.constant('REGEX'),
        value: fc.constantFrom('^/a b$', '(jpg|p ng)', '[\\w"#]+', 'a{2,3}', "it's"),
      }),
      fc.record({ type: fc.constant('HOST_NAME'), compare_type, value: printable('aZ09-."') }),
      fc.constantFrom(
        { type: 'SSL_CONN_HAS_CERT', compare_type: 'EQUAL_TO', value: 'True' },
        { type: 'SSL_VERIFY_RESULT', compare_type: 'EQUAL_TO', value: '1' },
        { type: 'SSL_DN_FIELD', compare_type: 'CONTAINS', key: 'CN', value: 'a' },
      ),
    ),
  )
  .map(([fields, kind]) => ({ ...fields, key: undefined, ...kind }))
const url = printable("aZ09-._~:/?#[]@!$&'()*+,;=").map(rest => `http://${rest}`)
const policy = fc
  .tuple(
    of('l7policy'),
    fc.array(rule, { maxLength: 3 }),
    fc.oneof(
      fc.record({ action: fc.constant('REJECT') }),
      fc.record({ action: fc.constant('REDIRECT_TO_POOL'), redirect_pool: pool }),
      fc.record({ action: fc.constant('REDIRECT_TO_URL'), redirect_url: url }),
      fc.record({ action: fc.constant('REDIRECT_PREFIX'), redirect_prefix: url }),
    ),
  )
  .map(([fields, rules, kind]) => ({ ...fields, redirect_url: undefined, redirect_prefix: undefined, ...kind, rules }))
const listener = fc
  .tuple(of('listener'), fc.option(pool, { nil: undefined }), fc.array(policy, { maxLength: 2 }))
  .map(([fields, default_pool, l7policies]) => ({ ...fields, default_pool, l7policies }))

/** The tree, or null where the API refuses it: most are refused for one part, so parts that are refused are left out. */
function accepted(body: Record<string, unknown>): Tree | null {
  let n = 100
  const newId = () => `00000000-0000-4000-8000-${String(n++).padStart(12, '0')}`
  try {
    const { all } = checkNested(declarations.load_balancer, 'octavia', body, newId)
    const requests = all.map(
      one =>
        ({ verb: 'create', ...one, ...(one.resource === 'member' ? { subnet: sample_subnet } : {}) }) as Request & {
          new_id: string
        },
    )
    const root = { ...requests[0]!, vip: sample_vip, topology: 'SINGLE' } as Request
    const tree = changeAll(null, [root, ...requests.slice(1)], sampleTerms(1))
    refuseUnsupported(amphora_provider, tree)
    return tree
  } catch (error) {
    if (error instanceof Rejected) return null
    throw error
  }
}

/** Load balancers that the API accepts, of one listener each. What is refused as a whole is tried without its policies, then
 *  without its pool's more daring parts. */
export const trees = listener
  .map(one => {
    const plain = { ...one, l7policies: [] }
    const candidates = [
      one,
      plain,
      { ...plain, default_pool: one.default_pool && { ...one.default_pool, healthmonitor: undefined } },
      { ...plain, default_pool: undefined },
    ]
    const root = { vip_subnet_id: sample_vip.subnet_id, name: 'x', provider: 'amphora' }
    return (
      candidates.map(candidate => accepted({ ...root, listeners: [candidate] })).find(tree => tree !== null) ?? null
    )
  })
  .filter((tree): tree is Tree => tree !== null && tree.listeners[0]!.protocol !== 'UDP')

/** Its listener, when everything that it refers to has been fetched into `<folder>/certs`. */
export function fetched(tree: Tree, folder: string): ListenerInput {
  const files = (refs: Record<string, string | null | undefined>) =>
    Object.fromEntries(Object.entries(refs).flatMap(([name, ref]) => (ref ? [[ref, { name, not_after: null }]] : [])))
  const [row] = tree.listeners
  const own = Object.fromEntries(certificatesOf(row!).map(ref => [ref, { name: 'own.pem', not_after: null }]))
  const of_listener = {
    ...files({ 'ca.pem': row!.client_ca_tls_container_ref, 'crl.pem': row!.client_crl_container_ref }),
    ...own,
  }
  const pools = tree.pools.map(one => ({
    ...one,
    tls_files: files({
      'crl.pem': one.crl_container_ref,
      'ca.pem': one.ca_tls_container_ref,
      'own.pem': one.tls_container_ref,
    }),
  }))
  const listeners = [{ ...row!, tls_files: of_listener }]
  const input = listenerInput({ ...tree, listeners, pools }, listeners[0]!)
  fs.mkdirSync(path.join(folder, 'certs'), { recursive: true })
  for (const unit of [row!.id, tree.load_balancer.id]) {
    const there = path.join(folder, 'certs', unit)
    if (!fs.existsSync(there)) fs.symlinkSync('..', there)
  }
  return { ...input, base_path: folder }
}
