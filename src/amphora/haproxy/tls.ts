/** TLS in haproxy's words: what a listener shows to clients, and how a pool speaks to members. */
import type { listener } from '../../lbaas/listener.ts'
import type { pool } from '../../lbaas/pool.ts'
import type { Rendered } from '../../lbaas/resource.ts'
import { word } from './language.ts'

/** Names of files in the listener's folder of certificates. */
export type ListenerFiles = {
  /** The default one first: haproxy shows it to clients that ask for none of the others. */
  certificates: string[]
  client_ca: string | null
  client_crl: string | null
}

export type PoolFiles = { certificate: string | null; ca: string | null; crl: string | null }

type Listener = Rendered<typeof listener>
type Pool = Rendered<typeof pool>
type Spoken = Pick<Listener, 'tls_ciphers' | 'tls_versions' | 'alpn_protocols'>

/** The rest of a `bind` line; nothing where no TLS is terminated. `folder`: where the files lie. */
export function bindTls({ listener, tls }: { listener: Listener; tls?: ListenerFiles }, folder: string): string {
  if (!tls) return ''
  const file = (name: string) => word(`${folder}/${name}`)
  const certificates = tls.certificates.map(name => ` crt ${file(name)}`).join('')
  return ` ssl${certificates}${clientCertificate(listener, tls, file)}${spoken(listener)}`
}

/** Browsers are told to use TLS only. */
export function hsts({ hsts_max_age, hsts_include_subdomains, hsts_preload }: Listener): string[] {
  if (hsts_max_age === null) return []
  const flags = `${hsts_include_subdomains ? ' includeSubDomains;' : ''}${hsts_preload ? ' preload;' : ''}`
  return [`http-response set-header Strict-Transport-Security ${word(`max-age=${hsts_max_age};${flags}`)}`]
}

/** What members are told of a client's certificate. */
export function clientHeaders({ protocol, insert_headers }: Listener): string[] {
  if (protocol !== 'TERMINATED_HTTPS') return []
  return Object.entries(client_headers)
    .filter(([name]) => String(insert_headers[name] ?? '').toLowerCase() === 'true')
    .map(([name, value]) => `http-request set-header ${name} ${value}`)
}

const client_headers = {
  'X-SSL-Client-Verify': '%[ssl_c_verify]',
  'X-SSL-Client-Has-Cert': '%[ssl_c_used]',
  'X-SSL-Client-DN': '%{+Q}[ssl_c_s_dn]',
  'X-SSL-Client-CN': '%{+Q}[ssl_c_s_dn(cn)]',
  'X-SSL-Issuer': '%{+Q}[ssl_c_i_dn]',
  'X-SSL-Client-SHA1': '%{+Q}[ssl_c_sha1,hex]',
  'X-SSL-Client-Not-Before': '%{+Q}[ssl_c_notbefore]',
  'X-SSL-Client-Not-After': '%{+Q}[ssl_c_notafter]',
} as const

/** The rest of a `server` line. Members are asked for by the name that the client asked for, where it did. */
export function serverTls(pool: Pool & { tls?: PoolFiles }, folder: string): string {
  if (!pool.tls_enabled) return ''
  const { certificate = null, ca = null, crl = null } = pool.tls ?? {}
  const file = (keyword: string, name: string | null) =>
    name === null ? '' : ` ${keyword} ${word(`${folder}/${name}`)}`
  const verified = ca === null ? ' verify none' : ' verify required'
  const files = `${file('crt', certificate)}${file('ca-file', ca)}${file('crl-file', crl)}`
  return ` ssl${files}${verified} sni ssl_fc_sni${spoken(pool)}`
}

function clientCertificate(
  { client_authentication }: Listener,
  { client_ca, client_crl }: ListenerFiles,
  file: (name: string) => string,
): string {
  if (client_ca === null) return ''
  const verified =
    client_authentication === 'NONE' ? 'none' : client_authentication === 'OPTIONAL' ? 'optional' : 'required'
  const revoked = client_crl === null ? '' : ` crl-file ${file(client_crl)}`
  return ` ca-file ${file(client_ca)} verify ${verified}${revoked}`
}

/** Ciphers of TLS 1.3 have a list of their own. */
function spoken({ tls_ciphers, tls_versions: versions, alpn_protocols }: Spoken): string {
  const ciphers = tls_ciphers?.split(':').filter(Boolean) ?? []
  const old = ciphers.filter(name => !name.startsWith('TLS_'))
  const suites = ciphers.filter(name => name.startsWith('TLS_'))
  return [
    ...(old.length ? [` ciphers ${word(old.join(':'))}`] : []),
    ...(suites.length ? [` ciphersuites ${word(suites.join(':'))}`] : []),
    versionWords(versions),
    ...(alpn_protocols?.length ? [` alpn ${word(alpn_protocols.join(','))}`] : []),
  ].join('')
}

/** haproxy speaks nothing below TLS 1.2 unless `ssl-min-ver` says so, and passes over `no-…` beside that; so only versions
 *  with a gap between them are switched off one by one. OpenSSL has no SSLv3: it makes no gap. */
function versionWords(versions: Listener['tls_versions']): string {
  if (versions === null) return ''
  const spoken = known_versions.filter(version => versions.includes(version))
  const [least, most] = [spoken[0], spoken.at(-1)]
  if (least === undefined || most === undefined) return ''
  const between = known_versions.slice(known_versions.indexOf(least), known_versions.indexOf(most) + 1)
  if (between.length === spoken.length) return ` ssl-min-ver ${names[least]} ssl-max-ver ${names[most]}`
  const off = known_versions.filter(version => !spoken.includes(version))
  return off.map(version => ` ${switches[version]}`).join('')
}

const known_versions = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const

const names = {
  TLSv1: 'TLSv1.0',
  'TLSv1.1': 'TLSv1.1',
  'TLSv1.2': 'TLSv1.2',
  'TLSv1.3': 'TLSv1.3',
} as const

const switches = {
  TLSv1: 'no-tlsv10',
  'TLSv1.1': 'no-tlsv11',
  'TLSv1.2': 'no-tlsv12',
  'TLSv1.3': 'no-tlsv13',
} as const
