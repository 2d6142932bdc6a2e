/** What can come of a call to an agent, sorted once, so that the steps need not know status codes. */
import type { FrameworkError, Message } from './rest.ts'

/** An agent's refusal, or its silence. `message` and `details` are the agent's own words. */
export class AgentError extends Error {
  /** The HTTP status; 0 when no answer came. */
  readonly status: number
  readonly details: string
  readonly kind: AgentErrorKind

  constructor(status: number, kind: AgentErrorKind, message: string, details = '') {
    super(message)
    this.name = 'AgentError'
    this.status = status
    this.kind = kind
    this.details = details
  }
}

/** `not_ready`: ask again, the machine is still on its way. `refused`: asking again will not help. `unavailable`: no
 *  answer, or the agent broke down over it. `conflict`: it is so already, or a newer controller is at work. */
export type AgentErrorKind = 'not_ready' | 'refused' | 'not_found' | 'conflict' | 'unavailable'

/** The error in an answer, or null. Only these statuses are errors; a genuine agent's clients know no others. */
export function errorIn(status: number, body: string): AgentError | null {
  if (status < 400) return null
  const said = parse(body)
  const details = said?.details ?? ''
  const message = said?.message ?? said?.error ?? (details || `the agent answered ${status}`)
  return new AgentError(status, kindOf(status, said, details), message, details)
}

function kindOf(status: number, said: Partial<Message & FrameworkError> | null, details: string): AgentErrorKind {
  if (status === 404) {
    return said === null || details.includes('No suitable network interface found') ? 'not_ready' : 'not_found'
  }
  if (status === 409) return 'conflict'
  if (status === 503) return 'not_ready'
  return status >= 500 && status !== 501 ? 'unavailable' : 'refused'
}

function parse(body: string): Partial<Message & FrameworkError> | null {
  try {
    const value: unknown = JSON.parse(body)
    return value !== null && typeof value === 'object' ? value : null
  } catch {
    return null
  }
}
