/** Rollouts: brings a new image to all amphorae by failing load balancers over, a batch at a time, as long as all is well. */
import { randomUUID } from 'node:crypto'
import type pg from 'pg'
import { change } from '../lbaas/change.ts'
import { usual_tls } from '../lbaas/tls.ts'
import type { Log } from '../service/log.ts'
import { wake } from '../store/claims.ts'
import * as journal from '../store/journal.ts'
import type { Standing } from '../store/rollouts.ts'
import * as rollouts from '../store/rollouts.ts'
import { transaction } from '../store/transaction.ts'
import * as trees from '../store/trees.ts'

export type RolloutOptions = {
  pool: pg.Pool
  /** The id of the newest image with this tag; null: there is none. */
  imageTagged: (tag: string) => Promise<string | null>
  heartbeat_timeout_s: number
  log: Log
}

/** One look at the rollout that is under way, if there is one: stops it, ends it, or begins with further load balancers.
 *  A load balancer is through when its new amphorae beat; what fails stops all that has not begun. */
export async function advance({ pool, imageTagged, heartbeat_timeout_s, log }: RolloutOptions): Promise<void> {
  const rollout = await rollouts.latest(pool)
  if (!rollout || rollout.ended_at !== null || rollout.failed !== null) return
  const { id, image_tag } = rollout
  const image_id = await imageTagged(image_tag)
  if (image_id === null) return rollouts.fail(pool, id, `no active image carries the tag ${image_tag}`)
  await rollouts.settleImage(pool, id, image_id)
  await rollouts.doomSpares(pool, image_id)
  const standings = await rollouts.standings(pool, { image_tag, image_id }, heartbeat_timeout_s)
  const broken = standings.find(one => one.under_way && one.trouble !== null)
  if (broken) {
    log.error({ rollout: id, ...broken }, 'the rollout has stopped')
    return rollouts.fail(pool, id, `load balancer ${broken.load_balancer_id}: ${broken.trouble}`)
  }
  const { next, through } = nextOf(standings, rollout)
  for (const one of next) await failOver(pool, one.load_balancer_id, image_tag)
  if (!through) return
  await rollouts.end(pool, id)
  log.info({ rollout: id, image_tag }, 'the rollout has ended: every amphora has the image')
}

/** Who is to begin now. Those that have begun hold a place of the batch until they are healthy again; who is not healthy
 *  before its turn waits, so that a rollout never takes what is left of a pair. Pure. */
export function nextOf(
  standings: readonly Standing[],
  { batch, paused }: { batch: number; paused: boolean },
): { next: Standing[]; through: boolean } {
  const busy = standings.filter(one => one.under_way || (one.outdated === 0 && !one.healthy))
  const waiting = standings.filter(one => one.outdated > 0 && !one.under_way)
  const room = paused ? 0 : Math.max(0, batch - busy.length)
  const next = waiting.filter(one => one.healthy).slice(0, room)
  return { next, through: waiting.length === 0 && busy.length === 0 }
}

async function failOver(pool: pg.Pool, load_balancer_id: string, image_tag: string): Promise<void> {
  await transaction(pool, async tx => {
    const tree = await trees.loadForUpdate(tx, load_balancer_id)
    if (tree?.load_balancer.provisioning_status !== 'ACTIVE') return // its turn comes again
    const terms = {
      now: new Date().toISOString(),
      id: randomUUID(),
      locking: 'queue' as const,
      reserved_ips: [],
      ping_allowed: true,
      tls: usual_tls,
    }
    const next = change(tree, { verb: 'failover', resource: 'load_balancer', id: load_balancer_id }, terms)
    await trees.save(tx, tree, next)
    await journal.append(tx, {
      load_balancer_id,
      generation: next.load_balancer.generation,
      actor: 'housekeeping',
      title: 'rollout',
      text: `its amphorae are to be replaced by new ones of image ${image_tag}`,
      object_type: 'load_balancer',
      object_id: load_balancer_id,
    })
    await wake(tx, load_balancer_id)
  })
}
