/** Any load balancer that the API accepts renders to configurations that haproxy takes and that hold no directive which it does
 *  not imply; any string that a tenant can type stays in its place. RUNS=20000 for a long run. */
import { execFileSync, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Tree } from '../../lbaas/tree.ts'
import { fetched as fetchedInto, trees } from './any-tree.ts'
import { loadBalancerInput } from './input.ts'
import { words } from './language.ts'
import type { ListenerInput } from './listener.ts'
import { renderListener, renderLoadBalancer } from './unit.ts'

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

const fetched = (tree: Tree) => fetchedInto(tree, folder)

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

test('listeners that share a haproxy are accepted too, and each has the lines that it has alone', () => {
  const file = path.join(folder, 'shared.cfg')
  const sections = (text: string) => text.split('\n\n').filter(one => /^(frontend|backend) /.test(one))
  fc.assert(
    fc.property(trees, trees, (tree, another) => {
      const distinct = (text: string) => text.replaceAll('-0000000001', '-0000000002')
      const other = JSON.parse(distinct(JSON.stringify(fetched(another)))) as ListenerInput
      const together = (all: ListenerInput[]) =>
        `${renderLoadBalancer({ ...loadBalancerInput(tree, all), base_path: folder })}\n`
      const inputs = [fetched(tree), other]
      const text = together(inputs)
      fs.writeFileSync(file, text)
      const { status, stderr } = spawnSync('haproxy', ['-c', '-f', file], { encoding: 'utf8' })
      if (!/unable to set SSL cipher|unable to set TLS 1.3 cipher/.test(stderr))
        expect({ status, stderr: status === 0 ? '' : `${stderr}\n${text}` }).toEqual({ status: 0, stderr: '' })
      for (const input of inputs) {
        const { id } = input.listener
        const alone = together([input]).replaceAll(`:${id}`, '').replaceAll(`/${tree.load_balancer.id}`, `/${id}`)
        expect(alone).toBe(`${renderListener(input)}\n`)
        expect(sections(text)).toEqual(expect.arrayContaining(sections(together([input]))))
      }
    }),
    { numRuns: Math.ceil(runs / 3) },
  )
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
