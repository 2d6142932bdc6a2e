/** A POST's body with all that it brings along: what is to be made, in the order in which it can be. */
import { checkFields, isRecord } from './check.ts'
import { declarations } from './declarations.ts'
import { Rejected } from './errors.ts'
import { type ChildResource, type Dialect, type Nested, type Resource, stateOf, type TreeResource } from './resource.ts'
import { collections } from './tree.ts'

/** An object that is to be made, its fields checked. Of what the same POST makes above or beside it, it has the ids. */
export type Creation = {
  new_id: string
  resource: TreeResource
  /** Of those whose path lies below their parent's. */
  parent_id?: string
  fields: Record<string, unknown>
}

/** The object that the body is about first; the others such that each finds there what it refers to. Throws Rejected.
 *  Pools that are referred to by name must be in the body; all pools of one that brings listeners need names. */
export function checkNested(
  resource: Resource,
  dialect: Dialect,
  body: unknown,
  newId: () => string,
  parent_id?: string,
): { main: Creation; all: Creation[] } {
  const gathering: Gathering = { dialect, newId, found: [], pool_names: new Map(), references: [] }
  const main = gather(gathering, resource, body, {}, parent_id)
  for (const { fields, field, name } of gathering.references) {
    const id = gathering.pool_names.get(name)
    if (id === undefined) throw new Rejected('pool_undefined', { name: name.slice(0, 100) })
    fields[field] = id
  }
  const all = order.flatMap(name => gathering.found.filter(one => one.resource === name))
  return { main, all }
}

const order = ['load_balancer', ...Object.keys(collections)] as TreeResource[]

type Gathering = {
  dialect: Dialect
  newId: () => string
  found: Creation[]
  pool_names: Map<string, string>
  /** Fields that are to hold the id of the pool of that name. */
  references: { fields: Record<string, unknown>; field: string; name: string }[]
}

function gather(
  gathering: Gathering,
  resource: Resource,
  body: unknown,
  known: Readonly<Record<string, unknown>>,
  parent_id?: string,
): Creation {
  const nested = gathering.dialect === 'octavia' ? (resource.nested ?? {}) : {}
  const own = isRecord(body) ? Object.entries(body).filter(([key]) => !Object.hasOwn(nested, key)) : null
  const fields = checkFields(resource, 'POST', gathering.dialect, own ? Object.fromEntries(own) : body, known)
  const creation: Creation = {
    new_id: gathering.newId(),
    resource: resource.name as TreeResource,
    ...(parent_id === undefined ? {} : { parent_id }),
    fields,
  }
  gathering.found.push(creation)
  for (const [key, part] of Object.entries(nested)) {
    const given = (body as Record<string, unknown>)[key]
    if (given === undefined || given === null) continue
    for (const one of each(part, key, given)) {
      if (part.of === 'pool') gatherPool(gathering, creation, key, one)
      else gatherChild(gathering, creation, part.of, one)
    }
  }
  return creation
}

function each({ many }: Nested, key: string, given: unknown): unknown[] {
  if (!many) return [given]
  if (Array.isArray(given)) return given
  const detail = 'Value should be a list'
  throw new Rejected('bad_value', { name: key, value: '…', octavia: detail, neutron: detail })
}

function gatherChild(gathering: Gathering, above: Creation, name: ChildResource, body: unknown): Creation {
  const declared = declarations[name]
  const { field, in_path } = declared.parent!
  const known = inherited(declared)
  if (in_path) return gather(gathering, declared, body, known, above.new_id)
  // A pool or listener is made on the load balancer, which it is told of when it is known.
  const parent = field === 'load_balancer_id' ? null : above.new_id
  return gather(gathering, declared, body, { ...known, [field]: parent })
}

/** A pool with nothing but a name refers to the one of that name; else it is one, and what it stands in uses it. */
function gatherPool(gathering: Gathering, above: Creation, key: string, body: unknown): void {
  const name = isRecord(body) && typeof body.name === 'string' ? body.name : ''
  const within = declarations[above.resource]
  const field = key === 'default_pool' || key === 'redirect_pool' ? `${key}_id` : null
  const whole = gathering.found.some(one => one.resource === 'load_balancer')
  if (whole && name === '') throw new Rejected('unnamed_pool', {})
  if (field !== null && isRecord(body) && Object.keys(body).every(word => word === 'name')) {
    gathering.references.push({ fields: above.fields, field, name })
    return
  }
  if (name !== '' && gathering.pool_names.has(name)) throw new Rejected('pool_name_twice', {})
  const pool = gatherChild(gathering, above, within.nested![key]!.of, body)
  if (name !== '') gathering.pool_names.set(name, pool.new_id)
  if (field !== null) above.fields[field] = pool.new_id
}

/** What a nested body may not say, because it follows from where it stands. */
function inherited({ fields }: Resource): Record<string, unknown> {
  const requested = Object.entries(fields).filter(([, field]) => stateOf(field) === 'request')
  return { project_id: '', ...Object.fromEntries(requested.map(([name]) => [name, null])) }
}
