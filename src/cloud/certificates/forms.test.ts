/** The forms in which tenants bring certificates, and what is refused with which words; in a folder, with OpenSSL's files. */
import { spawnSync } from 'node:child_process'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Made, OpenSsl } from '../../../test/openssl.ts'
import { authorityOf, pemName, serverPem } from './bundle.ts'
import { CertificateError } from './certificate-error.ts'
import { fileOf, LocalStore } from './local-store.ts'
import { unlock } from './unlock.ts'

const openssl = new OpenSsl()
const folder = path.join(openssl.folder, 'store')
const store = new LocalStore(folder)
let root: Made
let middle: Made
let near: Made
let leaf: Made

beforeAll(() => {
  fs.mkdirSync(folder)
  root = openssl.certificate('/CN=Root', { ca: true, kind: 'rsa' })
  middle = openssl.certificate('/CN=Middle', { ca: true, by: root })
  near = openssl.certificate('/CN=Near', { ca: true, by: middle })
  leaf = openssl.certificate('/O=Example/CN=WWW.Example.org', {
    by: near,
    names: 'DNS:www.example.org,DNS:*.example.org,IP:10.0.0.1',
  })
})
afterAll(() => openssl.remove())

let refs = 0
/** Keeps the files of a new ref and answers with it. */
function keep(files: { crt?: string | Buffer; key?: string; int?: string | Buffer; pass?: string }): string {
  const ref = `ref-${++refs}`
  for (const [extension, text] of Object.entries(files))
    fs.writeFileSync(path.join(folder, `${ref}.${extension}`), text)
  return ref
}

async function refused(ref: string): Promise<CertificateError> {
  const error = await store.read(ref).catch(e => e)
  expect(error).toBeInstanceOf(CertificateError)
  expect(error.message).toBe(`${ref} ${error.reason}`)
  return error
}

const subjects = (pems: string[]) => pems.map(pem => new X509Certificate(pem).subject)

describe('a certificate', () => {
  test('is read with its key, its names and its end', async () => {
    const bundle = await store.read(keep({ crt: leaf.certificate, key: leaf.key }))
    expect(bundle).toMatchObject({
      certificate_pem: leaf.certificate.trim(),
      intermediates_pem: [],
    })
    expect(bundle.not_after.getTime()).toBeGreaterThan(Date.now() + 29 * 86_400_000)
    expect(createPrivateKey(bundle.private_key_pem.reveal()).equals(createPrivateKey(leaf.key))).toBe(true)
  })

  test('has its intermediates put in order, in whatever form and order they come', async () => {
    const mixed = [root, near, middle]
    const pem = mixed.map(one => `subject: something\n${one.certificate}`).join('\n')
    for (const int of [pem, pem.replaceAll('\n', '\r\n'), openssl.pkcs7(mixed, 'PEM'), openssl.pkcs7(mixed, 'DER')]) {
      const bundle = await store.read(keep({ crt: leaf.certificate, key: leaf.key, int }))
      expect(subjects(bundle.intermediates_pem)).toEqual(['CN=Near', 'CN=Middle', 'CN=Root'])
    }
  })

  test('may come as a whole chain, of which what does not belong goes last', async () => {
    const stranger = openssl.certificate('/CN=Stranger')
    const crt = [leaf, stranger, middle, near, near, leaf].map(one => one.certificate).join('')
    const bundle = await store.read(keep({ crt, key: leaf.key }))
    expect(subjects(bundle.intermediates_pem)).toEqual(['CN=Near', 'CN=Middle', 'CN=Stranger'])
  })

  test.each(['rsa', 'ec', 'ed25519'] as const)('has a key that is %s, encrypted in any way', async kind => {
    const { certificate, key } = openssl.certificate('/CN=x', { kind })
    const locked = [
      openssl.encrypted(key, 'open sesame'),
      openssl.encrypted(key, 'open sesame', 'pkcs8', '-topk8', '-scrypt'),
    ]
    if (kind === 'rsa') locked.push(openssl.encrypted(key, 'open sesame', 'rsa', '-aes128', '-traditional'))
    if (kind === 'ec') locked.push(openssl.encrypted(key, 'open sesame', 'ec', '-aes256'))
    for (const one of [key, ...locked]) {
      const bundle = await store.read(keep({ crt: certificate, key: one, pass: 'open sesame\n' }))
      expect(createPrivateKey(bundle.private_key_pem.reveal()).equals(createPrivateKey(key))).toBe(true)
    }
  })

  test('is written for haproxy as one file, under the name that upstream gives it', async () => {
    const bundle = await store.read(keep({ crt: leaf.certificate, key: leaf.key, int: near.certificate }))
    const written = openssl.file(serverPem(bundle).reveal())
    expect(fs.readFileSync(written, 'utf8').match(/BEGIN [A-Z ]+/g)).toEqual([
      'BEGIN CERTIFICATE',
      'BEGIN PRIVATE KEY',
      'BEGIN CERTIFICATE',
    ])
    const named = openssl.run('dgst', '-sha1', '-r', openssl.file(leaf.certificate.trim())).toString().slice(0, 40)
    expect(pemName(bundle)).toBe(`${named}.pem`)
  })

  test.each(['rsa', 'ec', 'ed25519'] as const)('is what haproxy takes, with a key that is %s', async kind => {
    const { certificate, key } = openssl.certificate('/CN=x', { kind, by: near })
    const bundle = await store.read(keep({ crt: certificate, key, int: near.certificate + middle.certificate }))
    const pem = openssl.file(serverPem(bundle).reveal())
    const configuration = openssl.file(
      `defaults\n mode http\n timeout client 1s\nfrontend f\n bind 127.0.0.1:8443 ssl crt ${pem}\n`,
    )
    const { status, stderr } = spawnSync('haproxy', ['-c', '-f', configuration], { encoding: 'utf8' })
    expect(status, stderr).toBe(0)
  })

  test('shows its key to nobody who prints it', async () => {
    const bundle = await store.read(keep({ crt: leaf.certificate, key: leaf.key }))
    for (const text of [JSON.stringify(bundle), inspect(bundle, { depth: 9 }), `${serverPem(bundle)}`])
      expect(text).not.toContain('PRIVATE KEY')
  })
})

describe('refused is', () => {
  test.each<[string, () => Parameters<typeof keep>[0], RegExp]>([
    ['no certificate', () => ({ key: leaf.key }), /is not among the stored certificates/],
    ['no key', () => ({ crt: leaf.certificate }), /has no private key/],
    ['an empty certificate', () => ({ crt: '', key: leaf.key }), /holds no certificate in PEM/],
    ['what is no PEM', () => ({ crt: 'hello', key: leaf.key }), /holds no certificate in PEM/],
    ['a key in place of a certificate', () => ({ crt: leaf.key, key: leaf.key }), /holds no certificate in PEM/],
    [
      'a damaged certificate',
      () => ({ crt: leaf.certificate.replace(/\n.{20}/, '\n'), key: leaf.key }),
      /cannot be read: the certificate is damaged/,
    ],
    [
      'a damaged intermediate',
      () => ({ crt: leaf.certificate, key: leaf.key, int: 'x' }),
      /the intermediates must begin/,
    ],
    ['what is no key', () => ({ crt: leaf.certificate, key: 'hello' }), /holds no private key in PEM/],
    [
      'a damaged key',
      () => ({ crt: leaf.certificate, key: leaf.key.replace(/\n.{20}/, '\n') }),
      /private key that cannot be read/,
    ],
    ['a key of another', () => ({ crt: leaf.certificate, key: near.key }), /does not belong to its certificate/],
    [
      'an encrypted key without a passphrase',
      () => ({ crt: leaf.certificate, key: openssl.encrypted(leaf.key, 'secret') }),
      /encrypted private key and no passphrase/,
    ],
    [
      'a wrong passphrase',
      () => ({ crt: leaf.certificate, key: openssl.encrypted(leaf.key, 'secret'), pass: 'terces' }),
      /its passphrase does not open/,
    ],
    [
      'a key that takes hours to open',
      () => ({ crt: leaf.certificate, key: slow(openssl.encrypted(leaf.key, 'secret')), pass: 'secret' }),
      /takes too long to open/,
    ],
  ])('%s', async (_what, files, words) => {
    const error = await refused(keep(files()))
    expect(error.reason).toMatch(words)
    expect(inspect(error)).not.toMatch(/PRIVATE KEY-----[\s\\n]+[A-Za-z0-9+/]{10}|sesame|terces/)
  })

  test('an expired one, except to serve on', async () => {
    const { certificate, key } = openssl.certificate('/CN=old', { days: -1 })
    const ref = keep({ crt: certificate, key })
    expect((await refused(ref)).reason).toMatch(/^has expired on \d{4}-\d\d-\d\d$/)
    expect((await store.read(ref, { accept_expired: true })).certificate_pem).toBe(certificate.trim())
  })
})

/** The same key with 2^31 − 1 iterations written into it. */
function slow(encrypted: string): string {
  const der = Buffer.from(encrypted.replace(/-----.*-----|\s/g, ''), 'base64')
  const at = der.indexOf(Buffer.from('02020800', 'hex')) // 2,048, OpenSSL's default
  const longer = Buffer.concat([der.subarray(0, at), Buffer.from('02047fffffff', 'hex'), der.subarray(at + 4)])
  // Four sequences around it grow by two bytes.
  for (const header of headersAround(der, at)) longer[header] = longer[header]! + 2
  return `-----BEGIN ENCRYPTED PRIVATE KEY-----\n${longer.toString('base64')}\n-----END ENCRYPTED PRIVATE KEY-----\n`
}

/** Where the lengths of the sequences stand that hold the byte at `at`. */
function headersAround(der: Buffer, at: number): number[] {
  const found: number[] = []
  for (let start = 0; start < at; start++) {
    if (der[start] !== 0x30) continue
    const long = der[start + 1]! & 0x80
    const bytes = long ? der[start + 1]! & 0x7f : 0
    if (bytes > 2) continue
    const length = long ? der.readUIntBE(start + 2, bytes) : der[start + 1]!
    const end = start + 2 + bytes + length
    if (end > at && end <= der.length) found.push(start + 1 + bytes)
  }
  return found
}

describe('a PKCS #12', () => {
  const open = (bytes: Buffer, limit_ms?: number) =>
    unlock({ pkcs12_base64: bytes.toString('base64') }, reason => new Error(reason), limit_ms)

  test.each<[string, 'rsa' | 'ec' | 'ed25519', string[]]>([
    ['RSA', 'rsa', []],
    ['EC', 'ec', []],
    ['Ed25519', 'ed25519', []],
    ['old RSA (RC2, 3DES)', 'rsa', ['-legacy']],
    ['old EC (RC2, 3DES)', 'ec', ['-legacy']],
    ['unencrypted', 'ec', ['-keypbe', 'NONE', '-certpbe', 'NONE']],
    ['without a MAC', 'ec', ['-nomac']],
  ])('%s gives its key and its certificates', async (_name, kind, more) => {
    const made = openssl.certificate('/CN=p12', { kind, by: near })
    const { certificates, keys } = await open(openssl.pkcs12(made, [near, middle], ...more))
    expect(certificates.map(one => one.subject).sort()).toEqual(['CN=Middle', 'CN=Near', 'CN=p12'])
    expect(certificates.find(one => one.subject === 'CN=p12')!.raw).toEqual(new X509Certificate(made.certificate).raw)
    expect(certificates.find(one => one.subject === 'CN=p12')!.checkPrivateKey(keys[0]!)).toBe(true)
  })

  test('with a password, damaged, or of another kind is refused', async () => {
    const locked = openssl.pkcs12(leaf, [], '-passout', 'pass:secret')
    await expect(open(locked)).rejects.toThrow(/a PKCS #12 with a password/)
    await expect(open(Buffer.from('hello'))).rejects.toThrow(/is no PKCS #12/)
    await expect(open(Buffer.from(leaf.certificate))).rejects.toThrow(/is no PKCS #12/)
    await expect(open(new X509Certificate(leaf.certificate).raw)).rejects.toThrow(/is no PKCS #12/)
    await expect(open(openssl.pkcs12(leaf, []).subarray(0, 300))).rejects.toThrow(/is no PKCS #12/)
  })

  test('that takes long to open is given up', async () => {
    const slow = openssl.pkcs12(leaf, [], '-iter', '1000000')
    await expect(open(slow, 1_000)).rejects.toThrow(/takes too long/)
  })
})

describe('an authority', () => {
  test('is its certificates, or its list of the revoked, and nothing around them', () => {
    const text = `Issuer: x\n${root.certificate}\ncomment\n${middle.certificate}`
    expect(authorityOf('a', Buffer.from(text))).toEqual({
      certificates_pem: [root.certificate.trim(), middle.certificate.trim()],
      revocations_pem: [],
    })
    fs.writeFileSync(path.join(openssl.folder, 'index.txt'), '')
    const settings = openssl.file('[ca]\ndefault_ca=x\n[x]\ndatabase=index.txt\ndefault_md=sha256\n')
    const signer = ['-cert', openssl.file(root.certificate), '-keyfile', openssl.file(root.key)]
    const crl = openssl.run('ca', '-gencrl', '-config', settings, '-crldays', '7', ...signer).toString()
    expect(authorityOf('a', Buffer.from(crl))).toEqual({ certificates_pem: [], revocations_pem: [crl.trim()] })
  })

  test('without either, or with a key, is refused', () => {
    expect(() => authorityOf('a', Buffer.from('hello'))).toThrow(/holds neither/)
    expect(() => authorityOf('a', Buffer.from(root.certificate + root.key))).toThrow(/holds a private key/)
  })
})

describe('the folder', () => {
  test('is never left, whatever the ref', () => {
    const parts = fc.constantFrom('..', '.', '/', '\\', '\0', '%2e', 'a', '~', '\n', '*', ' ', '-', 'C:')
    const refs = fc.oneof(
      fc.string(),
      fc.array(parts, { maxLength: 8 }).map(list => list.join('')),
    )
    fc.assert(
      fc.property(refs, ref => {
        let file: string
        try {
          file = fileOf(folder, ref, 'key')
        } catch (error) {
          expect(error).toBeInstanceOf(CertificateError)
          expect((error as Error).message).toMatch(/^[\x20-\x7e]*$/)
          return
        }
        expect(path.dirname(file)).toBe(folder)
        expect(path.basename(file)).toBe(`${ref}.key`)
      }),
      { numRuns: 1000 },
    )
  })

  test('that may not be read says so', async () => {
    fs.mkdirSync(path.join(folder, 'a-folder.crt'))
    await expect(store.read('a-folder')).rejects.toMatchObject({ kind: 'closed' })
  })
})
