/** The language of keepalived.conf: blocks, and words that cannot end where they should not. */
import { expected } from '../checked.ts'

/** A head with the lines and blocks in its braces. */
export type Block = [head: string, ...lines: (string | Block)[]]

export function written([head, ...lines]: Block, indent = ''): string {
  const inner = lines.map(line => (typeof line === 'string' ? `${indent}    ${line}` : written(line, `${indent}    `)))
  return [`${indent}${head} {`, ...inner, `${indent}}`].join('\n')
}

export function name(value: string): string {
  return expected(/^[A-Za-z0-9_.-]{1,64}$/.test(value), value, 'a name')
}

export function path(value: string): string {
  return expected(/^(\/[A-Za-z0-9_.-]+)+$/.test(value), value, 'a path')
}

/** Several words as one. Within its quotes keepalived has no escape, and replaces `$NAME` and `~SEQ` there too. */
export function quoted(text: string): string {
  return `"${expected(/^[^"\\$~\r\n]*$/.test(text), text, 'a text that can be quoted')}"`
}
