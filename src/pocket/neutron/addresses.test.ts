/** Addresses of ports: Neutron's choice, no address twice, SLAAC by the MAC. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalPrefix, chooseAddresses, contains, poolSize, poolsOf } from './addresses.ts'
import { newSubnet } from './documents.ts'

const mac = 'fa:16:3e:48:d5:f0'
const v4 = newSubnet('p', {
  id: 'v4',
  network_id: 'n',
  cidr: '10.0.0.0/28',
  ip_version: 4,
  gateway_ip: '10.0.0.1',
  allocation_pools: poolsOf('10.0.0.0/28', '10.0.0.1'),
})
const v6 = newSubnet('p', {
  id: 'v6',
  network_id: 'n',
  cidr: 'fd36:53a8:d962::/64',
  ip_version: 6,
  ipv6_address_mode: 'slaac',
})
const free = () => false

describe('a port', () => {
  test('without wishes gets an IPv4 address and the SLAAC address of its MAC', () => {
    const chosen = chooseAddresses([v4, v6], mac, undefined, free)
    expect(chosen.map(ip => ip.subnet_id)).toEqual(['v4', 'v6'])
    expect(chosen[1]!.ip_address).toBe('fd36:53a8:d962:0:f816:3eff:fe48:d5f0')
  })

  test('that names the IPv4 subnet gets the SLAAC address besides', () => {
    expect(chooseAddresses([v4, v6], mac, [{ subnet_id: 'v4' }], free).map(ip => ip.subnet_id)).toEqual(['v4', 'v6'])
  })

  test('gets what it asks for, unless it is taken or outside', () => {
    expect(chooseAddresses([v4], mac, [{ subnet_id: 'v4', ip_address: '10.0.0.9' }], free)[0]!.ip_address).toBe(
      '10.0.0.9',
    )
    expect(() => chooseAddresses([v4], mac, [{ subnet_id: 'v4', ip_address: '10.0.0.9' }], () => true)).toThrow(
      'already allocated',
    )
    expect(() => chooseAddresses([v4], mac, [{ subnet_id: 'v4', ip_address: '192.0.2.9' }], free)).toThrow(
      'not a valid IP for the specified subnet',
    )
    expect(() => chooseAddresses([v4], mac, [{ ip_address: '192.0.2.9' }], free)).toThrow('any of the subnets')
  })

  test('is refused when nothing is left; until then no address is given twice', () => {
    const taken = new Set<string>()
    for (let n = 0; n < 13; n++) {
      const [ip] = chooseAddresses([v4], mac, undefined, (_, address) => taken.has(address))
      expect(taken.has(ip!.ip_address)).toBe(false)
      taken.add(ip!.ip_address)
    }
    expect(taken).not.toContain('10.0.0.1')
    expect(() => chooseAddresses([v4], mac, undefined, (_, address) => taken.has(address))).toThrow(
      'No more IP addresses',
    )
  })
})

describe('prefixes', () => {
  test('pools leave out network, gateway and broadcast', () => {
    expect(poolsOf('10.0.0.0/24', '10.0.0.1')).toEqual([{ start: '10.0.0.2', end: '10.0.0.254' }])
    expect(poolsOf('10.0.0.0/24', '10.0.0.100')).toHaveLength(2)
    expect(poolSize(poolsOf('10.0.0.0/24', null))).toBe(254n)
  })

  test('whatever they are, the canonical form contains the address it came from', () => {
    fc.assert(
      fc.property(fc.ipV4(), fc.integer({ min: 0, max: 32 }), (ip, length) => {
        const prefix = canonicalPrefix(`${ip}/${length}`)
        expect(contains(prefix, ip)).toBe(true)
        expect(canonicalPrefix(prefix)).toBe(prefix)
      }),
    )
  })

  test('what is no address is in none', () => {
    for (const text of ['', 'x', '010.0.0.1', '10.0.0.0/8', '::1']) expect(contains('10.0.0.0/8', text)).toBe(false)
  })
})
