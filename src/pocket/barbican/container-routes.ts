/** Containers: named references to secrets, of a type that says which names there are. */
import type { FastifyInstance } from 'fastify'
import { Refusal } from '../service.ts'
import { drop, keep } from '../store.ts'
import { checkedBody, invalid, isText, oneOf, orNull } from './bodies.ts'
import { barbicanTime, type Container, newGuarded, page, type Secret, shownContainer } from './documents.ts'
import { allow, mayChange, mayMake, mayRead } from './rights.ts'
import type { Vault } from './vault.ts'

export function containerRoutes(app: FastifyInstance, vault: Vault): void {
  const { store, url } = vault

  app.get('/v1/containers', request => {
    const identity = vault.who(request)
    allow(mayMake(identity), 'Containers(s) retrieval')
    const query = request.query as Record<string, string | undefined>
    const found = store
      .all<Container>('container')
      .filter(container => container.project_id === identity.project_id)
      .filter(container => !query.name || container.name === query.name)
      .filter(container => !query.type || container.type === query.type)
    return page(
      'containers',
      url,
      found.map(container => shownContainer(container, url)),
      query,
    )
  })

  app.post('/v1/containers', async (request, reply) => {
    const identity = vault.who(request)
    allow(mayMake(identity), what)
    const body = checkedBody(request, { what, name: 'Container', fields, required: ['type'] })
    const secrets = secretsOf(body, url)
    for (const { name, secret_id } of secrets)
      if (store.get<Secret>('secret', secret_id)?.project_id !== identity.project_id)
        throw new Refusal(404, 'notFound', `Secret provided for '${name}' doesn't exist.`)
    const container: Container = {
      ...newGuarded((body.name as string | null | undefined) ?? null, identity.project_id!, identity.user_id),
      type: body.type as string,
      secrets,
      consumers: [],
    }
    await store.commit(keep('container', container))
    const container_ref = `${url}/v1/containers/${container.id}`
    return reply.status(201).header('location', container_ref).send({ container_ref })
  })

  app.get('/v1/containers/:id', request => {
    const { container, identity } = vault.container(request)
    allow(mayRead(identity, container), 'Container retrieval')
    return shownContainer(container, url)
  })

  app.delete('/v1/containers/:id', async (request, reply) => {
    const { container, identity } = vault.container(request)
    allow(mayChange(identity, container), 'Container deletion')
    await store.commit(drop('container', container.id))
    return reply.status(204).send()
  })

  /** Only generic containers can be changed once they are there. */
  const changeable = (request: Parameters<Vault['container']>[0], attempt: string) => {
    const { container, identity } = vault.container(request)
    allow(mayChange(identity, container), attempt)
    const body = checkedBody(request, {
      what: attempt,
      name: 'ContainerSecret',
      fields: ref_fields,
      required: ['secret_ref'],
    })
    return {
      container,
      name: (body.name as string | undefined) ?? null,
      secret_id: secretIdOf(String(body.secret_ref)),
    }
  }
  app.post('/v1/containers/:id/secrets', async (request, reply) => {
    const { container, name, secret_id } = changeable(request, 'Container Secret creation')
    if (container.type !== 'generic') throw new Refusal(400, 'badRequest', "Only 'generic' containers can be modified.")
    if (store.get<Secret>('secret', secret_id)?.project_id !== container.project_id)
      throw new Refusal(404, 'notFound', "Secret provided doesn't exist.")
    if (container.secrets.some(one => one.secret_id === secret_id && one.name === name))
      throw new Refusal(
        409,
        'conflict',
        'Conflict. A secret with that name and ID is already stored in this container. The same secret can exist in a container as long as the name is unique.',
      )
    const secrets = [...container.secrets, { name, secret_id }]
    await store.commit(keep('container', { ...container, secrets, updated: barbicanTime() }))
    const container_ref = `${url}/v1/containers/${container.id}`
    return reply.status(201).header('location', container_ref).send({ container_ref })
  })
  app.delete('/v1/containers/:id/secrets', async (request, reply) => {
    const { container, name, secret_id } = changeable(request, 'Container Secret deletion')
    const secrets = container.secrets.filter(one => one.secret_id !== secret_id || one.name !== name)
    if (secrets.length === container.secrets.length)
      throw new Refusal(404, 'notFound', 'Secret provided is not in the container')
    await store.commit(keep('container', { ...container, secrets, updated: barbicanTime() }))
    return reply.status(204).send()
  })
}

const what = 'Container creation'

const ref_fields = { name: isText(255), secret_ref: isText(255, 1) }
const isRef = (value: unknown) => {
  const ref = value as { name?: unknown; secret_ref?: unknown } | null
  return (
    typeof ref === 'object' &&
    ref !== null &&
    ref_fields.secret_ref(ref.secret_ref) &&
    (ref.name === undefined || orNull(ref_fields.name)(ref.name))
  )
}
const fields = {
  name: orNull(isText(255)),
  type: oneOf('generic', 'rsa', 'certificate'),
  secret_refs: (value: unknown) => Array.isArray(value) && value.length <= 100 && value.every(isRef),
}

/** The names that a type has, those that must be there first, and what is said when others come. */
const names: Record<string, { required: string[]; optional: string[]; allowed: string; least: string }> = {
  rsa: {
    required: ['public_key', 'private_key'],
    optional: ['private_key_passphrase'],
    allowed: "only 'private_key', 'public_key' and 'private_key_passphrase' reference names are allowed for RSA type",
    least: "The minimum required reference names are 'public_key' and'private_key' for RSA type",
  },
  certificate: {
    required: ['certificate'],
    optional: ['private_key', 'private_key_passphrase', 'intermediates'],
    allowed:
      "only 'private_key', 'certificate' , 'private_key_passphrase',  or 'intermediates' reference names are allowed for Certificate type",
    least: "The minimum required reference name is 'certificate' for Certificate type",
  },
}

function secretsOf(body: Record<string, unknown>, url: string): Container['secrets'] {
  const refs = (body.secret_refs ?? []) as { name?: string | null; secret_ref: string }[]
  const wrong = (reason: string) => invalid(what, 'Container', reason, 'secret_refs')
  if (refs.length === 0) return []
  const secrets = refs.map(ref => ({ name: ref.name ?? null, secret_id: secretIdOf(ref.secret_ref) }))
  if (new Set(secrets.map(one => one.name)).size < secrets.length)
    throw wrong('Duplicate reference names are not allowed')
  if (new Set(secrets.map(one => one.secret_id)).size < secrets.length)
    throw wrong('Duplicate secret ids are not allowed')
  if (refs.some(ref => !ref.secret_ref.startsWith(`${url}/`)))
    throw new Refusal(400, 'badRequest', `${what} issue seen - Provided field value is not supported.`)
  const allowed = names[body.type as string]
  const given = secrets.map(one => one.name ?? '')
  if (allowed && !given.every(name => [...allowed.required, ...allowed.optional].includes(name)))
    throw wrong(allowed.allowed)
  if (allowed && !allowed.required.every(name => given.includes(name))) throw wrong(allowed.least)
  return secrets
}

function secretIdOf(ref: string): string {
  return ref.replace(/\/$/, '').split('/').at(-1)!
}
