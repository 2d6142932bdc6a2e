/** Addresses as texts: one spelling of each, to compare what programs print with what controllers say. */
import net from 'node:net'

/** In the spelling of RFC 5952, with brackets taken off; what is no IPv6 address stays as it is. */
export function canonical(bare_or_in_brackets: string): string {
  const address = bare_or_in_brackets.replace(/^\[(.*)\]$/, '$1')
  return net.isIPv6(address) ? new net.SocketAddress({ address, family: 'ipv6' }).address : address
}

/** One text for an address with a port. */
export function placeOf(address: string, port: number): string {
  return `${canonical(address)} ${port}`
}
