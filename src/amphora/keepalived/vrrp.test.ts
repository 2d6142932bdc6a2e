/** The rendering of keepalived.conf: a golden file per branch, each checked by keepalived. UPDATE_GOLDEN=1 writes them. */
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type KeepalivedInput, renderKeepalived } from './vrrp.ts'

const four = {
  address: '10.0.0.10',
  prefix: '10.0.0.0/24',
  gateway: '10.0.0.1',
  host_routes: [],
}
const six = {
  address: 'fd36:53a8:d962::10',
  prefix: 'fd36:53a8:d962::/64',
  gateway: 'fd36:53a8:d962::1',
  host_routes: [],
}
const input = (change: Partial<KeepalivedInput> = {}): KeepalivedInput => ({
  base_path: '/var/lib/octavia',
  load_balancer_id: '1bbbbbbb-0000-4000-8000-000000000001',
  interface: 'eth1',
  vrrp_ip: '10.0.0.5',
  peers: ['10.0.0.6'],
  vrrp_id: 1,
  priority: 254,
  advert_int_s: 1,
  vips: [four],
  ...change,
})

const cases: Record<string, KeepalivedInput> = {
  ipv4: input(),
  backup: input({ vrrp_ip: '10.0.0.6', peers: ['10.0.0.5'], priority: 253 }),
  'fast-adverts': input({ advert_int_s: 0.05 }),
  'own-figures': input({ interval_s: 9, fall: 3, rise: 4, garp_refresh_s: 6, garp_repeat: 7 }),
  'no-peer': input({ peers: [] }),
  'no-peer-ipv6': input({ vrrp_ip: 'fd36:53a8:d962::5', peers: [], vips: [six] }),
  'three-amphorae': input({ peers: ['10.0.0.7', '10.0.0.6'] }),
  ipv6: input({ vrrp_ip: 'fd36:53a8:d962::5', peers: ['fd36:53a8:d962::6'], vips: [six] }),
  'dual-stack': input({ vips: [four, six] }),
  'two-vips-of-one-subnet': input({ vips: [four, { ...four, address: '10.0.0.11' }] }),
  'no-gateway': input({ vips: [{ ...four, gateway: null }] }),
  'host-routes': input({
    vips: [{ ...four, host_routes: [{ destination: '192.168.7.0/24', nexthop: '10.0.0.99' }] }],
  }),
}

const golden = path.join(import.meta.dirname, 'golden')

describe('golden', () => {
  test.each(Object.entries(cases))('%s', (name, each) => {
    const file = path.join(golden, `${name}.conf`)
    const text = renderKeepalived(each)
    if (process.env.UPDATE_GOLDEN) fs.writeFileSync(file, text)
    expect(text).toBe(fs.readFileSync(file, 'utf8'))
  })

  test('every file has its case', () => {
    expect(fs.readdirSync(golden).toSorted()).toEqual(
      Object.keys(cases)
        .map(name => `${name}.conf`)
        .toSorted(),
    )
  })
})

describe('keepalived', () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'keepalived-'))
  beforeAll(() => {
    fs.mkdirSync(path.join(folder, 'vrrp'))
    fs.writeFileSync(path.join(folder, 'vrrp/check_script.sh'), '#!/bin/sh\n', { mode: 0o755 })
  })
  afterAll(() => fs.rmSync(folder, { recursive: true }))

  test.each(Object.entries(cases))('accepts %s', (_, each) => {
    const file = path.join(folder, 'keepalived.conf')
    fs.writeFileSync(file, renderKeepalived({ ...each, base_path: folder }))
    // It looks for the interface.
    const script = 'ip link add eth1 type veth peer name other && exec keepalived -t -P -f "$0"'
    const argv = ['--user', '--map-root-user', '--net', 'sh', '-c', script, file]
    const { status, stderr } = spawnSync('unshare', argv, { encoding: 'utf8' })
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  })
})

test('a string that is no address, name or network is refused', () => {
  const hostile = fc.oneof(
    fc.string({ unit: 'binary', minLength: 1 }),
    fc.string({ unit: fc.constantFrom(...'0.:/ \n{}#!"%'), minLength: 1 }),
  )
  const places: ((text: string) => KeepalivedInput)[] = [
    text => input({ base_path: text }),
    text => input({ load_balancer_id: text }),
    text => input({ interface: text }),
    text => input({ vrrp_ip: text }),
    text => input({ peers: [text] }),
    text => input({ vips: [{ ...four, address: text }] }),
    text => input({ vips: [{ ...four, prefix: text }] }),
    text => input({ vips: [{ ...four, gateway: text }] }),
    text => input({ vips: [{ ...four, host_routes: [{ destination: text, nexthop: '10.0.0.9' }] }] }),
    text => input({ vips: [{ ...four, host_routes: [{ destination: '10.9.0.0/16', nexthop: text }] }] }),
  ]
  const shape = (text: string) => text.split('\n').map(line => line.trim().split(/\s+/).length)
  fc.assert(
    fc.property(fc.constantFrom(...places), hostile, (place, text) => {
      try {
        const { length } = shape(renderKeepalived(place(text)))
        expect(Math.abs(length - shape(renderKeepalived(input())).length)).toBeLessThanOrEqual(3)
        expect(text).toMatch(/^[A-Za-z0-9_.:/-]+$/)
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError)
      }
    }),
  )
})

test.each([0, 0.001, 41, Number.NaN])('adverts every %d s are refused', advert_int_s => {
  expect(() => renderKeepalived(input({ advert_int_s }))).toThrow(RangeError)
})

test('the order of peers is of no account', () => {
  expect(renderKeepalived(input({ peers: ['10.0.0.7', '10.0.0.6'] }))).toBe(
    renderKeepalived(input({ peers: ['10.0.0.6', '10.0.0.7'] })),
  )
})
