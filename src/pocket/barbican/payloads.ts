/** Payloads: how they come in, in one step or two, and in which types they go out. */
import { Refusal } from '../service.ts'
import { invalid } from './bodies.ts'
import type { Secret } from './documents.ts'

type Payload = NonNullable<Secret['_payload']>

/** The payload of a POST; null when it is to come in a second step. */
export function payloadOf(body: Record<string, unknown>): Payload | null {
  const { payload, payload_content_type: given_type, payload_content_encoding: encoding } = body
  const wrong = (reason: string, field: string) => invalid(what, 'Secret', reason, field)
  if (payload === undefined) {
    if (given_type === undefined) return null
    throw wrong('payload must be provided when payload_content_type is specified', 'payload')
  }
  if (given_type === undefined || given_type === null)
    throw wrong("If 'payload' is supplied, 'payload_content_type' must also be supplied.", 'payload_content_type')
  const type = knownType(String(given_type))
  if (type === null) throw wrong(`payload_content_type is not one of ${listed(types)}`, 'payload_content_type')
  if (type === 'text/plain' ? encoding !== undefined : encoding !== 'base64')
    throw wrong(
      `payload_content_encoding is not one of ${type === 'text/plain' ? 'None' : listed(['base64', 'binary'])}`,
      'payload_content_encoding',
    )
  if (Buffer.byteLength(payload as string) > largest_bytes) throw tooLarge(what)
  const text = (payload as string).trim()
  const letters = text.replace(/[^A-Za-z0-9+/=]/g, '').length
  if (encoding === 'base64' && (letters === 0 || letters % 4 !== 0))
    throw wrong('Invalid payload for payload_content_encoding', 'payload')
  if (text === '') throw wrong("If 'payload' specified, must be non empty", 'payload')
  return {
    type,
    base64:
      type === 'text/plain' ? Buffer.from(text).toString('base64') : Buffer.from(text, 'base64').toString('base64'),
  }
}

/** The payload of the second step: the body itself, under its own type. */
export function payloadOfUpload(bytes: Buffer, type_header: string, encoding: string | undefined): Payload {
  const type = knownType(type_header)
  if (type === null || type === 'application/pkcs8')
    throw new Refusal(
      415,
      'unsupported',
      `Unexpected content type. Expected content types are: ${listed(['application/octet-stream', 'text/plain'])}`,
    )
  if (bytes.length === 0) throw new Refusal(400, 'badRequest', `${update} issue seen - No data supplied to process..`)
  if (bytes.length > largest_bytes) throw tooLarge(update)
  if (encoding !== undefined && !(encoding === 'base64' && type !== 'text/plain'))
    throw new Refusal(400, 'badRequest', `${update} issue seen - Provided content encoding is not supported.`)
  const raw = encoding === 'base64' ? Buffer.from(bytes.toString('latin1'), 'base64') : bytes
  return { type, base64: raw.toString('base64') }
}

/** The bytes in the type that the client accepts. Barbican reads the header as one type: a list of them, or any, it
 *  refuses; without a header it is bytes. */
export function served(secret: Secret, accept: string | undefined): { type: string; bytes: Buffer } {
  if (secret._payload === null) throw new Refusal(404, 'notFound', 'Not Found. Sorry but your secret has no payload.')
  const type = knownType(accept ?? 'application/octet-stream')
  const bytes = Buffer.from(secret._payload.base64, 'base64')
  const notAcceptable = () => new Refusal(406, 'notAcceptable', '')
  if (type === null) throw notAcceptable()
  if (type === 'text/plain' && !isUtf8(bytes)) throw notAcceptable()
  return { type: type === 'text/plain' ? 'text/plain; charset=UTF-8' : type, bytes }
}

function knownType(header: string): string | null {
  const [name, ...parameters] = header.split(';').map(part => part.trim().toLowerCase())
  if (!types.includes(name!)) return null
  const text = name === 'text/plain'
  return parameters.every(parameter => text && parameter === 'charset=utf-8') ? name! : null
}

function isUtf8(bytes: Buffer): boolean {
  return Buffer.from(bytes.toString('utf8')).equals(bytes)
}

function tooLarge(attempt: string): Refusal {
  return new Refusal(413, 'tooLarge', `${attempt} issue seen - Provided information too large to process.`)
}

/** Python's form of a list. */
function listed(words: readonly string[]): string {
  return `[${words.map(word => `'${word}'`).join(', ')}]`
}

const what = 'Secret creation'
const update = 'Secret update'
const types: readonly string[] = ['text/plain', 'application/octet-stream', 'application/pkcs8']

/** Barbican's usual limit. */
const largest_bytes = 20_000
