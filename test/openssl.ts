/** Certificates made by OpenSSL for tests: authorities, servers of theirs, and the forms in which people keep them. */
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

export type Made = { certificate: string; key: string }

/** A folder of files that the tests of one file share; removed by `remove`. */
export class OpenSsl {
  readonly folder = fs.mkdtempSync(path.join(os.tmpdir(), 'openssl-'))
  #made = 0

  remove(): void {
    fs.rmSync(this.folder, { recursive: true, force: true })
  }

  run(...argv: string[]): Buffer {
    return execFileSync('openssl', argv, { stdio: ['ignore', 'pipe', 'pipe'], cwd: this.folder })
  }

  /** Keeps a text and answers with its path. */
  file(text: string | Buffer): string {
    const name = path.join(this.folder, `${++this.#made}`)
    fs.writeFileSync(name, text)
    return name
  }

  /** A certificate, signed by itself or by `by`. */
  certificate(
    name: string,
    options: { kind?: 'rsa' | 'ec' | 'ed25519'; by?: Made; ca?: boolean; names?: string; days?: number } = {},
  ): Made {
    const { kind = 'ec', by, ca = false, names, days = 30 } = options
    const algorithm = {
      rsa: ['RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
      ec: ['EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
      ed25519: ['ED25519'],
    }[kind]
    const key = this.run('genpkey', '-algorithm', ...algorithm).toString()
    const key_file = this.file(key)
    const extensions = [
      `basicConstraints=critical,CA:${ca ? 'TRUE' : 'FALSE'}`,
      ...(names ? [`subjectAltName=${names}`] : []),
    ]
    const request = this.file(this.run('req', '-new', '-key', key_file, '-subj', name))
    const signer = by
      ? ['-CA', this.file(by.certificate), '-CAkey', this.file(by.key), '-CAcreateserial']
      : ['-signkey', key_file]
    const dates = ['-days', String(days)]
    const certificate = this.run(
      'x509',
      '-req',
      '-in',
      request,
      ...signer,
      ...dates,
      '-extfile',
      this.file(extensions.join('\n')),
    )
    return { certificate: certificate.toString(), key }
  }

  /** The key behind a passphrase: in PKCS #8, or in the old form. */
  encrypted(key: string, passphrase: string, ...form: string[]): string {
    return this.run(
      ...(form.length > 0 ? form : ['pkcs8', '-topk8']),
      '-in',
      this.file(key),
      '-passout',
      `pass:${passphrase}`,
    ).toString()
  }

  pkcs12(made: Made, others: Made[], ...more: string[]): Buffer {
    const chain = others.length > 0 ? ['-certfile', this.file(others.map(one => one.certificate).join(''))] : []
    const parts = ['-in', this.file(made.certificate), '-inkey', this.file(made.key), ...chain]
    return this.run('pkcs12', '-export', ...parts, ...(more.includes('-passout') ? [] : ['-passout', 'pass:']), ...more)
  }

  /** A list of the authority's certificates that hold no longer. */
  revoked(by: Made, certificates: Made[]): string {
    const [ca, key] = [this.file(by.certificate), this.file(by.key)]
    const database = this.file('')
    const settings = ['[ca]', 'default_ca=x', '[x]', `database=${database}`, 'default_md=sha256', 'default_crl_days=30']
    const common = ['ca', '-config', this.file(settings.join('\n')), '-cert', ca, '-keyfile', key]
    for (const { certificate } of certificates) this.run(...common, '-revoke', this.file(certificate))
    return this.run(...common, '-gencrl').toString()
  }

  pkcs7(made: Made[], form: 'PEM' | 'DER'): Buffer {
    return this.run(
      'crl2pkcs7',
      '-nocrl',
      '-outform',
      form,
      '-certfile',
      this.file(made.map(one => one.certificate).join('')),
    )
  }
}
