/** The neutron-lbaas dialect: how Neutron's LBaaS v2 says things. */
import { isRecord } from '../../lbaas/check.ts'
import { Rejected } from '../../lbaas/errors.ts'
import type { StatusNode } from '../../lbaas/operating.ts'
import { amphora_provider } from '../../lbaas/provider.ts'
import { tables } from '../../store/schema.ts'
import { idsOnly, type Speech, shownFields } from '../speech.ts'
import { unauthenticated } from './octavia.ts'

export const neutron: Speech = {
  dialect: 'neutron',
  prefixes: ['/v2.0/lbaas'],
  always_links: false,
  aliases: { tenant_id: 'project_id', status: 'provisioning_status' },

  readBody(resource, body) {
    const root = resource.singular
    if (!isRecord(body)) throw new Rejected('missing_root', { root })
    if (!isRecord(body[root]))
      throw new Rejected('wrong_root', { root, given: Object.keys(body).join(', ').slice(0, 100) })
    const { tenant_id, ...rest } = body[root]
    return tenant_id === undefined ? rest : { project_id: tenant_id, ...rest }
  },

  showObject(resource, row, related) {
    const fields = shownFields(tables[resource], row, 'neutron', iso => iso.slice(0, 19))
    const object = { ...fields, tenant_id: row.project_id }
    switch (resource) {
      case 'load_balancer':
        return {
          ...object,
          provider: providerName(String(row.provider)),
          listeners: idsOnly(related.listeners),
          pools: idsOnly(related.pools),
        }
      case 'listener':
        return { ...object, loadbalancers: [{ id: row.load_balancer_id }], l7policies: idsOnly(related.l7policies) }
      case 'l7policy':
        return { ...object, rules: idsOnly(related.rules), status: row.provisioning_status }
      case 'l7rule':
        return { ...object, status: row.provisioning_status }
      case 'pool':
        return {
          ...object,
          session_persistence: persistence(row.session_persistence),
          loadbalancers: [{ id: row.load_balancer_id }],
          listeners: idsOnly(related.listeners),
          members: idsOnly(related.members),
          healthmonitor_id: related.health_monitors?.at(-1) ?? null,
        }
      case 'health_monitor':
        return { ...object, pools: [{ id: row.pool_id }] }
      default:
        return object
    }
  },

  showStatuses({ listeners = [], pools = [], ...loadbalancer }) {
    const shown = listeners.map(listener => ({ ...listener, pools: (listener.pools ?? []).map(poolStatus) }))
    return { statuses: { loadbalancer: { ...loadbalancer, listeners: shown, pools: pools.map(poolStatus) } } }
  },

  showError(rejected) {
    if (rejected.code === 'unauthenticated') return unauthenticated
    const { status, type, message } = rejected.neutron()
    return { status, body: { NeutronError: { type, message, detail: '' } } }
  },
}

/** Neutron called the reference driver after its project. */
export function providerName(provider: string): string {
  return provider === amphora_provider.name ? 'octavia' : provider
}

/** The monitor under Neutron's name; it reported no operating status of one. */
function poolStatus({ health_monitor, ...pool }: StatusNode): unknown {
  const { operating_status: _unsaid, ...healthmonitor } = health_monitor ?? {}
  return { ...pool, healthmonitor }
}

function persistence(value: unknown): unknown {
  return isRecord(value) ? { type: value.type, cookie_name: value.cookie_name } : null
}
