/** The tables as the declarations have them: columns, their types, and rows in both directions. */
import { declarations } from '../lbaas/declarations.ts'
import { type Field, type FieldKind, type Resource, stateOf, type TreeResource } from '../lbaas/resource.ts'

export type Column = { name: string; type: string; nullable: boolean; field: Field }

/** Every resource has a table, under its name. */
export const tables = declarations

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

/** The rows `o` of a tree's resource joined up to their load balancer, and the expression that is its id. */
export function upToRoot(resource: TreeResource): { from: string; load_balancer_id: string } {
  let from = `lbaas.${resource} o`
  let alias = 'o'
  for (let { parent } = tables[resource]; parent && parent.of !== 'load_balancer'; { parent } = tables[parent.of]) {
    const above = `o_${parent.of}`
    from += ` join lbaas.${parent.of} ${above} on ${above}.id = ${alias}.${parent.field}`
    alias = above
  }
  return { from, load_balancer_id: resource === 'load_balancer' ? 'o.id' : `${alias}.load_balancer_id` }
}
