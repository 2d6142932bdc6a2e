/** The spare pool: amphorae that are booted before anybody needs them, so that creating and replacing are quick. */
import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import type { Amphora } from '../lbaas/amphora.ts'
import type { Log } from '../service/log.ts'
import * as spares from '../store/spares.ts'

/** How a provider makes and ends a spare. Both may be killed at any instant and called again. */
export type SpareMaker = {
  /** `record` writes what has been learnt so far. Resolves when its agent answers. */
  make: (spare: Amphora, record: (facts: Partial<Amphora>) => Promise<void>, signal: AbortSignal) => Promise<void>
  /** Resolves when nothing of it is left in the cloud. */
  unmake: (spare: Amphora, signal: AbortSignal) => Promise<void>
}

/** Brings the pool to its size: what is to go goes, what was begun is finished, what lacks is made. What fails is logged,
 *  and tried again in the next round. `renew_before`: spares whose certificate ends before that are made anew. */
export async function keepSpares(
  pool: pg.Pool,
  maker: SpareMaker,
  wanted: { size: number; renew_before: Date },
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  await adjust(pool, wanted)
  const known = await spares.all(pool)
  const work = known.map(async spare => {
    try {
      if (spare.status === 'PENDING_DELETE') {
        await maker.unmake(spare, signal)
        await spares.forget(pool, [spare.id])
      } else if (spare.status !== 'READY') {
        await maker.make(spare, facts => recorded(pool, spare.id, facts), signal)
        await recorded(pool, spare.id, { status: 'READY' })
        log.info({ amphora_id: spare.id }, 'a spare amphora is ready')
      }
    } catch (error) {
      if (signal.aborted) return
      log.warn({ amphora_id: spare.id, err: (error as Error).message }, 'a spare failed; it is tried again')
      if (spare.status !== 'PENDING_DELETE') await spares.record(pool, spare.id, { status: 'ERROR' })
    }
  })
  await Promise.all(work)
}

async function adjust(pool: pg.Pool, { size, renew_before }: { size: number; renew_before: Date }) {
  const known = (await spares.all(pool)).filter(spare => spare.status !== 'PENDING_DELETE')
  const old = known.filter(
    ({ cert_expiration }) => cert_expiration !== null && new Date(cert_expiration) < renew_before,
  )
  const good = known.filter(spare => !old.includes(spare))
  for (const spare of [...old, ...good.slice(size)]) await spares.doom(pool, spare.id)
  for (let n = good.length; n < size; n++) await spares.insert(pool, randomUUID(), new Date().toISOString())
}

async function recorded(pool: pg.Pool, id: string, facts: Partial<Amphora>): Promise<void> {
  if (!(await spares.record(pool, id, facts))) throw new Error('it is to go, or gone')
}
