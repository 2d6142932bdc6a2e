/** Nova's key pairs. */
import { createHash, createPublicKey, generateKeyPairSync, randomUUID } from 'node:crypto'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { Refusal } from '../service.ts'
import { type Document, drop, keep, type Store } from '../store.ts'
import type { Caller } from './caller.ts'

type Keypair = Document & { name: string; user_id: string; public_key: string; fingerprint: string; created_at: string }

export function keypairRoutes(app: FastifyInstance, store: Store, caller: (request: FastifyRequest) => Caller): void {
  const shown = ({ name, public_key, fingerprint }: Keypair, minor: number) => ({
    name,
    public_key,
    fingerprint,
    ...(minor >= 2 && { type: 'ssh' }),
  })
  const find = (request: FastifyRequest): Keypair => {
    const { name } = request.params as { name: string }
    const found = store.get<Keypair>('keypair', `${caller(request).identity.user_id}/${name}`)
    if (!found)
      throw new Refusal(404, 'itemNotFound', `Keypair ${name} not found for user ${caller(request).identity.user_id}`)
    return found
  }
  app.get('/v2.1/os-keypairs', request => {
    const { identity, minor } = caller(request)
    const { user_id } = identity
    return {
      keypairs: store
        .all<Keypair>('keypair')
        .filter(k => k.user_id === user_id)
        .map(k => ({ keypair: shown(k, minor) })),
    }
  })
  app.get('/v2.1/os-keypairs/:name', request => {
    const found = find(request)
    return {
      keypair: {
        ...shown(found, caller(request).minor),
        user_id: found.user_id,
        created_at: found.created_at,
        deleted: false,
        deleted_at: null,
        updated_at: null,
        id: 1,
      },
    }
  })
  app.post('/v2.1/os-keypairs', async (request, reply) => {
    const { identity, minor } = caller(request)
    const { user_id } = identity
    const wishes = (request.body as { keypair?: { name?: unknown; public_key?: unknown } } | undefined)?.keypair
    if (!wishes || typeof wishes.name !== 'string' || wishes.name === '')
      throw new Refusal(400, 'badRequest', "Invalid input for field/attribute keypair. 'name' is a required property")
    if (wishes.name.length > 255 || ((wishes.public_key ?? null) !== null && typeof wishes.public_key !== 'string'))
      throw new Refusal(400, 'badRequest', 'Invalid input for field/attribute keypair.')
    const id = `${user_id}/${wishes.name}`
    if (store.get('keypair', id))
      throw new Refusal(409, 'conflictingRequest', `Key pair '${wishes.name}' already exists.`)
    const made = wishes.public_key ? null : generate()
    const public_key = made ? made.public_key : String(wishes.public_key).trim()
    const keypair: Keypair = {
      id,
      name: wishes.name,
      user_id,
      public_key,
      fingerprint: fingerprint(public_key),
      created_at: new Date().toISOString(),
    }
    await store.commit(keep('keypair', keypair))
    return reply
      .status(200)
      .send({ keypair: { ...shown(keypair, minor), user_id, ...(made && { private_key: made.private_key }) } })
  })
  app.delete('/v2.1/os-keypairs/:name', async (request, reply) => {
    await store.commit(drop('keypair', find(request).id))
    return reply.status(202).send()
  })
}

/** MD5 of the key's bytes, as ssh-keygen -E md5 shows it. */
function fingerprint(public_key: string): string {
  const [, key = ''] = /^[a-z0-9@.-]+ +([A-Za-z0-9+/=]+)( [^\n\r]*)?$/.exec(public_key) ?? []
  const bytes = Buffer.from(key, 'base64')
  if (bytes.length === 0)
    throw new Refusal(400, 'badRequest', 'Keypair data is invalid: failed to generate fingerprint')
  return createHash('md5')
    .update(bytes)
    .digest('hex')
    .replace(/..(?!$)/g, '$&:')
}

function generate(): { public_key: string; private_key: string } {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const { e, n } = createPublicKey(privateKey).export({ format: 'jwk' })
  const field = (bytes: Buffer) => {
    const padded = bytes[0]! & 0x80 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes
    const length = Buffer.alloc(4)
    length.writeUInt32BE(padded.length)
    return Buffer.concat([length, padded])
  }
  const text = Buffer.concat([
    field(Buffer.from('ssh-rsa')),
    field(Buffer.from(e!, 'base64url')),
    field(Buffer.from(n!, 'base64url')),
  ])
  return {
    public_key: `ssh-rsa ${text.toString('base64')} Generated-by-pocket-${randomUUID().slice(0, 8)}`,
    private_key: privateKey.export({ type: 'pkcs1', format: 'pem' }) as string,
  }
}
