/** How a resource is declared. Row types, checks, JSON schemas, columns, filters and documentation derive from it. */

/** Declares a resource. Fields common to all objects of a tree come from `identity` and `lifecycle`. */
export function resource<const F extends Fields>(declared: Resource<F>): Resource<F> {
  return declared
}

export type Resource<F extends Fields = Fields> = {
  /** Its name here, of its table, and of its kind in the journal. */
  name: ResourceName
  /** In English, as upstream's messages spell it: `Load Balancer 7e6d… not found.` */
  title: string
  /** The key of a request's body, and of a list's. */
  singular: string
  plural: string
  /** The part of the path. */
  path: string
  /** The field that tells its objects apart, and is in their paths; id unless said otherwise. */
  key?: string
  /** The key of a list's links where it is not the plural's. */
  links?: string
  /** What it belongs to, and the field that says so; `in_path`: its path lies below that of its parent. */
  parent?: { field: string; of: TreeResource; in_path?: true }
  /** What a POST may bring along, under these keys. */
  nested?: Readonly<Record<string, Nested>>
  fields: F
}

export type Nested = { of: ChildResource; many: boolean }

export type ResourceName = TreeResource | 'amphora' | 'quota' | OfferedResource
/** What administrators offer, and the profiles behind. */
export type OfferedResource = 'flavor' | 'flavor_profile' | 'availability_zone' | 'availability_zone_profile'
/** Those that a tenant makes, and that make up a tree. */
export type TreeResource = 'load_balancer' | ChildResource
export type ChildResource = 'listener' | 'pool' | 'member' | 'health_monitor' | 'l7policy' | 'l7rule'
export type Dialect = 'octavia' | 'neutron'
export type Fields = Readonly<Record<string, Field>>

/** Intentions are written by the API, facts by the controller, observations (tables of their own) by health;
 *  `bookkeeping` is what a change and its settling write; `request` is asked for in a POST and not kept. */
export type FieldState = 'intention' | 'request' | 'bookkeeping' | 'fact' | 'observation'

export type FieldKind =
  | 'string'
  | 'integer'
  | 'decimal'
  | 'boolean'
  | 'uuid'
  | 'ip'
  | 'cidr'
  | 'enumeration'
  | 'map'
  | 'list'
  | 'record'
  | 'time'

export type Options = {
  doc: string
  /** May be null. A POST without it gets null, unless there is a default. */
  null?: boolean
  /** What a POST without it gets. A field that has neither this nor null is required. */
  default?: unknown
  /** May a POST set it? True for intentions unless said otherwise. */
  post?: boolean
  /** May a PUT change it? */
  change?: boolean
  /** Intention unless said otherwise. */
  state?: FieldState
  /** Its name on the wire where the row must differ. */
  wire?: string
  /** Is it in answers? Unless said otherwise: facts and what is not kept are not, all else is. Secrets never are. */
  shown?: boolean
  secret?: boolean
  /** Does what amphorae run depend on it? True of intentions unless said otherwise. */
  rendered?: false
  /** Does the dialect know it? True unless said otherwise. */
  octavia?: boolean
  neutron?: boolean
  /** The Octavia API's version that brought it. */
  since?: string
  /** Is only allowed while other fields have one of these values. */
  only_for?: Readonly<Record<string, readonly string[]>>
  /** What a uuid or a reference names: an object of the tree, of the cloud, or of the certificate store (looked up before
   *  the change). */
  of?:
    | ResourceName
    | 'subnet'
    | 'network'
    | 'port'
    | 'qos_policy'
    | 'security_group'
    | 'certificate'
    | 'authority'
    | 'revocations'
  min?: number
  max?: number
  /** Longest string, in characters. */
  max_length?: number
  /** What a string must match, written so that a JSON schema can carry it. */
  pattern?: string
  unit?: string
  /** Of an enumeration; `neutron_values` where that dialect accepts fewer. */
  values?: readonly string[]
  neutron_values?: readonly string[]
  /** Of a number: which ones it may be. */
  one_of?: readonly number[]
  /** Of lists and maps: what each element is. Of records: their fields. */
  each?: Field
  record?: Fields
}

/** One declared field. `T` is the type of its value in a row, `O` what was declared. */
export type Field<T = unknown, O extends Options = Options> = {
  readonly kind: FieldKind
  readonly options: O
  /** Never there: it carries T. */
  readonly type?: T
}

/** The row's type. */
export type Row<R extends Resource> = {
  -readonly [K in keyof R['fields'] as R['fields'][K]['options'] extends { state: 'request' } ? never : K]: Value<
    R['fields'][K]
  >
}

/** What a checked POST gives to a change: every field that a POST may set, defaults filled in. */
export type Post<R extends Resource> = {
  -readonly [K in keyof R['fields'] as R['fields'][K]['options'] extends
    | { post: false }
    | { state: 'bookkeeping' | 'fact' | 'observation' }
    ? never
    : K]: Value<R['fields'][K]>
}

/** What a checked PUT gives: the fields that it named. */
export type Put<R extends Resource> = {
  -readonly [K in keyof R['fields'] as R['fields'][K]['options'] extends { change: true } ? K : never]?: Value<
    R['fields'][K]
  >
}

/** What of a row a configuration is rendered from: its intentions, but for those that say otherwise. */
export type Rendered<R extends Resource> = {
  -readonly [K in keyof R['fields'] as R['fields'][K]['options'] extends
    | { rendered: false }
    | { state: 'request' | 'bookkeeping' | 'fact' | 'observation' }
    ? never
    : K]: Value<R['fields'][K]>
}

export function rendered<R extends Resource>(resource: R, row: Readonly<Record<string, unknown>>): Rendered<R> {
  const fields = Object.entries(resource.fields).filter(
    ([, field]) => stateOf(field) === 'intention' && field.options.rendered !== false,
  )
  return Object.fromEntries(fields.map(([name]) => [name, row[name] ?? null])) as Rendered<R>
}

type Value<F> = F extends Field<infer T, Options> ? T : never

type OrNull<T, O> = O extends { null: true } ? T | null : T

export function string<const O extends Options>(options: O): Field<OrNull<string, O>, O> {
  return { kind: 'string', options }
}

export function integer<const O extends Options>(options: O): Field<OrNull<number, O>, O> {
  return { kind: 'integer', options }
}

/** One of a few numbers that are not whole. */
export function decimal<const O extends Options & { one_of: readonly number[] }>(
  options: O,
): Field<OrNull<O['one_of'][number], O>, O> {
  return { kind: 'decimal', options }
}

export function boolean<const O extends Options>(options: O): Field<OrNull<boolean, O>, O> {
  return { kind: 'boolean', options }
}

export function uuid<const O extends Options>(options: O): Field<OrNull<string, O>, O> {
  return { kind: 'uuid', options }
}

/** An IPv4 or IPv6 address, kept in its canonical form (RFC 5952). */
export function ip<const O extends Options>(options: O): Field<OrNull<string, O>, O> {
  return { kind: 'ip', options }
}

export function cidr<const O extends Options>(options: O): Field<OrNull<string, O>, O> {
  return { kind: 'cidr', options }
}

export function enumeration<const O extends Options & { values: readonly string[] }>(
  options: O,
): Field<OrNull<O['values'][number], O>, O> {
  return { kind: 'enumeration', options }
}

/** Names to strings. */
export function map<const O extends Options & { each: Field }>(
  options: O,
): Field<OrNull<Record<string, Value<O['each']>>, O>, O> {
  return { kind: 'map', options }
}

export function list<const O extends Options & { each: Field }>(options: O): Field<OrNull<Value<O['each']>[], O>, O> {
  return { kind: 'list', options }
}

/** An object with fields of its own. */
export function record<const O extends Options & { record: Fields }>(
  options: O,
): Field<OrNull<{ -readonly [K in keyof O['record']]: Value<O['record'][K]> }, O>, O> {
  return { kind: 'record', options }
}

/** A structured fact that only the controller writes and reads; `T` is its shape. */
export function fact<T>() {
  return <const O extends Options>(options: O): Field<T, O> => ({ kind: 'record', options })
}

/** An instant, UTC, as `2026-03-01T12:00:00.000Z`. */
export function time<const O extends Options>(options: O): Field<OrNull<string, O>, O> {
  return { kind: 'time', options }
}

const provisioning_statuses = ['ACTIVE', 'PENDING_CREATE', 'PENDING_UPDATE', 'PENDING_DELETE', 'ERROR'] as const
const operating_statuses = ['ONLINE', 'DRAINING', 'OFFLINE', 'DEGRADED', 'ERROR', 'NO_MONITOR'] as const
export type ProvisioningStatus = (typeof provisioning_statuses)[number]
export type OperatingStatus = (typeof operating_statuses)[number]

/** What every object that a tenant makes starts with. */
export const identity = {
  id: uuid({ post: false, doc: 'The object.' }),
  project_id: string({ default: '', max_length: 36, rendered: false, doc: 'The project that it belongs to.' }),
  name: string({
    default: '',
    max_length: 255,
    change: true,
    rendered: false,
    doc: 'A name for people; need not be unique.',
  }),
} as const

export const description = string({
  default: '',
  max_length: 255,
  change: true,
  rendered: false,
  doc: 'A description for people.',
})

export const admin_state_up = boolean({
  default: true,
  change: true,
  doc: 'Whether it takes traffic; false takes it out of service without deleting it.',
})

/** What every object that a tenant makes ends with. */
export const lifecycle = {
  tags: list({
    default: [],
    change: true,
    rendered: false,
    neutron: false,
    since: '2.5',
    each: string({ max_length: 255, doc: 'A tag.' }),
    doc: 'Words to find it by.',
  }),
  provisioning_status: enumeration({
    state: 'bookkeeping',
    values: provisioning_statuses,
    doc: 'Whether what was asked for has been applied: PENDING_* while it is being applied, ERROR with a reason if it could not be.',
  }),
  operating_status: enumeration({
    state: 'observation',
    values: operating_statuses,
    doc: 'How it does, as its amphorae report.',
  }),
  created_at: time({ state: 'bookkeeping', neutron: false, doc: 'When it was accepted.' }),
  updated_at: time({ state: 'bookkeeping', null: true, neutron: false, doc: 'When it was last changed.' }),
  generation: integer({
    state: 'bookkeeping',
    shown: false,
    doc: "The tree's generation when this object was last written.",
  }),
  reason: string({
    state: 'bookkeeping',
    null: true,
    shown: false,
    doc: 'Why it is in ERROR, what is being waited for, or a warning; in plain words.',
  }),
} as const

export function stateOf(field: Field): FieldState {
  return field.options.state ?? 'intention'
}

export function speaks(field: Field, dialect: Dialect): boolean {
  return field.options[dialect] !== false
}

/** May requests of this method name the field, in this dialect? */
export function accepted(field: Field, method: 'POST' | 'PUT', dialect: Dialect): boolean {
  if (!speaks(field, dialect)) return false
  if (stateOf(field) === 'request') return method === 'POST'
  if (stateOf(field) !== 'intention') return false
  return method === 'POST' ? field.options.post !== false : field.options.change === true
}

/** Is the field in answers of this dialect? */
export function shown(field: Field, dialect: Dialect): boolean {
  const by_default = stateOf(field) !== 'fact' && stateOf(field) !== 'request'
  return speaks(field, dialect) && !field.options.secret && (field.options.shown ?? by_default)
}

export function keyOf(resource: Resource): string {
  return resource.key ?? 'id'
}

export function wireName(name: string, field: Field): string {
  return field.options.wire ?? name
}
