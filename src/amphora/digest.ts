/** The digest by which a controller knows whether an amphora runs what the objects ask for. */
import { createHash } from 'node:crypto'
import { type ListenerInput, RENDERING_VERSION } from './haproxy/listener.ts'

/** SHA-256 in hex over the rendering's inputs and its version: not over the text, so that a new release of the renderer
 *  reloads nothing until the version recorded on the amphora is raised. The order of members is of no account. */
export function digestOf(input: ListenerInput, rendering_version: number = RENDERING_VERSION): string {
  const { default_pool } = input
  const members = default_pool?.members.toSorted((a, b) => (a.id < b.id ? -1 : 1))
  const ordered = { ...input, default_pool: default_pool && { ...default_pool, members } }
  return digest({ rendering_version, input: ordered })
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
