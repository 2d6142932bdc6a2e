/** The certificates between controller and agents. Two authorities: one signs amphorae, the other the controllers. */
import './reflect-metadata.ts'
import { webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'

/** An authority that signs itself. One for amphorae, another for controllers: an amphora's certificate must open no
 *  agent. The result depends on the arguments alone, but for the randomness in an ECDSA signature. */
export async function makeAuthority(name: string, keys: KeyPair, validity: Validity): Promise<Credentials> {
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: validity.serial,
    name: distinguishedName(name),
    notBefore: validity.not_before,
    notAfter: validity.not_after,
    keys,
    signingAlgorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return credentials(certificate, keys)
}

/** An amphora's certificate: its name is the amphora's id, in CN and SAN, and it may serve and call. */
export function issueAmphora(
  amphora_id: string,
  keys: KeyPair,
  by: Credentials,
  validity: Validity,
): Promise<Credentials> {
  return issue(amphora_id, keys, by, validity, [x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth])
}

/** The certificate with which controllers call agents. It cannot serve. */
export function issueController(
  name: string,
  keys: KeyPair,
  by: Credentials,
  validity: Validity,
): Promise<Credentials> {
  return issue(name, keys, by, validity, [x509.ExtendedKeyUsage.clientAuth])
}

/** A fresh key pair (P-256). */
export function makeKeys(): Promise<KeyPair> {
  return webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify'])
}

/** The file an amphora boots with: its certificate, then its key. */
export function serverPem({ certificate_pem, private_key_pem }: Credentials): string {
  return `${certificate_pem}\n${private_key_pem}\n`
}

/** When a certificate ends, for `cert_expiration`. Takes any PEM that begins with the certificate. */
export function expiration(pem: string): Date {
  return new x509.X509Certificate(pem.slice(0, pem.indexOf(pemEnd) + pemEnd.length)).notAfter
}

const pemEnd = '-----END CERTIFICATE-----'

export type KeyPair = webcrypto.CryptoKeyPair

export type Validity = {
  not_before: Date
  not_after: Date
  /** Hex; positive, at most 20 bytes. */
  serial: string
}

/** A certificate with its key. The key is a secret. */
export type Credentials = { certificate_pem: string; private_key_pem: string }

const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-256' }

async function issue(
  name: string,
  keys: KeyPair,
  by: Credentials,
  validity: Validity,
  usages: string[],
): Promise<Credentials> {
  const issuer = new x509.X509Certificate(by.certificate_pem)
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: validity.serial,
    subject: distinguishedName(name),
    issuer: issuer.subjectName,
    notBefore: validity.not_before,
    notAfter: validity.not_after,
    publicKey: keys.publicKey,
    signingKey: await importKey(by.private_key_pem),
    signingAlgorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension(usages),
      new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: name }]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
    ],
  })
  return credentials(certificate, keys)
}

function distinguishedName(common_name: string): x509.JsonName {
  return [{ CN: [common_name] }]
}

async function credentials(certificate: x509.X509Certificate, keys: KeyPair): Promise<Credentials> {
  const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey)
  return {
    certificate_pem: certificate.toString('pem'),
    private_key_pem: x509.PemConverter.encode(pkcs8, 'PRIVATE KEY'),
  }
}

function importKey(private_key_pem: string): Promise<webcrypto.CryptoKey> {
  const [pkcs8] = x509.PemConverter.decode(private_key_pem)
  return webcrypto.subtle.importKey('pkcs8', pkcs8!, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign'])
}
