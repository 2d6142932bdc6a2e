/** The health program: receives heartbeats, writes what they say, and finds who is silent. */
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import type { Log } from '../service/log.ts'
import { isContention } from '../store/transaction.ts'
import { Batch } from './batch.ts'
import { Counts } from './counts.ts'
import { Folding } from './folding.ts'
import { Inbox } from './inbox.ts'
import { Listening } from './listening.ts'
import { openReceiver } from './receiver.ts'
import { judge } from './silent.ts'

export type HealthOptions = {
  pool: pg.Pool
  bind_ip: string
  bind_port: number
  heartbeat_key: string
  heartbeat_timeout_s: number
  health_check_interval_s: number
  /** 0: by the size of the fleet. */
  failover_threshold: number
  log: Log
}

export type Health = {
  counts: Counts
  port: () => number | null
  /** Writes what has come in, then ends. */
  close: () => Promise<void>
}

/** How often what has come in is written. */
const batch_ms = 250

export function startHealth(options: HealthOptions): Health {
  const { pool, bind_ip, bind_port, heartbeat_key, heartbeat_timeout_s, log } = options
  const counts = new Counts()
  const inbox = new Inbox(counts)
  const folding = new Folding({ pool, key: heartbeat_key, timeout_s: heartbeat_timeout_s, counts, log })
  const batch = new Batch({ pool, inbox, folding, counts, log })
  const listening = new Listening(heartbeat_timeout_s, performance.now())
  const no_socket = 'heartbeats could not be received'
  const no_database = 'the database could not be reached'
  listening.hindered(no_socket, performance.now())
  const closing = new AbortController()
  const receiver = openReceiver({
    bind_ip,
    bind_port,
    key: heartbeat_key,
    counts,
    log,
    heard: (message, source, frame) => inbox.put(message, source, frame),
    changed: on => (on ? listening.cleared : listening.hindered).call(listening, no_socket, performance.now()),
  })

  /** True: done. Without the database nothing is, and silence means nothing; others in the way are none of that. */
  const attempt = async (title: string, work: () => Promise<void>): Promise<boolean> => {
    try {
      await work()
      listening.cleared(no_database, performance.now())
      return true
    } catch (error) {
      log.warn({ err: (error as Error).message, waiting: inbox.size }, `${title} failed; it is tried again`)
      if (!isContention(error)) listening.hindered(no_database, performance.now())
      return false
    }
  }
  const pause = (wait_ms: number) => sleep(wait_ms, undefined, { signal: closing.signal }).catch(() => {})

  const writing = async () => {
    while (!closing.signal.aborted) {
      const began_ms = performance.now()
      listening.tick(began_ms)
      const good = await attempt('writing heartbeats', () => batch.write())
      if (good) await attempt('writing operating statuses', () => folding.fold())
      counts.waiting = inbox.size
      await pause(good ? Math.max(0, batch_ms - (performance.now() - began_ms)) : 1_000)
    }
  }
  const judging = async () => {
    while (!closing.signal.aborted) {
      const may = listening.mayJudge(performance.now()) ? 1 : 0
      if (may !== counts.judging) {
        if (may) log.info('this process has listened long enough to say which amphorae are silent')
        else log.warn({ reason: listening.reason }, 'nobody is judged silent until this process has listened again')
      }
      counts.judging = may
      await attempt('looking for silent amphorae', async () => {
        const { given_up, held } = await judge({
          pool,
          timeout_s: heartbeat_timeout_s,
          failover_threshold: options.failover_threshold,
          counts,
          log,
          mayJudge: database_ms => {
            listening.clock(database_ms, performance.now())
            return listening.mayJudge(performance.now())
          },
        })
        for (const { load_balancer_id } of [...given_up, ...held])
          if (load_balancer_id !== null) folding.want(load_balancer_id, null)
      })
      await pause(options.health_check_interval_s * 1000)
    }
  }
  const looping = [writing(), judging()]

  const close = async () => {
    await receiver.close()
    closing.abort()
    await Promise.all(looping)
    await batch.write()
    await folding.fold()
  }
  return { counts, port: receiver.port, close }
}
