/** TLS over the API: what goes with what, and what references to certificates are checked for. */
import { beforeAll, describe, expect, test } from 'vitest'
import { usual_tls } from '../lbaas/tls.ts'
import { apiForTests, pretended_certificates, subnet } from './pretended.ts'

const api = apiForTests()
let lb: string
let port = 4000
beforeAll(async () => {
  const made = await api.octavia('POST', '/loadbalancers', { loadbalancer: { vip_subnet_id: subnet } })
  lb = (made.body as { loadbalancer: { id: string } }).loadbalancer.id
})

type Body = Record<string, unknown>
const post = async (body: Body, protocol = 'TERMINATED_HTTPS') => {
  const listener = { loadbalancer_id: lb, protocol, protocol_port: ++port, ...body }
  const answer = await api.octavia('POST', '/listeners', { listener })
  const shown = answer.body as { listener?: Body; faultstring?: string }
  return { status: answer.status, listener: shown.listener ?? {}, text: shown.faultstring ?? '' }
}

test('what the deployment does is filled in where nothing is said, and shown', async () => {
  const { status, listener } = await post({ default_tls_container_ref: 'own', sni_container_refs: ['own2'] })
  expect({ status, listener }).toMatchObject({
    status: 201,
    listener: { ...usual_tls.listener, default_tls_container_ref: 'own', sni_container_refs: ['own2'] },
  })
  expect([...pretended_certificates.granted]).toEqual(expect.arrayContaining(['own', 'own2']))
  const plain = await post({}, 'HTTP')
  expect(plain.listener).toMatchObject({ tls_ciphers: null, tls_versions: null, alpn_protocols: null })
})

const own = { default_tls_container_ref: 'own' }
const ca = { client_ca_tls_container_ref: 'own-ca' }
test.each<[Body, string, RegExp]>([
  [{}, 'TERMINATED_HTTPS', /An SNI or default certificate container reference must be provided for TERMINATED_HTTPS/],
  [own, 'HTTP', /Certificate container references are not allowed on HTTP protocol listeners/],
  [{ ...own, client_authentication: 'MANDATORY' }, 'TERMINATED_HTTPS', /setting MANDATORY requires a client CA/],
  [{ ...own, client_crl_container_ref: 'own-crl' }, 'TERMINATED_HTTPS', /CA reference is required to specify a client/],
  [{ ...own, tls_versions: [] }, 'TERMINATED_HTTPS', /Empty TLS version list/],
  [{ ...own, tls_versions: ['TLSv9'] }, 'TERMINATED_HTTPS', /Value should be one of: SSLv3/],
  [{ ...own, alpn_protocols: [] }, 'TERMINATED_HTTPS', /Empty ALPN protocol list/],
  [{ ...own, tls_ciphers: 'a b' }, 'TERMINATED_HTTPS', /Invalid characters in cipher string/],
  [{ ...own, hsts_preload: true }, 'TERMINATED_HTTPS', /only make sense if hsts_max_age is set/],
  [{ hsts_max_age: 5 }, 'HTTP', /HSTS feature can only be used/],
  [{ insert_headers: { 'X-SSL-Client-DN': 'true' } }, 'HTTP', /not a valid option for insert_headers/],
  [{ default_tls_container_ref: 'foreign' }, 'TERMINATED_HTTPS', /Could not retrieve certificate: \['foreign'\]/],
  [{ sni_container_refs: ['own', 'foreign'] }, 'TERMINATED_HTTPS', /Could not retrieve certificate: \['foreign'\]/],
  [{ default_tls_container_ref: 'broken' }, 'TERMINATED_HTTPS', /has expired on 2020-01-01/],
  [{ ...own, client_ca_tls_container_ref: 'own-crl' }, 'TERMINATED_HTTPS', /holds no certificate/],
  [{ ...own, ...ca, client_crl_container_ref: 'own-ca' }, 'TERMINATED_HTTPS', /holds no list of revoked certificates/],
  [{ ...own, ...ca, client_crl_container_ref: 'own-crl' }, 'TERMINATED_HTTPS', /was not issued by own-ca/],
])('%j on %s is refused', async (body, protocol, expected) => {
  const { status, text } = await post(body, protocol)
  expect({ status, text }).toEqual({ status: 400, text: expect.stringMatching(expected) })
})

test('a key manager that is away is no refusal', async () => {
  expect(await post({ default_tls_container_ref: 'away' })).toMatchObject({ status: 503 })
})

test('headers about the client go with TLS', async () => {
  expect(await post({ ...own, insert_headers: { 'X-SSL-Client-DN': 'true' } })).toMatchObject({ status: 201 })
})

describe('a change', () => {
  test('is checked as a whole', async () => {
    const { listener } = await post({ ...own, ...ca, client_authentication: 'OPTIONAL' })
    const put = async (body: Body) => {
      const answer = await api.octavia('PUT', `/listeners/${listener.id}`, { listener: body })
      return { status: answer.status, text: (answer.body as { faultstring?: string }).faultstring ?? '' }
    }
    expect(await put({ client_ca_tls_container_ref: null })).toMatchObject({ status: 400 })
    expect(await put({ client_crl_container_ref: 'own-crl' })).toMatchObject({
      status: 400,
      text: expect.stringMatching(/was not issued by own-ca/),
    })
    expect(await put({ default_tls_container_ref: null })).toMatchObject({ status: 400 })
    expect(await put({ default_tls_container_ref: 'foreign' })).toMatchObject({ status: 400 })
    expect(await put({ default_tls_container_ref: null, sni_container_refs: ['own2'] })).toMatchObject({ status: 200 })
    expect(await put({ hsts_max_age: 10, hsts_preload: true })).toMatchObject({ status: 200 })
    expect(await put({ tls_ciphers: null })).toMatchObject({ status: 200 })
    const { body } = await api.octavia('GET', `/listeners/${listener.id}`)
    expect(body).toMatchObject({ listener: { tls_ciphers: usual_tls.listener.tls_ciphers } })
  })
})

describe('a deployment', () => {
  test('may allow less', async () => {
    const { octavia } = await api.start({
      tls: { ...usual_tls, minimum_version: 'TLSv1.2', prohibited_ciphers: ['RC4'] },
    })
    const listener = { loadbalancer_id: lb, protocol: 'TERMINATED_HTTPS', protocol_port: 4999, ...own }
    const refused = async (body: Body) => {
      const answer = await octavia('POST', '/listeners', { listener: { ...listener, ...body } })
      return (answer.body as { faultstring: string }).faultstring
    }
    expect(await refused({ tls_versions: ['TLSv1', 'TLSv1.2'] })).toBe(
      'Validation failure: Requested TLS versions are less than the minimum: TLSv1 < TLSv1.2',
    )
    expect(await refused({ tls_ciphers: 'AES:RC4' })).toMatch(/prohibited by an administrator: RC4/)
  })

  test('may allow none', async () => {
    const { octavia } = await api.start({ tls: { ...usual_tls, terminate: false } })
    const listener = { loadbalancer_id: lb, protocol: 'TERMINATED_HTTPS', protocol_port: 4999, ...own }
    expect(await octavia('POST', '/listeners', { listener })).toMatchObject({
      status: 400,
      body: { faultstring: 'The selected protocol is not allowed in this deployment: TERMINATED_HTTPS' },
    })
  })
})

describe('a pool whose members speak TLS', () => {
  const pool = async (body: Body) => {
    const fields = { loadbalancer_id: lb, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN', ...body }
    const answer = await api.octavia('POST', '/pools', { pool: fields })
    return { status: answer.status, ...(answer.body as { pool?: Body; faultstring?: string }) }
  }
  test('is checked likewise', async () => {
    expect(await pool({ tls_enabled: true })).toMatchObject({ status: 201, pool: usual_tls.pool })
    expect(await pool({ tls_enabled: true, tls_container_ref: 'own', ca_tls_container_ref: 'own-ca' })).toMatchObject({
      status: 201,
    })
    expect(await pool({ crl_container_ref: 'own-crl' })).toMatchObject({ status: 400 })
    expect(await pool({ tls_enabled: true, ca_tls_container_ref: 'foreign' })).toMatchObject({ status: 400 })
    expect(await pool({})).toMatchObject({ status: 201, pool: { tls_enabled: false, tls_ciphers: null } })
  })
})
