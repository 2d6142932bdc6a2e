/** The cells that every resource of a tenant's has: made, shown, listed, changed and deleted, and refused all of it. */
import { expect } from 'vitest'
import { type Bed, type Dialect, unknown_id } from './bed.ts'
import type { Cell, Fields, Pending, Refusal } from './cell.ts'
import { changed, newObjects, settled } from './objects.ts'
import * as refusals from './refusals.ts'

/** One resource, as the table sees it. */
export type Declared = {
  /** The last part of its path, and what is before that. */
  collection: string
  below?: string
  singular: string
  title: string
  /** Octavia's 404, and Neutron's. */
  notFound: (bed: Bed, id: string) => Refusal
  create: {
    body: (bed: Bed) => Fields
    /** What of the answer differs from a new object and from the body. */
    answer?: (bed: Bed) => Fields
    /** Of a body's fields, those that no answer shows. */
    hidden?: string[]
    locks?: Record<string, Pending>
    effect?: Cell['effect']
  }
  /** What belongs to it by the time it is shown. */
  related?: (bed: Bed) => Fields
  /** How it alone is listed, and two fields of it. */
  filter: (bed: Bed) => string
  fields: [string, string]
  update: {
    body: (bed: Bed) => Fields
    answer?: (bed: Bed) => Fields
    locks: Record<string, Pending>
    meanwhile?: Cell[]
    effect?: Cell['effect']
  }
  remove: { locks: Record<string, Pending>; meanwhile?: Cell[]; effect?: Cell['effect'] }
  /** A required field, a wrong value of a POST, and a field that no PUT may name. */
  required: string
  /** Where its absence is not said as that of other fields. */
  missing?: Refusal
  wrong: [field: string, value: unknown]
  fixed: [field: string, value: unknown]
  /** What its path is below is not there. */
  orphan?: (bed: Bed, id: string) => Refusal
  /** To make it below, or in, what is another's. */
  stranger: { status: number; refusal: (bed: Bed) => Refusal }
}

export function paths({ collection, below = '' }: Declared): { all: string; one: string } {
  const all = `/v2.0/lbaas/${below}${collection}`
  return { all, one: `${all}/{id}` }
}

export function creation(declared: Declared): Cell {
  const { collection, singular, create } = declared
  const answer = (bed: Bed) => {
    const said = Object.entries(create.body(bed)).filter(([name]) => !create.hidden?.includes(name))
    return {
      [singular]: { ...newObjects[collection]!(bed), ...Object.fromEntries(said), ...create.answer?.(bed) },
    }
  }
  return {
    ...{ route: `POST ${paths(declared).all}`, does: 'is made', status: 201, answer },
    body: bed => ({ [singular]: create.body(bed) }),
    ...(create.locks ? { locks: create.locks } : {}),
    ...(create.effect ? { effect: create.effect } : {}),
  }
}

export function reads(declared: Declared, dialect: Dialect): Cell[] {
  const { collection, singular, filter, fields, related } = declared
  const { all, one } = paths(declared)
  const object = (bed: Bed) => settled(bed.known[collection]!, related?.(bed))
  const listed = (...objects: Fields[]) => listOf(dialect, collection, objects)
  const [first, second] = fields
  const two = (bed: Bed) => ({ [first]: bed.known[collection]![first], [second]: bed.known[collection]![second] })
  return [
    ...[{ route: `GET ${one}`, does: 'is shown' }, ...also(dialect, `GET ${one}`)].map(cell => ({
      ...{ ...cell, status: 200, answer: (bed: Bed) => ({ [singular]: object(bed) }) },
    })),
    {
      ...{ route: `GET ${one}`, does: 'is shown with two fields', query: `fields=${first}&fields=${second}` },
      ...{ as: 'reader', status: 200, answer: bed => ({ [singular]: two(bed) }) },
    },
    {
      ...{ route: `GET ${all}`, does: 'is listed alone by a filter', query: filter, status: 200 },
      answer: bed => listed(object(bed)),
    },
    {
      ...{ route: `GET ${all}`, does: 'is listed with two fields and a limit', status: 200 },
      query: bed => `${filter(bed)}&fields=${first}&fields=${second}&limit=1`,
      answer: bed => listed(two(bed)),
    },
    {
      ...{ route: `GET ${all}`, does: 'is not listed by a filter that does not fit', as: 'admin', status: 200 },
      query: bed => `${filter(bed)}&id=${unknown_id}`,
      answer: () => listed(),
    },
    {
      ...{ route: `GET ${all}`, does: 'is refused an unknown filter', query: 'colour=red', status: 400 },
      refusal: () => refusals.badFilter('colour'),
    },
    {
      ...{ route: `GET ${all}`, does: 'is refused a limit that is none', query: 'limit=some', status: 400 },
      refusal: () => refusals.badLimit('some'),
    },
  ]
}

/** Everything that is there under Octavia's older prefix too, of which reading stands for all. */
function also(dialect: Dialect, route: string): Pick<Cell, 'route' | 'does'>[] {
  if (dialect === 'neutron') return []
  return [{ route: route.replace('/v2.0/', '/v2/'), does: 'is shown under the older prefix' }]
}

export function listOf(dialect: Dialect, plural: string, objects: unknown[], links = `${plural}_links`): Fields {
  return { [plural]: objects, ...(dialect === 'octavia' ? { [links]: [] } : {}) }
}

export function update(declared: Declared): Cell {
  const { collection, singular } = declared
  const { body, answer, locks, effect, meanwhile } = declared.update
  const fields = (bed: Bed) => ({ ...declared.related?.(bed), ...body(bed), ...answer?.(bed) })
  return {
    ...{ route: `PUT ${paths(declared).one}`, does: 'is changed', status: 200, locks },
    body: bed => ({ [singular]: body(bed) }),
    answer: bed => ({ [singular]: changed(bed.known[collection]!, fields(bed)) }),
    ...(meanwhile ? { meanwhile } : {}),
    ...(effect ? { effect } : {}),
  }
}

/** It goes, and is let alone while it does. */
export function removal(declared: Declared): Cell[] {
  const { collection, singular, title, remove } = declared
  const { one } = paths(declared)
  const gone = (bed: Bed) => refusals.immutable(title, bed.ids[collection]!)
  return [
    {
      ...{ route: `DELETE ${one}`, does: 'is deleted', status: 204, ...remove },
      meanwhile: [
        {
          ...{ route: `PUT ${one}`, does: 'is not changed while it goes', status: 409, refusal: gone },
          body: () => ({ [singular]: { admin_state_up: true } }),
        },
        { route: `DELETE ${one}`, does: 'is not deleted twice', status: 409, refusal: gone },
        ...(remove.meanwhile ?? []),
      ],
    },
    {
      ...{ route: `GET ${one}`, does: 'is gone', status: 404 },
      refusal: bed => declared.notFound(bed, bed.ids[collection]!),
    },
  ]
}

/** What must be there is there, and what is asked for is refused. */
export function refused(declared: Declared, dialect: Dialect): Cell[] {
  const { collection, singular, create, required, wrong, fixed, stranger, notFound } = declared
  const { all, one } = paths(declared)
  const body = (fields: (bed: Bed) => Fields) => (bed: Bed) => ({ [singular]: fields(bed) })
  const posted = (
    does: string,
    status: number,
    fields: (bed: Bed) => Fields,
    refusal: Cell['refusal'],
    as?: Cell['as'],
  ) => ({ route: `POST ${all}`, does, status, body: body(fields), refusal, ...(as ? { as } : {}) }) as Cell
  const put = (does: string, fields: Fields, refusal: Refusal): Cell => ({
    ...{ route: `PUT ${one}`, does, status: 400, body: body(() => fields), refusal: () => refusal },
  })
  const empty = { [singular]: {} }
  const verbs = [{ route: `GET ${one}` }, { route: `PUT ${one}`, body: () => empty }, { route: `DELETE ${one}` }]
  const without = (bed: Bed) =>
    Object.fromEntries(Object.entries(create.body(bed)).filter(([name]) => name !== required))
  return [
    posted(`needs its ${required}`, 400, without, () => declared.missing ?? refusals.missing(required)),
    posted(
      ...([`is refused a wrong ${wrong[0]}`, 400] as const),
      bed => ({ ...create.body(bed), [wrong[0]]: wrong[1] }),
      () => refusals.badValue(...wrong),
    ),
    posted(
      ...(['is refused a field that there is not', 400] as const),
      bed => ({ ...create.body(bed), colour: 'red' }),
      () => refusals.unknownField(singular, 'colour'),
    ),
    put(`keeps its ${fixed[0]}`, { [fixed[0]]: fixed[1] }, refusals.readOnly(singular, fixed[0])),
    put('is refused a field that there is not', { colour: 'red' }, refusals.unknownField(singular, 'colour')),
    {
      ...{ route: `PUT ${one}`, does: 'is refused a body without its root', status: 400, body: () => ({}) },
      refusal: () => refusals.noRoot(singular),
    },
    ...verbs.map(verb => ({
      ...{ ...verb, does: 'is not found under an unknown id', status: 404, at: { [collection]: unknown_id } },
      refusal: (bed: Bed) => notFound(bed, unknown_id),
    })),
    ...verbs.map(verb => strangers(declared, dialect, verb)),
    declared.below
      ? strangers(declared, dialect, { route: `GET ${all}` })
      : {
          ...{ route: `GET ${all}`, does: 'is not listed for a stranger', as: 'stranger', status: 200 },
          ...{ query: declared.filter, answer: () => listOf(dialect, collection, []) },
        },
    ...orphans(declared),
    posted('is not made by a stranger', stranger.status, create.body, stranger.refusal, 'stranger'),
    ...readers(declared),
  ]
}

/** Another project's objects are refused in Octavia; in Neutron they, or what they are below, are not there. */
function strangers(declared: Declared, dialect: Dialect, verb: Pick<Cell, 'route' | 'body'>): Cell {
  const { below, collection, notFound, stranger } = declared
  const missing = (bed: Bed) => (below ? stranger.refusal(bed) : notFound(bed, bed.ids[collection]!))
  const refusal = dialect === 'octavia' ? () => refusals.policy('') : missing
  return { ...verb, does: "is another project's", as: 'stranger', status: dialect === 'octavia' ? 403 : 404, refusal }
}

/** What is asked for below what is not there. */
function orphans(declared: Declared): Cell[] {
  const { below, orphan, singular, create } = declared
  if (!below || !orphan) return []
  const { all, one } = paths(declared)
  const verbs = [
    { route: `GET ${all}` },
    { route: `POST ${all}`, body: (bed: Bed) => ({ [singular]: create.body(bed) }) },
    { route: `GET ${one}` },
  ]
  const at = { [below.split('/')[0]!]: unknown_id }
  return verbs.map(verb => ({
    ...{ ...verb, does: 'is not found below an unknown id', status: 404, at },
    refusal: (bed: Bed) => orphan(bed, unknown_id),
  }))
}

/** Who may only read. */
function readers(declared: Declared): Cell[] {
  const { singular, create } = declared
  const { all, one } = paths(declared)
  const does = 'is not for those who may only read'
  const reader = { does, as: 'reader', status: 403 } as const
  return [
    {
      ...{ ...reader, route: `POST ${all}`, body: bed => ({ [singular]: create.body(bed) }) },
      refusal: () => refusals.policy(`create_${singular}`),
    },
    {
      ...{ ...reader, route: `PUT ${one}`, body: () => ({ [singular]: {} }) },
      refusal: () => refusals.policy(`update_${singular}`),
    },
    { ...reader, route: `DELETE ${one}`, refusal: () => refusals.policy(`delete_${singular}`) },
  ]
}

/** The page after the first leads to the one that was made second. */
export function nextPage(declared: Declared, second: string): Cell {
  const { collection } = declared
  const whole = (bed: Bed) => (collection === 'members' ? '' : `loadbalancer_id=${bed.ids.loadbalancers}&`)
  const link = { rel: 'next', href: expect.stringContaining(`/v2.0/lbaas/`) }
  return {
    ...{ route: `GET ${paths(declared).all}`, does: 'is listed page by page', status: 200 },
    query: bed => `${whole(bed)}fields=id&limit=1`,
    answer: bed => ({ [collection]: [{ id: bed.ids[collection] }], [`${collection}_links`]: [link] }),
    effect: async (bed, body) => {
      const [{ href } = { href: '' }] = body[`${collection}_links`] as { href: string }[]
      const next = await bed.ask('demo', 'GET', href)
      expect(next).toMatchObject({ status: 200, body: { [collection]: [{ id: bed.ids[second] }] } })
    },
  }
}

/** Two listeners, by their ports. */
export function order(listener: Declared): Cell[] {
  const route = `GET ${paths(listener).all}`
  const own = (bed: Bed) => `loadbalancer_id=${bed.ids.loadbalancers}&fields=protocol_port`
  const [low, high] = [{ protocol_port: 80 }, { protocol_port: 81 }]
  const sorted = (query: string, objects: unknown[]): Cell => ({
    ...{ route, does: `is listed by ${query}`, status: 200, query: bed => `${own(bed)}&${query}` },
    answer: bed => listOf(bed.dialect, listener.collection, objects),
  })
  const refused = (query: string, text: string): Cell => ({
    ...{ route, does: `is not listed by ${query}`, status: 400, query },
    refusal: () => ({ octavia: text, neutron: ['HTTPBadRequest', text] }),
  })
  return [
    sorted('sort=protocol_port:desc', [high, low]),
    sorted('sort_key=protocol_port&sort_dir=asc', [low, high]),
    refused('sort=colour:asc', "Supplied sort key 'colour' is not valid."),
    refused('sort=name:up', "Supplied sort direction 'up' is not valid."),
    refused(`marker=${unknown_id}`, `Supplied pagination marker '${unknown_id}' is not valid.`),
  ]
}
