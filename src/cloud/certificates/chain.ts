/** Certificates out of PEM and PKCS #7, and their order. */
import { X509Certificate } from 'node:crypto'
import forge from 'node-forge'
import { CertificateError } from './certificate-error.ts'

/** All certificates of a text or of bytes: PEM blocks, or PKCS #7 in PEM or DER. `what` names it in refusals. */
export function certificatesIn(ref: string, what: string, bytes: Buffer): X509Certificate[] {
  const blocks = pemBlocks(bytes.toString('latin1'))
  const single = blocks.filter(block => /^(X509 |TRUSTED )?CERTIFICATE$/.test(block.label)).map(block => block.der)
  const bundles = blocks.filter(block => block.label === 'PKCS7' || block.label === 'CMS').map(block => block.der)
  const ders = single.length > 0 ? single : (bundles.length > 0 ? bundles : [bytes]).flatMap(inPkcs7)
  if (ders.length === 0)
    throw new CertificateError(
      ref,
      'unusable',
      `holds no certificate in PEM: ${what} must begin with -----BEGIN CERTIFICATE-----`,
    )
  return ders.map(der => readCertificate(ref, what, der))
}

export function readCertificate(ref: string, what: string, der: Buffer): X509Certificate {
  try {
    return new X509Certificate(der)
  } catch {
    throw new CertificateError(ref, 'unusable', `cannot be read: ${what} is damaged`)
  }
}

/** Each issuer after the one that it issued; what does not belong to the chain comes last, as it was given. */
export function leafToRoot(leaf: X509Certificate, others: X509Certificate[]): X509Certificate[] {
  const left = others.filter(
    (one, at) =>
      one.fingerprint256 !== leaf.fingerprint256 &&
      others.findIndex(other => other.fingerprint256 === one.fingerprint256) === at,
  )
  const chain: X509Certificate[] = []
  for (let last = leaf; ; ) {
    const at = left.findIndex(one => last.checkIssued(one) && last.verify(one.publicKey))
    if (at < 0) return [...chain, ...left]
    last = left.splice(at, 1)[0]!
    chain.push(last)
  }
}

/** The blocks of a PEM text; the words around them are passed over. */
export function pemBlocks(text: string): { label: string; pem: string; der: Buffer }[] {
  return [...text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----([A-Za-z0-9+/=\s]*)-----END \1-----/g)].map(
    ([, label, body]) => {
      const base64 = body!.replace(/\s/g, '')
      const lines = base64.match(/.{1,64}/g) ?? []
      const pem = [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`].join('\n')
      return { label: label!, pem, der: Buffer.from(base64, 'base64') }
    },
  )
}

/** The certificates of a PKCS #7 SignedData (RFC 2315, 9.1), whatever their keys; none where it is something else. The
 *  library's own reader knows RSA alone, so this walks the structure. */
function inPkcs7(der: Buffer): Buffer[] {
  try {
    const parts = (node: forge.asn1.Asn1 | undefined) => (Array.isArray(node?.value) ? node.value : [])
    const [type, content] = parts(forge.asn1.fromDer(der.toString('latin1')))
    if (typeof type?.value !== 'string' || forge.asn1.derToOid(type.value) !== forge.pki.oids.signedData) return []
    const { CONTEXT_SPECIFIC } = forge.asn1.Class
    const bag = parts(parts(content)[0]).find(node => node.tagClass === CONTEXT_SPECIFIC && Number(node.type) === 0)
    return parts(bag).map(node => Buffer.from(forge.asn1.toDer(node).getBytes(), 'latin1'))
  } catch {
    return []
  }
}
