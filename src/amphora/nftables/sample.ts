/** For tests: UDP listeners. */
import type { ListenerInput, MemberInput, PoolInput } from '../haproxy/listener.ts'
import type { MonitorInput } from '../haproxy/monitor.ts'
import { type DatagramListener, datagramText, readDatagramListener } from './datagram-listener.ts'

/** A UDP listener on 10.0.0.10, port 53, with what is to be otherwise. */
export function input(
  listener: Partial<ListenerInput['listener']> = {},
  default_pool: PoolInput | null = pool(),
  load_balancer: Partial<ListenerInput['load_balancer']> = {},
): ListenerInput {
  return {
    base_path: '/var/lib/octavia',
    load_balancer: { id: 'lb1', vip_address: '10.0.0.10', admin_state_up: true, ...load_balancer },
    listener: {
      id: '57865deb-b8b6-45bc-a2d2-d231c7e011ae',
      admin_state_up: true,
      protocol: 'UDP',
      protocol_port: 53,
      connection_limit: -1,
      insert_headers: {},
      allowed_cidrs: null,
      timeout_client_data: 50_000,
      timeout_member_connect: 5_000,
      timeout_member_data: 50_000,
      timeout_tcp_inspect: 0,
      ...listener,
    },
    default_pool,
  }
}

export function pool(members: MemberInput[] = [member(1), member(2)], change: Partial<PoolInput> = {}): PoolInput {
  return {
    id: 'aaaaaaaa-0000-4000-8000-000000000001',
    admin_state_up: true,
    protocol: 'UDP',
    lb_algorithm: 'ROUND_ROBIN',
    session_persistence: null,
    members,
    ...change,
  }
}

/** The n-th member, on 10.0.0.1n, port 5300. */
export function member(n: number, change: Partial<MemberInput> = {}): MemberInput {
  return {
    id: `00000000-0000-4000-8000-0000000000${String(n).padStart(2, '0')}`,
    admin_state_up: true,
    address: `10.0.0.${10 + n}`,
    protocol_port: 5300,
    weight: 1,
    backup: false,
    ...change,
  }
}

export function sourceIp(
  persistence_timeout: number | null = null,
  persistence_granularity: string | null = null,
): PoolInput['session_persistence'] {
  const persistence = { type: 'SOURCE_IP', cookie_name: null, persistence_timeout, persistence_granularity }
  return persistence
}

export function monitor(change: Partial<MonitorInput> = {}): MonitorInput {
  return {
    admin_state_up: true,
    type: 'UDP-CONNECT',
    delay: 1,
    timeout: 1,
    max_retries: 1,
    max_retries_down: 1,
    http_method: null,
    url_path: null,
    expected_codes: null,
    domain_name: null,
    http_version: null,
    ...change,
  }
}

/** As an agent reads it. */
export function listenerOf(of: ListenerInput): DatagramListener {
  return readDatagramListener(datagramText(of))
}
