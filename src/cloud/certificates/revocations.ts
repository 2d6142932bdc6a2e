/** Does a list of revoked certificates belong to an authority? */
import forge from 'node-forge'
import type { Authority } from './bundle.ts'
import { pemBlocks } from './chain.ts'

/** True when every list was issued by one of the authority's certificates, by their names. haproxy would take another one
 *  too, and then refuse every client. False also for what is no such list. */
export function revocationsFit(authority: Authority, revocations_pem: readonly string[]): boolean {
  try {
    const subjects = new Set(authority.certificates_pem.map(pem => subjectOf(derOf(pem))))
    return revocations_pem.length > 0 && revocations_pem.every(pem => subjects.has(issuerOf(derOf(pem))))
  } catch {
    return false
  }
}

function derOf(pem: string): Buffer {
  return Buffer.from(pemBlocks(pem)[0]!.der)
}

/** RFC 5280, 4.1: version, serial number, algorithm, issuer, validity, subject; the version may be left out. */
function subjectOf(certificate: Buffer): string {
  const parts = signedParts(certificate)
  return nameIn(parts, parts[0]?.tagClass === forge.asn1.Class.CONTEXT_SPECIFIC ? 5 : 4)
}

/** RFC 5280, 5.1: version, algorithm, issuer; the version may be left out. */
function issuerOf(list: Buffer): string {
  const parts = signedParts(list)
  return nameIn(parts, parts[0]?.type === forge.asn1.Type.INTEGER ? 2 : 1)
}

function signedParts(der: Buffer): forge.asn1.Asn1[] {
  const whole = forge.asn1.fromDer(der.toString('latin1')).value as forge.asn1.Asn1[]
  return whole[0]!.value as forge.asn1.Asn1[]
}

function nameIn(parts: forge.asn1.Asn1[], index: number): string {
  return forge.asn1.toDer(parts[index]!).toHex()
}
