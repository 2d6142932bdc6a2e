/** Rules of an interface: nft takes them. */
import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { vipRulesScript } from './vip-rules.ts'

test('each rule is a line, and nft takes all of them', () => {
  const script = vipRulesScript('eth1', [
    { protocol: 'TCP', cidr: null, port: 80 },
    { protocol: 'TCP', cidr: '10.0.0.0/8', port: 443 },
    { protocol: 'UDP', cidr: '2001:db8::/32', port: 53 },
    { protocol: 'SCTP', cidr: null, port: 9 },
    { protocol: 'VRRP', cidr: '10.0.0.5/32', port: 112 },
  ])
  expect(script.split('amphora_vip_chain {\n')[1]).toBe(
    [
      '        tcp dport 80 accept',
      '        ip saddr 10.0.0.0/8 tcp dport 443 accept',
      '        ip6 saddr 2001:db8::/32 udp dport 53 accept',
      '        sctp dport 9 accept',
      '        ip saddr 10.0.0.5/32 meta l4proto 112 accept',
      '    }',
      '}',
      '',
    ].join('\n'),
  )
  const inside = ['--user', '--map-root-user', '--net', 'nft', '-c', '-f', '-']
  expect(spawnSync('unshare', inside, { input: script, encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' })
})

test('none lets nothing in that was not asked for from inside', () => {
  expect(vipRulesScript('eth1', [])).toMatch(/policy drop;[\s\S]*chain amphora_vip_chain {\n {4}}\n}\n$/)
})
