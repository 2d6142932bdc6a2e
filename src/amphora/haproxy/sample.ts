/** For tests: inputs of a rendering, everything as the declarations have it by default but for what is said otherwise. */
import { healthMonitor } from '../../lbaas/health-monitor.ts'
import { l7policy } from '../../lbaas/l7-policy.ts'
import { l7rule } from '../../lbaas/l7-rule.ts'
import { listener } from '../../lbaas/listener.ts'
import { member } from '../../lbaas/member.ts'
import { pool } from '../../lbaas/pool.ts'
import { type Rendered, type Resource, rendered } from '../../lbaas/resource.ts'
import type { L7PolicyInput, L7RuleInput } from './l7.ts'
import type { ListenerInput, MemberInput, PoolInput } from './listener.ts'
import type { MonitorInput } from './monitor.ts'

/** Values of any kind, hostile ones too. */
export type Change<T> = { readonly [K in keyof T]?: unknown }

export function listenerSample(change: Change<ListenerInput['listener']> = {}): ListenerInput['listener'] {
  return sample(listener, { protocol: 'HTTP', protocol_port: 80, ...change })
}

export function poolSample(change: Change<PoolInput> = {}): PoolInput {
  return {
    ...sample(pool, { protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN' }),
    members: [],
    health_monitor: null,
    ...change,
  } as PoolInput
}

export function memberSample(change: Change<MemberInput> = {}): MemberInput {
  return sample(member, { protocol_port: 80, ...change })
}

export function monitorSample(change: Change<MonitorInput> = {}): MonitorInput {
  return sample(healthMonitor, { id: '9', type: 'TCP', delay: 1, timeout: 1, max_retries: 1, ...change })
}

export function policySample(change: Change<L7PolicyInput> = {}): L7PolicyInput {
  return { ...sample(l7policy, { action: 'REJECT' }), rules: [], ...change } as L7PolicyInput
}

export function ruleSample(change: Change<L7RuleInput> = {}): L7RuleInput {
  return sample(l7rule, { type: 'PATH', compare_type: 'STARTS_WITH', ...change })
}

function sample<R extends Resource>(resource: R, change: Readonly<Record<string, unknown>>): Rendered<R> {
  const defaults = Object.entries(resource.fields).map(([name, { options }]) => [name, options.default ?? null])
  return rendered(resource, { ...Object.fromEntries(defaults), ...change })
}
