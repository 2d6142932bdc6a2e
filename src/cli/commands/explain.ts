/** `ottavia explain NAME|ID`: what happened to a load balancer, what is left to do, and why. */
import pg from 'pg'
import { explain } from '../../controller/explain.ts'
import type { Tree } from '../../lbaas/tree.ts'
import { due } from '../../providers/amphora/flows.ts'
import { due as dueOnHost } from '../../providers/haproxy/flows.ts'
import * as journal from '../../store/journal.ts'
import { readBreaker } from '../../store/silences.ts'
import * as trees from '../../store/trees.ts'
import { State } from '../state.ts'
import { askControl } from '../world/control.ts'

/** Asks the running stack and prints its answer. */
export async function showExplanation(dir: string, name: string): Promise<void> {
  const { text } = await askControl<{ text: string }>(new State(dir), 'POST', '/explain', { name })
  process.stdout.write(text)
}

/** The explanation of every load balancer with that name or id. */
export async function explanation(database_url: string, name: string): Promise<string> {
  const pool = new pg.Pool({ connectionString: database_url, max: 2 })
  try {
    const { rows } = await pool.query<{ id: string }>(
      'select id from lbaas.load_balancer where name = $1 or id::text = $1',
      [name],
    )
    const texts = await Promise.all(
      rows.map(async ({ id }) => {
        const tree = await trees.read(pool, id)
        if (!tree) return ''
        const lines = await journal.of(pool, id, 60)
        return explained[tree.load_balancer.provider]?.(tree, lines) ?? ''
      }),
    )
    if (texts.length > 0) return (await stoppedReplacing(pool)) + texts.join('\n')
    const gone = /^[0-9a-f-]{36}$/.test(name) ? await journal.of(pool, name, 60) : []
    if (gone.length === 0) throw new Error(`there is no load balancer ${name}`)
    return [
      `load balancer ${name} is gone; its journal:`,
      ...gone.map(l => `  ${l.at}  ${l.title}: ${l.text}`),
      '',
    ].join('\n')
  } finally {
    await pool.end()
  }
}

/** By provider: what is left to do for a tree of it, and what happened. */
const explained: Readonly<Record<string, (tree: Tree, lines: journal.JournalLine[]) => string>> = {
  amphora: (tree, lines) => explain(tree, due(tree), lines),
  haproxy: (tree, lines) => explain(tree, dueOnHost(tree), lines),
}

/** Nothing but what concerns all load balancers: that silent amphorae are not replaced at the moment. */
async function stoppedReplacing(pool: pg.Pool): Promise<string> {
  const { open_since, silent, fleet, threshold } = await readBreaker(pool)
  if (open_since === null) return ''
  if (silent < threshold)
    return `Silent amphorae are not replaced since ${open_since}: too many fell silent. By now they are ${silent} of ${fleet}, few
enough; when that has lasted for a whole heartbeat_timeout, it goes on.
`
  return `Silent amphorae are not replaced since ${open_since}: ${silent} of ${fleet} fell silent, and from ${threshold} on
it is rather a network that failed. It goes on when they are heard again; if they are really dead, raise
[health_manager] failover_threshold.
`
}
