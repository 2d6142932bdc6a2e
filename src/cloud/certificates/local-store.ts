/** Certificates in a folder of this machine, as upstream's local_cert_manager lays them out: REF.crt, REF.key, REF.int, REF.pass. */
import fs from 'node:fs/promises'
import path from 'node:path'
import { Secret } from '../../service/secret.ts'
import { type Authority, authorityOf, bundleOf, type CertificateBundle } from './bundle.ts'
import { CertificateError } from './certificate-error.ts'
import type { CertificateStore, Reading } from './certificate-store.ts'

/** Everyone whom the API lets use certificates may use all that lie here: there are no owners. */
export class LocalStore implements CertificateStore {
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = path.resolve(folder)
  }

  async read(ref: string, { accept_expired = false }: Reading = {}): Promise<CertificateBundle> {
    const certificate = await this.#certificate(ref)
    const [private_key, passphrase, intermediates] = await Promise.all(
      ['key', 'pass', 'int'].map(extension => this.#file(ref, extension)),
    )
    const secret = (bytes: Buffer | null | undefined) => (bytes ? new Secret(bytes.toString('utf8').trimEnd()) : null)
    const parts = {
      certificate,
      private_key: secret(private_key),
      passphrase: secret(passphrase),
      intermediates: intermediates ?? null,
    }
    return bundleOf(ref, parts, { accept_expired, now: new Date() })
  }

  async readAuthority(ref: string): Promise<Authority> {
    return authorityOf(ref, await this.#certificate(ref))
  }

  /** Nothing: the folder is ottavia's own. */
  async grant(): Promise<void> {}

  async #certificate(ref: string): Promise<Buffer> {
    const bytes = await this.#file(ref, 'crt')
    if (bytes === null) throw new CertificateError(ref, 'missing', 'is not among the stored certificates')
    return bytes
  }

  /** Null when it is not there. */
  async #file(ref: string, extension: string): Promise<Buffer | null> {
    try {
      return await fs.readFile(fileOf(this.#folder, ref, extension))
    } catch (error) {
      const { code } = error as { code?: string }
      if (code === 'ENOENT') return null
      if (error instanceof CertificateError) throw error
      throw new CertificateError(
        ref,
        'closed',
        `cannot be read from ${this.#folder} (${code}): ottavia must be able to`,
      )
    }
  }
}

/** The file of a ref. A ref is a plain name: what could lead out of the folder is refused. */
export function fileOf(folder: string, ref: string, extension: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(ref))
    throw new CertificateError(ref, 'missing', 'is no name of a stored certificate: letters, digits, dots, dashes only')
  return path.join(folder, `${ref}.${extension}`)
}
