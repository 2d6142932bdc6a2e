/** For tests: the configuration of a listener with some members. */
import type { ListenerInput, MemberInput, PoolInput } from '../amphora/haproxy/listener.ts'
import { type Change, listenerSample, memberSample, monitorSample, poolSample } from '../amphora/haproxy/sample.ts'
import { renderListener } from '../amphora/haproxy/unit.ts'

/** haproxy.cfg of an HTTP listener on port 80 and a round-robin pool, with what is to be otherwise. */
export function sampleConfig({ id, vip_address = '10.0.0.10', members, listener, pool, peers }: Sample): string {
  return renderListener({
    base_path: '/var/lib/octavia',
    load_balancer: { id: 'lb1', vip_address, admin_state_up: true },
    listener: listenerSample({ id, ...listener }),
    default_pool: poolSample({ id: 'pool-1', members, ...pool }),
    peers: peers ?? null,
  })
}

export const tcpMonitor = monitorSample({ max_retries_down: 1 })

export type Sample = {
  id: string
  vip_address?: string
  members: MemberInput[]
  listener?: Change<ListenerInput['listener']>
  pool?: Change<PoolInput>
  peers?: ListenerInput['peers']
}

/** The n-th member, on 10.0.0.1n. */
export function member(n: number, change: Change<MemberInput> = {}): MemberInput {
  return memberSample({ id: `member-${n}`, address: `10.0.0.${10 + n}`, ...change })
}
