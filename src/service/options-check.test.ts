/** Options that do not fit together are refused at the start, with what to change. */
import { describe, expect, test } from 'vitest'
import { loadOptions } from './options.ts'
import { checkOptions } from './options-check.ts'

const good = {
  OTTAVIA_HEALTH_MANAGER_HEARTBEAT_KEY: 'secret',
  OTTAVIA_HEALTH_MANAGER_BIND_IP: '192.168.0.2',
  OTTAVIA_CERTIFICATES_SERVER_CERTS_KEY_PASSPHRASE: 'a long random text',
}

describe('options of the health program', () => {
  const check = (changed: Record<string, string>, role = 'health') =>
    checkOptions(loadOptions(null, { ...good, ...changed }), [role])

  test('that fit are accepted', () => {
    expect(() => check({})).not.toThrow()
    expect(() => check({ OTTAVIA_HEALTH_MANAGER_BIND_IP: '::1' })).not.toThrow()
  })

  test('a short passphrase for the keys of tenants is refused, where they are kept', () => {
    const short = { OTTAVIA_CERTIFICATES_SERVER_CERTS_KEY_PASSPHRASE: 'short' }
    expect(() => check(short, 'controller')).toThrow('server_certs_key_passphrase is shorter than 16')
    expect(() => check(short, 'health')).not.toThrow()
  })

  test('an empty key is refused, where heartbeats are made as well', () => {
    const empty = { OTTAVIA_HEALTH_MANAGER_HEARTBEAT_KEY: '' }
    expect(() => check(empty)).toThrow('heartbeat_key is empty')
    expect(() => check(empty, 'controller')).toThrow('heartbeat_key is empty')
    expect(() => check(empty, 'api')).not.toThrow()
  })

  test('a time-out of two beats is refused, of three is not', () => {
    expect(() => check({ OTTAVIA_HEALTH_MANAGER_HEARTBEAT_TIMEOUT: '29' })).toThrow('raise it to 30 or more')
    expect(() => check({ OTTAVIA_HEALTH_MANAGER_HEARTBEAT_TIMEOUT: '30' })).not.toThrow()
    const short = { OTTAVIA_HEALTH_MANAGER_HEARTBEAT_TIMEOUT: '1', OTTAVIA_HEALTH_MANAGER_HEARTBEAT_INTERVAL: '0.2' }
    expect(() => check({ ...short, OTTAVIA_HEALTH_MANAGER_HEALTH_CHECK_INTERVAL: '0.5' })).not.toThrow()
    expect(() => check(short)).toThrow('health_check_interval is 3')
  })

  test('all that is wrong is said at once, an address that is none too', () => {
    const wrong = { OTTAVIA_HEALTH_MANAGER_BIND_IP: 'o-hm0', OTTAVIA_HEALTH_MANAGER_HEARTBEAT_KEY: '' }
    expect(() => check(wrong)).toThrow(/bind_ip is o-hm0.*\n.*heartbeat_key/)
  })
})

describe('options of the controller', () => {
  const check = (changed: Record<string, string>) =>
    checkOptions(loadOptions(null, { ...good, ...changed }), ['controller'])

  test('of two equal priorities neither would give way', () => {
    expect(() => check({})).not.toThrow()
    expect(() => check({ OTTAVIA_KEEPALIVED_VRRP_VRRP_PRIORITY_BACKUP: '254' })).toThrow('make the first one greater')
  })

  test.each([
    ['OTTAVIA_KEEPALIVED_VRRP_VRRP_ADVERT_INT', '0', 'must be a number from 0.01'],
    ['OTTAVIA_CONTROLLER_WORKER_LOADBALANCER_TOPOLOGY', 'TRIPLE', 'must be one of SINGLE, ACTIVE_STANDBY'],
    ['OTTAVIA_HOUSE_KEEPING_SPARE_AMPHORA_POOL_SIZE', '-1', 'must be a number from 0'],
    ['OTTAVIA_NOVA_ENABLE_ANTI_AFFINITY', 'perhaps', 'must be true or false'],
  ])('%s=%s is refused', (name, value, message) => {
    expect(() => check({ [name]: value })).toThrow(message)
  })
})
