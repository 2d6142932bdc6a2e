/** The client and the certificates, against a small TLS server. */

import { X509Certificate } from 'node:crypto'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  type Credentials,
  expiration,
  issueAmphora,
  issueController,
  makeAuthority,
  makeKeys,
  serverPem,
} from './certificates.ts'
import { AmphoraClient } from './client.ts'
import { peerName } from './rest.ts'

const amphora_id = '57865deb-b8b6-45bc-a2d2-d231c7e011ae'
const validity = {
  not_before: new Date('2020-01-01T00:00:00Z'),
  not_after: new Date('2050-01-01T00:00:00Z'),
  serial: '8f01',
}
let serverCa: Credentials
let clientCa: Credentials
let amphora: Credentials
let controller: Credentials
let server: https.Server
let reply: { status: number; body: string; headers?: Record<string, string> }
let seen: { method: string; url: string; headers: NodeJS.Dict<string | string[]>; body: string }[] = []

beforeAll(async () => {
  serverCa = await makeAuthority('amphorae', await makeKeys(), validity)
  clientCa = await makeAuthority('controllers', await makeKeys(), validity)
  amphora = await issueAmphora(amphora_id, await makeKeys(), serverCa, validity)
  controller = await issueController('controller', await makeKeys(), clientCa, validity)
  server = https.createServer(
    { cert: amphora.certificate_pem, key: amphora.private_key_pem, ca: clientCa.certificate_pem, requestCert: true },
    async (request, response) => {
      let body = ''
      for await (const chunk of request) body += chunk
      seen.push({ method: request.method!, url: request.url!, headers: request.headers, body })
      response.writeHead(reply.status, reply.headers).end(reply.body)
    },
  )
  await new Promise<void>(resolve => server.listen(0, '::', resolve))
})
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

const clientOf = (change: Partial<ConstructorParameters<typeof AmphoraClient>[0]> = {}) =>
  new AmphoraClient({
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    amphora_id,
    ca_pem: serverCa.certificate_pem,
    client_cert_pem: controller.certificate_pem,
    client_key_pem: controller.private_key_pem,
    ...change,
  })

test('an amphora is named by its id', () => {
  const certificate = new X509Certificate(amphora.certificate_pem)
  expect(certificate.subject).toBe(`CN=${amphora_id}`)
  expect(certificate.subjectAltName).toBe(`DNS:${amphora_id}`)
  expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'])
  expect(certificate.ca).toBe(false)
  expect(certificate.verify(new X509Certificate(serverCa.certificate_pem).publicKey)).toBe(true)
  expect(certificate.verify(new X509Certificate(clientCa.certificate_pem).publicKey)).toBe(false)
  expect(new X509Certificate(controller.certificate_pem).keyUsage).toEqual(['1.3.6.1.5.5.7.3.2'])
  expect(expiration(serverPem(amphora))).toEqual(validity.not_after)
})

test('the peer names of the field', async () => {
  expect(peerName('d5716c03-e269-4d13-9d03-8ddc21a0dcc4')).toBe('SiyH8rjCFdvcux7I9vm_yiXFMhk')
  expect(peerName(amphora_id)).toBe('rMI2-FG_nU3pNDffDjqI_pnOiNQ')
})

describe('client', () => {
  test('uploads the raw text, tells the etag and the warning, and carries the token', async () => {
    seen = []
    reply = { status: 202, body: '{"message":"OK"}', headers: { ETag: '"abc"', 'X-Ottavia-Warning': 'lowered' } }
    const client = clientOf({ host: '::1' })
    const token = { load_balancer_id: 'lb', value: 12345678901234567890n }
    expect(await client.uploadUnit('l1', 'global\n', { token })).toEqual({ etag: 'abc', warning: 'lowered' })
    expect(seen[0]).toMatchObject({ method: 'PUT', url: `/0.5/listeners/${amphora_id}/l1/haproxy`, body: 'global\n' })
    expect(seen[0]?.headers['x-ottavia-token']).toBe('lb:12345678901234567890')
    await client.close()
  })

  test.each([
    [404, '<html>', 'not_ready', 'the agent answered 404'],
    [404, '{"details":"No suitable network interface found"}', 'not_ready', 'No suitable network interface found'],
    [404, '{"message":"Listener Not Found","details":"No listener"}', 'not_found', 'Listener Not Found'],
    [400, '{"message":"Invalid request","details":"[ALERT] no"}', 'refused', 'Invalid request'],
    [405, '{"error":"Method Not Allowed","http_code":405}', 'refused', 'Method Not Allowed'],
    [409, '{"message":"Interface already exists"}', 'conflict', 'Interface already exists'],
    [500, '{"message":"Error starting haproxy","details":"x"}', 'unavailable', 'Error starting haproxy'],
    [501, '{"error":"Not Implemented","http_code":501}', 'refused', 'Not Implemented'],
    [503, 'busy', 'not_ready', 'the agent answered 503'],
  ])('%i %s is %s', async (status, body, kind, message) => {
    reply = { status, body }
    const client = clientOf()
    await expect(client.details()).rejects.toMatchObject({ name: 'AgentError', status, kind, message })
    await client.close()
  })

  test('a server that is not this amphora is refused, whoever signed it', async () => {
    reply = { status: 200, body: '{}' }
    const other = clientOf({ amphora_id: 'd5716c03-e269-4d13-9d03-8ddc21a0dcc4' })
    await expect(other.details()).rejects.toMatchObject({ status: 0, kind: 'refused' })
    const distrustful = clientOf({ ca_pem: clientCa.certificate_pem })
    await expect(distrustful.details()).rejects.toMatchObject({ status: 0, kind: 'refused' })
    await Promise.all([other.close(), distrustful.close()])
  })

  test('silence is unavailable, and an abort is the caller’s own reason', async () => {
    const nobody = clientOf({ port: 1 })
    await expect(nobody.details()).rejects.toMatchObject({ status: 0, kind: 'unavailable' })
    const signal = AbortSignal.abort(new Error('the claim is lost'))
    await expect(nobody.details({ signal })).rejects.toThrow('the claim is lost')
    await nobody.close()
  })
})

describe('a certificate that has ended', () => {
  const past = { ...validity, not_after: new Date('2021-01-01T00:00:00Z') }
  const servingWith = async (name: string, authority: Credentials, renewed: boolean) => {
    const { certificate_pem, private_key_pem } = await issueAmphora(name, await makeKeys(), authority, past)
    server.setSecureContext({ cert: certificate_pem, key: private_key_pem, ca: clientCa.certificate_pem })
    reply = { status: 202, body: '{"message":"OK"}' }
    const client = clientOf()
    const call = renewed ? client.renewCertificate('new pem') : client.info()
    try {
      return await call.then(
        () => 'accepted',
        (error: Error) => error.message,
      )
    } finally {
      await client.close()
    }
  }

  test('is good for its own renewal, and for nothing else', async () => {
    expect(await servingWith(amphora_id, serverCa, true)).toBe('accepted')
    expect(seen.at(-1)).toMatchObject({ method: 'PUT', url: '/0.5/certificate', body: 'new pem' })
    expect(await servingWith(amphora_id, serverCa, false)).toMatch(/expired/)
  })

  test('of another amphora, or of another authority, is not', async () => {
    expect(await servingWith('somebody-else', serverCa, true)).toMatch(/not of/)
    const other = await makeAuthority('amphorae', await makeKeys(), validity)
    expect(await servingWith(amphora_id, other, true)).toMatch(/not accepted|not signed/)
  })
})
