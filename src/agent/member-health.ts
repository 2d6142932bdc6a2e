/** What monitors found out about the members of one UDP listener: who is asked, who is down, and the words for it. */
import type { ReportedPool } from '../amphora/heartbeat.ts'
import type { DatagramListener, DatagramMember } from '../amphora/nftables/datagram-listener.ts'
import { keeping } from '../amphora/nftables/ruleset.ts'
import type { CheckOrder } from './checks.ts'

/** Being down is what the rules go by; the words are said when the rules have followed. */
export class MemberHealth {
  readonly down = new Set<string>()
  /** haproxy's. */
  readonly #words = new Map<string, string>()
  /** Where each is asked: what was found out there says nothing about elsewhere. */
  #watched = new Map<string, string>()

  /** What was known before the agent's start. */
  recall(document: DatagramListener, down: string[]): void {
    this.#watched = placesOf(document)
    for (const id of down) if (this.#watched.has(id)) this.#expel(id)
  }

  /** Forgets those that are not asked any more, or elsewhere. */
  keepFor(document: DatagramListener): void {
    const places = placesOf(document)
    for (const [id, place] of this.#watched) {
      if (places.get(id) === place) continue
      this.#words.delete(id)
      this.down.delete(id)
    }
    this.#watched = places
  }

  clear(): void {
    this.down.clear()
    this.#words.clear()
    this.#watched.clear()
  }

  expects(member_id: string): boolean {
    return this.#watched.has(member_id)
  }

  /** Does the word say of the member what the rules go by? */
  agrees(member_id: string, word: string): boolean {
    return isDown(word) === this.down.has(member_id)
  }

  /** From now on the rules are to go by that. */
  turn(member_id: string, word: string): void {
    if (isDown(word)) this.down.add(member_id)
    else this.down.delete(member_id)
  }

  note(member_id: string, word: string): void {
    this.#words.set(member_id, word)
  }

  /** Who is to be asked how. */
  ordersFor(document: DatagramListener): CheckOrder[] {
    return ordersOf(document).map(each => ({ ...each, down: this.down.has(each.member_id) }))
  }

  poolsOf(document: DatagramListener): Record<string, ReportedPool> {
    const pool = document.default_pool
    if (pool === null) return {}
    const word = (member: DatagramMember) => {
      if (!member.admin_state_up) return 'MAINT'
      const found = pool.health_monitor === null ? 'no check' : (this.#words.get(member.id) ?? 'UP')
      return found === 'UP' && member.weight === 0 ? 'DRAIN' : found
    }
    const members = Object.fromEntries(pool.members.map(each => [each.id, word(each)]))
    const able = keeping(document, this.down).some(each => each.weight > 0)
    return { [pool.id]: { status: able || pool.members.length === 0 ? 'UP' : 'DOWN', members } }
  }

  #expel(id: string): void {
    this.down.add(id)
    this.#words.set(id, 'DOWN')
  }
}

function isDown(word: string): boolean {
  return word.startsWith('DOWN')
}

function placesOf(document: DatagramListener): Map<string, string> {
  return new Map(ordersOf(document).map(each => [each.member_id, each.place]))
}

function ordersOf({ default_pool }: DatagramListener): CheckOrder[] {
  const monitor = default_pool?.health_monitor
  if (!default_pool || !monitor) return []
  return default_pool.members
    .filter(each => each.admin_state_up)
    .map(({ id, address, protocol_port, monitor_address, monitor_port }) => {
      const where = { address: monitor_address ?? address, port: monitor_port ?? protocol_port }
      const place = `${monitor.type} ${where.address} ${where.port}`
      return { member_id: id, place, ...where, monitor, down: false }
    })
}
