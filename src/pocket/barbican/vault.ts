/** What Barbican's routes share: who asks, and for which secret or container. */
import type { FastifyRequest } from 'fastify'
import type { Identity, Tokens } from '../keystone/tokens.ts'
import { identityOf } from '../service.ts'
import type { Store } from '../store.ts'
import { type Container, type Kind, type Secret, stored } from './documents.ts'

export class Vault {
  readonly store: Store
  /** Where refs point to, as the catalogue names it. */
  readonly url: string
  readonly #tokens: Tokens

  constructor(store: Store, url: string, tokens: Tokens) {
    this.store = store
    this.url = url
    this.#tokens = tokens
  }

  who(request: FastifyRequest): Identity {
    return identityOf(request, this.#tokens)
  }

  secret(request: FastifyRequest): { secret: Secret; identity: Identity } {
    const identity = this.who(request)
    return { secret: stored(this.store, 'secret', idOf(request)), identity }
  }

  container(request: FastifyRequest): { container: Container; identity: Identity } {
    const identity = this.who(request)
    return { container: stored(this.store, 'container', idOf(request)), identity }
  }

  /** Either of them. */
  guarded(kind: Kind, request: FastifyRequest): { thing: Secret | Container; identity: Identity } {
    const identity = this.who(request)
    return { thing: stored(this.store, kind, idOf(request)), identity }
  }
}

function idOf(request: FastifyRequest): string {
  return (request.params as { id: string }).id
}
