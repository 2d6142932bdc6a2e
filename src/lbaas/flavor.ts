/** Flavors: what administrators offer tenants to choose, and the profiles behind them, which say what is done then. */
import { isRecord, isStorable } from './check.ts'
import { Rejected } from './errors.ts'
import type { Topology } from './load-balancer.ts'
import { type Provider, providerNamed } from './provider.ts'
import { boolean, type Row, resource, string, time, uuid } from './resource.ts'

const id = uuid({ post: false, doc: 'The object.' })
const name = string({ max_length: 255, change: true, doc: 'A name for people.' })
const created_at = time({ state: 'bookkeeping', shown: false, doc: 'When it was made: the order of lists.' })

export const flavor = resource({
  name: 'flavor',
  title: 'Flavor',
  singular: 'flavor',
  plural: 'flavors',
  path: 'flavors',
  fields: {
    id,
    name,
    description: string({ null: true, max_length: 255, change: true, doc: 'A description for people.' }),
    enabled: boolean({ default: true, change: true, doc: 'Whether tenants may choose it.' }),
    flavor_profile_id: uuid({ of: 'flavor_profile', doc: 'The profile that says what is done.' }),
    created_at,
  },
})

export const flavorProfile = resource({
  name: 'flavor_profile',
  title: 'Flavor Profile',
  singular: 'flavorprofile',
  plural: 'flavorprofiles',
  path: 'flavorprofiles',
  fields: {
    id,
    name,
    provider_name: string({ max_length: 255, change: true, doc: 'The provider that understands it.' }),
    flavor_data: string({
      max_length: 4096,
      change: true,
      doc: "A JSON object; its keys are the provider's flavor capabilities.",
    }),
    created_at,
  },
})

export type Flavor = Row<typeof flavor>
export type FlavorProfile = Row<typeof flavorProfile>

/** What the amphora provider makes of a profile. */
export type FlavorData = { loadbalancer_topology?: Topology; compute_flavor?: string; amp_image_tag?: string }

/** The profile's data as the provider understands them; Rejected when it does not. */
export function checkFlavorData(provider: Provider, text: string): FlavorData {
  const refuse = (detail: string) => new Rejected('provider_unsupported', { provider: provider.name, detail })
  const parsed = parsedJson(text)
  if (!isRecord(parsed)) throw refuse(`${JSON.stringify(parsed)} is not of type 'object'`)
  for (const [key, value] of Object.entries(parsed)) {
    const capability = provider.flavor_capabilities.find(one => one.name === key)
    if (!capability) throw refuse(`Additional properties are not allowed ('${key}' was unexpected)`)
    if (typeof value !== 'string' || !isStorable(value))
      throw refuse(`${key} ${JSON.stringify(value)} is not of type 'string'`)
    const { values } = capability
    if (values && !values.includes(value))
      throw refuse(`${key} '${value}' is not one of [${values.map(one => `'${one}'`).join(', ')}]`)
  }
  return parsed as FlavorData
}

/** A flavor with its profile, as a load balancer that is to be made finds them. */
export type Choice = Pick<Flavor, 'id' | 'enabled'> & Pick<FlavorProfile, 'provider_name' | 'flavor_data'>

/** Who serves a load balancer with that flavor, and what the flavor says; `named` is the provider that the request
 *  names, if any. */
export function chosen(
  choice: Choice,
  named: string,
  providers: readonly Provider[],
): { provider: Provider; data: FlavorData } {
  const { id, enabled, provider_name } = choice
  if (!enabled) throw new Rejected('disabled_option', { option: 'flavor', value: id })
  const provider = providerNamed(providers, provider_name)
  if (named !== '' && providerNamed(providers, named) !== provider)
    throw new Rejected('flavor_provider', { flavor: id, provider: named })
  return { provider, data: checkFlavorData(provider, choice.flavor_data) }
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Rejected('invalid_option', { value: text.slice(0, 200), option: 'flavor_data', field: 'flavor_data' })
  }
}
