/** The kernel's table of virtual servers, /proc/net/ip_vs, and what it says of a UDP listener. */
import { isIP, isIPv6 } from 'node:net'
import type { ReportedPool } from '../amphora/heartbeat.ts'
import { type DatagramListener, type DatagramMember, vipsOf } from '../amphora/nftables/datagram-listener.ts'
import { placeOf } from './address.ts'

/** Reads the table. Addresses and ports are hexadecimal in it, those of IPv6 in brackets. */
export function parseVirtualServers(text: string): VirtualServer[] {
  const found: VirtualServer[] = []
  let inside = false
  for (const line of text.split('\n')) {
    const member = /^ {2}-> (\S+)\s+\S+\s+(\d+)\s+(\d+)\s+(\d+)\s*$/.exec(line)
    if (member !== null && inside) {
      const [, place, weight, active, inactive] = member
      found
        .at(-1)!
        .members.push({ place: placeIn(place!), weight: Number(weight), flows: Number(active) + Number(inactive) })
      continue
    }
    const server = /^([A-Z]+) {2}(\S+:[0-9A-F]{4}) (\S+)/.exec(line)
    // one that is found by a mark has no address, and is not ours
    inside = server !== null
    if (server !== null)
      found.push({ protocol: server[1]!, place: placeIn(server[2]!), scheduler: server[3]!, members: [] })
  }
  return found
}

export type VirtualServer = {
  protocol: string
  place: string
  scheduler: string
  /** Flows of UDP may stand in either column, by the kernel's age. */
  members: { place: string; weight: number; flows: number }[]
}

/** Those of the listener. */
export function serversOf(document: DatagramListener, table: VirtualServer[]): VirtualServer[] {
  const places = new Set(vipsOf(document).map(vip => placeOf(vip, document.protocol_port)))
  return table.filter(each => each.protocol === document.protocol && places.has(each.place))
}

/** Whether all that keepalived was told of is there: who of the members answers, it finds out by and by. */
export function isServed(document: DatagramListener, table: VirtualServer[]): boolean {
  const there = new Set(serversOf(document, table).map(each => each.place))
  return expectedVips(document).every(vip => there.has(placeOf(vip, document.protocol_port)))
}

/** VIPs that have an enabled member of their family. */
export function expectedVips(document: DatagramListener): string[] {
  if (!document.admin_state_up) return []
  const families = new Set(enabled(document).map(each => isIP(each.address)))
  return vipsOf(document).filter(vip => families.has(isIP(vip) as 4 | 6))
}

/** How many flows are remembered, and whether nobody can take another. */
export function flowsOf(document: DatagramListener, table: VirtualServer[]): { sessions: number; full: boolean } {
  const members = serversOf(document, table).flatMap(each => each.members)
  const limit = document.connection_limit
  const able = members.filter(each => each.weight > 0)
  return {
    sessions: members.reduce((sum, each) => sum + each.flows, 0),
    full: limit > 0 && able.length > 0 && able.every(each => each.flows >= limit),
  }
}

/** keepalived takes members out of the table that do not answer, and tells nobody. Before the virtual server is there
 *  nothing is known of them. */
export function poolsIn(document: DatagramListener, table: VirtualServer[]): Record<string, ReportedPool> {
  const pool = document.default_pool
  if (pool === null) return {}
  const servers = serversOf(document, table)
  const weights = new Map(servers.flatMap(each => each.members.map(one => [one.place, one.weight])))
  const vips = vipsOf(document)
  const word = (member: DatagramMember) => {
    if (!member.admin_state_up) return 'MAINT'
    if (pool.health_monitor === null) return 'no check'
    const weight = weights.get(placeOf(member.address, member.protocol_port))
    if (weight !== undefined) return weight === 0 ? 'DRAIN' : 'UP'
    const reachable = vips.some(vip => isIPv6(vip) === isIPv6(member.address))
    return reachable && servers.length === 0 ? 'RESTARTING' : 'DOWN'
  }
  const members = Object.fromEntries(pool.members.map(each => [each.id, word(each)]))
  const lost = pool.health_monitor !== null && servers.length > 0 && ![...weights.values()].some(each => each > 0)
  const nobody = enabled(document).length === 0 && pool.members.length > 0
  return { [pool.id]: { status: lost || nobody ? 'DOWN' : 'UP', members } }
}

function enabled({ default_pool }: DatagramListener): DatagramMember[] {
  return (default_pool?.members ?? []).filter(each => each.admin_state_up)
}

/** `0A000063:0050`, or `[fd00:…:0011]:0050`. */
function placeIn(text: string): string {
  const at = text.lastIndexOf(':')
  const port = Number.parseInt(text.slice(at + 1), 16)
  const host = text.slice(0, at)
  if (host.startsWith('[')) return placeOf(host.slice(1, -1), port)
  return placeOf((host.match(/../g) ?? []).map(each => Number.parseInt(each, 16)).join('.'), port)
}
