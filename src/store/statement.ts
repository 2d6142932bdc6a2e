/** Statements as the driver takes them: rows come as the domain has them, and what is asked all the time is prepared. */
import pg from 'pg'

export type Statement = { text: string; types: pg.CustomTypesConfig; name?: string }

/** Its rows have instants as text, as the domain does. */
export function statement(text: string): Statement {
  return { text, types }
}

/** The same, which each session parses and plans once: for texts that come again and again, of which there are few,
 *  because a session keeps them all. One load balancer takes 0.18 ms so, else 0.45: most of it was planning. */
export function prepared(text: string): Statement {
  const name = names.get(text) ?? `ottavia_${names.size}`
  names.set(text, name)
  return { text, types, name }
}

const names = new Map<string, string>()

const types: pg.CustomTypesConfig = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') =>
    format === 'binary' ? pg.types.getTypeParser(oid, format) : (parsers.get(oid) ?? pg.types.getTypeParser(oid)),
}

/** By the type's oid. */
const parsers = new Map<number, (text: string) => unknown>([
  [pg.types.builtins.TIMESTAMPTZ, instant],
  [2951, uuids], // uuid[]
])

/** PostgreSQL's `2026-03-01 12:00:00.5+00` as `2026-03-01T12:00:00.500Z`. */
function instant(text: string): string {
  const [, day, time, fraction = ''] = in_utc.exec(text) ?? []
  if (day === undefined) return new Date(pg.types.getTypeParser(pg.types.builtins.TIMESTAMPTZ)(text)).toISOString()
  return `${day}T${time}.${fraction.slice(0, 3).padEnd(3, '0')}Z`
}

const in_utc = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d+))?\+00$/

/** Without nulls, as ids are; nothing in them needs quotes. */
function uuids(text: string): string[] {
  return text === '{}' ? [] : text.slice(1, -1).split(',')
}
