/** Secrets: made with their payload or before it, shown without it, read by those who may. */
import type { FastifyInstance } from 'fastify'
import { Refusal } from '../service.ts'
import { drop, keep } from '../store.ts'
import { checkedBody, invalid, isText, oneOf, orNull } from './bodies.ts'
import { barbicanTime, type Container, expired, newGuarded, page, type Secret, shownSecret } from './documents.ts'
import { payloadOf, payloadOfUpload, served } from './payloads.ts'
import { allow, mayChange, mayMake, mayRead } from './rights.ts'
import type { Vault } from './vault.ts'

export function secretRoutes(app: FastifyInstance, vault: Vault): void {
  const { store, url } = vault

  app.get('/v1/secrets', request => {
    const identity = vault.who(request)
    allow(mayMake(identity), 'Secret(s) retrieval')
    const query = request.query as Record<string, string | undefined>
    const granted = query.acl_only?.toLowerCase() === 'true'
    const found = store
      .all<Secret>('secret')
      .filter(secret => !expired(secret))
      .filter(secret =>
        granted ? secret._acl?.users.includes(identity.user_id) : secret.project_id === identity.project_id,
      )
      .filter(secret => listFilters.every(([key, field]) => !query[key] || String(secret[field]) === query[key]))
    return page(
      'secrets',
      url,
      found.map(secret => shownSecret(secret, url)),
      query,
    )
  })

  app.post('/v1/secrets', async (request, reply) => {
    const identity = vault.who(request)
    allow(mayMake(identity), 'Secret creation')
    const body = checkedBody(request, { what: 'Secret creation', name: 'Secret', fields })
    const name = typeof body.name === 'string' ? body.name.trim() : null
    const secret: Secret = {
      ...newGuarded(name, identity.project_id!, identity.user_id),
      secret_type: (body.secret_type as string | undefined) ?? 'opaque',
      expiration: expirationOf(body.expiration),
      algorithm: (body.algorithm as string | undefined) ?? null,
      bit_length: (body.bit_length as number | undefined) ?? null,
      mode: (body.mode as string | undefined) ?? null,
      consumers: [],
      _payload: payloadOf(body),
    }
    await store.commit(keep('secret', secret))
    const secret_ref = `${url}/v1/secrets/${secret.id}`
    return reply.status(201).header('location', secret_ref).send({ secret_ref })
  })

  app.get('/v1/secrets/:id', (request, reply) => {
    const { secret, identity } = vault.secret(request)
    allow(mayRead(identity, secret), 'Secret retrieval')
    // The old way to the payload: the same path, asked for in another type than JSON.
    const { accept } = request.headers
    if (accept === undefined || /application\/json|\*\/\*/.test(accept)) return shownSecret(secret, url)
    const { type, bytes } = served(secret, accept)
    return reply.type(type).send(bytes)
  })

  app.get('/v1/secrets/:id/payload', (request, reply) => {
    const { secret, identity } = vault.secret(request)
    allow(mayRead(identity, secret), 'Secret payload retrieval')
    const { type, bytes } = served(secret, request.headers.accept)
    return reply.type(type).send(bytes)
  })

  app.put('/v1/secrets/:id', async (request, reply) => {
    const { secret, identity } = vault.secret(request)
    allow(mayChange(identity, secret), 'Secret update')
    const bytes = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
    const { 'content-type': type, 'content-encoding': encoding } = request.headers
    const _payload = payloadOfUpload(bytes, type ?? '', encoding?.toLowerCase())
    if (secret._payload) throw new Refusal(409, 'conflict', 'Secret already has data, cannot modify it.')
    await store.commit(keep('secret', { ...secret, _payload, updated: barbicanTime() }))
    return reply.status(204).send()
  })

  app.delete('/v1/secrets/:id', async (request, reply) => {
    const { secret, identity } = vault.secret(request)
    allow(mayChange(identity, secret), 'Secret deletion')
    // Its containers stay, without it.
    const holders = store.all<Container>('container').filter(c => c.secrets.some(one => one.secret_id === secret.id))
    await store.commit(
      drop('secret', secret.id),
      ...holders.map(c => keep('container', { ...c, secrets: c.secrets.filter(one => one.secret_id !== secret.id) })),
    )
    return reply.status(204).send()
  })
}

const fields = {
  name: orNull(isText(255)),
  algorithm: isText(255),
  mode: isText(255),
  bit_length: (value: unknown) => Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 32_767,
  expiration: isText(255),
  payload: (value: unknown) => typeof value === 'string',
  secret_type: oneOf('symmetric', 'passphrase', 'private', 'public', 'certificate', 'opaque'),
  payload_content_type: orNull(isText(255)),
  payload_content_encoding: oneOf('base64'),
}

/** What a list can be narrowed by, and the field that it means. */
const listFilters = [
  ['name', 'name'],
  ['alg', 'algorithm'],
  ['mode', 'mode'],
  ['bits', 'bit_length'],
  ['secret_type', 'secret_type'],
] as const

function expirationOf(given: unknown): string | null {
  const text = typeof given === 'string' ? given.trim() : ''
  if (text === '') return null
  const zoned = /(Z|[+-]\d\d:?\d\d)$/.test(text) ? text : `${text}Z`
  const time = Date.parse(zoned)
  const wrong = (reason: string) => invalid('Secret creation', 'Secret', reason, 'expiration')
  if (Number.isNaN(time)) throw wrong("Invalid date for 'expiration'")
  if (time <= Date.now()) throw wrong("'expiration' is before current time")
  return barbicanTime(new Date(time))
}
