/** The agent's configuration file is read back as it was written. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { agentSettings, bootConfig, parseAgentConfig, renderAgentConfig } from './agent-config.ts'

const name = fc.stringMatching(/^[a-z][a-z_]{0,12}$/)
const value = fc.string({ maxLength: 30 }).map(text => text.replace(/[\r\n]/g, ' ').trim())

test('what is written is read back', () => {
  fc.assert(
    fc.property(
      fc.dictionary(name, fc.dictionary(name, value, { noNullPrototype: true }), { noNullPrototype: true }),
      config => {
        expect(parseAgentConfig(renderAgentConfig(config))).toEqual({ DEFAULT: {}, ...config })
      },
    ),
  )
})

test('a value with a line break is refused', () => {
  expect(() => renderAgentConfig({ a: { b: 'x\n[amphora_agent]' } })).toThrow('line break')
})

test('comments, colons and continued lines are read', () => {
  const text = '# c\n[a]\nx: 1\n; c\ny = 2\n   3\n\n[b]\nz=\n'
  expect(parseAgentConfig(text)).toEqual({ DEFAULT: {}, a: { x: '1', y: '2\n3' }, b: { z: '' } })
})

test('what an amphora boots with tells its agent who it is', () => {
  const text = bootConfig({ amphora_id: 'amp-1', bind_port: 9876, controller_ip_port_list: ['192.168.0.2:5555'] })
  expect(agentSettings(parseAgentConfig(text))).toMatchObject({
    amphora_id: 'amp-1',
    bind_port: 9876,
    bind_host: '0.0.0.0',
  })
})

test('missing options take the defaults of the field, and nonsense is refused', () => {
  const settings = agentSettings({ amphora_agent: { amphora_id: 'a' } })
  expect(settings).toMatchObject({ bind_port: 9443, base_path: '/var/lib/octavia' })
  expect(() => agentSettings({})).toThrow('amphora_id')
  expect(() => agentSettings({ haproxy_amphora: { bind_port: 'x' }, amphora_agent: { amphora_id: 'a' } })).toThrow(
    'bind_port',
  )
})

test('who forwards datagrams is told to the agent, and nobody else is let in', () => {
  const driver = (amphora_udp_driver?: 'nftables' | 'keepalived_lvs') =>
    agentSettings(parseAgentConfig(bootConfig({ amphora_id: 'a', bind_port: 9876, amphora_udp_driver })))
      .amphora_udp_driver
  expect([driver(), driver('nftables'), driver('keepalived_lvs')]).toEqual(['nftables', 'nftables', 'keepalived_lvs'])
  expect(() => agentSettings({ amphora_agent: { amphora_id: 'a', amphora_udp_driver: 'nginx' } })).toThrow(
    'amphora_agent.amphora_udp_driver is nginx; it must be nftables or keepalived_lvs',
  )
})
