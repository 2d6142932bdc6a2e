/** Addresses against an independent parser, and their spellings. */

import fc from 'fast-check'
import { Address4, Address6 } from 'ip-address'
import { describe, expect, test } from 'vitest'
import { canonicalAddress, canonicalCidr, contains, formatAddress, parseAddress, parseCidr } from './address.ts'

describe('addresses', () => {
  test.each([
    ['10.0.0.1', '10.0.0.1'],
    ['FD36:53A8:d962:0:0:0:0:1', 'fd36:53a8:d962::1'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['1:2:3:4:5:6:0:8', '1:2:3:4:5:6:0:8'],
    ['::ffff:1.2.3.4', '::ffff:1.2.3.4'],
    ['0:0:1:0:0:1:0:0', '::1:0:0:1:0:0'],
  ])('%s is spelt %s', (text, canonical) => {
    expect(canonicalAddress(text)).toBe(canonical)
  })

  test.each([
    '',
    '10.0.0',
    '10.0.0.256',
    '010.1.1.1',
    '1.2.3.4 ',
    '1.2.3.4\n',
    '1:2:3',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7::8:9',
    'fe80::1%eth0',
    '12345::',
    '1.2.3.4::',
    '::1.2.3',
    'x',
  ])('%j is no address', text => {
    expect(parseAddress(text)).toBeNull()
  })

  test('what formatAddress writes, parseAddress reads, and another parser agrees', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }), fc.nat(127), (value, shift) => {
        const address = { version: 6, value: value >> BigInt(shift) } as const
        const text = formatAddress(address)
        expect(parseAddress(text)).toEqual(address)
        expect(new Address6(text).bigInt()).toBe(address.value)
      }),
    )
    fc.assert(
      fc.property(fc.ipV6(), text => {
        expect(parseAddress(text)?.value).toBe(new Address6(text).bigInt())
      }),
    )
    fc.assert(
      fc.property(fc.ipV4(), text => {
        expect(canonicalAddress(text)).toBe(text)
        expect(parseAddress(text)?.value).toBe(new Address4(text).bigInt())
      }),
    )
  })
})

describe('ranges', () => {
  test.each(['10.0.0.0', '10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/08', '10.0.0.0/8/8', '/8', 'fd00::/129'])(
    '%j is no CIDR',
    text => {
      expect(parseCidr(text)).toBeNull()
    },
  )

  test('containment', () => {
    expect(contains('10.0.0.0/24', '10.0.0.255')).toBe(true)
    expect(contains('10.0.0.7/24', '10.0.0.255')).toBe(true)
    expect(contains('10.0.0.0/24', '10.0.1.0')).toBe(false)
    expect(contains('0.0.0.0/0', '255.255.255.255')).toBe(true)
    expect(contains('::/0', '10.0.0.1')).toBe(false)
    expect(contains('fd00::/64', 'fd00::ffff:1')).toBe(true)
    expect(contains('fd00::/64', 'fd00:0:0:1::')).toBe(false)
    expect(canonicalCidr('FD00:0::/64')).toBe('fd00::/64')
  })
})
