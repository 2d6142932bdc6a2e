/** The Octavia dialect: how Octavia v2 says things. */
import { isRecord } from '../../lbaas/check.ts'
import { Rejected } from '../../lbaas/errors.ts'
import { tables } from '../../store/schema.ts'
import { idsOnly, type Speech, shownFields } from '../speech.ts'

export const octavia: Speech = {
  dialect: 'octavia',
  prefixes: ['/v2.0/lbaas', '/v2/lbaas'],
  always_links: true,
  aliases: { tenant_id: 'project_id' },

  readBody(resource, body) {
    const root = resource.singular
    if (!isRecord(body)) throw new Rejected('missing_root', { root })
    const other = Object.keys(body).find(key => key !== root)
    if (other !== undefined) throw new Rejected('wrong_root', { root, given: other.slice(0, 100) })
    if (!(root in body)) throw new Rejected('missing_root', { root })
    const inside = body[root]
    if (!isRecord(inside) || !('tenant_id' in inside)) return inside
    const { tenant_id, ...rest } = inside
    return { project_id: tenant_id, ...rest }
  },

  showObject(resource, row, related) {
    const object = shownFields(tables[resource], row, 'octavia', iso => iso.slice(0, 19))
    switch (resource) {
      case 'load_balancer':
        return { ...object, listeners: idsOnly(related.listeners), pools: idsOnly(related.pools) }
      case 'listener':
        return { ...object, loadbalancers: [{ id: row.load_balancer_id }], l7policies: idsOnly(related.l7policies) }
      case 'l7policy':
        return { ...object, rules: idsOnly(related.rules) }
      case 'pool':
        return {
          ...object,
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

  showStatuses({ pools: _unused, listeners = [], ...loadbalancer }) {
    const shown = listeners.map(({ l7policies: _unsaid, ...listener }) => listener)
    return { statuses: { loadbalancer: { ...loadbalancer, listeners: shown } } }
  },

  showError(rejected) {
    if (rejected.code === 'unauthenticated') return unauthenticated
    const { status, faultstring } = rejected.octavia()
    return { status, body: { faultcode: status < 500 ? 'Client' : 'Server', faultstring, debuginfo: null } }
  },
}

/** Keystone's middleware answers before either API does, so in both dialects alike. */
export const unauthenticated = {
  status: 401,
  body: {
    error: { code: 401, title: 'Unauthorized', message: 'The request you have made requires authentication.' },
  },
}
