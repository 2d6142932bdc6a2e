/** TLS of listeners and pools: the fields that they share, and the rules. */
import { Rejected } from './errors.ts'
import { boolean, enumeration, integer, list, string } from './resource.ts'

export const tls_versions = ['SSLv3', 'TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const
export type TlsVersion = (typeof tls_versions)[number]
const alpn_names = ['h2', 'http/1.1', 'http/1.0'] as const

/** By reference: the name of the file on amphorae, and until when the certificate in it is good, where it is one. */
export type TlsFiles = Readonly<Record<string, { name: string; not_after: string | null }>>

/** A reference to a secret or a container of the certificate store. What is rendered are the files that it became. */
const reference = { null: true, change: true, rendered: false, max_length: 255 } as const

/** How TLS is spoken, by a listener to clients or by a pool to members. */
export const spoken = {
  tls_ciphers: string({
    null: true,
    change: true,
    neutron: false,
    since: '2.15',
    max_length: 2048,
    doc: "Ciphers in OpenSSL's notation, for TLS 1.2 and older; the deployment's where none are named.",
  }),
  tls_versions: list({
    null: true,
    change: true,
    neutron: false,
    since: '2.17',
    each: enumeration({ values: tls_versions, doc: 'A version.' }),
    doc: "The versions of TLS that are spoken; the deployment's where none are named.",
  }),
  alpn_protocols: list({
    null: true,
    change: true,
    neutron: false,
    since: '2.20',
    each: enumeration({ values: alpn_names, doc: 'A protocol.' }),
    doc: "What is offered by ALPN, in order of preference; the deployment's where nothing is named.",
  }),
} as const

/** What a listener that terminates TLS has. */
export const terminated = {
  default_tls_container_ref: string({
    ...reference,
    of: 'certificate',
    doc: 'The certificate with its key: a PKCS#12 secret, or a certificate container.',
  }),
  sni_container_refs: list({
    default: [],
    change: true,
    rendered: false,
    each: string({ max_length: 255, of: 'certificate', doc: 'A certificate.' }),
    doc: 'Further certificates, chosen by the name that the client asks for (SNI).',
  }),
  client_ca_tls_container_ref: string({
    ...reference,
    of: 'authority',
    neutron: false,
    since: '2.8',
    doc: 'The authority that signs the certificates of clients: a PEM secret.',
  }),
  client_authentication: enumeration({
    default: 'NONE',
    change: true,
    neutron: false,
    since: '2.8',
    values: ['NONE', 'OPTIONAL', 'MANDATORY'],
    doc: 'Whether clients must show a certificate.',
  }),
  client_crl_container_ref: string({
    ...reference,
    of: 'revocations',
    neutron: false,
    since: '2.8',
    doc: 'The certificates of clients that hold no longer: a PEM secret with a CRL.',
  }),
  ...spoken,
  hsts_max_age: integer({
    null: true,
    min: 0,
    change: true,
    neutron: false,
    since: '2.27',
    unit: 's',
    doc: 'How long browsers remember to use TLS only.',
  }),
  hsts_include_subdomains: boolean({
    default: false,
    change: true,
    neutron: false,
    since: '2.27',
    doc: 'Whether that holds for subdomains too.',
  }),
  hsts_preload: boolean({
    default: false,
    change: true,
    neutron: false,
    since: '2.27',
    doc: 'Whether the domain may be put on the lists that browsers come with.',
  }),
} as const

/** What a pool whose members speak TLS has. */
export const reencrypted = {
  tls_enabled: boolean({
    default: false,
    change: true,
    neutron: false,
    since: '2.8',
    doc: 'Whether members are spoken to by TLS.',
  }),
  tls_container_ref: string({
    ...reference,
    of: 'certificate',
    neutron: false,
    since: '2.8',
    doc: 'The certificate that members are shown: a PKCS#12 secret, or a certificate container.',
  }),
  ca_tls_container_ref: string({
    ...reference,
    of: 'authority',
    neutron: false,
    since: '2.8',
    doc: 'The authority that signs the certificates of members: a PEM secret. Members are not verified without it.',
  }),
  crl_container_ref: string({
    ...reference,
    of: 'revocations',
    neutron: false,
    since: '2.8',
    doc: 'The certificates of members that hold no longer: a PEM secret with a CRL.',
  }),
  ...spoken,
} as const

/** What a deployment lets tenants do, and does where they say nothing. */
export type TlsTerms = {
  /** May listeners terminate TLS? */
  terminate: boolean
  minimum_version: TlsVersion | null
  prohibited_ciphers: readonly string[]
  listener: TlsDefaults
  pool: TlsDefaults
}

export type TlsDefaults = {
  tls_ciphers: string
  tls_versions: TlsVersion[]
  alpn_protocols: (typeof alpn_names)[number][]
}

const broad: TlsDefaults = {
  // OWASP's broad list, as upstream has it.
  tls_ciphers: [
    ...['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'],
    ...['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-RSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-AES256-GCM-SHA384'],
    ...['ECDHE-RSA-AES256-GCM-SHA384', 'ECDHE-ECDSA-CHACHA20-POLY1305', 'ECDHE-RSA-CHACHA20-POLY1305'],
    ...['DHE-RSA-AES128-GCM-SHA256', 'DHE-RSA-AES256-GCM-SHA384', 'DHE-RSA-CHACHA20-POLY1305'],
  ].join(':'),
  tls_versions: ['TLSv1.2', 'TLSv1.3'],
  alpn_protocols: ['h2', 'http/1.1', 'http/1.0'],
}

/** Of a deployment that says nothing of TLS. */
export const usual_tls: TlsTerms = {
  terminate: true,
  minimum_version: null,
  prohibited_ciphers: [],
  listener: broad,
  pool: broad,
}

type Spoken = { tls_ciphers: string | null; tls_versions: string[] | null; alpn_protocols: string[] | null }

type ListenerTls = Spoken & {
  protocol: string
  default_tls_container_ref: string | null
  sni_container_refs: string[]
  client_ca_tls_container_ref: string | null
  client_authentication: string
  client_crl_container_ref: string | null
  hsts_max_age: number | null
  hsts_include_subdomains: boolean
  hsts_preload: boolean
}

type PoolTls = Spoken & {
  tls_enabled: boolean
  tls_container_ref: string | null
  ca_tls_container_ref: string | null
  crl_container_ref: string | null
}

/** Does the listener terminate TLS? One for metrics does when it is given a certificate. */
export function terminates(row: ListenerTls): boolean {
  return row.protocol === 'TERMINATED_HTTPS' || (row.protocol === 'PROMETHEUS' && certificatesOf(row).length > 0)
}

/** The row with what its deployment does where it says nothing; what does not speak TLS is left as it is. */
export function completedTls<T extends Spoken>(row: T, speaks: boolean, defaults: TlsDefaults): T {
  if (!speaks) return row
  return {
    ...row,
    tls_ciphers: row.tls_ciphers || defaults.tls_ciphers,
    tls_versions: row.tls_versions ?? [...defaults.tls_versions],
    alpn_protocols: row.alpn_protocols ?? [...defaults.alpn_protocols],
  }
}

/** Refuses a listener whose parts of TLS do not fit together. */
export function checkListenerTls(row: ListenerTls, terms: TlsTerms): void {
  const refuse = (detail: string) => new Rejected('tls', { detail })
  const { protocol } = row
  const speaks = terminates(row)
  const certificates = certificatesOf(row)
  const named = protocol === 'PROMETHEUS' ? `${protocol} with TLS` : protocol
  if (speaks && !terms.terminate) throw new Rejected('disabled_option', { option: 'protocol', value: named })
  if (!speaks && (certificates.length > 0 || row.client_ca_tls_container_ref !== null))
    throw refuse(
      protocol === 'UDP' || protocol === 'SCTP'
        ? `${protocol} protocol listener does not support TLS.`
        : `Certificate container references are not allowed on ${protocol} protocol listeners.`,
    )
  if (speaks && certificates.length === 0) throw new Rejected('no_certificate', { protocol: named })
  if (row.client_authentication !== 'NONE' && row.client_ca_tls_container_ref === null)
    throw refuse(`Client authentication setting ${row.client_authentication} requires a client CA container reference.`)
  if (row.client_crl_container_ref !== null && row.client_ca_tls_container_ref === null)
    throw refuse('A client authentication CA reference is required to specify a client authentication revocation list.')
  checkSpoken(row, speaks, terms)
  checkHsts(row)
}

/** Refuses a pool whose parts of TLS do not fit together. */
export function checkPoolTls(row: PoolTls, terms: TlsTerms): void {
  if (row.crl_container_ref !== null && row.ca_tls_container_ref === null)
    throw new Rejected('tls', { detail: 'A CA certificate reference is required to specify a revocation list.' })
  checkSpoken(row, row.tls_enabled, terms)
}

/** The references to certificates with keys: the default one first. */
export function certificatesOf(row: Pick<ListenerTls, 'default_tls_container_ref' | 'sni_container_refs'>): string[] {
  const all = [row.default_tls_container_ref, ...row.sni_container_refs].filter(ref => ref !== null)
  return [...new Set(all)]
}

function checkSpoken(
  { tls_ciphers, tls_versions: versions, alpn_protocols }: Spoken,
  speaks: boolean,
  terms: TlsTerms,
) {
  const refuse = (detail: string) => new Rejected('tls', { detail })
  if (tls_ciphers) {
    if (!/^[A-Za-z0-9\-+!:@=_.]+$/.test(tls_ciphers))
      throw refuse('Invalid characters in cipher string. Only alphanumeric, -, +, !, :, @, =, _, and . are allowed.')
    if (!tls_ciphers.split(':').every(cipher => /^[!+@-]?[A-Za-z0-9]/.test(cipher)))
      throw refuse(
        'Invalid cipher string. Each part between colons names a cipher, with at most one of !, +, - or @ before.',
      )
    const prohibited = tls_ciphers.split(':').filter(cipher => terms.prohibited_ciphers.includes(cipher))
    if (prohibited.length)
      throw refuse(`The following ciphers have been prohibited by an administrator: ${prohibited.join(', ')}`)
  }
  if (!speaks) return
  if (versions?.length === 0)
    throw refuse(
      'Empty TLS version list. Either specify at least one TLS version or remove this parameter to use the default.',
    )
  if (versions?.every(version => version === 'SSLv3'))
    throw refuse('SSLv3 alone cannot be spoken: OpenSSL does not have it any more. Name a version of TLS.')
  if (alpn_protocols?.length === 0)
    throw refuse(
      'Empty ALPN protocol list. Either specify at least one ALPN protocol or remove this parameter to use the default.',
    )
  const { minimum_version } = terms
  if (minimum_version === null) return
  const least = tls_versions.indexOf(minimum_version)
  const older = (versions ?? []).filter(version => tls_versions.indexOf(version as TlsVersion) < least)
  if (older.length)
    throw refuse(`Requested TLS versions are less than the minimum: ${older.join(', ')} < ${minimum_version}`)
}

function checkHsts({ protocol, hsts_max_age, hsts_include_subdomains, hsts_preload }: ListenerTls): void {
  const refuse = (detail: string) => new Rejected('tls', { detail })
  if ((hsts_include_subdomains || hsts_preload) && hsts_max_age === null)
    throw refuse(
      'HSTS configuration options hsts_include_subdomains and hsts_preload only make sense if hsts_max_age is set as well.',
    )
  if (hsts_max_age !== null && protocol !== 'TERMINATED_HTTPS')
    throw refuse('The HSTS feature can only be used for listeners using the TERMINATED_HTTPS protocol.')
}
