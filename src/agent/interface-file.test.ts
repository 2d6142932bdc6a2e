/** An interface file is read back as it was written, and has the form that ifupdown reads. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Addressing, parseInterfaceFile, renderInterfaceFile } from './interface-file.ts'

const ipv4 = fc.record({ address: fc.ipV4(), prefix_length: fc.integer({ min: 0, max: 32 }) })
const ipv6 = fc.record({ address: fc.ipV6(), prefix_length: fc.integer({ min: 0, max: 128 }) })
const addressing: fc.Arbitrary<Addressing> = fc.record({
  addresses: fc.array(fc.oneof(ipv4, ipv6), { minLength: 1, maxLength: 4 }),
  gateways: fc.array(fc.oneof(fc.ipV4(), fc.ipV6()), { maxLength: 2 }),
  routes: fc.array(fc.record({ destination: fc.ipV4().map(a => `${a}/24`), nexthop: fc.ipV4() }), { maxLength: 3 }),
  mtu: fc.option(fc.integer({ min: 68, max: 65_535 })),
})

test('what is written is read back', () => {
  fc.assert(
    fc.property(addressing, each => {
      expect(parseInterfaceFile(renderInterfaceFile('eth1', each))).toEqual(each)
    }),
  )
  const bare = { addresses: [], gateways: [], routes: [], mtu: 1400 }
  expect(parseInterfaceFile(renderInterfaceFile('eth2', bare))).toEqual(bare)
})

test('the VIP is an alias', () => {
  const text = renderInterfaceFile('eth1', {
    addresses: [
      { address: '10.0.0.5', prefix_length: 24 },
      { address: '10.0.0.10', prefix_length: 32 },
    ],
    gateways: ['10.0.0.1'],
    routes: [{ destination: '10.9.0.0/16', nexthop: '10.0.0.254' }],
    mtu: null,
  })
  expect(text.split('\n').map(line => line.trim())).toEqual([
    '',
    'auto eth1',
    'iface eth1 inet static',
    'address 10.0.0.5',
    'netmask 255.255.255.0',
    'gateway 10.0.0.1',
    'up ip route add 10.9.0.0/16 via 10.0.0.254 dev eth1 onlink',
    'down ip route del 10.9.0.0/16 via 10.0.0.254 dev eth1',
    '',
    'auto eth1:0',
    'iface eth1:0 inet static',
    'address 10.0.0.10',
    'netmask 255.255.255.255',
    '',
  ])
})
