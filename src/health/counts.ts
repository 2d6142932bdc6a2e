/** What the health program counts, and how Prometheus sees it. */
import { Counter, Gauge, type Registry } from 'prom-client'

/** Why a datagram was not a sign of life. `foreign`: from an address that is not its amphora's. `replayed`: not newer
 *  than what was heard before. `unknown`: there is no such amphora. `overrun`: more than could be kept. `refused`: the
 *  database would not take it. */
export const reasons = [
  'truncated',
  'forged',
  'oversized',
  'unreadable',
  'foreign',
  'replayed',
  'unknown',
  'overrun',
  'refused',
] as const
export type Reason = (typeof reasons)[number]

/** Plain numbers: they are counted for every datagram, and looked at every few seconds. */
export class Counts {
  received = 0
  written = 0
  folded = 0
  marked = 0
  waiting = 0
  failed_batches = 0
  silent = 0
  breaker_open = 0
  judging = 0
  /** Datagrams that the kernel threw away because nobody fetched them. */
  lost = 0
  readonly dropped: Record<Reason, number> = Object.fromEntries(reasons.map(reason => [reason, 0])) as never
}

export function exposeCounts(registry: Registry, counts: Counts): void {
  const counter = (name: string, help: string, read: () => number) =>
    new Counter({
      name: `ottavia_${name}`,
      help,
      registers: [registry],
      collect() {
        this.reset()
        this.inc(read())
      },
    })
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name: `ottavia_${name}`,
      help,
      registers: [registry],
      collect() {
        this.set(read())
      },
    })
  counter('heartbeats_received_total', 'Datagrams received.', () => counts.received)
  counter('heartbeats_written_total', 'Signs of life written.', () => counts.written)
  counter('heartbeats_lost_total', 'Datagrams that the kernel dropped: its buffer was full.', () => counts.lost)
  counter('heartbeat_batches_failed_total', 'Batches that could not be written at once.', () => counts.failed_batches)
  counter('operating_folds_total', 'Load balancers whose statuses were folded.', () => counts.folded)
  counter('amphorae_given_up_total', 'Silent amphorae that were marked for replacement.', () => counts.marked)
  gauge('heartbeats_waiting', 'Amphorae whose newest beat is to be written.', () => counts.waiting)
  gauge('amphorae_silent', 'Amphorae that are silent and not being replaced.', () => counts.silent)
  gauge(
    'breaker_open',
    '1 while replacing has stopped because too many amphorae are silent.',
    () => counts.breaker_open,
  )
  gauge('silence_judged', '1 while this process has listened long enough to judge.', () => counts.judging)
  new Counter({
    name: 'ottavia_heartbeats_dropped_total',
    help: 'Datagrams that were no sign of life, by reason.',
    labelNames: ['reason'],
    registers: [registry],
    collect() {
      this.reset()
      for (const reason of reasons) this.inc({ reason }, counts.dropped[reason])
    },
  })
}
