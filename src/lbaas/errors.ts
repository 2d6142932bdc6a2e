/** Every refusal once: its status and text in both dialects, and the rule behind it for the operator. */
import type { Values } from './error-text.ts'
import { l7_errors } from './l7-errors.ts'
import { request_errors } from './request-errors.ts'
import { rule_errors } from './rule-errors.ts'

/** A request that is refused. The tenant sees the dialect's text; `rule` is for the operator's log. */
export class Rejected extends Error {
  readonly code: ErrorCode
  readonly values: Values
  constructor(code: ErrorCode, values: Values) {
    super(errors[code].octavia[1](values))
    this.name = 'Rejected'
    this.code = code
    this.values = values
  }

  get rule(): string {
    return errors[this.code].rule
  }

  octavia(): { status: number; faultstring: string } {
    const [status, text] = errors[this.code].octavia
    return { status, faultstring: text(this.values) }
  }

  neutron(): { status: number; type: string; message: string } {
    const [status, type, text] = errors[this.code].neutron
    return { status, type: typeof type === 'string' ? type : type(this.values), message: text(this.values) }
  }
}

export type ErrorCode = keyof typeof errors

const errors = { ...request_errors, ...rule_errors, ...l7_errors } as const

/** Every refusal there is, with names in angle brackets for its values: what the API's document lists. */
export function allRefusals(): Rejected[] {
  const values = new Proxy({}, { get: (_, name) => `<${String(name)}>` })
  return Object.keys(errors).map(code => new Rejected(code as ErrorCode, values))
}
