/** IP addresses and CIDRs as values: strict parsing, one canonical spelling (RFC 5952), containment. */

export type Address = { version: 4 | 6; value: bigint }
export type Cidr = { version: 4 | 6; value: bigint; prefix: number }

/** Null when the text is no address. Strict: no leading zeros (`010.1.1.1` means two things to two parsers), no zone. */
export function parseAddress(text: string): Address | null {
  return text.includes(':') ? parseV6(text) : parseV4(text)
}

/** Null when the text is no CIDR. Host bits may be set; `network` clears them. */
export function parseCidr(text: string): Cidr | null {
  const [address, length, more] = text.split('/')
  const parsed = parseAddress(address ?? '')
  if (!parsed || length === undefined || more !== undefined || !/^(0|[1-9]\d{0,2})$/.test(length)) return null
  const prefix = Number(length)
  return prefix > bits(parsed.version) ? null : { ...parsed, prefix }
}

/** The address in its one spelling, or null when it is none. */
export function canonicalAddress(text: string): string | null {
  const parsed = parseAddress(text)
  return parsed && formatAddress(parsed)
}

export function canonicalCidr(text: string): string | null {
  const parsed = parseCidr(text)
  return parsed && `${formatAddress(parsed)}/${parsed.prefix}`
}

/** Is the address one of the CIDR's? False across families and for what does not parse. */
export function contains(cidr: string, address: string): boolean {
  const network = parseCidr(cidr)
  const parsed = parseAddress(address)
  if (!network || !parsed || network.version !== parsed.version) return false
  const host_bits = BigInt(bits(network.version) - network.prefix)
  return network.value >> host_bits === parsed.value >> host_bits
}

/** The family, 4 or 6, of an address or CIDR that is known to be one. */
export function family(text: string): 4 | 6 {
  return text.includes(':') ? 6 : 4
}

export function formatAddress({ version, value }: Address): string {
  if (version === 4) return [24n, 16n, 8n, 0n].map(shift => (value >> shift) & 255n).join('.')
  if (value >> 32n === 0xffffn) return `::ffff:${formatAddress({ version: 4, value: value & 0xffffffffn })}`
  const groups = Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(112 - 16 * i)) & 0xffffn))
  const zeros = longestZeros(groups)
  const hex = groups.map(group => group.toString(16))
  if (zeros.length < 2) return hex.join(':')
  return `${hex.slice(0, zeros.start).join(':')}::${hex.slice(zeros.start + zeros.length).join(':')}`
}

function bits(version: 4 | 6): number {
  return version === 4 ? 32 : 128
}

function parseV4(text: string): Address | null {
  const parts = text.split('.')
  if (parts.length !== 4) return null
  let value = 0n
  for (const part of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return null
    value = (value << 8n) | BigInt(part)
  }
  return { version: 4, value }
}

function parseV6(text: string): Address | null {
  const halves = text.split('::')
  if (halves.length > 2) return null
  const head = groupsOf(halves[0]!, halves.length === 1)
  const tail = halves.length === 2 ? groupsOf(halves[1]!, true) : []
  if (!head || !tail) return null
  const missing = 8 - head.length - tail.length
  if (halves.length === 2 ? missing < 1 : missing !== 0) return null
  const groups = [...head, ...Array<number>(missing).fill(0), ...tail]
  return { version: 6, value: groups.reduce((value, group) => (value << 16n) | BigInt(group), 0n) }
}

/** One side of `::` as 16-bit groups; its end may be written as IPv4 where it is the address's end. */
function groupsOf(text: string, is_end: boolean): number[] | null {
  if (text === '') return []
  const groups: number[] = []
  const parts = text.split(':')
  for (const [i, part] of parts.entries()) {
    if (is_end && i === parts.length - 1 && part.includes('.')) {
      const v4 = parseV4(part)
      if (!v4) return null
      groups.push(Number(v4.value >> 16n), Number(v4.value & 0xffffn))
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) groups.push(Number.parseInt(part, 16))
    else return null
  }
  return groups
}

/** The first of the longest runs of zero groups. */
function longestZeros(groups: number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 }
  let run = { start: 0, length: 0 }
  for (const [i, group] of groups.entries()) {
    if (group !== 0) continue
    run = run.start + run.length === i && run.length > 0 ? { ...run, length: run.length + 1 } : { start: i, length: 1 }
    if (run.length > best.length) best = run
  }
  return best
}
