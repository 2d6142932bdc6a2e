/** Any load balancer that the API accepts renders to configurations that haproxy takes and that hold no directive which it does
 *  not imply; any string that a tenant can type stays in its place. RUNS=20000 for a long run. */
import { execFileSync, spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
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
import { words } from './language.ts'
import { type ListenerInput, renderListener } from './listener.ts'

const runs = Number(process.env.RUNS ?? 150)
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'any-tree-'))
beforeAll(() => {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', 'key']
  execFileSync('openssl', ['req', '-x509', '-subj', '/CN=t', '-days', '2', ...key, '-out', 'ca.pem'], {
    cwd: folder,
    stdio: 'pipe',
  })
  const read = (name: string) => fs.readFileSync(path.join(folder, name), 'utf8')
  fs.writeFileSync(path.join(folder, 'own.pem'), `${read('ca.pem')}\n${read('key')}`)
  fs.writeFileSync(path.join(folder, 'index'), '')
  fs.writeFileSync(
    path.join(folder, 'cnf'),
    '[ca]\ndefault_ca=x\n[x]\ndatabase=index\ndefault_md=sha256\ndefault_crl_days=2\n',
  )
  const signed = ['-gencrl', '-keyfile', 'key', '-cert', 'ca.pem', '-out', 'crl.pem']
  execFileSync('openssl', ['ca', '-config', 'cnf', ...signed], { cwd: folder, stdio: 'pipe' })
})
afterAll(() => fs.rmSync(folder, { recursive: true }))

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

/** What is refused as a whole is tried without its policies, then without its pool's more daring parts. */
const trees = listener
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

/** Everything that it refers to has been fetched. */
function fetched(tree: Tree): ListenerInput {
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
  const there = path.join(folder, 'certs', row!.id)
  if (!fs.existsSync(there)) fs.symlinkSync('..', there)
  return { ...input, base_path: folder }
}

/** A directive, and when it may be there. */
const implied: [RegExp, (input: ListenerInput, used: NonNullable<ListenerInput['default_pool']>[]) => boolean][] = [
  [
    / ssl crt /,
    ({ listener: { protocol } }, pools) =>
      ['TERMINATED_HTTPS', 'PROMETHEUS'].includes(protocol) || pools.some(p => p.tls_enabled),
  ],
  [/^bind .* ca-file/, ({ tls }) => tls?.client_ca !== null],
  [/^server .* ssl /, (_, pools) => pools.some(p => p.tls_enabled)],
  [/^server .* check/, (_, pools) => pools.some(p => p.health_monitor?.admin_state_up)],
  [/^server .* send-proxy/, (_, pools) => pools.some(p => p.protocol.startsWith('PROXY'))],
  [/^server .* backup/, (_, pools) => pools.some(p => p.members.some(m => m.backup))],
  [/^cookie /, (_, pools) => pools.some(p => p.session_persistence?.type === 'HTTP_COOKIE')],
  [/^stick/, (_, pools) => pools.some(p => ['SOURCE_IP', 'APP_COOKIE'].includes(p.session_persistence?.type ?? ''))],
  [
    /^acl allowed_cidrs|^tcp-request connection reject/,
    ({ listener: { allowed_cidrs } }) => (allowed_cidrs ?? []).length > 0,
  ],
  [/^(acl [0-9a-f]{8}-|redirect |use_backend )/, ({ l7policies = [] }) => l7policies.length > 0],
  [/^http-request deny if/, ({ l7policies = [] }) => l7policies.some(p => p.action === 'REJECT')],
  [/Strict-Transport-Security/, ({ listener: { hsts_max_age } }) => hsts_max_age !== null],
  [
    /^(option forwardfor|http-request set-header)/,
    ({ listener: { insert_headers } }) => Object.values(insert_headers).includes('true'),
  ],
  [/^option (httpchk|external-check)/, (_, pools) => pools.some(p => p.health_monitor !== null)],
  [/^tcp-request inspect-delay/, ({ listener: { timeout_tcp_inspect } }) => (timeout_tcp_inspect ?? 0) > 0],
]

test('what the API accepts, haproxy accepts, and nothing is in it that was not asked for', () => {
  const seen = new Set<string>()
  const file = path.join(folder, 'haproxy.cfg')
  fc.assert(
    fc.property(trees, tree => {
      const input = fetched(tree)
      const text = renderListener(input)
      fs.writeFileSync(file, text)
      const { status, stderr } = spawnSync('haproxy', ['-c', '-f', file], { encoding: 'utf8' })
      // The ciphers are the tenant's; that OpenSSL knows none of them is said when they are tried.
      if (/unable to set SSL cipher|unable to set TLS 1.3 cipher/.test(stderr)) return
      expect({ status, stderr: status === 0 ? '' : `${stderr}\n${text}` }).toEqual({ status: 0, stderr: '' })
      const used = [...(input.default_pool ? [input.default_pool] : []), ...(input.redirect_pools ?? [])]
      for (const line of text.split('\n').map(one => one.trim()))
        for (const [directive, may] of implied)
          if (directive.test(line)) {
            seen.add(String(directive))
            expect([line, may(input, used)]).toEqual([line, true])
          }
    }),
    { numRuns: runs },
  )
  // the generator must come by all of it, or the test says nothing
  if (runs >= 2_000) expect(implied.map(([directive]) => String(directive)).filter(one => !seen.has(one))).toEqual([])
  expect(seen.size).toBeGreaterThan(4)
})

test('no string of a tenant is more than its own word', () => {
  const shape = (input: ListenerInput) =>
    renderListener(input)
      .split('\n')
      .map(line => words(line).length)
  const texts = (value: unknown, replace: (text: string) => string): unknown => {
    if (typeof value === 'string') return replace(value)
    if (Array.isArray(value)) return value.map(one => texts(one, replace))
    if (value === null || typeof value !== 'object') return value
    return Object.fromEntries(
      Object.entries(value).map(([name, one]) => [name, fixed.has(name) ? one : texts(one, replace)]),
    )
  }
  // what the renderer decides by, and what is written in parts
  const fixed = new Set([
    'protocol',
    'type',
    'action',
    'compare_type',
    'lb_algorithm',
    'client_authentication',
    'tls_versions',
    'tls_ciphers',
    'insert_headers',
    'id',
    'redirect_pool_id',
    'vip_address',
    'base_path',
  ])
  const hostile = fc.oneof(
    fc.string({ unit: 'binary', minLength: 1 }),
    fc.string({ unit: fc.constantFrom(...' \n"\'\\#%[]{}()$!'), minLength: 1 }),
  )
  fc.assert(
    fc.property(trees, hostile, (tree, text) => {
      const input = fetched(tree)
      const with_text = (replacement: string) => texts(input, () => replacement) as ListenerInput
      expect(shape(with_text(text))).toEqual(shape(with_text('a')))
    }),
    { numRuns: Math.max(runs, 500) },
  )
})
