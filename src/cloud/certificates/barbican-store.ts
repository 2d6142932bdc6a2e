/** Certificates in Barbican: a container that names the parts, or one secret that is a PKCS #12. */
import { Secret } from '../../service/secret.ts'
import type { Barbican, BarbicanRef, SecretContainer, SecretPayload } from '../barbican.ts'
import { parseRef } from '../barbican.ts'
import { CloudError } from '../openstack.ts'
import { type Authority, authorityOf, bundleOf, type CertificateBundle, joined } from './bundle.ts'
import { CertificateError } from './certificate-error.ts'
import type { CertificateStore, Reading } from './certificate-store.ts'
import { unlock } from './unlock.ts'

type Tenant = { token: string; signal?: AbortSignal }

export class BarbicanStore implements CertificateStore {
  readonly #barbican: Barbican

  constructor(barbican: Barbican) {
    this.#barbican = barbican
  }

  async read(ref: string, reading: Reading = {}): Promise<CertificateBundle> {
    const { kind, id } = known(ref)
    const checking = { accept_expired: reading.accept_expired, now: new Date() }
    if (kind === 'secret') {
      const { base64 } = await this.#ask(ref, reading, () => this.#barbican.payload(id, reading))
      return bundleOfPkcs12(ref, base64, checking)
    }
    const container = await this.#ask(ref, reading, () => this.#barbican.container(id, reading))
    const parts = partsOf(ref, container)
    const [certificate, private_key, passphrase, intermediates] = await Promise.all(
      [parts.certificate, parts.private_key, parts.private_key_passphrase, parts.intermediates].map(secret_id =>
        secret_id === undefined ? null : this.#ask(ref, reading, () => this.#barbican.payload(secret_id, reading)),
      ),
    )
    const given = {
      certificate: bytesOf(certificate!),
      private_key: private_key ? textOf(private_key) : null,
      passphrase: passphrase ? textOf(passphrase) : null,
      intermediates: intermediates ? bytesOf(intermediates) : null,
    }
    return bundleOf(ref, given, checking)
  }

  async readAuthority(ref: string, reading: Reading = {}): Promise<Authority> {
    const { kind, id } = known(ref)
    if (kind !== 'secret')
      throw new CertificateError(ref, 'unusable', 'is a container; name the secret that holds the PEM')
    return authorityOf(ref, bytesOf(await this.#ask(ref, reading, () => this.#barbican.payload(id, reading))))
  }

  /** A container's ACL says nothing of its secrets': each has its own. */
  async grant(ref: string, tenant: Tenant): Promise<void> {
    const user_id = await this.#barbican.userId(tenant.signal)
    const named = known(ref)
    const refs: BarbicanRef[] = [named]
    if (named.kind === 'container') {
      const container = await this.#ask(ref, tenant, () => this.#barbican.container(named.id, tenant))
      for (const id of Object.values(partsOf(ref, container))) refs.push({ kind: 'secret', id })
    }
    for (const one of refs)
      await this.#ask(ref, tenant, async () => {
        const acl = await this.#barbican.acl(one, tenant)
        if (!acl.users.includes(user_id))
          await this.#barbican.setAcl(one, { ...acl, users: [...acl.users, user_id] }, tenant)
      })
  }

  /** Refusals of Barbican's in words about the certificate; that it does not answer stays a CloudError. */
  async #ask<T>(ref: string, { token }: Reading, call: () => Promise<T>): Promise<T> {
    try {
      return await call()
    } catch (error) {
      if (!(error instanceof CloudError) || error.code === 'EndpointNotFound') throw error
      if (error.code === 'NoPayload') throw new CertificateError(ref, 'unusable', 'names a secret without a payload')
      if (error.kind === 'not_found')
        throw new CertificateError(ref, 'missing', 'is not in the key manager, or a secret that it names is not')
      if (error.kind !== 'forbidden' || error.status !== 403) throw error
      throw new CertificateError(ref, 'closed', token === undefined ? await this.#ungranted() : foreign)
    }
  }

  async #ungranted(): Promise<string> {
    const user_id = await this.#barbican.userId().catch(() => '<the service user>')
    return `may not be read by the load balancing service; its owner grants it: openstack acl user add --user ${user_id} REF, for the container and for each secret in it`
  }
}

const foreign = 'may not be read by you'

/** The ids of a certificate container's secrets, by their names. */
function partsOf(ref: string, container: SecretContainer): Partial<Record<Part, string>> & { certificate: string } {
  const refuse = (reason: string) => new CertificateError(ref, 'unusable', reason)
  if (container.type !== 'certificate')
    throw refuse(`is a container of type ${container.type}; one of type certificate is needed`)
  const parts: Partial<Record<Part, string>> = {}
  for (const { name, secret_ref } of container.secret_refs) {
    const secret = parseRef(secret_ref)
    if (!partNames.includes(name as Part)) continue
    if (secret?.kind !== 'secret') throw refuse(`names a ${name} that is no secret`)
    parts[name as Part] = secret.id
  }
  const { certificate } = parts
  if (certificate === undefined) throw refuse('is a container without a certificate')
  return { ...parts, certificate }
}

const partNames = ['certificate', 'private_key', 'private_key_passphrase', 'intermediates'] as const
type Part = (typeof partNames)[number]

async function bundleOfPkcs12(
  ref: string,
  base64: Secret,
  checking: { accept_expired?: boolean; now: Date },
): Promise<CertificateBundle> {
  const refuse = (reason: string) => new CertificateError(ref, 'unusable', reason)
  const { certificates, keys } = await unlock({ pkcs12_base64: base64.reveal() }, refuse)
  const [key] = keys
  if (!key) throw refuse('is a PKCS #12 without a private key')
  if (certificates.length === 0) throw refuse('is a PKCS #12 without a certificate')
  const own = certificates.find(certificate => certificate.checkPrivateKey(key)) ?? certificates[0]!
  return joined(
    ref,
    own,
    key,
    certificates.filter(certificate => certificate !== own),
    checking,
  )
}

function known(ref: string): BarbicanRef {
  const parsed = parseRef(ref)
  if (parsed) return parsed
  throw new CertificateError(
    ref,
    'missing',
    'is no ref of the key manager: one ends in /v1/containers/<id> or /v1/secrets/<id>',
  )
}

function bytesOf({ base64 }: SecretPayload): Buffer {
  return Buffer.from(base64.reveal(), 'base64')
}

function textOf(payload: SecretPayload): Secret {
  return new Secret(bytesOf(payload).toString('utf8'))
}
