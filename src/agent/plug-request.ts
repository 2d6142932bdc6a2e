/** What a plug request asks for, read from its body and checked word by word. */
import { isIP, isIPv6 } from 'node:net'
import type { Route } from '../amphora/rest.ts'
import { frameworkError, Refusal } from './answer.ts'
import type { Addressing } from './interface-file.ts'

export type PlugRequest = {
  mac_address: string
  addressing: Addressing
  /** Addresses that keepalived puts on the interface and takes off again. */
  keepalived_owns: string[]
  /** Beside the VIP itself. */
  further_vips: string[]
  /** Of the link on a network host; null in an amphora, where the MAC address tells. */
  interface_name: string | null
}

/** The VIP beside the amphora's own address; without the latter (a controller of Mitaka) it is the interface's own. */
export function readVipRequest(vip: string, body: Buffer): PlugRequest {
  const invalid = () => frameworkError(400, 'Invalid subnet information')
  const request = jsonObject(body) ?? refuse(invalid())
  const { subnet_cidr, gateway, mac_address, vrrp_ip } = request
  if (subnet_cidr === undefined || gateway === undefined) throw invalid()
  if (!isAddress(vip)) throw new Refusal(400, { message: 'Invalid VIP' })
  const prefix_length = prefixOf(subnet_cidr, invalid)
  if (gateway !== null && !isAddress(gateway)) throw invalid()
  if (vrrp_ip != null && !isAddress(vrrp_ip)) throw new Refusal(400, { message: `Invalid VRRP Address: ${vrrp_ip}` })
  const host = isIPv6(vip) ? 128 : 32
  const alone = vrrp_ip == null || vrrp_ip === vip
  const others = additionalVips(request.additional_vips, invalid)
  const addresses = [
    { address: alone ? vip : vrrp_ip, prefix_length },
    ...(alone ? [] : [{ address: vip, prefix_length: host }]),
    ...others.flatMap(other => other.addresses),
  ]
  const owned = [...(alone ? [] : [vip]), ...others.map(other => other.vip)]
  return {
    mac_address: macOf(mac_address, invalid),
    interface_name: linkOf(request.interface_name, invalid),
    further_vips: others.map(other => other.vip),
    keepalived_owns: request.topology === 'ACTIVE_STANDBY' ? owned : [],
    addressing: {
      addresses,
      gateways: [gateway, ...others.map(other => other.gateway)].filter(one => one !== null),
      routes: [...routesOf(request.host_routes, invalid), ...others.flatMap(other => other.routes)],
      mtu: mtuOf(request.mtu, invalid),
    },
  }
}

/** Further VIPs, on other subnets of the same network; on each the amphora has an address of its own if it is told one. */
function additionalVips(given: unknown, invalid: () => Refusal) {
  if (given === undefined || given === null) return []
  if (!Array.isArray(given)) throw invalid()
  return (given as unknown[]).map(each => {
    if (!isObject(each) || !isAddress(each.ip_address)) throw invalid()
    const { ip_address: vip, vrrp_ip, gateway = null } = each
    if (gateway !== null && !isAddress(gateway)) throw invalid()
    if (vrrp_ip != null && !isAddress(vrrp_ip)) throw invalid()
    const own = vrrp_ip == null ? [] : [{ address: vrrp_ip, prefix_length: prefixOf(each.subnet_cidr, invalid) }]
    const addresses = [...own, { address: vip, prefix_length: isIPv6(vip) ? 128 : 32 }]
    return { vip, addresses, gateway, routes: routesOf(each.host_routes, invalid) }
  })
}

/** Addresses of a member's network. No default route: that one is the VIP's. */
export function readNetworkRequest(body: Buffer): PlugRequest {
  const unreadable = () => frameworkError(400, 'Invalid port information')
  const invalid = () => new Refusal(400, { message: 'Invalid network port' })
  const request = jsonObject(body) ?? refuse(unreadable())
  const mac_address = macOf(request.mac_address, unreadable)
  const fixed_ips: unknown = request.fixed_ips ?? []
  if (!Array.isArray(fixed_ips)) throw invalid()
  const addressing: Addressing = { addresses: [], gateways: [], routes: [], mtu: mtuOf(request.mtu, invalid) }
  for (const each of fixed_ips as unknown[]) {
    if (!isObject(each) || !isAddress(each.ip_address)) throw invalid()
    addressing.addresses.push({ address: each.ip_address, prefix_length: prefixOf(each.subnet_cidr, invalid) })
    addressing.routes.push(...routesOf(each.host_routes, invalid))
  }
  const interface_name = linkOf(request.interface_name, invalid)
  return { mac_address, addressing, keepalived_owns: [], further_vips: [], interface_name }
}

type Refuse = () => Refusal

function refuse(refusal: Refusal): never {
  throw refusal
}

function jsonObject(body: Buffer): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'))
    return isObject(value) ? value : null
  } catch {
    return null
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value)
}

/** Without a zone: these words end up in a batch file of `ip`. */
function isAddress(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-fA-F.:]+$/.test(value) && isIP(value) !== 0
}

function prefixOf(cidr: unknown, refusal: Refuse): number {
  const [address, prefix, ...more] = typeof cidr === 'string' ? cidr.split('/') : []
  if (!isAddress(address) || prefix === undefined || more.length > 0 || !/^\d{1,3}$/.test(prefix)) throw refusal()
  if (Number(prefix) > (isIPv6(address) ? 128 : 32)) throw refusal()
  return Number(prefix)
}

function macOf(value: unknown, refusal: Refuse): string {
  if (typeof value !== 'string' || !/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(value)) throw refusal()
  return value.toLowerCase()
}

function linkOf(value: unknown, refusal: Refuse): string | null {
  if (value == null) return null
  if (typeof value !== 'string' || !/^tap[0-9a-f-]{11}$/.test(value)) throw refusal()
  return value
}

function mtuOf(value: unknown, refusal: Refuse): number | null {
  if (value == null) return null
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 68 || value > 65_535) throw refusal()
  return value
}

function routesOf(value: unknown, refusal: Refuse): Route[] {
  if (value == null) return []
  if (!Array.isArray(value)) throw refusal()
  return (value as unknown[]).map(route => {
    if (!isObject(route) || !isAddress(route.nexthop)) throw refusal()
    prefixOf(route.destination, refusal)
    return { destination: route.destination as string, nexthop: route.nexthop }
  })
}
