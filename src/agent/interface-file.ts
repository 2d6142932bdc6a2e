/** The text of interfaces.d/<name>.cfg: how an interface is remembered over a reboot (Debian's ifupdown form). */
import { isIPv6 } from 'node:net'
import type { Route } from '../amphora/rest.ts'

/** The first address is the interface's own; those after it are its aliases (`eth1:0` is the VIP). */
export type Addressing = {
  addresses: { address: string; prefix_length: number }[]
  /** Of the default routes, one of each family. */
  gateways: string[]
  routes: Route[]
  mtu: number | null
}

export function renderInterfaceFile(name: string, { addresses, gateways, routes, mtu }: Addressing): string {
  if (addresses.length === 0) {
    return ['', `auto ${name}`, `iface ${name} inet manual`, ...mtuLine(mtu), ...routeLines(name, routes), ''].join(
      '\n',
    )
  }
  const stanzas = addresses.map(({ address, prefix_length }, i) => {
    const label = i === 0 ? name : `${name}:${i - 1}`
    const family = isIPv6(address) ? 'inet6' : 'inet'
    const netmask = isIPv6(address) ? String(prefix_length) : dotted(prefix_length)
    return [
      '',
      `auto ${label}`,
      `iface ${label} ${family} static`,
      `    address ${address}`,
      `    netmask ${netmask}`,
      ...(i === 0 ? gateways.map(gateway => `    gateway ${gateway}`) : []),
      ...(i === 0 ? [...mtuLine(mtu), ...routeLines(name, routes)] : []),
      '',
    ].join('\n')
  })
  return stanzas.join('')
}

/** Reads what renderInterfaceFile wrote. */
export function parseInterfaceFile(text: string): Addressing {
  const found: Addressing = { addresses: [], gateways: [], routes: [], mtu: null }
  let address = ''
  for (const line of text.split('\n')) {
    const [key, ...rest] = line.trim().split(/\s+/)
    const value = rest[0] ?? ''
    if (key === 'address') address = value
    else if (key === 'netmask') found.addresses.push({ address, prefix_length: prefixLength(value) })
    else if (key === 'gateway') found.gateways.push(value)
    else if (key === 'mtu') found.mtu = Number(value)
    else if (key === 'up') found.routes.push({ destination: rest[3]!, nexthop: rest[5]! })
  }
  return found
}

function mtuLine(mtu: number | null): string[] {
  return mtu === null ? [] : [`    mtu ${mtu}`]
}

function routeLines(name: string, routes: Route[]): string[] {
  return routes.flatMap(({ destination, nexthop }) => [
    `    up ip route add ${destination} via ${nexthop} dev ${name} onlink`,
    `    down ip route del ${destination} via ${nexthop} dev ${name}`,
  ])
}

function dotted(prefix_length: number): string {
  const bits = '1'.repeat(prefix_length).padEnd(32, '0')
  return [0, 8, 16, 24].map(at => Number.parseInt(bits.slice(at, at + 8), 2)).join('.')
}

function prefixLength(netmask: string): number {
  if (!netmask.includes('.')) return Number(netmask)
  return netmask
    .split('.')
    .map(octet => Number(octet).toString(2).replaceAll('0', '').length)
    .reduce((sum, each) => sum + each, 0)
}
