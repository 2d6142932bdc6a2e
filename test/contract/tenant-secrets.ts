/** What a tenant (demo) keeps in the pocket cloud's Barbican, and the session of the service that is to read it. */
import { afterAll, beforeAll, expect } from 'vitest'
import { openCertificateStore } from '../../src/cloud/certificates/certificate-store.ts'
import { OpenStack } from '../../src/cloud/openstack.ts'
import { loadOptions } from '../../src/service/options.ts'
import { type Made, OpenSsl } from '../openssl.ts'
import { testDatabase } from '../postgres.ts'
import { PocketStack, passwords } from './pocket-stack.ts'

export type User = 'admin' | 'demo' | 'octavia'

export class TenantSecrets {
  readonly #stack: PocketStack

  constructor(stack: PocketStack) {
    this.#stack = stack
  }

  /** One exchange as that user; the URL may be a whole ref. */
  as(user: User, method: string, url: string, body?: unknown) {
    return this.#stack.as(user, 'key_manager', method, url.replace(this.#stack.endpoints.key_manager, ''), body)
  }

  /** Keeps a secret; its ref. */
  async keep(payload: string | Buffer, more: object = {}): Promise<string> {
    const encoded = Buffer.isBuffer(payload)
      ? { payload_content_type: 'application/octet-stream', payload_content_encoding: 'base64' }
      : { payload_content_type: 'text/plain' }
    const text = Buffer.isBuffer(payload) ? payload.toString('base64') : payload
    const answer = await this.as('demo', 'POST', '/v1/secrets', { name: 'x', payload: text, ...encoded, ...more })
    expect(answer.status, answer.text).toBe(201)
    return (answer.body as { secret_ref: string }).secret_ref
  }

  /** Keeps secrets and a container that names them; its ref. */
  async bundle(parts: Record<string, string | Buffer>, type: string): Promise<string> {
    const refs = await Promise.all(
      Object.entries(parts).map(async ([name, payload]) => ({ name, secret_ref: await this.keep(payload) })),
    )
    const answer = await this.as('demo', 'POST', '/v1/containers', { name: 'tls', type, secret_refs: refs })
    expect(answer.status, answer.text).toBe(201)
    return (answer.body as { container_ref: string }).container_ref
  }
}

/** A pocket cloud for the file's tests, with an authority's certificate and a tenant's. Read it inside tests and hooks. */
export function barbicanForTests() {
  const database = testDatabase()
  const openssl = new OpenSsl()
  const bed = {
    openssl,
    stack: undefined as unknown as PocketStack,
    secrets: undefined as unknown as TenantSecrets,
    service: undefined as unknown as OpenStack,
    /** Of the service's user. */
    octavia_id: '',
    authority: undefined as unknown as Made,
    made: undefined as unknown as Made,
    store: () => openCertificateStore(loadOptions(null, {}).certificates, () => bed.service),
  }
  beforeAll(async () => {
    bed.stack = await PocketStack.start(database.url)
    bed.service = serviceSession(bed.stack)
    bed.secrets = new TenantSecrets(bed.stack)
    bed.octavia_id = await bed.service.userId()
    bed.authority = openssl.certificate('/CN=Authority', { ca: true })
    bed.made = openssl.certificate('/CN=tenant.example', { by: bed.authority, names: 'DNS:tenant.example' })
  })
  afterAll(async () => {
    await bed.service?.close()
    await bed.stack?.end()
    openssl.remove()
  })
  return bed
}

/** The service user's session, as ottavia opens it. */
function serviceSession(stack: PocketStack): OpenStack {
  return new OpenStack({
    auth_url: `${stack.endpoints.identity}/v3`,
    username: 'octavia',
    password: passwords.service,
    project_name: 'service',
    user_domain_name: 'Default',
    project_domain_name: 'Default',
    region_name: null,
    interface: 'public',
  })
}
