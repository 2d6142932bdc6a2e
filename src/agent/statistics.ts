/** haproxy's statistics: what it counted, and the states of pools and members. */
import { METRICS_BACKEND, type PoolStatus } from '../amphora/rest.ts'
import { ask } from './runtime.ts'

/** All backends with their servers. What is neither UP nor unchecked is DOWN, as the 0.5 contract has it. */
export async function poolsOf(socket: string): Promise<PoolStatus[]> {
  const { pools } = parseStatistics(await ask(socket, QUESTION), new Set())
  return Object.entries(pools).map(([uuid, { status, members }]) => ({
    uuid,
    status: folded(status),
    members: Object.fromEntries(Object.entries(members).map(([id, each]) => [id, folded(each)])),
  }))
}

/** What the worker behind the socket tells of its listeners. `leaving`: servers that are there only until their last
 *  connection ends, as `backend/server`. */
export async function statisticsOf(socket: string, leaving: Set<string>, timeout_ms: number): Promise<Statistics> {
  return parseStatistics(await ask(socket, QUESTION, timeout_ms), leaving)
}

/** Reads the answer to QUESTION. */
export function parseStatistics(text: string, leaving: Set<string>): Statistics {
  const of = (name: string) => new RegExp(`^${name}: (\\d+)$`, 'm').exec(text)?.[1] ?? ''
  const found: Statistics = {
    worker: `${of('Pid')}:${of('Start_time_sec')}`,
    stopping: of('Stopping') === '1',
    requests: 0,
    frontends: {},
    pools: {},
  }
  for (const row of rowsOf(text)) {
    const text = (column: string) => row[column] ?? ''
    const number = (column: string) => Number(text(column)) || 0
    const [proxy, name] = [text('pxname'), text('svname')]
    if (proxy === '' || isMetrics(proxy)) continue
    if (name === 'FRONTEND') {
      const counters = { tx: number('bout'), rx: number('bin'), totconns: number('stot'), ereq: number('ereq') }
      found.frontends[proxy] = { status: text('status'), sessions: number('scur'), counters }
      continue
    }
    found.pools[proxy] ??= { status: 'DOWN', members: {} }
    if (name === 'BACKEND') {
      found.pools[proxy].status = text('status')
      found.requests += number('scur')
    } else if (!leaving.has(`${proxy}/${name}`))
      found.pools[proxy].members[name] = memberStatus(text('status'), text('weight'))
  }
  return found
}

/** The rows of an answer to `show stat`, whatever stands before it; column to value. */
export function rowsOf(said: string): Record<string, string>[] {
  const [header = '', ...lines] = said.slice(Math.max(0, said.indexOf('# pxname'))).split('\n')
  const names = header.replace(/^# /, '').split(',')
  return lines
    .filter(line => line.includes(','))
    .map(line => Object.fromEntries(line.split(',').map((value, i) => [names[i] ?? '', value])))
}

export type Counters = { tx: number; rx: number; totconns: number; ereq: number }

export const none: Counters = { tx: 0, rx: 0, totconns: 0, ereq: 0 }

export type Statistics = {
  /** Another one after each reload. */
  worker: string
  /** It accepts nothing any more. */
  stopping: boolean
  /** Those (of TCP: connections) that it has in its hands; a session may idle. */
  requests: number
  /** By listener. Statuses in haproxy's words. */
  frontends: Record<string, { status: string; sessions: number; counters: Counters }>
  /** By backend: the pool's id, where several listeners share the process with `:` and the listener's. */
  pools: Record<string, Pool>
}

type Pool = { status: string; members: Record<string, string> }

/** The listener's own of them, by pool. */
export function poolsOfListener({ pools }: Statistics, listener_id: string): Record<string, Pool> {
  const own = Object.entries(pools).flatMap(([backend, pool]): [string, Pool][] => {
    const [pool_id = '', of = listener_id] = backend.split(':')
    return of === listener_id ? [[pool_id, pool]] : []
  })
  return Object.fromEntries(own)
}

/** It is the agent's, and nobody's pool. */
export function isMetrics(backend: string): boolean {
  return backend.split(':')[0] === METRICS_BACKEND
}

/** Frontends, backends and servers. */
const QUESTION = 'show info;show stat -1 7 -1'

/** A member that gets nothing new is UP for haproxy. */
function memberStatus(status: string, weight: string): string {
  return status === 'UP' && weight === '0' ? 'DRAIN' : status
}

export function folded(status: string): string {
  if (/^(UP|DRAIN)\b/.test(status)) return 'UP'
  return status === 'no check' ? status : 'DOWN'
}
