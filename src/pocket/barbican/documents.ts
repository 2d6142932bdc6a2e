/** What Barbican keeps — secrets and containers — and how it shows them. */
import { randomUUID } from 'node:crypto'
import { Refusal, timestamp } from '../service.ts'
import type { Document, Store } from '../store.ts'

/** Who may read besides those whom roles let: the users named, and, unless it is private, the project. */
export type Acl = { users: string[]; project_access: boolean; created: string; updated: string }

/** What a secret and a container have in common. */
export type Guarded = Document & {
  name: string | null
  project_id: string
  creator_id: string
  created: string
  updated: string
  /** Null until somebody sets one: the project has access. */
  _acl: Acl | null
}

export type Secret = Guarded & {
  secret_type: string
  expiration: string | null
  algorithm: string | null
  bit_length: number | null
  mode: string | null
  /** Base64, so that any bytes can be kept. Null until the second step of a secret made in two. */
  _payload: { type: string; base64: string } | null
  consumers: SecretConsumer[]
}

export type Container = Guarded & {
  type: string
  secrets: { name: string | null; secret_id: string }[]
  consumers: ContainerConsumer[]
}

/** Who says that he uses it; `project_id` is his, who alone may take it back, besides the owner. */
export type Consumer = { project_id: string; created: string }
export type SecretConsumer = Consumer & { service: string; resource_type: string; resource_id: string }
export type ContainerConsumer = Consumer & { name: string; URL: string }

export type Kind = 'secret' | 'container'

/** The path of each kind's objects, and how refusals name what was asked for. */
export const words = {
  secret: { plural: 'secrets', missing: 'Secret not found.', title: 'Secret' },
  container: { plural: 'containers', missing: 'Secrets container not found.', title: 'Container' },
} as const

/** The stored object. An expired secret is gone; an id that is no UUID of version 4 was never one of Barbican's. */
export function stored<K extends Kind>(store: Store, kind: K, id: string): K extends 'secret' ? Secret : Container {
  if (!/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i.test(id))
    throw new Refusal(404, 'notFound', `Not Found. Provided ${kind} id is invalid.`)
  const document = store.get<Secret | Container>(kind, id.toLowerCase())
  if (!document || expired(document)) throw new Refusal(404, 'notFound', words[kind].missing)
  return document as K extends 'secret' ? Secret : Container
}

export function expired(document: Document): boolean {
  return typeof document.expiration === 'string' && Date.parse(`${document.expiration}Z`) <= Date.now()
}

/** What every new object begins with. */
export function newGuarded(name: string | null, project_id: string, creator_id: string): Guarded {
  const now = barbicanTime()
  return { id: randomUUID(), name, project_id, creator_id, created: now, updated: now, _acl: null }
}

export function shownSecret(secret: Secret, url: string) {
  const { id, created, updated, name, secret_type, expiration, algorithm, bit_length, mode, creator_id } = secret
  return {
    created,
    updated,
    status: 'ACTIVE',
    name,
    secret_type,
    expiration,
    algorithm,
    bit_length,
    mode,
    creator_id,
    ...(secret._payload && { content_types: { default: secret._payload.type } }),
    secret_ref: `${url}/v1/secrets/${id}`,
  }
}

export function shownContainer(container: Container, url: string) {
  const { id, created, updated, name, type, creator_id, secrets, consumers } = container
  return {
    created,
    updated,
    status: 'ACTIVE',
    name,
    type,
    creator_id,
    secret_refs: secrets.map(one => ({ name: one.name, secret_ref: `${url}/v1/secrets/${one.secret_id}` })),
    consumers: consumers.map(consumer => ({ name: consumer.name, URL: consumer.URL })),
    container_ref: `${url}/v1/containers/${id}`,
  }
}

/** One page of a list, with the addresses of its neighbours. Limits that are no numbers are the usual ten. */
export function page<T>(plural: string, url: string, all: T[], query: Record<string, string | undefined>) {
  const number = (text: string | undefined, usual: number) => (/^\d{1,9}$/.test(text ?? '') ? Number(text) : usual)
  const offset = number(query.offset, 0)
  const limit = Math.min(100, Math.max(1, number(query.limit, 10)))
  const at = (start: number) => `${url}/v1/${plural}?limit=${limit}&offset=${start}`
  return {
    [plural.split('/').at(-1)!]: all.slice(offset, offset + limit),
    ...(all.length > 0 && offset > 0 && { previous: at(Math.max(0, offset - limit)) }),
    ...(all.length > offset + limit && { next: at(offset + limit) }),
    total: all.length,
  }
}

/** Barbican's form of times: no zone. */
export function barbicanTime(date = new Date()): string {
  return timestamp(date).slice(0, -1)
}
