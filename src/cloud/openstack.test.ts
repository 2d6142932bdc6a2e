/** The session with a cloud: renewed tokens, connections that go, and every service's own form of errors. */
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { CloudError, OpenStack } from './openstack.ts'

type Handler = (request: http.IncomingMessage, response: http.ServerResponse, tries: number) => void
const open: (() => void)[] = []
afterEach(() => {
  for (const close of open.splice(0)) close()
})

/** A Keystone that gives tokens, and whatever else `handler` answers below /v2.0. */
async function cloud(handler: Handler): Promise<{ os: OpenStack; tokens: () => number; tries: () => number }> {
  let tokens = 0
  let tries = 0
  const server = http.createServer((request, response) => {
    if (request.url!.startsWith('/v3/auth/tokens')) {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
      const catalog = ['network', 'compute', 'image', 'key-manager'].map(type => ({
        type,
        endpoints: [{ interface: 'public', region: 'R', url }],
      }))
      response.writeHead(201, { 'x-subject-token': `token-${++tokens}`, 'content-type': 'application/json' })
      return response.end(JSON.stringify({ token: { expires_at: '2100-01-01T00:00:00Z', user: { id: 'u' }, catalog } }))
    }
    handler(request, response, ++tries)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  open.push(() => {
    server.close()
    server.closeAllConnections()
  })
  const auth_url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v3`
  const names = {
    username: 'u',
    password: 'p',
    project_name: 'p',
    user_domain_name: 'Default',
    project_domain_name: 'Default',
  }
  const os = new OpenStack({ auth_url, ...names, region_name: null, interface: 'public' })
  open.push(() => void os.close())
  return { os, tokens: () => tokens, tries: () => tries }
}

function json(response: http.ServerResponse, status: number, body: unknown): void {
  response
    .writeHead(status, { 'content-type': 'application/json', 'x-openstack-request-id': 'req-1' })
    .end(JSON.stringify(body))
}

async function refused(os: OpenStack, method = 'GET'): Promise<CloudError> {
  const error = await os.request('network', method, '/ports').catch(e => e)
  expect(error).toBeInstanceOf(CloudError)
  return error as CloudError
}

describe('a session', () => {
  test('asks for one token, and for another when the cloud has forgotten it', async () => {
    const { os, tokens } = await cloud((request, response) => {
      const good = request.headers['x-auth-token'] !== 'token-1'
      json(
        response,
        good ? 200 : 401,
        good ? { ports: [] } : { error: { code: 401, message: 'no', title: 'Unauthorized' } },
      )
    })
    expect((await os.request('network', 'GET', '/ports')).body).toEqual({ ports: [] })
    await os.request('network', 'GET', '/ports')
    expect(tokens()).toBe(2)
  })

  test('repeats a GET whose connection was reset, and never a POST', async () => {
    const reset: Handler = (request, response, tries) => {
      if (tries === 1) request.socket.destroy()
      else json(response, 200, { ports: [] })
    }
    const get = await cloud(reset)
    expect((await get.os.request('network', 'GET', '/ports')).status).toBe(200)
    const post = await cloud(reset)
    expect(await refused(post.os, 'POST')).toMatchObject({ status: 0, kind: 'unavailable' })
    expect(post.tries()).toBe(1)
  })

  test.each([
    [
      'Neutron',
      409,
      { NeutronError: { type: 'OverQuota', message: 'Quota exceeded', detail: '' } },
      { kind: 'over_quota', code: 'OverQuota' },
    ],
    [
      'Neutron',
      409,
      { NeutronError: { type: 'SecurityGroupInUse', message: 'in use', detail: '' } },
      { kind: 'conflict', code: 'SecurityGroupInUse' },
    ],
    [
      'Nova',
      404,
      { itemNotFound: { code: 404, message: 'Instance x could not be found.' } },
      { kind: 'not_found', code: 'itemNotFound' },
    ],
    [
      'Nova',
      500,
      { computeFault: { code: 500, message: 'Unexpected' } },
      { kind: 'unavailable', code: 'computeFault' },
    ],
    [
      'Keystone',
      403,
      { error: { code: 403, message: 'You are not authorized', title: 'Forbidden' } },
      { kind: 'forbidden', code: '' },
    ],
    [
      'Barbican',
      403,
      { code: 403, title: 'Forbidden', description: 'Secret retrieval attempt not allowed' },
      { kind: 'forbidden', code: '', message: 'network: Secret retrieval attempt not allowed (req-1)' },
    ],
    [
      'Barbican',
      406,
      { code: 406, title: 'Not Acceptable', description: null },
      { kind: 'rejected', code: '', message: 'network: Not Acceptable (req-1)' },
    ],
  ])('reads the errors of %s (%i)', async (_service, status, body, expected) => {
    const { os } = await cloud((_request, response) => json(response, status, body))
    const error = await refused(os)
    expect(error).toMatchObject({ ...expected, status, request_id: 'req-1' })
    expect(error.message).toContain('req-1')
  })

  test('reads an error that is a page', async () => {
    const { os } = await cloud((_request, response) =>
      response.writeHead(404, { 'content-type': 'text/html' }).end('<html><h1>404 Not Found</h1>No image found</html>'),
    )
    expect(await refused(os)).toMatchObject({ kind: 'not_found', message: 'network: 404 Not Found No image found' })
  })

  test('ends when it is told to', async () => {
    const { os } = await cloud(() => {})
    const controller = new AbortController()
    const asked = os.request('network', 'GET', '/ports', { signal: controller.signal })
    setTimeout(() => controller.abort(new Error('the claim is lost')), 50)
    await expect(asked).rejects.toThrow('the claim is lost')
  })

  test('an answer that does not come in time is unavailable', async () => {
    const { os } = await cloud(() => {})
    await expect(os.request('network', 'GET', '/ports', { timeout_ms: 50 })).rejects.toMatchObject({
      kind: 'unavailable',
      status: 0,
    })
  })
})
