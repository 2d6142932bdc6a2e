/** What amphorae report, folded into operating statuses. */
import { isMonitored } from './health-monitor.ts'
import type { OperatingStatus } from './resource.ts'
import { leaving, membersOf, type Tree, type TreeObject } from './tree.ts'

/** What one amphora saw of each object, in our words. Null: it used a word that says nothing, so nothing changes. */
export type Seen = {
  listeners: Readonly<Record<string, OperatingStatus | null>>
  pools: Readonly<Record<string, OperatingStatus | null>>
  members: Readonly<Record<string, OperatingStatus | null>>
}

/** One amphora of the tree: whether it beats, and what it said last. */
export type Witness = {
  amphora_id: string
  alive: boolean
  /** What keepalived makes of it; null where that is not known. */
  role: 'MASTER' | 'BACKUP' | null
  /** Null: it has not said anything yet. */
  seen: Seen | null
}

/** The operating statuses that become others, by object.
 *
 *  Of several serving amphorae the one that is MASTER is believed, for it is the one that carries the traffic. Where that
 *  is not known (genuine agents do not say; for a moment of a takeover there is none or there are two), each object has
 *  the worst that one of them says: any of them may be the one that serves, and trouble shown for nothing is looked into,
 *  while trouble hidden is not. What no living amphora speaks of stays as it is, except the load balancer itself. */
export function fold(tree: Tree, witnesses: readonly Witness[]): Map<string, OperatingStatus> {
  const serving = servingWitnesses(tree, witnesses)
  const voices = voicesOf(serving).map(seen => childStatuses(tree, seen))
  const statuses = new Map<string, OperatingStatus>()
  for (const object of [...tree.listeners, ...tree.pools, ...tree.members]) {
    const said = voices.map(voice => voice.get(object.id) ?? null)
    statuses.set(object.id, isPending(object) ? object.operating_status : agreed(said, object.operating_status))
  }
  statuses.set(tree.load_balancer.id, rootStatus(tree, statuses, serving.length))
  const before = new Map(
    [tree.load_balancer, ...tree.listeners, ...tree.pools, ...tree.members].map(o => [o.id, o.operating_status]),
  )
  return new Map([...statuses].filter(([id, status]) => before.get(id) !== status))
}

/** The worst of what was said. What is heard of an object of which all are silent is nothing good, unless nobody was ever
 *  to speak of it. */
function agreed(said: readonly (OperatingStatus | null)[], before: OperatingStatus): OperatingStatus {
  const words = said.filter(word => word !== null)
  if (words.length > 0) return words.reduce(worse)
  return said.length === 0 || before === 'NO_MONITOR' ? before : 'OFFLINE'
}

/** The words of a heartbeat, in ours. Pools stand at the top (1.0, under "<pool>:<listener>") or in listeners (0.5); one
 *  that several listeners use is checked by each of them, and has the worst of what they say. */
export function seenIn(message: {
  listeners: Record<string, { status: string; pools?: Record<string, ReportedPool> }>
  pools?: Record<string, ReportedPool>
}): Seen {
  const seen: { [K in keyof Seen]: Record<string, OperatingStatus | null> } = { listeners: {}, pools: {}, members: {} }
  const note = (kind: keyof Seen, id: string, status: OperatingStatus | null) => {
    const other = seen[kind][id]
    seen[kind][id] =
      other === undefined || other === null || status === null ? (status ?? other ?? null) : worse(other, status)
  }
  const notePools = (pools: Record<string, ReportedPool> = {}) => {
    for (const [key, pool] of Object.entries(pools)) {
      note('pools', key.slice(0, 36), poolWord(pool.status))
      for (const [id, word] of Object.entries(pool.members)) note('members', id, memberWord(word))
    }
  }
  for (const [id, listener] of Object.entries(message.listeners)) {
    note('listeners', id, listenerWord(listener.status))
    notePools(listener.pools)
  }
  notePools(message.pools)
  return seen
}

type ReportedPool = { status: string; members: Record<string, string> }

/** Those that count: not doomed, not still on the way to another's place, and beating. */
function servingWitnesses(tree: Tree, witnesses: readonly Witness[]): Witness[] {
  const serving = tree.amphorae.filter(amphora => amphora.status === 'ALLOCATED' && amphora.replaces === null)
  const ids = new Set(serving.map(amphora => amphora.id))
  return witnesses.filter(witness => witness.alive && ids.has(witness.amphora_id))
}

function voicesOf(serving: readonly Witness[]): Seen[] {
  const masters = serving.filter(witness => witness.role === 'MASTER')
  const heard = masters.length === 1 ? masters : serving
  return heard.flatMap(({ seen }) => (seen === null ? [] : [seen]))
}

/** Null: it did not speak of it. */
function childStatuses(tree: Tree, seen: Seen): Map<string, OperatingStatus | null> {
  const statuses = new Map<string, OperatingStatus | null>()
  for (const listener of tree.listeners) statuses.set(listener.id, listenerStatus(tree, listener, seen))
  for (const pool of tree.pools) {
    const members = membersOf(tree, pool.id).map(member => {
      const status = memberStatus(tree, member, seen)
      statuses.set(member.id, status)
      return status
    })
    statuses.set(pool.id, poolStatus(pool, seen, members))
  }
  return statuses
}

function listenerStatus(tree: Tree, listener: Tree['listeners'][number], seen: Seen): OperatingStatus {
  if (!listener.admin_state_up || !tree.load_balancer.admin_state_up) return 'OFFLINE'
  const said = seen.listeners[listener.id]
  if (said !== undefined) return said ?? listener.operating_status
  // while the load balancer is being changed, what runs may not be what it has
  if (isPending(tree.load_balancer)) return listener.operating_status
  return tree.load_balancer.provisioning_status === 'ACTIVE' ? 'ERROR' : 'OFFLINE'
}

function poolStatus(pool: Tree['pools'][number], seen: Seen, members: (OperatingStatus | null)[]): OperatingStatus {
  const said = seen.pools[pool.id]
  if (!pool.admin_state_up || said === undefined) return 'OFFLINE'
  const status = said ?? pool.operating_status
  return status === 'ONLINE' && members.includes('ERROR') ? 'DEGRADED' : status
}

function memberStatus(tree: Tree, member: Tree['members'][number], seen: Seen): OperatingStatus | null {
  if (!member.admin_state_up) return 'OFFLINE'
  const said = seen.members[member.id]
  // whatever was said before the monitor went says nothing any more
  if (!isMonitored(tree, member.pool_id)) return said === 'DRAINING' ? 'DRAINING' : 'NO_MONITOR'
  return said === undefined ? null : (said ?? member.operating_status)
}

/** Its parts' worst, and how many amphorae are left of those that it should have. A load balancer that is coming or going
 *  has no amphora to be judged by. */
function rootStatus(tree: Tree, statuses: ReadonlyMap<string, OperatingStatus>, serving: number): OperatingStatus {
  const root = tree.load_balancer
  if (root.provisioning_status === 'PENDING_CREATE' || leaving(root)) return root.operating_status
  if (!root.admin_state_up) return 'OFFLINE'
  const parts = [...tree.listeners, ...tree.pools].map(part => statuses.get(part.id)!)
  const wanted = root.topology === 'ACTIVE_STANDBY' ? 2 : 1
  if (serving === 0 || parts.includes('ERROR')) return 'ERROR'
  return serving < wanted || parts.includes('DEGRADED') ? 'DEGRADED' : 'ONLINE'
}

function isPending({ provisioning_status }: TreeObject): boolean {
  return provisioning_status.startsWith('PENDING_')
}

function listenerWord(word: string): OperatingStatus | null {
  if (word === 'OPEN') return 'ONLINE'
  if (word === 'FULL') return 'DEGRADED'
  return word === 'DOWN' ? 'ERROR' : null
}

function poolWord(word: string): OperatingStatus | null {
  if (word === 'UP') return 'ONLINE'
  return word === 'DOWN' ? 'ERROR' : null
}

/** "UP 1/2" is a member that has begun to fail, "DOWN 1/2" one that begins to recover. */
function memberWord(word: string): OperatingStatus | null {
  if (word.startsWith('UP')) return 'ONLINE'
  if (word.startsWith('DOWN')) return 'ERROR'
  if (word === 'DRAIN') return 'DRAINING'
  if (word === 'MAINT') return 'OFFLINE'
  return word === 'no check' ? 'NO_MONITOR' : null
}

function worse(a: OperatingStatus, b: OperatingStatus): OperatingStatus {
  return severity.indexOf(a) <= severity.indexOf(b) ? a : b
}

const severity: OperatingStatus[] = ['ERROR', 'DEGRADED', 'OFFLINE', 'DRAINING', 'ONLINE', 'NO_MONITOR']
