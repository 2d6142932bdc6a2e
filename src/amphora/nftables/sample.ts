/** For tests: UDP listeners. */
import type { ListenerInput, MemberInput, PoolInput } from '../haproxy/listener.ts'
import type { MonitorInput } from '../haproxy/monitor.ts'
import { type Change, listenerSample, memberSample, monitorSample, poolSample } from '../haproxy/sample.ts'
import { type DatagramListener, datagramText, readDatagramListener } from './datagram-listener.ts'

/** A UDP listener on 10.0.0.10, port 53, with what is to be otherwise. */
export function input(
  listener: Change<ListenerInput['listener']> = {},
  default_pool: PoolInput | null = pool(),
  load_balancer: Partial<ListenerInput['load_balancer']> = {},
): ListenerInput {
  const id = '57865deb-b8b6-45bc-a2d2-d231c7e011ae'
  return {
    base_path: '/var/lib/octavia',
    load_balancer: { id: 'lb1', vip_address: '10.0.0.10', admin_state_up: true, ...load_balancer },
    listener: listenerSample({ id, protocol: 'UDP', protocol_port: 53, ...listener }),
    default_pool,
  }
}

export function pool(members: MemberInput[] = [member(1), member(2)], change: Change<PoolInput> = {}): PoolInput {
  return poolSample({ id: 'aaaaaaaa-0000-4000-8000-000000000001', protocol: 'UDP', members, ...change })
}

/** The n-th member, on 10.0.0.1n, port 5300. */
export function member(n: number, change: Change<MemberInput> = {}): MemberInput {
  const id = `00000000-0000-4000-8000-0000000000${String(n).padStart(2, '0')}`
  return memberSample({ id, address: `10.0.0.${10 + n}`, protocol_port: 5300, ...change })
}

export function sourceIp(
  persistence_timeout: number | null = null,
  persistence_granularity: string | null = null,
): PoolInput['session_persistence'] {
  return { type: 'SOURCE_IP', cookie_name: null, persistence_timeout, persistence_granularity }
}

export function monitor(change: Change<MonitorInput> = {}): MonitorInput {
  return monitorSample({ type: 'UDP-CONNECT', max_retries_down: 1, ...change })
}

/** As an agent reads it. */
export function listenerOf(of: ListenerInput): DatagramListener {
  return readDatagramListener(datagramText(of))
}
