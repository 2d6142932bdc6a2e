/** TLS on the real stack: what clients see, what members see, and that nothing of the key manager's stops what serves. */
import fs from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { type Made, OpenSsl } from '../../openssl.ts'
import { Api } from '../api.ts'
import { curl, type Servers, startEcho } from '../echo.ts'
import { Inside } from '../inside.ts'
import { startLoad } from '../load.ts'
import { eventually, Stack } from '../stack.ts'

const stack = new Stack(inject('stack_dir'))
const openssl = new OpenSsl()
/** Where hosts of the cloud can read. */
const folder = path.join(stack.dir, 'tls-test')
let api: Api
let admin: Api
let servers: Servers
let lb: string
let vip: string
let listener: string
let pool: string
const authority = openssl.certificate('/CN=authority', { ca: true })
const of = (name: string, by: Made | undefined = authority) =>
  openssl.certificate(`/CN=${name}`, { ...(by ? { by } : {}), names: `DNS:${name}` })
const [one, two, client, former] = ['one.example', 'two.example', 'client', 'former'].map(name => of(name)) as [
  Made,
  Made,
  Made,
  Made,
]
/** A member is verified under the name that the client asked for. */
const server = of('one.example')

function file(name: string, text: string): string {
  const whole = path.join(folder, name)
  fs.writeFileSync(whole, text, { mode: 0o644 })
  return whole
}

beforeAll(async () => {
  fs.mkdirSync(folder, { recursive: true, mode: 0o755 })
  const ca = file('ca.pem', authority.certificate)
  const tls = { cert: file('member.pem', server.certificate), key: file('member.key', server.key) }
  api = await Api.of(stack, 'demo')
  admin = await Api.of(stack, 'admin')
  servers = await startEcho(stack, api, {
    8081: { name: 'plain' },
    8443: { name: 'tls', tls: { ...tls, client_ca: ca } },
  })
  const vip_subnet_id = await api.subnet('private-subnet')
  const made = await api.made('loadbalancers', 'loadbalancer', {
    ...{ name: 'tls', vip_subnet_id, flavor_id: await admin.singleAmphora() },
    listeners: [
      {
        ...{ protocol: 'TERMINATED_HTTPS', protocol_port: 443, default_tls_container_ref: await api.certificate(one) },
        ...{ sni_container_refs: [await api.secret(openssl.pkcs12(two, [authority]))] },
        default_pool: {
          ...{ name: 'p', protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' },
          members: [{ address: servers.address, protocol_port: 8081, subnet_id: vip_subnet_id }],
        },
      },
    ],
  })
  lb = made.id
  vip = made.vip_address
  const tree = made as unknown as { listeners: { id: string }[]; pools: { id: string }[] }
  ;[listener, pool] = [tree.listeners[0]!.id, tree.pools[0]!.id]
  await api.settled(lb)
})
afterAll(async () => {
  await api.removed(lb)
  await servers.stop()
  openssl.remove()
})

const change = async (fields: Record<string, unknown>) => {
  const { status, body } = await api.octavia('PUT', `listeners/${listener}`, { listener: fields })
  expect(status, JSON.stringify(body)).toBe(200)
  await api.settled(lb)
}
/** Asked by that name, which the certificate must bear. */
const ask = (name: string, ...more: string[]) =>
  curl(
    stack,
    `https://${name}/`,
    '--resolve',
    `${name}:443:${vip}`,
    '--cacert',
    `${folder}/ca.pem`,
    '--no-insecure',
    ...more,
  )

describe('clients', () => {
  test('are shown the certificate of the name that they ask for, and speak HTTP/2', async () => {
    expect(await ask('one.example')).toMatchObject({
      status: 200,
      version: '2',
      echo: { name: 'plain', version: '1.1' },
    })
    expect(await ask('two.example')).toMatchObject({ status: 200 })
    expect((await ask('three.example')).error).toMatch(/no alternative certificate subject name matches/)
  })

  test('speak HTTP/1.1 where nothing else is offered, and old versions of TLS not at all', async () => {
    await change({ alpn_protocols: ['http/1.1'], tls_versions: ['TLSv1.3'] })
    expect(await ask('one.example')).toMatchObject({ status: 200, version: '1.1' })
    expect((await ask('one.example', '--tls-max', '1.2')).error).toMatch(/alert|handshake|SSL/i)
    await change({ alpn_protocols: null, tls_versions: null })
    expect(await ask('one.example', '--tls-max', '1.2')).toMatchObject({ status: 200, version: '2' })
  })

  test('are told to use TLS only', async () => {
    await change({ hsts_max_age: 31536000, hsts_include_subdomains: true })
    expect((await ask('one.example')).headers['strict-transport-security']).toBe('max-age=31536000; includeSubDomains;')
    await change({ hsts_max_age: null, hsts_include_subdomains: false })
    expect((await ask('one.example')).headers).not.toHaveProperty('strict-transport-security')
  })

  test('must show a certificate that the authority has signed and not taken back', async () => {
    const names = ['Client-Verify', 'Client-Has-Cert', 'Client-DN', 'Client-CN', 'Issuer', 'Client-SHA1']
    await change({
      client_ca_tls_container_ref: await api.secret(authority.certificate),
      client_crl_container_ref: await api.secret(openssl.revoked(authority, [former])),
      client_authentication: 'MANDATORY',
      insert_headers: Object.fromEntries(names.map(name => [`X-SSL-${name}`, 'true'])),
    })
    const shown = (made: Made, name: string) => [
      ...['--cert', file(`${name}.pem`, made.certificate), '--key', file(`${name}.key`, made.key)],
    ]
    const { status, echo } = await ask('one.example', ...shown(client, 'client'))
    expect({ status, headers: echo?.headers }).toMatchObject({
      status: 200,
      headers: {
        ...{ 'x-ssl-client-verify': '0', 'x-ssl-client-has-cert': '1', 'x-ssl-client-cn': 'client' },
        ...{ 'x-ssl-client-dn': '/CN=client', 'x-ssl-issuer': '/CN=authority' },
      },
    })
    const refused = [await ask('one.example'), await ask('one.example', ...shown(former, 'former'))]
    expect(refused.map(one => one.status)).toEqual([0, 0])
    const stranger = openssl.certificate('/CN=stranger')
    expect((await ask('one.example', ...shown(stranger, 'stranger'))).status).toBe(0)
    await change({
      ...{ client_authentication: 'NONE', insert_headers: {} },
      ...{ client_ca_tls_container_ref: null, client_crl_container_ref: null },
    })
    expect((await ask('one.example')).status).toBe(200)
  })
})

test('a certificate is replaced without a failed request, and its key goes with it', async () => {
  const inside = await Inside.of(stack, lb)
  const kept = async () =>
    (
      await inside.shell(`cd $ROOT/var/lib/octavia/certs/${listener}; stat -c "%n %a %u" *; ls -ld --time-style=+ .`)
    ).trim()
  expect((await kept()).split('\n').filter(line => line.includes('.pem'))).toHaveLength(2)
  expect(await kept()).not.toMatch(/\.pem (?!600 0)/)
  const load = await startLoad(stack, `https://${vip}/`, 40)
  const renewed = openssl.certificate('/CN=one.example', {
    by: authority,
    names: 'DNS:one.example,DNS:renewed.example',
  })
  await change({ default_tls_container_ref: await api.certificate(renewed) })
  expect(await ask('renewed.example')).toMatchObject({ status: 200 })
  await new Promise(resolve => setTimeout(resolve, 1_000)) // of traffic after the change
  const seen = await load.stop()
  expect(seen).toMatchObject({ failed: 0 })
  expect(seen.requests).toBeGreaterThan(0)
  await eventually('the old key is gone', async () => (await kept()).match(/\.pem/g)?.length === 2)
})

describe('the key manager', () => {
  test('may be away, and the secrets gone: what serves is served on, also by another amphora', async () => {
    const { body } = await api.octavia<{ listener: Record<string, string & string[]> }>('GET', `listeners/${listener}`)
    const refs = [body.listener.default_tls_container_ref!, ...body.listener.sni_container_refs!]
    for (const ref of refs) expect((await api.secrets('DELETE', ref)).status).toBe(204)
    await admin.compute('PUT', 'pocket/faults', { service: 'key_manager', action: 'reset', times: null })
    try {
      await change({ connection_limit: 777 })
      const before = await Inside.of(stack, lb)
      expect((await admin.octavia('PUT', `loadbalancers/${lb}/failover`)).status).toBe(202)
      await eventually('another amphora', async () => (await Inside.of(stack, lb)).amphora_id !== before.amphora_id)
      await api.settled(lb)
      expect(await ask('two.example')).toMatchObject({ status: 200 })
      const { status } = await api.octavia('PUT', `listeners/${listener}`, {
        listener: { default_tls_container_ref: refs[1] },
      })
      expect(status).toBe(503)
    } finally {
      await admin.compute('DELETE', 'pocket/faults')
    }
    const missing = { listener: { default_tls_container_ref: refs[0] } }
    const refused = await api.octavia<{ faultstring: string }>('PUT', `listeners/${listener}`, missing)
    expect(refused).toMatchObject({
      status: 400,
      body: { faultstring: `Could not retrieve certificate: ['${refs[0]}']` },
    })
    await change({ default_tls_container_ref: await api.certificate(one), sni_container_refs: [] })
    expect(await ask('one.example')).toMatchObject({ status: 200 })
  })

  test('keys are in no log, no journal and no answer', async () => {
    const line = one.key.split('\n')[1]!
    const logs = await stack.exec('sh', '-c', `grep -rlF -e '${line}' -e 'PRIVATE KEY' ${stack.dir}/log || true`)
    expect(logs.stdout).toBe('')
    expect(await stack.explain(lb)).not.toMatch(/PRIVATE KEY/)
  })
})

test('members are spoken to by TLS: verified, shown a certificate, asked for by name', async () => {
  const { id } = await api.made(`pools/${pool}/members`, 'member', {
    ...{ address: servers.address, protocol_port: 8443, subnet_id: await api.subnet('private-subnet') },
  })
  const { body } = await api.octavia<{ members: { id: string }[] }>('GET', `pools/${pool}/members`)
  for (const member of body.members)
    if (member.id !== id) await api.octavia('DELETE', `pools/${pool}/members/${member.id}`)
  const put = async (fields: object) => {
    expect((await api.octavia('PUT', `pools/${pool}`, { pool: fields })).status).toBe(200)
    await api.settled(lb)
  }
  await put({
    ...{ tls_enabled: true, tls_container_ref: await api.certificate(client) },
    ca_tls_container_ref: await api.secret(authority.certificate),
  })
  expect(await ask('one.example')).toMatchObject({
    status: 200,
    echo: { name: 'tls', tls: { servername: 'one.example', client: 'client' } },
  })
  const stranger = openssl.certificate('/CN=stranger', { ca: true })
  await put({ ca_tls_container_ref: await api.secret(stranger.certificate) })
  expect((await ask('one.example')).status).toBe(503)
})

test('the genuine clients take it', async () => {
  const ref = await api.certificate(one)
  const [made] = await stack.typed<{ id: string; default_tls_container_ref: string }>(
    'demo',
    `loadbalancer listener create --name gt --protocol TERMINATED_HTTPS --protocol-port 444 --default-tls-container-ref ${ref} --tls-version TLSv1.3 --alpn-protocol h2 tls --wait`,
  )
  expect(made).toMatchObject({ default_tls_container_ref: ref, tls_versions: ['TLSv1.3'], alpn_protocols: ['h2'] })
  const shown = await stack.client('demo', 'neutron', 'lbaas-listener-show', 'gt', '-f', 'json')
  expect(JSON.parse(shown)).toMatchObject({ protocol: 'TERMINATED_HTTPS', default_tls_container_ref: ref })
  expect((await curl(stack, `https://${vip}:444/`)).version).toBe('2')
  await stack.client('demo', 'neutron', 'lbaas-listener-delete', 'gt')
  await api.settled(lb)
})
