/** The text of one heartbeat, as a pure function of what the agent sees. */
import type { Heartbeat, OwnReport, ReportedListener, ReportedPool } from '../amphora/heartbeat.ts'
import { type Counters, folded } from './statistics.ts'
import { over } from './totals.ts'

export function heartbeatOf(form: '0.5' | '1.0', { id, seq, listeners, own }: Seen): Heartbeat {
  return form === '0.5' ? older({ id, seq, listeners, own }) : newer({ id, seq, listeners, own })
}

export type Seen = { id: string; seq: number; listeners: SeenListener[]; own: Omit<OwnReport, 'counters'> }

export type SeenListener = {
  id: string
  answer: Answered
  /** All that was ever counted, and what of it was told in the last beat. */
  totals: Counters
  told: Counters
}

/** What a listener answers; null when what serves it does not. */
export type Answered = { status: string; sessions: number; pools: Record<string, ReportedPool> } | null

/** What was found of one unit: its listeners, and how it does. */
export type LookedAt = {
  id: string
  listeners: Omit<SeenListener, 'totals' | 'told'>[]
  /** Of the uploaded configuration that runs; null when none does. */
  digest: string | null
  /** It is to serve and did not answer. */
  missed: boolean
}

/** Counters are what was added since the last beat, statuses are haproxy's own; who does not answer is absent. */
function newer({ id, seq, listeners, own }: Seen): Heartbeat {
  const answering = listeners.flatMap(({ answer, ...each }) => (answer === null ? [] : [{ ...each, answer }]))
  return {
    id,
    seq,
    ver: 3,
    listeners: record(
      answering.map(({ id, answer: { status, sessions }, totals, told }) => {
        // of one that was switched off and on again the counters have begun anew
        const { tx, rx, totconns, ereq } = over(totals, told, (now, then) => (now < then ? now : now - then))
        return [id, { status, stats: { tx, rx, conns: sessions, totconns, ereq } }]
      }),
    ),
    pools: record(
      answering.flatMap(({ id, answer }) =>
        Object.entries(answer.pools).map(([pool, each]): [string, ReportedPool] => [`${pool}:${id}`, each]),
      ),
    ),
    ottavia: {
      ...own,
      counters: record(listeners.map(({ id, totals }) => [id, totals])),
    },
  }
}

/** Counters are absolute; a member is up or down. */
function older({ id, seq, listeners }: Seen): Heartbeat {
  const reported = listeners.map(({ id, answer, totals: { tx, rx, totconns } }): [string, ReportedListener] => {
    if (answer === null) return [id, { status: 'DOWN', stats: { tx, rx, conns: 0, totconns } }]
    const pools = Object.entries(answer.pools).map(([pool, { status, members }]): [string, ReportedPool] => {
      const each = Object.entries(members).map(([member, status]): [string, string] => [member, folded(status)])
      return [pool, { status: folded(status), members: record(each) }]
    })
    const stats = { tx, rx, conns: answer.sessions, totconns }
    return [id, { status: answer.status, stats, pools: record(pools) }]
  })
  return { id, seq, listeners: record(reported) }
}

function record<T>(entries: [string, T][]): Record<string, T> {
  return Object.fromEntries(entries)
}
