/** The journal: what happened to a load balancer, in words. */
import type pg from 'pg'
import type { ResourceName } from '../lbaas/resource.ts'
import { prepared, statement } from './statement.ts'
import type { Tx } from './transaction.ts'

export type JournalEntry = {
  load_balancer_id: string
  generation: number | null
  /** Who did it: a user's id, or the program. */
  actor: string
  /** The step, or the kind of change. */
  title: string
  text: string
  object_type: ResourceName | null
  object_id: string | null
}

export type JournalLine = JournalEntry & { id: string; at: string }

export async function append(db: pg.Pool | Tx, entry: JournalEntry): Promise<void> {
  const line = prepared(
    `insert into lbaas.journal (load_balancer_id, generation, actor, title, text, object_type, object_id)
     values ($1, $2, $3, $4, $5, $6, $7)`,
  )
  await db.query(line, [
    entry.load_balancer_id,
    entry.generation,
    entry.actor,
    entry.title,
    entry.text,
    entry.object_type,
    entry.object_id,
  ])
}

/** The newest `limit` lines of a load balancer, oldest first. */
export async function of(db: pg.Pool | Tx, load_balancer_id: string, limit: number): Promise<JournalLine[]> {
  const newest = statement('select * from lbaas.journal where load_balancer_id = $1 order by id desc limit $2')
  const { rows } = await db.query<JournalLine>(newest, [load_balancer_id, limit])
  return rows.reverse()
}
