/** The tables as the declarations have them: columns, their types, and rows in both directions. */
import { amphora } from '../lbaas/amphora.ts'
import { availabilityZone, availabilityZoneProfile } from '../lbaas/availability-zone.ts'
import { flavor, flavorProfile } from '../lbaas/flavor.ts'
import { healthMonitor } from '../lbaas/health-monitor.ts'
import { listener } from '../lbaas/listener.ts'
import { loadBalancer } from '../lbaas/load-balancer.ts'
import { member } from '../lbaas/member.ts'
import { pool } from '../lbaas/pool.ts'
import { quota } from '../lbaas/quota.ts'
import { type Field, type FieldKind, type Resource, type ResourceName, stateOf } from '../lbaas/resource.ts'

export type Column = { name: string; type: string; nullable: boolean; field: Field }

/** Every resource that has a table, under its name. */
export const tables: Readonly<Record<ResourceName, Resource>> = {
  load_balancer: loadBalancer,
  listener,
  pool,
  member,
  health_monitor: healthMonitor,
  amphora,
  quota,
  flavor,
  flavor_profile: flavorProfile,
  availability_zone: availabilityZone,
  availability_zone_profile: availabilityZoneProfile,
}

const pg_types: Readonly<Record<FieldKind, string>> = {
  string: 'text',
  integer: 'integer',
  decimal: 'double precision',
  boolean: 'boolean',
  uuid: 'uuid',
  ip: 'text',
  cidr: 'text',
  enumeration: 'text',
  map: 'jsonb',
  list: 'jsonb',
  record: 'jsonb',
  time: 'timestamp with time zone',
}

/** The columns that a resource's table has: everything but what is not kept, and observations, which have a table of
 *  their own. */
export function columnsOf(resource: Resource): Column[] {
  return Object.entries(resource.fields)
    .filter(([, field]) => stateOf(field) !== 'observation' && stateOf(field) !== 'request')
    .map(([name, field]) => ({
      name,
      type: pg_types[field.kind],
      // What a POST may leave to be found out is always there in a row.
      nullable: field.options.null === true && !(name === 'load_balancer_id' && resource.name !== 'amphora'),
      field,
    }))
}

/** The column list of a select; `alias` is the table's. */
export function selected(resource: Resource, alias: string): string {
  return columnsOf(resource)
    .map(({ name }) => `${alias}.${name}`)
    .join(', ')
}

/** A row as PostgreSQL gives it, as a row of the domain: instants as text. */
export function fromDatabase<T>(row: Record<string, unknown>): T {
  for (const [name, value] of Object.entries(row)) if (value instanceof Date) row[name] = value.toISOString()
  return row as T
}
