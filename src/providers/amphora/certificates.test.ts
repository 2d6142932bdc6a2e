/** Certificates that cannot be had: the listener's failure, and nobody else's; what serves, serves on. */
import { describe, expect, test } from 'vitest'
import { listener, member, pool, Rig, tls_listener, travelled } from '../../../test/flow-rig.ts'
import { CertificateError } from '../../cloud/certificates/certificate-error.ts'
import { CloudError } from '../../cloud/openstack.ts'

const away = () => {
  throw new CloudError('key-manager', 0, '', 'the key manager does not answer', null)
}
const gone = (ref: string) => {
  throw new CertificateError(ref, 'missing', 'is not in the key manager')
}
const all = (rig: Rig) => {
  rig.change(listener, 'listener')
  rig.change(pool, 'pool')
  rig.change(member('10.0.0.11', 'net'), 'member1')
  rig.change(tls_listener, 'tls-listener')
}
const update = { verb: 'update', resource: 'listener', id: 'tls-listener' } as const
const tlsOf = (rig: Rig) => rig.tree!.listeners.find(one => one.id === 'tls-listener')!
const running = (rig: Rig) =>
  [...rig.world.servers.values()].map(box =>
    [...box.listeners].map(([id, { files }]) => `${id} ${files.length}`).sort(),
  )

describe.each([
  ['a key manager that is away', away, /key manager does not give the certificate/],
  ['a secret that is gone', gone, /The certificate \w+ is not in the key manager/],
])('%s', (_title, certificate, reason) => {
  test('keeps a listener from being made, with the reason, and no other', async () => {
    const rig = new Rig()
    rig.world.certificate = certificate
    rig.failing = true
    await travelled([all], null, rig)
    expect(tlsOf(rig)).toMatchObject({ provisioning_status: 'ERROR', reason: expect.stringMatching(reason) })
    expect(rig.tree!.load_balancer.provisioning_status).toBe('ACTIVE')
    expect(running(rig)).toEqual([['listener 0']])
  })

  test('leaves one that serves with what it has, and through a failover', async () => {
    const rig = await travelled([all], null)
    expect(running(rig)).toEqual([['listener 0', 'tls-listener 3']])
    rig.world.certificate = certificate
    rig.failing = true
    rig.change({ ...update, fields: { default_tls_container_ref: 'three' } })
    expect(await rig.run()).toBe(true)
    expect(tlsOf(rig)).toMatchObject({ provisioning_status: 'ERROR', reason: expect.stringMatching(reason) })
    expect(running(rig)).toEqual([['listener 0', 'tls-listener 3']])
    const [before] = rig.world.servers.keys()
    rig.failover()
    expect(await rig.run()).toBe(true)
    if (rig.later) {
      await rig.wait()
      expect(await rig.run()).toBe(true)
    }
    expect([...rig.world.servers.keys()]).not.toContain(before)
    expect(running(rig)).toEqual([['listener 0', 'tls-listener 3']])
    rig.world.certificate = () => {}
    rig.change({ ...update, fields: { default_tls_container_ref: 'three', sni_container_refs: [] } })
    expect(await rig.run()).toBe(true)
    expect(tlsOf(rig).provisioning_status).toBe('ACTIVE')
    expect(running(rig)).toEqual([['listener 0', 'tls-listener 2']])
    // What served until then is kept until the certificates change again.
    rig.change({ ...update, fields: { default_tls_container_ref: 'four' } })
    expect(await rig.run()).toBe(true)
    expect(rig.world.vault.size).toBe(3)
  })
})

test('when the key manager answers again, what it had nothing for is tried again', async () => {
  const rig = new Rig()
  rig.world.certificate = away
  rig.failing = true
  await travelled([all], null, rig)
  expect(tlsOf(rig).provisioning_status).toBe('ERROR')
  const audit = { look: true, unfinished: false }
  expect(await rig.run(audit)).toBe(true)
  expect(tlsOf(rig)).toMatchObject({ provisioning_status: 'ERROR', reason: expect.stringMatching(/asked again/) })
  rig.world.certificate = () => {}
  expect(await rig.run(audit)).toBe(true)
  expect(tlsOf(rig)).toMatchObject({ provisioning_status: 'ACTIVE', reason: null })
  expect(running(rig)).toEqual([['listener 0', 'tls-listener 3']])
})
