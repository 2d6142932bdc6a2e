/** The digest by which a controller knows whether an amphora runs what the objects ask for. */
import { createHash } from 'node:crypto'
import type { ListenerInput } from './haproxy/listener.ts'
import { type LoadBalancerInput, RENDERING_VERSION } from './haproxy/unit.ts'

/** SHA-256 in hex over the rendering's inputs and its version: not over the text, so that a new release of the renderer
 *  reloads nothing until the version recorded on the amphora is raised. The order of members and of listeners is of no
 *  account. */
export function digestOf(
  input: ListenerInput | LoadBalancerInput,
  rendering_version: number = RENDERING_VERSION,
): string {
  if ('listener' in input) return digest({ rendering_version, input: ordered(input) })
  const listeners = input.listeners.map(ordered).sort((a, b) => (a.listener.id < b.listener.id ? -1 : 1))
  return digest({ rendering_version, input: { ...input, listeners } })
}

function ordered(input: ListenerInput): ListenerInput {
  const { default_pool } = input
  const members = default_pool?.members.toSorted((a, b) => (a.id < b.id ? -1 : 1))
  return { ...input, default_pool: default_pool && { ...default_pool, members: members! } }
}

/** The same for any other input of a rendering. */
export function digest(input: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(canonical(input)))
    .digest('hex')
}

/** The same value with the keys of every object in one order; what is undefined is left out. */
function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical)
  if (value === null || typeof value !== 'object') return value
  const entries = Object.entries(value).filter(([, each]) => each !== undefined)
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, each]) => [key, canonical(each)]))
}
