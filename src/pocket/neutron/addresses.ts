/** Which addresses a port gets: those asked for, else free ones of the network's subnets. Pure but for the choice. */
import { Address4, Address6 } from 'ip-address'
import { Refusal } from '../service.ts'
import type { FixedIp, Subnet } from './documents.ts'

export type WantedIp = { subnet_id?: string; ip_address?: string }

/** Neutron's rules: SLAAC subnets give every port their address by its MAC; of the others a port without wishes gets one
 *  IPv4 and one IPv6 address. `taken` says whether another port has the address. */
export function chooseAddresses(
  subnets: Subnet[],
  mac_address: string,
  wanted: WantedIp[] | undefined,
  taken: (subnet_id: string, ip_address: string) => boolean,
): FixedIp[] {
  const chosen: FixedIp[] = []
  const add = (subnet: Subnet, ip_address: string) => {
    if (!chosen.some(ip => ip.subnet_id === subnet.id && ip.ip_address === ip_address))
      chosen.push({ subnet_id: subnet.id, ip_address })
  }
  const free = (subnet: Subnet) =>
    freeAddress(subnet, address => taken(subnet.id, address) || chosen.some(ip => ip.ip_address === address))
  const automatic = subnets.filter(isAutomatic)
  if (wanted === undefined) {
    const others = subnets.filter(subnet => !isAutomatic(subnet))
    for (const version of [4, 6]) {
      const candidates = others.filter(subnet => subnet.ip_version === version)
      const found = candidates.map(subnet => ({ subnet, address: free(subnet) })).find(c => c.address !== null)
      if (found) add(found.subnet, found.address!)
      else if (candidates.length > 0) throw exhausted(candidates[0]!.network_id)
    }
  }
  for (const { subnet_id, ip_address } of wanted ?? []) {
    const subnet = subnets.find(s =>
      subnet_id ? s.id === subnet_id : ip_address !== undefined && contains(s.cidr, ip_address),
    )
    if (!subnet) {
      if (subnet_id)
        throw new Refusal(
          400,
          'InvalidInput',
          `Invalid input for operation: Failed to create port on network, because fixed_ips included invalid subnet ${subnet_id}.`,
        )
      throw new Refusal(
        400,
        'InvalidIpForNetwork',
        `IP address ${ip_address} is not a valid IP for any of the subnets on the specified network.`,
      )
    }
    if (ip_address === undefined) {
      const address = isAutomatic(subnet) ? slaacAddress(subnet.cidr, mac_address) : free(subnet)
      if (address === null) throw exhausted(subnet.network_id)
      add(subnet, address)
      continue
    }
    if (!isAddress(ip_address))
      throw new Refusal(
        400,
        'HTTPBadRequest',
        `Invalid input for fixed_ips. Reason: '${ip_address}' is not a valid IP address.`,
      )
    if (isAutomatic(subnet) && canonical(ip_address) !== slaacAddress(subnet.cidr, mac_address))
      throw new Refusal(
        400,
        'InvalidInput',
        `Invalid input for operation: IPv6 address ${ip_address} can not be directly assigned to a port on subnet ${subnet.id} since the subnet is configured for automatic addresses.`,
      )
    if (!isHostAddress(subnet.cidr, ip_address))
      throw new Refusal(
        400,
        'InvalidIpForSubnet',
        `IP address ${ip_address} is not a valid IP for the specified subnet.`,
      )
    const address = canonical(ip_address)
    if (taken(subnet.id, address))
      throw new Refusal(
        409,
        'IpAddressAlreadyAllocated',
        `IP address ${address} already allocated in subnet ${subnet.id}`,
      )
    add(subnet, address)
  }
  for (const subnet of automatic)
    if (!chosen.some(ip => ip.subnet_id === subnet.id)) add(subnet, slaacAddress(subnet.cidr, mac_address))
  return chosen
}

export function isAutomatic(subnet: Subnet): boolean {
  return subnet.ipv6_address_mode === 'slaac' || subnet.ipv6_address_mode === 'dhcpv6-stateless'
}

/** Whether the address lies in the prefix; false for another family, or for what is no address. */
export function contains(cidr: string, address: string): boolean {
  if (!isAddress(address) || cidr.includes(':') !== address.includes(':')) return false
  return address.includes(':')
    ? new Address6(address).isInSubnet(new Address6(cidr))
    : new Address4(address).isInSubnet(new Address4(cidr))
}

export function isAddress(text: string): boolean {
  return !text.includes('/') && (Address4.isValid(text) || Address6.isValid(text))
}

export function isPrefix(text: string): boolean {
  return Address4.isValid(text) || Address6.isValid(text)
}

/** RFC 5952 for IPv6. */
export function canonical(address: string): string {
  return address.includes(':') ? new Address6(address).correctForm() : new Address4(address).correctForm()
}

/** The prefix with its host bits cleared. */
export function canonicalPrefix(cidr: string): string {
  const length = cidr.split('/')[1] ?? (cidr.includes(':') ? '128' : '32')
  return `${networkAddress(`${cidr.split('/')[0]}/${length}`)}/${length}`
}

/** What a subnet gives out when nobody says: all but the network, the gateway and, for IPv4, the broadcast address. */
export function poolsOf(cidr: string, gateway_ip: string | null): { start: string; end: string }[] {
  const v6 = cidr.includes(':')
  const [first, last] = bounds(cidr)
  const tight = last - first <= 1n
  const [low, high] = tight ? [first, last] : [first + 1n, v6 ? last : last - 1n]
  const gateway = gateway_ip === null ? null : toNumber(gateway_ip)
  const ranges =
    gateway === null || gateway < low || gateway > high
      ? [[low, high]]
      : [
          [low, gateway - 1n],
          [gateway + 1n, high],
        ]
  return ranges.filter(([a, b]) => a! <= b!).map(([a, b]) => ({ start: toAddress(a!, v6), end: toAddress(b!, v6) }))
}

export type Pool = { start: string; end: string }

export function inPool(address: string, start: string, end: string): boolean {
  const number = toNumber(address)
  return number >= toNumber(start) && number <= toNumber(end)
}

/** How many addresses a subnet can give out. */
export function poolSize(pools: { start: string; end: string }[]): bigint {
  return pools.reduce((sum, { start, end }) => sum + toNumber(end) - toNumber(start) + 1n, 0n)
}

/** Any free address of the pools: the search begins at a random place, so that a freed address is not soon used again. */
function freeAddress(subnet: Subnet, taken: (address: string) => boolean): string | null {
  const v6 = subnet.ip_version === 6
  const size = poolSize(subnet.allocation_pools)
  if (size <= 0n) return null
  const tries = size < 65_536n ? Number(size) : 65_536
  const first = BigInt(Math.floor(Math.random() * Number(size < 1n << 48n ? size : 1n << 48n)))
  for (let index = 0; index < tries; index++) {
    let offset = (first + BigInt(index)) % size
    for (const { start, end } of subnet.allocation_pools) {
      const length = toNumber(end) - toNumber(start) + 1n
      if (offset >= length) {
        offset -= length
        continue
      }
      const address = toAddress(toNumber(start) + offset, v6)
      if (!taken(address)) return address
      break
    }
  }
  return null
}

/** RFC 4291: the interface identifier by the MAC, its universal bit turned. */
function slaacAddress(cidr: string, mac_address: string): string {
  const bytes = mac_address.split(':').map(byte => Number.parseInt(byte, 16))
  const eui = [bytes[0]! ^ 2, bytes[1]!, bytes[2]!, 0xff, 0xfe, bytes[3]!, bytes[4]!, bytes[5]!]
  const identifier = eui.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
  return toAddress(bounds(cidr)[0] | identifier, true)
}

function networkAddress(cidr: string): string {
  return toAddress(bounds(cidr)[0], cidr.includes(':'))
}

function bounds(cidr: string): [bigint, bigint] {
  const [address, length] = cidr.split('/')
  const width = cidr.includes(':') ? 128n : 32n
  const host = (1n << (width - BigInt(length!))) - 1n
  const first = toNumber(address!) & ~host
  return [first, first | host]
}

function toNumber(address: string): bigint {
  return address.includes(':') ? new Address6(address).bigInt() : new Address4(address).bigInt()
}

function toAddress(number: bigint, v6: boolean): string {
  return v6 ? Address6.fromBigInt(number).correctForm() : Address4.fromBigInt(number).correctForm()
}

/** Not the network's own address, nor IPv4's broadcast address. */
function isHostAddress(cidr: string, address: string): boolean {
  if (!contains(cidr, address)) return false
  const v6 = cidr.includes(':')
  const [first, last] = bounds(cidr)
  if (last - first <= 1n) return true
  const number = toNumber(address)
  return number !== first && (v6 || number !== last)
}

function exhausted(network_id: string): Refusal {
  return new Refusal(409, 'IpAddressGenerationFailure', `No more IP addresses available on network ${network_id}.`)
}
