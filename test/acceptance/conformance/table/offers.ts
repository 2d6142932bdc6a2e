/** The cells of what administrators offer, in Octavia alone: flavors and availability zones, with the profiles behind. */
import { expect } from 'vitest'
import { type Bed, unknown_id } from './bed.ts'
import type { Cell, Fields } from './cell.ts'
import { uuid } from './objects.ts'
import * as refusals from './refusals.ts'
import { listOf } from './usual-cells.ts'

/** One kind of offer. The key is what its path names it by. */
type Offer = {
  collection: string
  singular: string
  title: string
  plural: string
  links: string
  key: 'id' | 'name'
  body: (bed: Bed) => Fields
  /** What a new one has besides. */
  preset: Fields
  update: Fields
  /** May tenants read it? */
  open: boolean
  wrong: [field: string, value: unknown]
}

const profile = { open: false, key: 'id', preset: {}, update: { name: 'table-renamed' } } as const

/** What can be made first comes first. */
const offers: Offer[] = [
  {
    ...{ ...profile, collection: 'flavorprofiles', singular: 'flavorprofile', title: 'Flavor Profile' },
    ...{ plural: 'flavorprofiles', links: 'flavorprofile_links', wrong: ['provider_name', 5] },
    body: () => ({
      ...{ name: 'table', provider_name: 'amphora', flavor_data: '{"loadbalancer_topology": "SINGLE"}' },
    }),
  },
  {
    ...{ collection: 'flavors', singular: 'flavor', title: 'Flavor', plural: 'flavors', links: 'flavors_links' },
    ...{ key: 'id', open: true, wrong: ['flavor_profile_id', 'some'], update: { description: 'cheap', enabled: true } },
    preset: { description: null, enabled: true },
    body: bed => ({ name: 'table', flavor_profile_id: bed.ids.flavorprofiles }),
  },
  {
    ...{ ...profile, collection: 'availabilityzoneprofiles', singular: 'availability_zone_profile' },
    ...{ title: 'Availability Zone Profile', plural: 'availability_zone_profiles', wrong: ['name', 5] },
    links: 'availability_zone_profile_links',
    body: () => ({
      ...{ name: 'table', provider_name: 'amphora', availability_zone_data: '{"compute_zone": "nova"}' },
    }),
  },
  {
    ...{ collection: 'availabilityzones', singular: 'availability_zone', title: 'Availability Zone' },
    ...{ plural: 'availability_zones', links: 'availability_zones_links', key: 'name', open: true },
    ...{ wrong: ['enabled', 'perhaps'], update: { description: 'here', enabled: true } },
    preset: { description: null, enabled: true },
    body: bed => ({ name: 'table', availability_zone_profile_id: bed.ids.availabilityzoneprofiles }),
  },
]

const routesOf = ({ collection, key }: Offer) => {
  const all = `/v2.0/lbaas/${collection}`
  return { all, one: `${all}/{${key}}` }
}

/** Made, shown, listed and changed, and refused; they stay for the load balancer to be made with. */
export function offering(): Cell[] {
  return offers.flatMap(offer => [...made(offer), ...refused(offer)])
}

/** Deleted, each when nothing needs it any more; `used`: not as long as the load balancer does. */
export function withdrawn(): Cell[] {
  return offers.toReversed().flatMap((offer): Cell[] => {
    const one = routesOf(offer).one
    return [
      { route: `DELETE ${one}`, does: 'is deleted', as: 'admin', status: 204 },
      {
        ...{ route: `GET ${one}`, does: 'is gone', as: 'admin', status: 404 },
        refusal: bed => ({ octavia: `${offer.title} ${bed.ids[offer.collection]} not found.` }),
      },
    ]
  })
}

/** As long as the load balancer, or another offer, is made of it. */
export function inUse(): Cell[] {
  return offers.map(offer => ({
    ...{ route: `DELETE ${routesOf(offer).one}`, does: 'is not deleted while it is used', as: 'admin', status: 409 },
    // upstream spells this one otherwise here
    refusal: bed => ({
      octavia: `${offer.title.replace('r Profile', 'r profile')} ${bed.ids[offer.collection]} is in use and cannot be modified.`,
    }),
  }))
}

function made(offer: Offer): Cell[] {
  const { collection, singular, key, body, preset, update, links, plural, open } = offer
  const { all, one } = routesOf(offer)
  const reading = { as: open ? 'reader' : 'admin', status: 200 } as const
  const object = (bed: Bed) => bed.known[collection]!
  const listed = (...objects: unknown[]) => listOf('octavia', plural, objects, links)
  return [
    {
      ...{ route: `POST ${all}`, does: 'is made', as: 'admin', status: 201 },
      body: bed => ({ [singular]: body(bed) }),
      answer: bed => ({ [singular]: { ...(key === 'id' ? { id: uuid } : {}), ...preset, ...body(bed) } }),
    },
    { ...reading, route: `GET ${one}`, does: 'is shown', answer: bed => ({ [singular]: object(bed) }) },
    {
      ...{ ...reading, route: `GET ${all}`, does: 'is listed alone by its name' },
      ...{ query: 'name=table', answer: bed => listed(object(bed)) },
    },
    {
      ...{ ...reading, route: `GET ${all}`, does: 'is listed with one field and a limit' },
      ...{ query: 'name=table&fields=name&limit=1', answer: () => listed({ name: 'table' }) },
    },
    {
      ...{ ...reading, route: `GET ${all}`, does: 'is not listed by another name' },
      ...{ query: 'name=tables', answer: () => listed() },
    },
    {
      ...{ route: `PUT ${one}`, does: 'is changed', as: 'admin', status: 200 },
      body: () => ({ [singular]: update }),
      answer: bed => ({ [singular]: { ...object(bed), ...update } }),
    },
  ]
}

function refused(offer: Offer): Cell[] {
  const { collection, singular, title, body, wrong, open, key } = offer
  const { all, one } = routesOf(offer)
  const post = (
    does: string,
    status: number,
    more: Fields,
    octavia: string | RegExp,
    as: 'admin' | 'demo' = 'admin',
  ) => ({
    ...{ route: `POST ${all}`, does, as, status, refusal: () => ({ octavia }) },
    body: (bed: Bed) => ({ [singular]: { ...body(bed), ...more } }),
  })
  const nobody = key === 'id' ? unknown_id : 'nowhere'
  const verbs = [
    { route: `GET ${one}` },
    { route: `PUT ${one}`, body: () => ({ [singular]: {} }) },
    { route: `DELETE ${one}` },
  ]
  const denied = 'Policy does not allow this request to be performed.'
  const writes = verbs.filter(({ route }) => !(open && route.startsWith('GET')))
  return [
    post(
      ...([`is refused a wrong ${wrong[0]}`, 400, { [wrong[0]]: wrong[1] }] as const),
      refusals.badValue(...wrong).octavia!,
    ),
    post(
      'is refused a field that there is not',
      400,
      { colour: 'red' },
      `Unknown attribute for argument ${singular}: colour`,
    ),
    ...(open
      ? [
          post(
            ...(['is refused a name that is taken', 409, {}] as const),
            `A ${title.toLowerCase()} of table already exists.`,
          ),
        ]
      : [
          post(
            ...(['is refused a provider that there is not', 400, { provider_name: 'nobody' }] as const),
            "Provider 'nobody' is not enabled.",
          ),
        ]),
    post('is not for tenants', 403, {}, denied, 'demo'),
    ...(open
      ? []
      : [{ route: `GET ${all}`, does: 'are not for tenants', status: 403, refusal: () => ({ octavia: denied }) }]),
    ...writes.map(verb => ({ ...verb, does: 'is not for tenants', status: 403, refusal: () => ({ octavia: denied }) })),
    ...verbs.map(
      (verb): Cell => ({
        ...{
          ...verb,
          does: 'is not found under an unknown name',
          as: 'admin',
          status: 404,
          at: { [collection]: nobody },
        },
        refusal: () => ({ octavia: `${title} ${nobody} not found.` }),
      }),
    ),
  ]
}

/** What providers understand in profiles. */
export function providers(): Cell[] {
  const described = (...names: string[]) => names.map(name => ({ name, description: expect.any(String) }))
  const capabilities = (of: string, names: string[]): Cell[] => {
    const route = `GET /v2.0/lbaas/providers/{provider}/${of}`
    return [
      { route, does: 'are told', as: 'admin', status: 200, answer: () => ({ [of]: described(...names) }) },
      {
        ...{ route, does: 'are told of one name', as: 'admin', query: `name=${names[0]}`, status: 200 },
        answer: () => ({ [of]: described(names[0]!) }),
      },
      {
        ...{ route, does: 'are none of a provider that there is not', as: 'admin', at: { providers: 'nobody' } },
        ...{ status: 400, refusal: () => ({ octavia: "Provider 'nobody' is not enabled." }) },
      },
      {
        ...{ route, does: 'are not for tenants', status: 403 },
        refusal: () => ({ octavia: 'Policy does not allow this request to be performed.' }),
      },
    ]
  }
  return [
    {
      ...{ route: 'GET /v2.0/lbaas/providers', does: 'are listed, aliases too', as: 'reader', status: 200 },
      answer: () => ({ providers: described('amphora', 'octavia', 'haproxy'), providers_links: [] }),
    },
    ...capabilities('flavor_capabilities', [
      ...['loadbalancer_topology', 'compute_flavor', 'amp_image_tag', 'sriov_vip', 'allow_member_sriov', 'unit'],
    ]),
    ...capabilities('availability_zone_capabilities', [
      ...['compute_zone', 'volume_zone', 'management_network', 'valid_vip_networks'],
    ]),
  ]
}
