/** ottavia's certificate store on the pocket cloud's Barbican: tenants grant, the service reads, errors are told apart. */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Barbican } from '../../src/cloud/barbican.ts'
import { pemName, serverPem } from '../../src/cloud/certificates/bundle.ts'
import { admitted, openCertificateStore } from '../../src/cloud/certificates/certificate-store.ts'
import type { OpenStack } from '../../src/cloud/openstack.ts'
import { loadOptions } from '../../src/service/options.ts'
import { type Made, OpenSsl } from '../openssl.ts'
import { testDatabase } from '../postgres.ts'
import { PocketStack } from './pocket-stack.ts'
import { serviceSession, TenantSecrets } from './tenant-secrets.ts'

const database = testDatabase()
const openssl = new OpenSsl()
let stack: PocketStack
let secrets: TenantSecrets
let service: OpenStack
let octavia_id: string
let authority: Made
let made: Made

beforeAll(async () => {
  stack = await PocketStack.start(database.url)
  service = serviceSession(stack)
  secrets = new TenantSecrets(stack)
  octavia_id = await service.userId()
  authority = openssl.certificate('/CN=Authority', { ca: true })
  made = openssl.certificate('/CN=tenant.example', { by: authority, names: 'DNS:tenant.example' })
})
afterAll(async () => {
  await service?.close()
  await stack?.end()
  openssl.remove()
})

const keep = (payload: string | Buffer) => secrets.keep(payload)
const bundle = (parts: Record<string, string | Buffer>, type = 'certificate') => secrets.bundle(parts, type)
const store = () => openCertificateStore(loadOptions(null, {}).certificates, () => service)

const user = {
  service: 'Octavia',
  resource_type: 'listener',
  resource_id: randomUUID(),
  url: 'http://lb.example/l/1',
}

test('reads what the tenant grants, with the tenant’s token first and its own afterwards', async () => {
  const locked = openssl.encrypted(made.key, 'open sesame')
  const parts = { certificate: made.certificate, private_key: locked, private_key_passphrase: 'open sesame' }
  const refs = [
    await bundle({ ...parts, intermediates: authority.certificate }),
    await bundle({ ...parts, intermediates: openssl.pkcs7([authority], 'DER') }),
    await keep(openssl.pkcs12(made, [authority])),
    await keep(openssl.pkcs12(made, [authority], '-legacy')),
  ]
  const tenant = { token: await stack.token('demo') }
  const other = { token: await stack.token('admin') }
  for (const ref of refs) {
    await expect(store().read(ref)).rejects.toThrow(`openstack acl user add --user ${octavia_id}`)
    await expect(store().read(ref, other)).rejects.toThrow(/may not be read by you/)
    await expect(store().grant(ref, other)).rejects.toMatchObject({ kind: 'closed' })
    const seen = await store().read(ref, tenant)
    await store().grant(ref, tenant)
    await store().grant(ref, tenant)
    const read = await store().read(ref)
    expect(serverPem(read).reveal()).toBe(serverPem(seen).reveal())
    expect(read).toMatchObject({ common_name: 'tenant.example', intermediates_pem: [authority.certificate.trim()] })
    expect(pemName(read)).toMatch(/^[0-9a-f]{40}\.pem$/)
    await store().revoke(ref, tenant)
    await expect(store().read(ref)).rejects.toMatchObject({ kind: 'closed' })
  }
})

test('admits what a tenant may read, and lets the service in where it is not yet', async () => {
  const ref = await bundle({ certificate: made.certificate, private_key: made.key })
  const [demo, admin] = [{ token: await stack.token('demo') }, { token: await stack.token('admin') }]
  const admit = (tenant: { token: string }) => admitted(store(), ref, tenant, (one, how) => store().read(one, how))
  expect((await admit(demo)).common_name).toBe('tenant.example')
  expect((await store().read(ref)).common_name).toBe('tenant.example')
  // The service may read it by now; another tenant may not make it do so for him.
  await expect(admit(admin)).rejects.toMatchObject({ kind: 'closed' })
})

test('reads an authority', async () => {
  const ref = await keep(authority.certificate)
  await store().grant(ref, { token: await stack.token('demo') })
  expect((await store().readAuthority(ref)).certificates_pem).toEqual([authority.certificate.trim()])
})

test.each<[string, () => string | Promise<string>, RegExp]>([
  ['a secret that is not there', () => `${stack.endpoints.key_manager}/v1/secrets/${randomUUID()}`, /not in the key/],
  ['a container that is not there', () => randomUUID(), /not in the key manager/],
  ['a ref of something else', () => 'http://example.org/', /is no ref of the key manager/],
  ['a text in place of a PKCS #12', () => keep('hello'), /is no PKCS #12/],
  ['another container', () => bundle({ certificate: 'c' }, 'generic'), /is a container of type generic/],
  ['a container without a key', () => bundle({ certificate: made.certificate }), /has no private key/],
])('refuses %s', async (_what, ref, words) => {
  await expect(store().read(await ref(), { token: await stack.token('demo') })).rejects.toThrow(words)
})

test('says that it uses a certificate, once, and takes it back, once', async () => {
  const barbican = new Barbican(service)
  const tenant = { token: await stack.token('demo') }
  const container = await bundle({ certificate: 'c' })
  const secret = await keep('x')
  for (const [ref, expected] of [
    [container, { name: 'Octavia', URL: user.url }],
    [secret, { service: 'Octavia', resource_type: 'listener', resource_id: user.resource_id }],
  ] as const) {
    const named = { kind: ref === container ? 'container' : 'secret', id: ref.split('/').at(-1)! } as const
    await store().grant(ref, tenant)
    const consumers = async () => (await secrets.as('demo', 'GET', `${ref}/consumers`)).body as { consumers: object[] }
    for (let n = 0; n < 2; n++) await barbican.addConsumer(named, user)
    expect(await consumers()).toMatchObject({ total: 1, consumers: [expected] })
    for (let n = 0; n < 2; n++) await barbican.removeConsumer(named, user)
    expect(await consumers()).toMatchObject({ total: 0 })
  }
})

test('knows a key manager that does not answer from a certificate that is wrong', async () => {
  const ref = await keep(openssl.pkcs12(made, []))
  const fault = { service: 'key_manager', method: 'GET', path: '/secrets/', action: 'status', code: 503 }
  expect((await stack.as('admin', 'compute', 'PUT', '/pocket/faults', fault)).status).toBe(200)
  const tenant = { token: await stack.token('demo') }
  await expect(store().read(ref, tenant)).rejects.toMatchObject({ name: 'CloudError', kind: 'unavailable' })
  expect((await store().read(ref, tenant)).common_name).toBe('tenant.example')
})

test('all of it outlives a restart', async () => {
  const ref = await bundle({ certificate: made.certificate, private_key: made.key })
  await store().grant(ref, { token: await stack.token('demo') })
  await stack.stop()
  await stack.start()
  expect((await store().read(ref)).common_name).toBe('tenant.example')
})
