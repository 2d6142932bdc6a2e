/** A server's certificate with its key and intermediates: put together from what a store holds, checked, written for haproxy. */
import { createHash, type KeyObject, type X509Certificate } from 'node:crypto'
import { Secret } from '../../service/secret.ts'
import { CertificateError } from './certificate-error.ts'
import { certificatesIn, leafToRoot, pemBlocks, readCertificate } from './chain.ts'
import { readKey } from './private-key.ts'

export type CertificateBundle = {
  certificate_pem: string
  /** PKCS #8, not encrypted. */
  private_key_pem: Secret
  /** From the certificate's issuer towards the root. */
  intermediates_pem: string[]
  not_after: Date
}

/** PEM blocks of one or the other. */
export type Authority = { certificates_pem: string[]; revocations_pem: string[] }

/** What the stores hold, as they hold it; certificates are PEM or PKCS #7. */
export type Parts = {
  certificate: Buffer
  private_key: Secret | null
  passphrase: Secret | null
  intermediates: Buffer | null
}

export type Checking = { accept_expired?: boolean; now: Date }

/** Checks the parts and joins them. Refuses with CertificateError. */
export async function bundleOf(ref: string, parts: Parts, checking: Checking): Promise<CertificateBundle> {
  const given = certificatesIn(ref, 'the certificate', parts.certificate)
  if (parts.private_key === null) throw new CertificateError(ref, 'unusable', 'has no private key')
  const key = await readKey(ref, parts.private_key, parts.passphrase)
  const more = parts.intermediates === null ? [] : certificatesIn(ref, 'the intermediates', parts.intermediates)
  // Many keep the whole chain where the certificate belongs.
  return joined(ref, given[0]!, key, [...given.slice(1), ...more], checking)
}

/** The same for certificates and key that were read already. */
export function joined(
  ref: string,
  certificate: X509Certificate,
  key: KeyObject,
  others: X509Certificate[],
  { accept_expired = false, now }: Checking,
): CertificateBundle {
  const refuse = (reason: string) => new CertificateError(ref, 'unusable', reason)
  if (!certificate.checkPrivateKey(key)) throw refuse('has a private key that does not belong to its certificate')
  const not_after = certificate.validToDate
  if (!accept_expired && not_after <= now) throw refuse(`has expired on ${not_after.toISOString().slice(0, 10)}`)
  return {
    certificate_pem: pemOf(certificate),
    private_key_pem: new Secret(key.export({ type: 'pkcs8', format: 'pem' }).toString().trim()),
    intermediates_pem: leafToRoot(certificate, others).map(pemOf),
    not_after,
  }
}

/** What haproxy's `crt` wants in one file: certificate, key, intermediates. It holds the key. */
export function serverPem({ certificate_pem, private_key_pem, intermediates_pem }: CertificateBundle): Secret {
  return new Secret(`${[certificate_pem, private_key_pem.reveal(), ...intermediates_pem].join('\n')}\n`)
}

/** The file's name on an amphora, upstream's: the SHA-1 of the certificate's PEM. It tells certificates apart and protects
 *  nothing. */
export function pemName({ certificate_pem }: Pick<CertificateBundle, 'certificate_pem'>): string {
  return `${createHash('sha1').update(certificate_pem).digest('hex')}.pem`
}

/** The blocks of a secret that is to be an authority's; nothing else of it is kept. */
export function authorityOf(ref: string, payload: Buffer): Authority {
  const blocks = pemBlocks(payload.toString('latin1'))
  const certificates_pem = blocks
    .filter(block => certificateLabels.includes(block.label))
    .map(block => pemOf(readCertificate(ref, 'the certificate', block.der)))
  const revocations_pem = blocks.filter(block => block.label === 'X509 CRL').map(block => block.pem)
  if (certificates_pem.length + revocations_pem.length === 0)
    throw new CertificateError(
      ref,
      'unusable',
      'holds neither a certificate nor a list of revoked ones in PEM (-----BEGIN CERTIFICATE----- or -----BEGIN X509 CRL-----)',
    )
  if (blocks.some(block => block.label.endsWith('PRIVATE KEY')))
    throw new CertificateError(
      ref,
      'unusable',
      'holds a private key, which has no place in an authority that others check',
    )
  return { certificates_pem, revocations_pem }
}

const certificateLabels = ['CERTIFICATE', 'X509 CERTIFICATE', 'TRUSTED CERTIFICATE']

function pemOf(certificate: X509Certificate): string {
  return certificate.toString().trim()
}
