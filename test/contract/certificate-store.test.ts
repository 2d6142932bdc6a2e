/** ottavia's certificate store on the pocket cloud's Barbican: tenants grant, the service reads, errors are told apart. */
import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { pemName, serverPem } from '../../src/cloud/certificates/bundle.ts'
import { admitted } from '../../src/cloud/certificates/certificate-store.ts'
import { barbicanForTests } from './tenant-secrets.ts'

const bed = barbicanForTests()
const { openssl, store } = bed

const keep = (payload: string | Buffer) => bed.secrets.keep(payload)
const bundle = (parts: Record<string, string | Buffer>, type = 'certificate') => bed.secrets.bundle(parts, type)

test('reads what the tenant grants, with the tenant’s token first and its own afterwards', async () => {
  const locked = openssl.encrypted(bed.made.key, 'open sesame')
  const parts = { certificate: bed.made.certificate, private_key: locked, private_key_passphrase: 'open sesame' }
  const refs = [
    await bundle({ ...parts, intermediates: bed.authority.certificate }),
    await bundle({ ...parts, intermediates: openssl.pkcs7([bed.authority], 'DER') }),
    await keep(openssl.pkcs12(bed.made, [bed.authority])),
    await keep(openssl.pkcs12(bed.made, [bed.authority], '-legacy')),
  ]
  const tenant = { token: await bed.stack.token('demo') }
  const other = { token: await bed.stack.token('admin') }
  for (const ref of refs) {
    await expect(store().read(ref)).rejects.toThrow(`openstack acl user add --user ${bed.octavia_id}`)
    await expect(store().read(ref, other)).rejects.toThrow(/may not be read by you/)
    await expect(store().grant(ref, other)).rejects.toMatchObject({ kind: 'closed' })
    const seen = await store().read(ref, tenant)
    await store().grant(ref, tenant)
    await store().grant(ref, tenant)
    const read = await store().read(ref)
    expect(serverPem(read).reveal()).toBe(serverPem(seen).reveal())
    expect(read).toMatchObject({ intermediates_pem: [bed.authority.certificate.trim()] })
    expect(pemName(read)).toMatch(/^[0-9a-f]{40}\.pem$/)
  }
})

test('admits what a tenant may read, and lets the service in where it is not yet', async () => {
  const ref = await bundle({ certificate: bed.made.certificate, private_key: bed.made.key })
  const [demo, admin] = [{ token: await bed.stack.token('demo') }, { token: await bed.stack.token('admin') }]
  const admit = (tenant: { token: string }) => admitted(store(), ref, tenant, (one, how) => store().read(one, how))
  expect((await admit(demo)).certificate_pem).toBe(bed.made.certificate.trim())
  expect((await store().read(ref)).certificate_pem).toBe(bed.made.certificate.trim())
  // The service may read it by now; another tenant may not make it do so for him.
  await expect(admit(admin)).rejects.toMatchObject({ kind: 'closed' })
})

test('reads an authority', async () => {
  const ref = await keep(bed.authority.certificate)
  await store().grant(ref, { token: await bed.stack.token('demo') })
  expect((await store().readAuthority(ref)).certificates_pem).toEqual([bed.authority.certificate.trim()])
})

test.each<[string, () => string | Promise<string>, RegExp]>([
  [
    'a secret that is not there',
    () => `${bed.stack.endpoints.key_manager}/v1/secrets/${randomUUID()}`,
    /not in the key/,
  ],
  ['a container that is not there', () => randomUUID(), /not in the key manager/],
  ['a ref of something else', () => 'http://example.org/', /is no ref of the key manager/],
  ['a text in place of a PKCS #12', () => keep('hello'), /is no PKCS #12/],
  ['another container', () => bundle({ certificate: 'c' }, 'generic'), /is a container of type generic/],
  ['a container without a key', () => bundle({ certificate: bed.made.certificate }), /has no private key/],
])('refuses %s', async (_what, ref, words) => {
  await expect(store().read(await ref(), { token: await bed.stack.token('demo') })).rejects.toThrow(words)
})

test('knows a key manager that does not answer from a certificate that is wrong', async () => {
  const ref = await keep(openssl.pkcs12(bed.made, []))
  const fault = { service: 'key_manager', method: 'GET', path: '/secrets/', action: 'status', code: 503 }
  expect((await bed.stack.as('admin', 'compute', 'PUT', '/pocket/faults', fault)).status).toBe(200)
  const tenant = { token: await bed.stack.token('demo') }
  await expect(store().read(ref, tenant)).rejects.toMatchObject({ name: 'CloudError', kind: 'unavailable' })
  expect((await store().read(ref, tenant)).certificate_pem).toBe(bed.made.certificate.trim())
})

test('all of it outlives a restart', async () => {
  const ref = await bundle({ certificate: bed.made.certificate, private_key: bed.made.key })
  await store().grant(ref, { token: await bed.stack.token('demo') })
  await bed.stack.stop()
  await bed.stack.start()
  expect((await store().read(ref)).certificate_pem).toBe(bed.made.certificate.trim())
})
