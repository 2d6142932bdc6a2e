/** A certificate that cannot be used, and why. */

/** `missing`: there is none of that ref. `closed`: it is there, and we may not read it. `unusable`: it was read, and is not
 *  what it must be. */
export type CertificateErrorKind = 'missing' | 'closed' | 'unusable'

/** Says what is wrong in plain words, and never what stood in a key. */
export class CertificateError extends Error {
  readonly ref: string
  readonly kind: CertificateErrorKind
  /** The end of a sentence that begins with the ref: "has expired on …". */
  readonly reason: string

  constructor(ref: string, kind: CertificateErrorKind, reason: string) {
    const printable = ref.replace(/[^\x20-\x7e]/g, '?').slice(0, 255)
    super(`${printable} ${reason}`)
    this.name = 'CertificateError'
    this.ref = printable
    this.kind = kind
    this.reason = reason
  }
}
