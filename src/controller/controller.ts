/** The controller: claims load balancers that have something due, and works on several side by side. */
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import type { Log } from '../service/log.ts'
import { listen } from '../service/postgres.ts'
import { type Claim, claimNext, release, renew, wake_channel } from '../store/claims.ts'
import { claimedLedger } from './ledger.ts'
import { backoff_ms } from './outcome.ts'
import { type Provider, reconcile } from './reconcile.ts'

export type ControllerOptions = {
  pool: pg.Pool
  /** For LISTEN, which needs a connection of its own. */
  connection: string
  /** By the name in the load balancer's row. */
  providers: Map<string, Provider<unknown>>
  /** Says in rows who works, for people. */
  owner: string
  max_workers: number
  lease_s: number
  look_again_s: number
  late_effect_s: number
  log: Log
}

/** How often it looks without having been woken: wake-ups can be lost, rows cannot. */
const period_ms = 1_000

/** Works until it is closed; closing lets go of the claims, so that another controller goes on at once. */
export function startController(options: ControllerOptions): { close: () => Promise<void> } {
  const { pool, connection, max_workers, lease_s, owner, log } = options
  const closing = new AbortController()
  const working = new Set<Promise<void>>()
  let woken = Promise.withResolvers<void>()
  const wake = () => {
    woken.resolve()
    woken = Promise.withResolvers()
  }
  const listener = listen(connection, wake_channel, wake, log)

  const loop = async () => {
    while (!closing.signal.aborted) {
      const next = woken.promise
      const claim = working.size < max_workers ? await claimNext(pool, owner, lease_s).catch(away(log)) : null
      if (claim) {
        const work = workOn(options, claim, closing.signal).finally(() => {
          working.delete(work)
          wake()
        })
        working.add(work)
        continue
      }
      await Promise.race([next, sleep(period_ms, undefined, { signal: closing.signal }).catch(() => {})])
    }
  }
  const looping = loop()
  const close = async () => {
    closing.abort(new Error('the controller is stopping'))
    wake()
    await looping
    await Promise.all(working)
    await listener.close()
  }
  return { close }
}

async function workOn(options: ControllerOptions, claim: Claim, closing: AbortSignal): Promise<void> {
  const { pool, providers, lease_s, look_again_s, late_effect_s, log } = options
  const lost = new AbortController()
  const signal = AbortSignal.any([closing, lost.signal])
  const stopRenewing = keepRenewing(pool, claim, lease_s, lost)
  const ledger = claimedLedger(pool, claim, log)
  try {
    const tree = await ledger.load()
    const provider = tree && providers.get(tree.load_balancer.provider)
    if (tree && !provider) throw new Error(`no provider is called ${tree.load_balancer.provider}`)
    const around = { signal, now: () => new Date(), random: Math.random, pause, late_effect_s }
    const rest = provider ? await reconcile(provider, ledger, around, claim) : ({ kind: 'gone' } as const)
    if (rest.kind === 'gone') return // the claim's row went with the load balancer's
    // what is settled is compared with the world after a while; what is parked is tried again, slowly where it may not help
    const wait_ms =
      rest.kind === 'settled'
        ? look_again_s * 1000
        : rest.kind === 'later'
          ? Math.max(0, rest.until.getTime() - Date.now())
          : backoff_ms(claim.attempts + 1, rest.soon ? 1_000 : 10_000, rest.soon ? 30_000 : 300_000, Math.random())
    const then = { wait_ms, failed: rest.kind === 'parked', look: rest.kind === 'settled', unfinished: false }
    await release(pool, claim, then)
  } catch (error) {
    if (signal.aborted)
      log.info({ load_balancer_id: claim.load_balancer_id }, `let go: ${(signal.reason as Error).message}`)
    else log.error({ load_balancer_id: claim.load_balancer_id, err: error }, 'the work on a load balancer failed')
    // where the database is away the lease ends by itself
    const wait_ms = closing.aborted ? 0 : 2_000
    await release(pool, claim, { wait_ms, failed: !signal.aborted, look: true, unfinished: true }).catch(() => {})
  } finally {
    stopRenewing()
  }
}

/** Renews the lease thrice in its time; when that fails for the whole of it, somebody else may have the claim. */
function keepRenewing(pool: pg.Pool, claim: Claim, lease_s: number, lost: AbortController): () => void {
  let good_until_ms = performance.now() + lease_s * 1000
  const timer = setInterval(
    async () => {
      const asked_ms = performance.now()
      const kept = await renew(pool, claim, lease_s).catch(() => null)
      if (kept) good_until_ms = asked_ms + lease_s * 1000
      if (kept === false || performance.now() > good_until_ms) lost.abort(new Error('the claim is lost'))
    },
    (lease_s * 1000) / 3,
  )
  return () => clearInterval(timer)
}

async function pause(wait_ms: number, signal: AbortSignal): Promise<void> {
  await sleep(wait_ms, undefined, { signal })
}

function away(log: Log): (error: Error) => null {
  return error => {
    log.warn({ err: error.message }, 'PostgreSQL does not answer; trying again')
    return null
  }
}
