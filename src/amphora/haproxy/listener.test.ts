/** The rendering of a listener: a golden file per branch, each of which haproxy accepts. UPDATE_GOLDEN=1 writes them. */
import { execFileSync, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { digestOf } from '../digest.ts'
import { cases, input, member, monitor, peers, pool, shared } from './golden-cases.ts'
import { words } from './language.ts'
import type { ListenerInput } from './listener.ts'
import { policySample, ruleSample } from './sample.ts'
import { listenerAt, renderListener, renderLoadBalancer } from './unit.ts'

const tls_folder = fs.mkdtempSync(path.join(os.tmpdir(), 'tls-'))
beforeAll(() => {
  const folder = path.join(tls_folder, 'certs', input().listener.id)
  fs.mkdirSync(path.join(tls_folder, 'certs'), { recursive: true })
  fs.symlinkSync(folder, path.join(tls_folder, 'certs', input().load_balancer.id))
  fs.mkdirSync(folder, { recursive: true })
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  openssl('req', '-x509', '-subj', '/CN=test', '-days', '2', ...key, '-keyout', 'ca.key', '-out', 'ca.pem')
  fs.writeFileSync(
    path.join(folder, 'a.pem'),
    ['ca.pem', 'ca.key'].map(name => fs.readFileSync(path.join(folder, name))).join('\n'),
  )
  for (const name of ['b.pem', "a b'.pem"]) fs.copyFileSync(path.join(folder, 'a.pem'), path.join(folder, name))
  fs.writeFileSync(path.join(folder, 'index'), '')
  fs.writeFileSync(
    path.join(folder, 'ca.cnf'),
    '[ca]\ndefault_ca=x\n[x]\ndatabase=index\ndefault_md=sha256\ndefault_crl_days=2\n',
  )
  openssl('ca', '-config', 'ca.cnf', '-gencrl', '-keyfile', 'ca.key', '-cert', 'ca.pem', '-out', 'crl.pem')
})
afterAll(() => fs.rmSync(tls_folder, { recursive: true }))

const golden = path.join(import.meta.dirname, 'golden')

const all: Record<string, (base_path?: string) => string> = {
  ...Object.fromEntries(
    Object.entries(cases).map(([name, each]) => [
      name,
      (base_path = each.base_path) => renderListener({ ...each, base_path }),
    ]),
  ),
  ...Object.fromEntries(
    Object.entries(shared).map(([name, each]) => [
      name,
      (base_path = each.base_path) => renderLoadBalancer({ ...each, base_path }),
    ]),
  ),
}

describe('golden', () => {
  test.each(Object.entries(all))('%s', (name, render) => {
    const file = path.join(golden, `${name}.cfg`)
    const text = render()
    if (process.env.UPDATE_GOLDEN) fs.writeFileSync(file, text)
    expect(text).toBe(fs.readFileSync(file, 'utf8'))
    const local = /^peers|of-a-pair/.test(name) ? ['-L', peers.peers[0]!.name] : []
    // Certificates are read where they lie.
    const there = text.includes('/certs/') ? path.join(tls_folder, `${name}.cfg`) : file
    if (there !== file) fs.writeFileSync(there, render(tls_folder))
    const { status, stderr } = spawnSync('haproxy', ['-c', ...local, '-f', there], { encoding: 'utf8' })
    // No such ciphers or protocols are known; what matters is that they are one word each.
    if (name === 'tls-of-hostile-words') {
      expect(stderr).toMatch(/unable to set SSL cipher list to 'a b\n"#'|unable to load SSL/)
      return
    }
    // The agent writes it before a reload.
    const said = stderr.split('\n').filter(line => !/server-state-file|servers-state|Can't open|NOTICE/.test(line))
    expect({ status, said }).toEqual({ status: 0, said: [''] })
  })

  test('every file has its case', () => {
    expect(fs.readdirSync(golden).toSorted()).toEqual(
      Object.keys(all)
        .map(name => `${name}.cfg`)
        .toSorted(),
    )
  })
})

test('no string that reaches the renderer changes the text beyond its own word', () => {
  const shape = (each: ListenerInput) =>
    renderListener(each)
      .split('\n')
      .map(line => words(line).length)
  const hostile = fc.oneof(
    fc.string({ unit: 'binary', minLength: 1 }),
    fc.string({ unit: fc.constantFrom(...' \n"\'\\#'), minLength: 1 }),
  )
  const unpaired = (text: string) =>
    input(
      {
        ...{ id: text, protocol: text, allowed_cidrs: [text], insert_headers: { [text]: text } },
        ...{
          tls_ciphers: `A${text.replaceAll(':', '')}`,
          tls_versions: [text],
          alpn_protocols: [text],
          client_authentication: text,
          hsts_max_age: 5,
        },
      },
      pool({
        id: text,
        members: [member(1, { id: text, address: text, monitor_address: text, monitor_port: 80 })],
        health_monitor: {
          ...monitor('HTTP').health_monitor!,
          http_version: 1.1,
          http_method: text,
          url_path: text,
          domain_name: text,
          expected_codes: text,
        },
        session_persistence: { type: 'APP_COOKIE', cookie_name: text },
        ...{
          tls_enabled: true,
          tls: { certificate: text, ca: text, crl: text },
          tls_ciphers: `A${text.replaceAll(':', '')}`,
          alpn_protocols: [text],
        },
      }),
      { vip_address: text },
    )
  const l7policies = (text: string) =>
    (['REDIRECT_TO_POOL', 'REDIRECT_TO_URL', 'REDIRECT_PREFIX', 'REJECT'] as const).map(action => {
      const arguments_ = { redirect_pool_id: text, redirect_url: text, redirect_prefix: text }
      const rules = (['HEADER', 'COOKIE', 'SSL_DN_FIELD', 'PATH', 'FILE_TYPE', 'SSL_VERIFY_RESULT'] as const).map(
        type => ruleSample({ id: text, type, compare_type: 'REGEX', key: text, value: text }),
      )
      return policySample({ id: text, action, ...arguments_, rules })
    })
  const made = (text: string) => ({
    ...unpaired(text),
    l7policies: l7policies(text),
    tls: { certificates: [text, text], client_ca: text, client_crl: text },
    peers: { ...peers, section: text, peers: [{ name: text, address: text }] },
  })
  fc.assert(
    fc.property(hostile, text => {
      expect(shape(made(text))).toEqual(shape(made('a')))
    }),
  )
})

test('a line of a text for several listeners is of one of them, or of all', () => {
  const each = shared['one-haproxy']!
  const text = renderLoadBalancer(each)
  const lineOf = (start: string) => text.split('\n').findIndex(line => line.trim().startsWith(start)) + 1
  const [prometheus, http] = each.listeners.map(({ listener }) => listener.id)
  expect(listenerAt(text, lineOf('user nobody'))).toBeNull()
  expect(listenerAt(text, lineOf('maxconn 100'))).toBe(http)
  expect(listenerAt(text, lineOf('option external-check'))).toBe(http)
  expect(listenerAt(text, lineOf('server agent'))).toBe(prometheus)
  expect(listenerAt(text, 10_000)).toBe(http)
})

test('the order of members changes neither text nor digest', () => {
  const turned = input({}, pool({ members: [member(2), member(1)] }))
  expect(renderListener(turned)).toBe(renderListener(input()))
  expect(digestOf(turned)).toBe(digestOf(input()))
})

test('nor does the order of listeners', () => {
  for (const each of Object.values(shared)) {
    const turned = { ...each, listeners: each.listeners.toReversed() }
    expect(renderLoadBalancer(turned)).toBe(renderLoadBalancer(each))
    expect(digestOf(turned)).toBe(digestOf(each))
  }
})

test('the digest depends on every input and on the rendering version, and on nothing else', () => {
  const digests = new Set([...Object.values(cases), ...Object.values(shared)].map(each => digestOf(each)))
  expect(digests.size).toBe(Object.keys(all).length)
  expect(digestOf(input(), 7)).not.toBe(digestOf(input(), 8))
  const { base_path, ...rest } = input()
  expect(digestOf({ ...rest, base_path })).toBe(digestOf(input()))
})
