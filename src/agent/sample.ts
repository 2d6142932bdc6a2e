/** For tests: the configuration of a listener with some members. */

import { type ListenerInput, type MemberInput, type PoolInput, renderListener } from '../amphora/haproxy/listener.ts'
import type { MonitorInput } from '../amphora/haproxy/monitor.ts'

/** haproxy.cfg of an HTTP listener on port 80 and a round-robin pool, with what is to be otherwise. */
export function sampleConfig({ id, vip_address = '10.0.0.10', members, listener, pool, peers }: Sample): string {
  return renderListener({
    base_path: '/var/lib/octavia',
    load_balancer: { id: 'lb1', vip_address, admin_state_up: true },
    listener: {
      id,
      admin_state_up: true,
      protocol: 'HTTP',
      protocol_port: 80,
      connection_limit: -1,
      insert_headers: {},
      allowed_cidrs: null,
      timeout_client_data: 50_000,
      timeout_member_connect: 5_000,
      timeout_member_data: 50_000,
      timeout_tcp_inspect: 0,
      ...listener,
    },
    default_pool: {
      id: 'pool-1',
      admin_state_up: true,
      protocol: 'HTTP',
      lb_algorithm: 'ROUND_ROBIN',
      session_persistence: null,
      members,
      ...pool,
    },
    peers,
  })
}

export const tcpMonitor: MonitorInput = {
  admin_state_up: true,
  type: 'TCP',
  delay: 1,
  timeout: 1,
  max_retries: 1,
  max_retries_down: 1,
  http_method: null,
  url_path: null,
  expected_codes: null,
  domain_name: null,
  http_version: null,
}

export type Sample = {
  id: string
  vip_address?: string
  members: MemberInput[]
  listener?: Partial<ListenerInput['listener']>
  pool?: Partial<PoolInput>
  peers?: ListenerInput['peers']
}

/** The n-th member, on 10.0.0.1n. */
export function member(n: number, change: Partial<MemberInput> = {}): MemberInput {
  return {
    id: `member-${n}`,
    admin_state_up: true,
    address: `10.0.0.${10 + n}`,
    protocol_port: 80,
    weight: 1,
    backup: false,
    ...change,
  }
}
