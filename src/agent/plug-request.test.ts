/** What a plug request may and may not say. */
import { describe, expect, test } from 'vitest'
import { Refusal } from './answer.ts'
import { readNetworkRequest, readVipRequest } from './plug-request.ts'

const good = { subnet_cidr: '10.0.0.0/24', gateway: '10.0.0.1', mac_address: 'FA:16:3E:00:00:01', vrrp_ip: '10.0.0.5' }
const body = (value: unknown) => Buffer.from(JSON.stringify(value))
const refusalOf = (call: () => unknown) => {
  try {
    call()
  } catch (error) {
    if (error instanceof Refusal) return error.answer
    throw error
  }
  return null
}

test('further VIPs have addresses, gateways and routes of their own', () => {
  const other = { ip_address: 'fd00::10', subnet_cidr: 'fd00::/64', gateway: 'fd00::1', vrrp_ip: 'fd00::5' }
  const more = { ...good, topology: 'ACTIVE_STANDBY', additional_vips: [other] }
  expect(readVipRequest('10.0.0.10', Buffer.from(JSON.stringify(more)))).toMatchObject({
    keepalived_owns: ['10.0.0.10', 'fd00::10'],
    addressing: {
      addresses: [
        { address: '10.0.0.5', prefix_length: 24 },
        { address: '10.0.0.10', prefix_length: 32 },
        { address: 'fd00::5', prefix_length: 64 },
        { address: 'fd00::10', prefix_length: 128 },
      ],
      gateways: ['10.0.0.1', 'fd00::1'],
    },
  })
  for (const bad of [{}, { ...other, ip_address: 'x' }, { ...other, gateway: 'x' }, { ...other, subnet_cidr: 'x' }]) {
    const body = Buffer.from(JSON.stringify({ ...good, additional_vips: [bad] }))
    expect(() => readVipRequest('10.0.0.10', body)).toThrow()
  }
})

describe('VIP', () => {
  test('stands beside the amphora’s own address', () => {
    expect(readVipRequest('10.0.0.10', body(good))).toEqual({
      further_vips: [],
      mac_address: 'fa:16:3e:00:00:01',
      addressing: {
        addresses: [
          { address: '10.0.0.5', prefix_length: 24 },
          { address: '10.0.0.10', prefix_length: 32 },
        ],
        gateways: ['10.0.0.1'],
        routes: [],
        mtu: null,
      },
      keepalived_owns: [],
      interface_name: null,
    })
  })

  test('names its link on a network host', () => {
    const link = (interface_name: unknown) =>
      readVipRequest('10.0.0.10', body({ ...good, interface_name })).interface_name
    expect(link('tap57865deb-b8')).toBe('tap57865deb-b8')
    for (const wrong of ['eth0', 'tap57865deb-b8\nlink', 'tap57865deb-b80', 7]) expect(() => link(wrong)).toThrow()
  })

  test('is keepalived’s in a pair', () => {
    const owned = (change: object) => readVipRequest('10.0.0.10', body({ ...good, ...change })).keepalived_owns
    expect(owned({ topology: 'ACTIVE_STANDBY' })).toEqual(['10.0.0.10'])
    expect(owned({ topology: 'SINGLE' })).toEqual([])
    expect(owned({ topology: 'ACTIVE_STANDBY', vrrp_ip: undefined })).toEqual([])
  })

  test('is the interface’s own address where there is no other', () => {
    const { vrrp_ip, ...without } = good
    for (const each of [without, { ...good, vrrp_ip: '10.0.0.10' }]) {
      const { addressing } = readVipRequest('10.0.0.10', body(each))
      expect(addressing.addresses).toEqual([{ address: '10.0.0.10', prefix_length: 24 }])
    }
    expect(vrrp_ip).toBe('10.0.0.5')
  })

  test('may be of IPv6', () => {
    const request = { ...good, subnet_cidr: 'fd00::/64', gateway: null, vrrp_ip: 'fd00::5' }
    const { addressing } = readVipRequest('fd00::10', body(request))
    expect(addressing.addresses).toEqual([
      { address: 'fd00::5', prefix_length: 64 },
      { address: 'fd00::10', prefix_length: 128 },
    ])
  })

  test.each([
    ['10.0.0.10', 'not json at all'],
    ['10.0.0.10', []],
    ['10.0.0.10', { ...good, subnet_cidr: undefined }],
    ['10.0.0.10', { ...good, gateway: undefined }],
    ['10.0.0.10', { ...good, mac_address: undefined }],
    ['10.0.0.10', { ...good, mac_address: '10.0.0.1 dev lo' }],
    ['10.0.0.10', { ...good, subnet_cidr: '10.0.0.0/33' }],
    ['10.0.0.10', { ...good, gateway: '10.0.0.1\naddr add 1.2.3.4/32 dev lo' }],
    ['10.0.0.10', { ...good, gateway: 'fe80::1%lo' }],
    ['10.0.0.10', { ...good, mtu: '1500; reboot' }],
    ['10.0.0.10', { ...good, host_routes: [{ destination: '0.0.0.0/0', nexthop: 'x' }] }],
    ['10.0.0.10', { ...good, host_routes: [{ destination: 'x/8', nexthop: '10.0.0.1' }] }],
  ])('%s with %j is refused', (vip, request) => {
    expect(refusalOf(() => readVipRequest(vip, body(request)))).toMatchObject({
      status: 400,
      body: { error: '400 Bad Request: Invalid subnet information', http_code: 400 },
    })
  })

  test('that is no address is refused', () => {
    for (const vip of ['10.0.0', 'fe80::1%eth0', '']) {
      expect(refusalOf(() => readVipRequest(vip, body(good)))?.body).toEqual({ message: 'Invalid VIP' })
    }
  })
})

describe('network', () => {
  test('has any number of addresses and no default route', () => {
    const route = { destination: '10.2.0.0/16', nexthop: '10.1.0.1' }
    const fixed_ips = [{ ip_address: '10.1.0.5', subnet_cidr: '10.1.0.0/16', host_routes: [route] }]
    const request = { mac_address: good.mac_address, mtu: 1400, fixed_ips }
    expect(readNetworkRequest(body(request)).addressing).toEqual({
      addresses: [{ address: '10.1.0.5', prefix_length: 16 }],
      gateways: [],
      routes: [route],
      mtu: 1400,
    })
    expect(readNetworkRequest(body({ mac_address: good.mac_address })).addressing.addresses).toEqual([])
  })

  test('without a MAC, or with addresses that are none, is refused', () => {
    expect(refusalOf(() => readNetworkRequest(body({})))?.body).toMatchObject({
      error: '400 Bad Request: Invalid port information',
    })
    for (const fixed_ips of [
      'x',
      [1],
      [{ ip_address: '10.1.0.5' }],
      [{ ip_address: 'x', subnet_cidr: '10.1.0.0/16' }],
    ]) {
      const refusal = refusalOf(() => readNetworkRequest(body({ mac_address: good.mac_address, fixed_ips })))
      expect(refusal).toMatchObject({ status: 400, body: { message: 'Invalid network port' } })
    }
  })
})
