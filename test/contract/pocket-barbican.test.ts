/** The pocket cloud's Barbican: genuine clients, payloads, containers, and who may read what. */
import { randomUUID } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { genuine } from './genuine.ts'
import { barbicanForTests, type User } from './tenant-secrets.ts'

// A client takes seconds to start, and many of them on a busy machine.
vi.setConfig({ testTimeout: 300_000 })
const bed = barbicanForTests()
const { openssl, store } = bed
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'barbican-'))
afterAll(() => fs.rmSync(folder, { recursive: true, force: true }))

const keep = (payload: string | Buffer, more: object = {}) => bed.secrets.keep(payload, more)
const bundle = (parts: Record<string, string | Buffer>, type = 'certificate') => bed.secrets.bundle(parts, type)
const as = (user: User, method: string, url: string, body?: unknown) => bed.secrets.as(user, method, url, body)

describe('genuine clients', () => {
  const json = async <T>(user: 'admin' | 'demo', argv: string[]) =>
    JSON.parse(await genuine(bed.stack, user, ['openstack', ...argv, '-f', 'json'])) as T

  test('keep, list, read, grant and delete', async () => {
    const file = path.join(folder, 'crt.pem')
    fs.writeFileSync(file, bed.made.certificate)
    type Kept = Record<'Secret href', string>
    const stored = ['secret', 'store', '-s', 'certificate', '-t', 'text/plain', '--name', 'crt', '--file', file]
    const certificate = (await json<Kept>('demo', stored))['Secret href']
    const key = (
      await json<Kept>('demo', [
        'secret',
        'store',
        '-s',
        'private',
        '-t',
        'text/plain',
        '--name',
        'key',
        `--payload=${bed.made.key}`,
      ])
    )['Secret href']
    const p12 = openssl.pkcs12(bed.made, [bed.authority])
    const octets = ['-t', 'application/octet-stream', '-e', 'base64', `--payload=${p12.toString('base64')}`]
    const whole = (await json<Kept>('demo', ['secret', 'store', '--name', 'p12', ...octets]))['Secret href']

    const listed = await json<{ Name: string }[]>('demo', ['secret', 'list', '--name', 'crt'])
    expect(listed.map(one => one.Name)).toEqual(['crt'])
    expect(await json('demo', ['secret', 'get', certificate, '--payload'])).toEqual({
      Payload: bed.made.certificate.trim(),
    })
    const saved = path.join(folder, 'saved.p12')
    await genuine(
      bed.stack,
      'demo',
      `openstack secret get ${whole} -t application/octet-stream --file ${saved}`.split(' '),
    )
    expect(fs.readFileSync(saved)).toEqual(p12)

    const parts = ['--secret', `certificate=${certificate}`, '--secret', `private_key=${key}`]
    const container = (
      await json<Record<'Container href', string>>('demo', [
        ...['secret', 'container', 'create', '--type', 'certificate', '--name', 'tls'],
        ...parts,
      ])
    )['Container href']
    await expect(store().read(container)).rejects.toMatchObject({ kind: 'closed' })
    for (const href of [container, certificate, key, whole])
      await genuine(bed.stack, 'demo', ['openstack', 'acl', 'user', 'add', '--user', bed.octavia_id, href])
    expect(await genuine(bed.stack, 'demo', ['openstack', 'acl', 'get', container])).toContain(bed.octavia_id)
    for (const ref of [container, whole])
      expect((await store().read(ref)).certificate_pem).toBe(bed.made.certificate.trim())

    expect(await genuine(bed.stack, 'demo', ['openstack', 'secret', 'container', 'list'])).toContain(container)
    await genuine(bed.stack, 'demo', ['openstack', 'secret', 'container', 'delete', container])
    await genuine(bed.stack, 'demo', ['openstack', 'secret', 'delete', key])
    await expect(genuine(bed.stack, 'demo', ['openstack', 'secret', 'get', key])).rejects.toThrow(/not found/i)
  })
})

describe('a secret', () => {
  test('comes in two steps, its payload once', async () => {
    const { secret_ref } = (await as('demo', 'POST', '/v1/secrets', { name: 'later' })).body as { secret_ref: string }
    expect((await as('demo', 'GET', secret_ref)).body).not.toHaveProperty('content_types')
    expect((await as('demo', 'GET', `${secret_ref}/payload`)).status).toBe(404)
    const url = secret_ref.replace(bed.stack.endpoints.key_manager, '')
    const put = async (headers: Record<string, string>, body: string) =>
      bed.stack.send('key_manager', 'PUT', url, {
        headers: { 'x-auth-token': await bed.stack.token('demo'), ...headers },
        body,
      })
    expect((await put({ 'content-type': 'application/json' }, '{}')).status).toBe(415)
    expect((await put({ 'content-type': 'text/plain' }, '')).status).toBe(400)
    const encoded = { 'content-type': 'application/octet-stream', 'content-encoding': 'base64' }
    expect((await put(encoded, Buffer.from('{"a": 1}').toString('base64'))).status).toBe(204)
    expect((await put({ 'content-type': 'text/plain' }, 'again')).status).toBe(409)
    const read = async (accept?: string) => {
      const headers = { 'x-auth-token': await bed.stack.token('demo'), ...(accept && { accept }) }
      return bed.stack.send('key_manager', 'GET', `${url}/payload`, { headers })
    }
    for (const accept of [undefined, 'application/octet-stream', 'text/plain']) {
      const answer = await read(accept)
      expect([answer.status, answer.text]).toEqual([200, '{"a": 1}'])
    }
    for (const accept of ['*/*', 'application/json', 'text/plain, */*']) expect((await read(accept)).status).toBe(406)
  })

  test.each<[string, object]>([
    ['an empty payload', { payload: ' ', payload_content_type: 'text/plain' }],
    ['a payload without a type', { payload: 'x' }],
    ['a type without a payload', { payload_content_type: 'text/plain' }],
    ['an unknown type', { payload: 'x', payload_content_type: 'image/png' }],
    ['bytes as they are', { payload: 'x', payload_content_type: 'application/octet-stream' }],
    [
      'bytes that are no base64',
      { payload: 'xyz', payload_content_type: 'application/octet-stream', payload_content_encoding: 'base64' },
    ],
    ['an unknown kind', { secret_type: 'nonsense' }],
    ['a name with NUL', { name: 'a\0b' }],
    ['half a character', { name: '\ud800' }],
    ['an end in the past', { expiration: '2001-01-01T00:00:00' }],
  ])('with %s is refused', async (_what, body) => {
    const answer = await as('demo', 'POST', '/v1/secrets', body)
    expect(answer.status).toBe(400)
    expect(answer.body).toMatchObject({ code: 400, title: 'Bad Request' })
  })

  test('that is too large is refused, and one that has ended is gone', async () => {
    const large = { payload: 'x'.repeat(20_001), payload_content_type: 'text/plain' }
    expect((await as('demo', 'POST', '/v1/secrets', large)).status).toBe(413)
    const ref = await keep('soon gone', { expiration: new Date(Date.now() + 1500).toISOString() })
    expect((await as('demo', 'GET', ref)).status).toBe(200)
    await expect.poll(async () => (await as('demo', 'GET', ref)).status, { timeout: 10_000 }).toBe(404)
  })

  test('is listed in pages', async () => {
    const name = randomUUID()
    for (let n = 0; n < 3; n++) await keep('x', { name })
    const page = (await as('demo', 'GET', `/v1/secrets?name=${name}&limit=2`)).body as {
      secrets: unknown[]
      next: string
    }
    expect(page).toMatchObject({ total: 3, next: expect.stringContaining('limit=2&offset=2') })
    expect(page.secrets).toHaveLength(2)
    expect((await as('admin', 'GET', `/v1/secrets?name=${name}`)).body).toMatchObject({ total: 0 })
  })

  test('shows its payload neither in the log nor in any answer but its own', async () => {
    const payload = `very-${randomUUID()}`
    const ref = await keep(payload)
    const answers = [
      await as('demo', 'GET', ref),
      await as('demo', 'GET', '/v1/secrets?limit=100'),
      await as('admin', 'GET', `${ref}/payload`),
      await as('demo', 'POST', '/v1/secrets', `{"payload": "${payload}", broken`),
      await as('demo', 'POST', '/v1/secrets', { payload, payload_content_type: 'nonsense', bit_length: payload }),
    ]
    for (const answer of answers) expect(answer.text).not.toContain(payload)
    expect(bed.stack.log.join('\n')).not.toContain(payload)
  })
})

describe('who may', () => {
  const rule = (users: string[], project_access: boolean) => ({ read: { users, 'project-access': project_access } })
  test.each<[string, object | null, Record<User, boolean>]>([
    ['nothing said', null, { demo: true, admin: false, octavia: false }],
    ['octavia named', rule(['octavia'], true), { demo: true, admin: false, octavia: true }],
    ['the project shut out', rule(['octavia'], false), { demo: true, admin: false, octavia: true }],
  ])('read: %s', async (_what, acl, expected) => {
    const secret = await keep('x')
    const container = await bundle({ certificate: 'c' })
    const named = JSON.parse(JSON.stringify(acl ?? {}).replace('"octavia"', `"${bed.octavia_id}"`))
    for (const ref of [secret, container]) {
      if (acl) expect((await as('demo', 'PUT', `${ref}/acl`, named)).status).toBe(200)
      for (const [user, may] of Object.entries(expected) as [User, boolean][]) {
        expect([user, (await as(user, 'GET', ref)).status]).toEqual([user, may ? 200 : 403])
        const consumers = (await as(user, 'GET', `${ref}/consumers`)).status
        expect([user, consumers]).toEqual([user, may ? 200 : 403])
        if (user === 'demo') continue
        for (const [method, url] of [
          ['GET', `${ref}/acl`],
          ['PUT', `${ref}/acl`],
          ['DELETE', `${ref}/acl`],
          ['DELETE', ref],
        ] as const)
          expect((await as(user, method, url, method === 'PUT' ? {} : undefined)).status).toBe(403)
      }
    }
  })

  test('a private secret is its maker’s and his project’s administrators’', async () => {
    const ref = await keep('x')
    expect((await as('demo', 'PATCH', `${ref}/acl`, { read: { 'project-access': false } })).status).toBe(200)
    const token = async (roles: string[]) => {
      const name = `user-${randomUUID()}`
      const user = await bed.stack.as('admin', 'identity', 'POST', '/v3/users', { user: { name, password: 'p' } })
      const { id } = (user.body as { user: { id: string } }).user
      const first = async (url: string) => {
        const { body } = await bed.stack.as('admin', 'identity', 'GET', url)
        return (Object.values(body as object).find(Array.isArray) as { id: string }[])[0]!.id
      }
      const project = await first('/v3/projects?name=demo')
      for (const role of roles) {
        const url = `/v3/projects/${project}/users/${id}/roles/${await first(`/v3/roles?name=${role}`)}`
        expect((await bed.stack.as('admin', 'identity', 'PUT', url)).status).toBe(204)
      }
      const identity = { methods: ['password'], password: { user: { id, password: 'p' } } }
      const auth = { identity, scope: { project: { id: project } } }
      const answer = await bed.stack.send('identity', 'POST', '/v3/auth/tokens', { body: { auth } })
      return answer.headers['x-subject-token']!
    }
    const reads = async (roles: string[]) => {
      const headers = { 'x-auth-token': await token(roles), accept: 'text/plain' }
      const url = `${ref.replace(bed.stack.endpoints.key_manager, '')}/payload`
      return (await bed.stack.send('key_manager', 'GET', url, { headers })).status
    }
    expect(await reads(['creator', 'member'])).toBe(403)
    expect(await reads(['admin'])).toBe(200)
    expect((await as('demo', 'DELETE', `${ref}/acl`)).status).toBe(200)
    expect(await reads(['creator'])).toBe(200)
    expect(await reads(['reader'])).toBe(403)
    expect((await as('demo', 'GET', `${ref}/acl`)).body).toEqual({ read: { 'project-access': true } })
  })
})

describe('a container', () => {
  test.each<[string, object, RegExp]>([
    ['of an unknown type', { type: 'box' }, /'type'/],
    ['without its certificate', { type: 'certificate', secret_refs: [{ name: 'private_key' }] }, /minimum required/],
    ['with another name', { type: 'certificate', secret_refs: [{ name: 'x' }] }, /only 'private_key', 'certificate'/],
    ['with half of a pair', { type: 'rsa', secret_refs: [{ name: 'public_key' }] }, /minimum required/],
  ])('%s is refused', async (_what, body, words) => {
    const refs = (body as { secret_refs?: object[] }).secret_refs ?? []
    const secret_refs = await Promise.all(refs.map(async ref => ({ ...ref, secret_ref: await keep('x') })))
    const answer = await as('demo', 'POST', '/v1/containers', { ...body, secret_refs })
    expect(answer.status).toBe(400)
    expect(answer.text).toMatch(words)
  })

  test('names only secrets of this cloud and of its project', async () => {
    const wanted = (secret_ref: string) => ({ type: 'generic', secret_refs: [{ name: 'a', secret_ref }] })
    const foreign = wanted(`http://elsewhere.example/v1/secrets/${randomUUID()}`)
    expect((await as('demo', 'POST', '/v1/containers', foreign)).status).toBe(400)
    expect((await as('admin', 'POST', '/v1/containers', wanted(await keep('x')))).status).toBe(404)
  })

  test('that is generic can be changed, and loses a secret that is deleted', async () => {
    const ref = await bundle({ one: '1' }, 'generic')
    const two = { name: 'two', secret_ref: await keep('2') }
    expect((await as('demo', 'POST', `${ref}/secrets`, two)).status).toBe(201)
    expect((await as('demo', 'POST', `${ref}/secrets`, two)).status).toBe(409)
    const names = async () =>
      ((await as('demo', 'GET', ref)).body as { secret_refs: { name: string }[] }).secret_refs.map(one => one.name)
    expect(await names()).toEqual(['one', 'two'])
    expect((await as('demo', 'DELETE', two.secret_ref)).status).toBe(204)
    expect(await names()).toEqual(['one'])
    const fixed = await bundle({ certificate: 'c' })
    expect((await as('demo', 'POST', `${fixed}/secrets`, { name: 'x', secret_ref: await keep('3') })).status).toBe(400)
  })
})

test('whoever may read says that he uses it, once, and takes it back, once', async () => {
  const tenant = { token: await bed.stack.token('demo') }
  const container = await bundle({ certificate: 'c' })
  const secret = await keep('x')
  for (const [ref, consumer] of [
    [container, { name: 'Octavia', URL: 'http://lb.example/l/1' }],
    [secret, { service: 'Octavia', resource_type: 'listener', resource_id: randomUUID() }],
  ] as const) {
    await store().grant(ref, tenant)
    const path = `${ref.replace(bed.stack.endpoints.key_manager, '').replace('/v1', '')}/consumers`
    const consumers = async () => (await as('demo', 'GET', `${ref}/consumers`)).body as { consumers: object[] }
    for (let n = 0; n < 2; n++) await bed.service.request('key-manager', 'POST', path, { body: consumer })
    expect(await consumers()).toMatchObject({ total: 1, consumers: [consumer] })
    await bed.service.request('key-manager', 'DELETE', path, { body: consumer })
    expect(await consumers()).toMatchObject({ total: 0 })
    const again = bed.service.request('key-manager', 'DELETE', path, { body: consumer })
    await expect(again).rejects.toMatchObject({ kind: 'not_found' })
  }
})
