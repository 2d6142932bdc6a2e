/** What the agent answers, in the forms of the field. */
import { createHash } from 'node:crypto'
import type { FrameworkError, Message } from '../amphora/rest.ts'

export type Answer = { status: number; body: object | string; headers?: Record<string, string> }

/** An answer that is an error, thrown from wherever it is found. */
export class Refusal extends Error {
  readonly answer: Answer

  constructor(status: number, body: Message | FrameworkError, headers: Record<string, string> = {}) {
    super(JSON.stringify(body))
    this.answer = { status, body, headers }
  }
}

/** The framework's form of an error, `text` being what it is about. */
export function frameworkError(status: number, text: string, headers: Record<string, string> = {}): Refusal {
  const name = { 400: 'Bad Request', 404: 'Not Found', 405: 'Method Not Allowed', 413: 'Payload Too Large' }[status]
  return new Refusal(
    status,
    { error: `${status} ${name ?? 'Internal Server Error'}: ${text}`, http_code: status },
    headers,
  )
}

/** What had to be lowered or left out on this machine, in plain words. */
export function warningHeader(warnings: string[]): Record<string, string> {
  if (warnings.length === 0) return {}
  const text = warnings.join('; ').replace(/[^\x20-\x7e]+/g, ' ')
  return { 'X-Ottavia-Warning': text.slice(0, 2_000) }
}

export function md5Of(body: Uint8Array | string): string {
  return createHash('md5').update(body).digest('hex')
}

export function etagOf(body: Uint8Array): string {
  return `"${md5Of(body)}"`
}
