/** The cloud's state: documents in memory, written through to PostgreSQL before anyone hears that they changed. */
import pg from 'pg'

/** Any stored object: what the APIs show of it, and what they do not (names that begin with an underscore). */
export type Document = { id: string; [field: string]: unknown }

export type Change = { kind: string; id: string; document: Document | null }

/** One program alone owns the state, so reads come from memory. A commit shows in memory at once, so that two requests
 *  cannot both take an address, and is undone there if PostgreSQL refuses it. */
export class Store {
  readonly #pool: pg.Pool
  readonly #kinds = new Map<string, Map<string, Document>>()
  #writes: Promise<unknown> = Promise.resolve()

  private constructor(pool: pg.Pool) {
    this.#pool = pool
  }

  static async open(database_url: string): Promise<Store> {
    const pool = new pg.Pool({ connectionString: database_url, max: 4, application_name: 'pocket' })
    pool.on('error', () => {}) // an idle connection broke; the pool opens another
    await pool.query(`
      create schema if not exists pocket;
      create table if not exists pocket.documents (
        kind text not null,
        id text not null,
        position bigserial not null,
        document jsonb not null,
        primary key (kind, id)
      )`)
    const store = new Store(pool)
    const { rows } = await pool.query('select kind, id, document from pocket.documents order by position')
    for (const { kind, id, document } of rows) store.#kind(kind).set(id, document)
    return store
  }

  /** In the order of their making. */
  all<D extends Document = Document>(kind: string): D[] {
    return [...this.#kind(kind).values()] as D[]
  }

  get<D extends Document = Document>(kind: string, id: string): D | undefined {
    return this.#kind(kind).get(id) as D | undefined
  }

  /** Writes all changes or none. Resolves when they are on disk. */
  async commit(...changes: Change[]): Promise<void> {
    const before = changes.map(({ kind, id }) => ({ kind, id, document: this.#kind(kind).get(id) ?? null }))
    this.#apply(changes)
    const write = this.#writes.then(() => this.#write(changes))
    this.#writes = write.catch(() => {})
    try {
      await write
    } catch (error) {
      this.#apply(before)
      throw error
    }
  }

  async close(): Promise<void> {
    await this.#writes
    await this.#pool.end()
  }

  #kind(kind: string): Map<string, Document> {
    const known = this.#kinds.get(kind) ?? new Map<string, Document>()
    this.#kinds.set(kind, known)
    return known
  }

  #apply(changes: Change[]): void {
    for (const { kind, id, document } of changes)
      if (document === null) this.#kind(kind).delete(id)
      else this.#kind(kind).set(id, document)
  }

  async #write(changes: Change[]): Promise<void> {
    const gone = changes.filter(change => change.document === null)
    const kept = changes.filter(change => change.document !== null)
    await this.#pool.query(
      `with gone as (
         delete from pocket.documents d using unnest($1::text[], $2::text[]) g(kind, id) where d.kind = g.kind and d.id = g.id
       )
       insert into pocket.documents (kind, id, document)
       select * from unnest($3::text[], $4::text[], $5::jsonb[])
       on conflict (kind, id) do update set document = excluded.document`,
      [
        gone.map(change => change.kind),
        gone.map(change => change.id),
        kept.map(change => change.kind),
        kept.map(change => change.id),
        kept.map(change => JSON.stringify(change.document)),
      ],
    )
  }
}

/** A change that keeps a document. */
export function keep(kind: string, document: Document): Change {
  return { kind, id: document.id, document }
}

/** A change that deletes one. */
export function drop(kind: string, id: string): Change {
  return { kind, id, document: null }
}
