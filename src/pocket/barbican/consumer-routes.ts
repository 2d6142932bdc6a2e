/** Consumers: who says that he uses a secret or a container. A note for its owner, no more: it keeps nobody from deleting. */
import type { FastifyInstance } from 'fastify'
import { Refusal } from '../service.ts'
import { keep } from '../store.ts'
import { checkedBody, isText } from './bodies.ts'
import {
  barbicanTime,
  type Consumer,
  type Container,
  type Kind,
  page,
  type Secret,
  shownContainer,
  shownSecret,
  words,
} from './documents.ts'
import { allow, mayRead } from './rights.ts'
import type { Vault } from './vault.ts'

export function consumerRoutes(app: FastifyInstance, vault: Vault, kind: Kind): void {
  const { store, url } = vault
  const { plural, title } = words[kind]
  const fields = consumerFields[kind]
  const names = Object.keys(fields)
  const path = `/v1/${plural}/:id/consumers`
  const shown = (thing: Secret | Container) => {
    if (kind === 'container') return shownContainer(thing as Container, url)
    const consumers = (thing as Secret).consumers.map(one => pick(one, names))
    return { ...shownSecret(thing as Secret, url), consumers }
  }
  /** Who reads may also say that he uses it. */
  const asked = (request: Parameters<Vault['guarded']>[1], attempt: string) => {
    const { thing, identity } = vault.guarded(kind, request)
    allow(mayRead(identity, thing), `${title}Consumer${attempt}`)
    return { thing, consumers: thing.consumers as Consumer[], project_id: identity.project_id! }
  }
  const named = (request: Parameters<Vault['guarded']>[1], attempt: string) =>
    pick(
      checkedBody(request, { what: `${title}Consumer ${attempt}`, name: 'Consumer', fields, required: names }),
      names,
    )
  const same = (wanted: Record<string, unknown>) => (one: Consumer) =>
    names.every(name => (one as unknown as Record<string, unknown>)[name] === wanted[name])

  app.get(path, request => {
    const { thing, consumers } = asked(request, 's(s) retrieval')
    const rows = consumers.map(one => ({
      created: one.created,
      updated: one.created,
      status: 'ACTIVE',
      ...pick(one, names),
    }))
    return page(`${plural}/${thing.id}/consumers`, url, rows, request.query as Record<string, string | undefined>)
  })
  app.post(path, async (request, reply) => {
    const { thing, consumers, project_id } = asked(request, ' creation')
    const wanted = named(request, 'creation')
    const added = { ...wanted, project_id, created: barbicanTime() }
    const changed = {
      ...thing,
      consumers: consumers.some(same(wanted)) ? consumers : [...consumers, added],
      updated: barbicanTime(),
    } as Secret | Container
    await store.commit(keep(kind, changed))
    // sic: the consumer's address is made of the container's id
    return reply.header('location', `${url}/v1/consumers/${thing.id}/consumers`).send(shown(changed))
  })
  app.delete(path, async request => {
    const { thing, consumers, project_id } = asked(request, ' deletion')
    const found = consumers.find(same(named(request, 'deletion')))
    if (!found) throw new Refusal(404, 'notFound', 'Consumer not found.')
    if (found.project_id !== project_id && thing.project_id !== project_id)
      throw new Refusal(403, 'forbidden', 'Not Allowed. Sorry, only the creator of a consumer can delete it.')
    const changed = { ...thing, consumers: consumers.filter(one => one !== found) } as Secret | Container
    await store.commit(keep(kind, changed))
    return shown(changed)
  })
}

const consumerFields = {
  container: { name: isText(36, 1), URL: isText(255, 1) },
  secret: { service: isText(255, 1), resource_type: isText(255, 1), resource_id: isText(255, 1) },
} as const

function pick(from: object, names: string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(from).filter(([name]) => names.includes(name)))
}
