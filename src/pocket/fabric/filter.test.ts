/** The switch's rules: what they say, that nft reads them, and that loading them twice is fine. */
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { FabricPort, FabricRule } from './fabric.ts'
import { portChains, portChainsGone, switchTables } from './filter.ts'

const port: FabricPort = {
  id: '2f0db6ac-a03a-4faf-b05f-f5ed6f20d734',
  network_id: 'n',
  mac_address: 'fa:16:3e:00:00:01',
  mtu: 1450,
  fixed_ips: [{ ip_address: '10.0.0.5', prefix_length: 24, gateway_ip: null }],
  allowed_address_pairs: [],
  admin_state_up: true,
  port_security_enabled: true,
  rules: [],
  bandwidth: { egress: null, ingress: null },
}
const rule: FabricRule = {
  direction: 'ingress',
  ethertype: 'IPv4',
  protocol: 'tcp',
  port_range_min: 80,
  port_range_max: 80,
  remote_ip_prefixes: null,
}

/** Loads the text in a namespace of its own; answers with what nft complains about. */
function load(...texts: string[]): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'ottavia-nft-'))
  try {
    const files = texts.map((text, index) => {
      const file = path.join(folder, `${index}.nft`)
      fs.writeFileSync(file, text)
      return file
    })
    const script = 'for f in "$@"; do nft -f "$f"; done'
    const ran = spawnSync('unshare', ['--user', '--map-root-user', '--net', 'sh', '-ec', script, 'sh', ...files], {
      encoding: 'utf8',
    })
    return ran.status === 0 ? '' : ran.stderr || String(ran.error)
  } finally {
    fs.rmSync(folder, { recursive: true })
  }
}

const ipv4 = fc.ipV4()
const ipv6 = fc.ipV6().filter(ip => !ip.includes('.'))
const prefix4 = fc.tuple(ipv4, fc.integer({ min: 0, max: 32 })).map(([ip, length]) => `${ip}/${length}`)
const prefix6 = fc.tuple(ipv6, fc.integer({ min: 0, max: 128 })).map(([ip, length]) => `${ip}/${length}`)
const range = fc
  .tuple(fc.integer({ min: 1, max: 65_535 }), fc.integer({ min: 1, max: 65_535 }))
  .map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const)
const anyRule: fc.Arbitrary<FabricRule> = fc.boolean().chain(v6 =>
  fc
    .record({
      direction: fc.constantFrom('ingress' as const, 'egress' as const),
      ethertype: fc.constant(v6 ? ('IPv6' as const) : ('IPv4' as const)),
      ports: fc.option(range),
      protocol: fc.constantFrom('tcp', 'udp', 'sctp', '112', '51', v6 ? 'ipv6-icmp' : 'icmp', null),
      remote_ip_prefixes: fc.option(fc.array(v6 ? prefix6 : prefix4, { maxLength: 3 })),
    })
    .map(({ ports, protocol, ...rest }) => {
      const has_ports = protocol !== null && ['tcp', 'udp', 'sctp'].includes(protocol) && ports !== null
      return {
        ...rest,
        protocol,
        port_range_min: has_ports ? ports[0] : null,
        port_range_max: has_ports ? ports[1] : null,
      }
    }),
)

describe('the rules of a port', () => {
  test('drop other sources, then let answers and what the groups say pass', () => {
    const text = portChains({
      ...port,
      rules: [rule],
      allowed_address_pairs: [{ ip_address: '10.0.0.96', mac_address: port.mac_address }],
    })
    expect(text).toContain('ether saddr != { fa:16:3e:00:00:01 } drop')
    expect(text).toContain('ether type ip ip saddr != { 10.0.0.5, 10.0.0.96 } drop')
    expect(text).toContain('ether type ip meta l4proto tcp th dport 80 accept')
    expect(
      text
        .trimEnd()
        .split('\n')
        .filter(line => line.endsWith(' drop')).length,
    ).toBeGreaterThanOrEqual(5)
  })

  test('a group that names nobody lets nobody in', () => {
    expect(portChains({ ...port, rules: [{ ...rule, remote_ip_prefixes: [] }] })).not.toContain('dport 80')
  })

  test('without port security everything passes', () => {
    const text = portChains({ ...port, port_security_enabled: false, rules: [rule] })
    expect(text).not.toContain('drop')
  })

  test('nft loads a switch, its ports, the same again, and takes them away', () => {
    const text = portChains({ ...port, rules: [rule] })
    expect(load(switchTables, text, text, portChainsGone(port.id), text)).toBe('')
  })

  test('nft reads whatever rules and pairs there may be', () => {
    fc.assert(
      fc.property(
        fc.array(anyRule, { maxLength: 6 }),
        fc.array(fc.oneof(ipv4, prefix4, ipv6, prefix6), { maxLength: 4 }),
        (rules, pairs) => {
          const allowed_address_pairs = pairs.map(ip_address => ({ ip_address, mac_address: port.mac_address }))
          expect(load(switchTables, portChains({ ...port, rules, allowed_address_pairs }))).toBe('')
        },
      ),
      { numRuns: 25 },
    )
  })
})
