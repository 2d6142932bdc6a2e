/** Selects that reach PostgreSQL in one message and are answered in one, planned before. */
import type pg from 'pg'
import { isUuid } from '../lbaas/check.ts'
import { statement } from './statement.ts'
import type { Tx } from './transaction.ts'

/** A select of what belongs to a list of ids, its `$1`. The name is its own, for good. */
export type SelectByIds = { name: string; sql: string }

/** The selects' rows, in their order; each sees what is there when it begins, after `first`. Outside a transaction the
 *  message is one of its own.
 *
 *  It is round trips and planning that the load of a small tree is made of: it takes 0.4 ms, 1.1 where the message has the
 *  selects themselves. The driver's prepared statements, sent without waiting for the answers, take PostgreSQL as long, and
 *  half as much again here. */
export async function together(
  session: Tx,
  first: string,
  selects: readonly SelectByIds[],
  ids: readonly string[],
): Promise<pg.QueryResultRow[][]> {
  const wrong = ids.find(id => !isUuid(id))
  if (wrong !== undefined) throw new Error(`${wrong} is no id`)
  for (const select of selects) await prepare(session, select)
  // such a message has no parameters, so the ids, which are uuids, stand in it
  const executions = selects.map(({ name }) => `execute ${name} ('{${ids.join(',')}}')`)
  // the driver answers a message of several statements with a list
  const answers: pg.QueryResult[] = [await session.query(statement([first, ...executions].join(';\n')))].flat()
  return answers.slice(-selects.length).map(({ rows }) => rows)
}

const prepared_in = new WeakMap<Tx, Set<string>>()

/** Once in each session, which keeps it through all its transactions, even if this one is rolled back. */
async function prepare(session: Tx, { name, sql }: SelectByIds): Promise<void> {
  const known = prepared_in.get(session) ?? new Set()
  if (known.has(name)) return
  await session.query(`prepare ${name} (uuid[]) as ${sql}`)
  prepared_in.set(session, known.add(name))
}
