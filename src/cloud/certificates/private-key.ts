/** A private key out of PEM, decrypted where it is encrypted. */
import { createPrivateKey, type KeyObject } from 'node:crypto'
import type { Secret } from '../../service/secret.ts'
import { CertificateError } from './certificate-error.ts'
import { unlock } from './unlock.ts'

/** Refuses with CertificateError. A passphrase for a key that needs none is passed over. */
export async function readKey(ref: string, pem: Secret, passphrase: Secret | null): Promise<KeyObject> {
  const refuse = (reason: string) => new CertificateError(ref, 'unusable', reason)
  const block = /-----BEGIN ((?:[A-Z]+ )?PRIVATE KEY)-----.*?-----END \1-----/s.exec(pem.reveal())
  if (!block) throw refuse('holds no private key in PEM: it must begin with -----BEGIN PRIVATE KEY----- or the like')
  const encrypted = block[1] === 'ENCRYPTED PRIVATE KEY' || block[0].includes('Proc-Type: 4,ENCRYPTED')
  if (!encrypted) return keyOf(block[0]) ?? fail(refuse('has a private key that cannot be read: it is damaged'))
  if (passphrase === null || passphrase.reveal() === '')
    throw refuse('has an encrypted private key and no passphrase for it')
  const { keys } = await unlock({ key_pem: block[0], passphrase: passphrase.reveal() }, reason => refuse(reason))
  return keys[0] ?? fail(refuse('has an encrypted private key that its passphrase does not open'))
}

function keyOf(pem: string): KeyObject | null {
  try {
    return createPrivateKey(pem)
  } catch {
    return null
  }
}

function fail(error: Error): never {
  throw error
}
