/** Folding: the operating statuses of load balancers of which an amphora reported something else than before. */
import type pg from 'pg'
import { decodeHeartbeat } from '../amphora/heartbeat.ts'
import { fold, seenIn, type Witness } from '../lbaas/fold.ts'
import type { Tree } from '../lbaas/tree.ts'
import type { Log } from '../service/log.ts'
import { wakeToLook } from '../store/claims.ts'
import * as heartbeats from '../store/heartbeats.ts'
import * as journal from '../store/journal.ts'
import { isRefusal, observation, type Tx, transaction } from '../store/transaction.ts'
import * as trees from '../store/trees.ts'
import type { Counts } from './counts.ts'
import type { Letter } from './inbox.ts'
import { type Suspicion, Suspicions } from './suspicions.ts'

type News = Pick<Letter, 'amphora_id' | 'seq' | 'digest' | 'frame'>

/** Trees are loaded here, so it is done only when a report, or the row of the amphora or of its load balancer, is another
 *  than when it was folded last. That is remembered in the database: any process may have done it. */
export class Folding {
  readonly #due = new Map<string, { news: Map<string, News>; tries: number }>()
  readonly #suspicions = new Suspicions()
  readonly #reports: Suspicion[] = []
  readonly #options: { pool: pg.Pool; key: string; timeout_s: number; counts: Counts; log: Log }

  constructor(options: { pool: pg.Pool; key: string; timeout_s: number; counts: Counts; log: Log }) {
    this.#options = options
  }

  /** What was folded, as it is compared with the next beat. */
  static version(digest: string, version: string): string {
    return `${digest} ${version}`
  }

  want(load_balancer_id: string, news: News | null): void {
    const due = this.#due.get(load_balancer_id) ?? { news: new Map(), tries: 0 }
    if (news) due.news.set(news.amphora_id, news)
    this.#due.set(load_balancer_id, due)
  }

  /** A reboot is certain at once: the boot id is the next boot's. */
  rebooted(load_balancer_id: string, amphora_id: string): void {
    if (this.#suspicions.mayAsk(load_balancer_id, performance.now()))
      this.#reports.push({ load_balancer_id, amphora_id, text: 'the server has booted anew' })
  }

  /** Folds some of what is due. What is just being changed by somebody comes later; its next beats would ask again. */
  async fold(): Promise<void> {
    const until_ms = performance.now() + most_ms
    // each is tried once in a round, those that have waited longest first
    const waiting = [...this.#due.keys()]
    while (waiting.length > 0 && performance.now() < until_ms) {
      await this.#foldSome(waiting.splice(0, most_at_once).sort())
    }
    while (this.#reports.length > 0) {
      await this.#report(this.#reports[0]!)
      this.#reports.shift()
    }
  }

  async #foldSome(ids: readonly string[]): Promise<void> {
    const suspicions: Suspicion[] = []
    let done: Set<string>
    try {
      done = await observation(this.#options.pool, tx => this.#foldIn(tx, ids, suspicions))
    } catch (error) {
      // one that cannot be folded must not keep the others from it
      if (!isRefusal(error)) throw error
      if (ids.length > 1) {
        for (const id of ids) await this.#foldSome([id])
        return
      }
      this.#due.delete(ids[0]!)
      this.#options.log.error({ load_balancer_id: ids[0], err: error }, 'operating statuses could not be folded')
      return
    }
    for (const id of ids) {
      const due = this.#due.get(id)!
      if (done.has(id) || ++due.tries >= most_tries) this.#due.delete(id)
    }
    this.#options.counts.folded += done.size
    this.#reports.push(...suspicions)
  }

  async #report({ load_balancer_id, amphora_id, text }: Suspicion): Promise<void> {
    this.#options.log.warn({ load_balancer_id, amphora_id }, `${text}; the controller is to look`)
    await transaction(this.#options.pool, async tx => {
      await wakeToLook(tx, [load_balancer_id])
      await journal.append(tx, { ...line(load_balancer_id, amphora_id), title: 'heartbeat', text })
    })
  }

  async #foldIn(tx: Tx, ids: readonly string[], suspicions: Suspicion[]): Promise<Set<string>> {
    const loaded = await trees.loadUnchanging(tx, ids)
    const rows = Map.groupBy(
      await heartbeats.witnesses(tx, [...loaded.keys()], this.#options.timeout_s),
      row => row.load_balancer_id,
    )
    const statuses: Parameters<typeof heartbeats.saveStatuses>[1][number][] = []
    const reports: Parameters<typeof heartbeats.saveReports>[1][number][] = []
    const folded = new Map<string, string | null>()
    const done = new Set<string>()
    for (const [id, tree] of loaded) {
      const watched = rows.get(id) ?? []
      // a row that somebody else is writing to would look like an amphora that is not there
      const all = tree.amphorae.every(a => a.status !== 'ALLOCATED' || watched.some(row => row.amphora_id === a.id))
      if (!all) continue
      const witnesses = watched.map(row => {
        const news = this.#due.get(id)!.news.get(row.amphora_id)
        const newest = news && news.seq === row.seq ? news : undefined
        const report = newest && newest.digest !== row.report_digest ? this.#read(newest) : row.report
        if (newest && report && newest.digest !== row.report_digest)
          reports.push({ amphora_id: row.amphora_id, seq: newest.seq, digest: newest.digest, report })
        return { ...row, report, newest, seen: report?.seen ?? null }
      })
      for (const [object_id, operating_status] of fold(tree, witnesses))
        statuses.push({ load_balancer_id: id, object_id, operating_status })
      let any_odd = false
      for (const witness of witnesses) {
        if (!witness.newest) continue
        const odd = this.#suspect(tree, witness, witnesses, suspicions)
        any_odd ||= odd
        folded.set(witness.amphora_id, odd ? null : Folding.version(witness.newest.digest, witness.version))
      }
      // of two masters the one that says what it always said has to be heard as well
      if (any_odd) for (const { amphora_id } of witnesses) folded.set(amphora_id, null)
      done.add(id)
    }
    await heartbeats.saveReports(tx, reports)
    await heartbeats.saveStatuses(tx, statuses)
    if (folded.size > 0) await heartbeats.saveFolded(tx, folded)
    return done
  }

  #suspect(
    tree: Tree,
    { amphora_id, report }: { amphora_id: string; report: heartbeats.Report | null },
    witnesses: readonly Witness[],
    suspicions: Suspicion[],
  ): boolean {
    const beat = { amphora_id, digests: report?.digests ?? null }
    const { odd, suspicion } = this.#suspicions.look(tree, beat, witnesses, performance.now())
    if (suspicion) suspicions.push(suspicion)
    return odd
  }

  #read({ frame }: News): heartbeats.Report | null {
    const decoded = decodeHeartbeat(frame, this.#options.key)
    if (!decoded.ok) return null
    return { seen: seenIn(decoded.message), digests: decoded.message.ottavia?.digests ?? null }
  }
}

/** Their trees stay locked meanwhile. */
const most_at_once = 50
/** After that, beats are written again; the rest follows. */
const most_ms = 250
const most_tries = 20

/** Who writes into the journal here. */
export function line(load_balancer_id: string, amphora_id: string) {
  return { load_balancer_id, generation: null, actor: 'health', object_type: 'amphora', object_id: amphora_id } as const
}
