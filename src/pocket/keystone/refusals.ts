/** Keystone's refusals, in its own words. */
import { Refusal } from '../service.ts'
import type { Tokens } from './tokens.ts'

/** Tells nothing about why. */
export function unauthorized(tokens: Tokens): Refusal {
  return new Refusal(401, 'unauthorized', 'The request you have made requires authentication.', {
    'www-authenticate': `Keystone uri="${tokens.identity_url}/v3"`,
  })
}

export function badRequest(message: string): Refusal {
  return new Refusal(400, 'badRequest', message)
}

export function notFound(message: string): Refusal {
  return new Refusal(404, 'notFound', message)
}

export function forbidden(action: string): Refusal {
  return new Refusal(403, 'forbidden', `You are not authorized to perform the requested action: ${action}.`)
}

export function expecting(attribute: string, target: string): string {
  return `Expecting to find ${attribute} in ${target}. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.`
}
