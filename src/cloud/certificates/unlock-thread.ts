/** The thread that opens PKCS #12 files and encrypted keys. node-forge reads what Node does not: the contents of a PKCS #12,
 *  and the ciphers of old ones (RC2, 3DES). Weighed against it: pkijs, which reads no old ones, and `openssl pkcs12`,
 *  which would have to be there and reads them only where its legacy provider is. */
import { createPrivateKey } from 'node:crypto'
import { parentPort, workerData } from 'node:worker_threads'
import forge from 'node-forge'
import { pemBlocks } from './chain.ts'
import type { Locked, Unlocked } from './unlock.ts'

/** 0.3 s of OpenSSL's time, measured; its own default is 2,048. */
const most_iterations = 2_000_000

parentPort!.postMessage(opened(workerData as Locked))

function opened(locked: Locked): Unlocked {
  return 'pkcs12_base64' in locked ? openPkcs12(locked.pkcs12_base64) : openKey(locked.key_pem, locked.passphrase)
}

function openPkcs12(base64: string): Unlocked {
  const der = Buffer.from(base64, 'base64').toString('latin1')
  let asn1: forge.asn1.Asn1
  try {
    asn1 = forge.asn1.fromDer(der)
  } catch {
    return { refused: 'is no PKCS #12' }
  }
  const file = parsed(asn1)
  if (typeof file === 'string') return { refused: file }
  const bags = file.safeContents.flatMap(content => content.safeBags)
  const { certBag, keyBag, pkcs8ShroudedKeyBag } = forge.pki.oids
  // Of keys that it does not know (EC) the library gives the structure alone, which is all that is needed.
  const certificates = bags.filter(bag => bag.type === certBag).map(bag => bag.asn1 ?? certificateAsn1(bag.cert!))
  const keys = bags
    .filter(bag => bag.type === keyBag || bag.type === pkcs8ShroudedKeyBag)
    .map(bag => bag.asn1 ?? keyAsn1(bag.key!))
  return { certificates: certificates.map(base64Of), keys: keys.map(base64Of) }
}

/** Tries both forms of an empty password; the reason where neither opens it. */
function parsed(asn1: forge.asn1.Asn1): forge.pkcs12.Pkcs12Pfx | string {
  let reason = ''
  for (const password of ['', null]) {
    try {
      return forge.pkcs12.pkcs12FromAsn1(asn1, false, password as string)
    } catch (error) {
      reason = String((error as Error).message)
    }
  }
  return /invalid password|unable to decrypt|mac could not/i.test(reason)
    ? 'is a PKCS #12 with a password: store it without one (openssl pkcs12 -export -passout pass:)'
    : 'is no PKCS #12 that can be read'
}

function openKey(key_pem: string, passphrase: string): Unlocked {
  const [block] = pemBlocks(key_pem)
  // The old form of encryption, in headers, has one iteration always.
  if (block?.label !== 'ENCRYPTED PRIVATE KEY') return keyOf({ key: key_pem, passphrase })
  const work = iterations(block.der)
  if (work === null) return { refused: 'has a private key that cannot be read: it is damaged' }
  if (work > most_iterations) return { refused: 'takes too long to open: encrypt it with fewer iterations' }
  return keyOf({ key: block.der, format: 'der', type: 'pkcs8', passphrase })
}

function keyOf(locked: Parameters<typeof createPrivateKey>[0]): Unlocked {
  try {
    const key = createPrivateKey(locked)
    return { certificates: [], keys: [key.export({ type: 'pkcs8', format: 'der' }).toString('base64')] }
  } catch {
    return { certificates: [], keys: [] } // the passphrase does not fit
  }
}

/** The greatest number in the description of how the key is encrypted (RFC 5958, 3): iterations, or scrypt's cost. OpenSSL's
 *  loop could not be interrupted by ending this thread. Null where it cannot be read. */
function iterations(der: Buffer): number | null {
  const numbers = (node: forge.asn1.Asn1): number[] =>
    Array.isArray(node.value)
      ? node.value.flatMap(numbers)
      : node.type === forge.asn1.Type.INTEGER && node.tagClass === forge.asn1.Class.UNIVERSAL
        ? [Number(BigInt(`0x${Buffer.from(node.value, 'latin1').toString('hex') || '0'}`))]
        : []
  try {
    const key = forge.asn1.fromDer(der.toString('latin1'))
    return Math.max(0, ...numbers((key.value as forge.asn1.Asn1[])[0]!))
  } catch {
    return null
  }
}

function certificateAsn1(certificate: forge.pki.Certificate): forge.asn1.Asn1 {
  return forge.pki.certificateToAsn1(certificate)
}

function keyAsn1(key: forge.pki.PrivateKey): forge.asn1.Asn1 {
  return forge.pki.wrapRsaPrivateKey(forge.pki.privateKeyToAsn1(key))
}

function base64Of(asn1: forge.asn1.Asn1): string {
  return Buffer.from(forge.asn1.toDer(asn1).getBytes(), 'latin1').toString('base64')
}
