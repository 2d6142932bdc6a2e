/** Trees for tests, made by the same changes that make real ones. */
import { change, type Request, type Terms } from './change.ts'
import { checkFields } from './check.ts'
import { type HealthMonitorPost, healthMonitor } from './health-monitor.ts'
import { type L7PolicyPost, l7policy } from './l7-policy.ts'
import { type L7RulePost, l7rule } from './l7-rule.ts'
import { type ListenerPost, listener } from './listener.ts'
import { type LoadBalancerPost, loadBalancer, type Vip } from './load-balancer.ts'
import { type MemberPost, type MemberSubnet, member } from './member.ts'
import { type PoolPost, pool } from './pool.ts'
import type { Resource } from './resource.ts'
import { usual_tls } from './tls.ts'
import type { Tree } from './tree.ts'

/** The n-th id: readable, and a uuid. */
export function sampleId(n: number): string {
  return `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`
}

const sample_project = '5f0c3d1a9b7e4c2d8a6f1e0b9d8c7a65'

export const sample_vip: Vip = {
  address: '10.0.0.10',
  port_id: sampleId(9001),
  subnet_id: sampleId(9002),
  network_id: sampleId(9003),
  subnet_cidr: '10.0.0.0/24',
  gateway: '10.0.0.1',
  additional: [],
  owned: true,
}

export const sample_subnet: MemberSubnet = { network_id: sample_vip.network_id, cidr: sample_vip.subnet_cidr }

export function sampleTerms(n: number, terms: Partial<Terms> = {}): Terms {
  const now = new Date(Date.UTC(2026, 0, 1) + n * 1000).toISOString()
  const reserved_ips = ['169.254.169.254']
  return { now, id: sampleId(n), locking: 'queue', reserved_ips, ping_allowed: true, tls: usual_tls, ...terms }
}

export const creates = {
  loadBalancer: (body: object = {}): Request => ({
    verb: 'create',
    resource: 'load_balancer',
    fields: fields<LoadBalancerPost>(loadBalancer, {
      name: 'lb1',
      vip_subnet_id: sample_vip.subnet_id,
      provider: 'amphora',
      ...body,
    }),
    vip: sample_vip,
    topology: 'SINGLE',
  }),
  listener: (body: object = {}): Request => ({
    verb: 'create',
    resource: 'listener',
    fields: fields<ListenerPost>(listener, {
      name: 'listener1',
      loadbalancer_id: sampleId(1),
      protocol: 'HTTP',
      protocol_port: 80,
      ...body,
    }),
  }),
  pool: (body: object = {}): Request => ({
    verb: 'create',
    resource: 'pool',
    fields: fields<PoolPost>(pool, { name: 'pool1', protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN', ...body }),
  }),
  member: (pool_id: string, body: object = {}, subnet: MemberSubnet | null = sample_subnet): Request => ({
    verb: 'create',
    resource: 'member',
    parent_id: pool_id,
    fields: fields<MemberPost>(member, {
      address: '10.0.0.21',
      protocol_port: 80,
      subnet_id: subnet && sample_vip.subnet_id,
      ...body,
    }),
    subnet,
  }),
  monitor: (pool_id: string, body: object = {}): Request => ({
    verb: 'create',
    resource: 'health_monitor',
    fields: fields<HealthMonitorPost>(healthMonitor, {
      pool_id,
      name: 'monitor1',
      type: 'HTTP',
      delay: 5,
      timeout: 3,
      max_retries: 2,
      ...body,
    }),
  }),
  policy: (listener_id: string, body: object = {}): Request => ({
    verb: 'create',
    resource: 'l7policy',
    fields: fields<L7PolicyPost>(l7policy, { listener_id, name: 'policy1', action: 'REJECT', ...body }),
  }),
  rule: (l7policy_id: string, body: object = {}): Request => ({
    verb: 'create',
    resource: 'l7rule',
    parent_id: l7policy_id,
    fields: fields<L7RulePost>(l7rule, { type: 'PATH', compare_type: 'STARTS_WITH', value: '/old', ...body }),
  }),
}

/** The tree of the five commands: load balancer 1, listener 2, pool 3, members 4 and 5. Nothing applied yet. */
export function sampleTree(): Tree {
  return applied([
    creates.loadBalancer(),
    creates.listener(),
    creates.pool({ listener_id: sampleId(2) }),
    creates.member(sampleId(3), { address: '10.0.0.21' }),
    creates.member(sampleId(3), { address: '10.0.0.22' }),
  ])
}

/** The requests one after another; the n-th made object gets the n-th id. */
export function applied(requests: readonly Request[], from: Tree | null = null, first = 1): Tree {
  let tree = from
  for (const [i, request] of requests.entries()) tree = change(tree, request, sampleTerms(first + i))
  return tree!
}

function fields<T>(resource: Resource, body: object): T {
  return checkFields(resource, 'POST', 'octavia', { project_id: sample_project, ...body }) as T
}
