/** What only an administrator may say of a port. */
import type { Identity } from '../keystone/tokens.ts'
import { Refusal } from '../service.ts'
import type { Store } from '../store.ts'
import type { PortWishes } from './ports.ts'

const admins_only = ['binding:host_id', 'binding:profile', 'mac_address', 'port_security_enabled'] as const

export function checkPort(identity: Identity, wishes: PortWishes): void {
  if (identity.admin) return
  const field = admins_only.find(key => key in wishes && wishes[key] !== null && key !== 'mac_address')
  if (field) throw disallowed('create_port', field)
  // it plugs into the machine's own namespaces
  if (String(wishes.device_owner ?? '').startsWith('pocket:')) throw disallowed('create_port', 'device_owner')
}

export function checkPortUpdate(identity: Identity, wishes: PortWishes): void {
  if (identity.admin) return
  const field = admins_only.find(key => key in wishes)
  if (field) throw disallowed('update_port', field)
  if (String(wishes.device_owner ?? '').startsWith('pocket:')) throw disallowed('update_port', 'device_owner')
}

export function qosPolicy(store: Store, id: unknown): void {
  if (!store.get('qos_policy', String(id)))
    throw new Refusal(404, 'QosPolicyNotFound', `QoS policy ${id} could not be found.`)
}

function disallowed(action: string, field: string): Refusal {
  return new Refusal(403, 'PolicyNotAuthorized', `(rule:${action} and rule:${action}:${field}) is disallowed by policy`)
}
