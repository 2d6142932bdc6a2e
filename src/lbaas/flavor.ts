/** Flavors: kinds of load balancers that administrators offer, and the profiles behind them, which say what is done. */
import type { UnitKind } from './amphora.ts'
import { Rejected } from './errors.ts'
import type { Topology } from './load-balancer.ts'
import { type Choice, checkProfiled, made_at, offer_fields, profile_fields } from './offer.ts'
import { type Provider, providerNamed } from './provider.ts'
import { type Row, resource, string, uuid } from './resource.ts'

export const flavor = resource({
  name: 'flavor',
  title: 'Flavor',
  singular: 'flavor',
  plural: 'flavors',
  path: 'flavors',
  fields: {
    id: profile_fields.id,
    name: profile_fields.name,
    ...offer_fields,
    flavor_profile_id: uuid({ of: 'flavor_profile', doc: 'The profile that says what is done.' }),
    created_at: made_at,
  },
})

export const flavorProfile = resource({
  name: 'flavor_profile',
  title: 'Flavor Profile',
  singular: 'flavorprofile',
  plural: 'flavorprofiles',
  path: 'flavorprofiles',
  links: 'flavorprofile_links',
  fields: {
    ...profile_fields,
    flavor_data: string({
      max_length: 4096,
      change: true,
      doc: "A JSON object; its keys are the provider's flavor capabilities.",
    }),
    created_at: made_at,
  },
})

export type Flavor = Row<typeof flavor>
export type FlavorProfile = Row<typeof flavorProfile>

/** What the amphora provider makes of a profile. */
export type FlavorData = {
  loadbalancer_topology?: Topology
  compute_flavor?: string
  amp_image_tag?: string
  sriov_vip?: boolean
  allow_member_sriov?: boolean
  unit?: UnitKind
}

/** The profile's data as the provider understands them; Rejected when it does not. */
export function checkFlavorData(provider: Provider, text: string): FlavorData {
  return checkProfiled(provider, provider.flavor_capabilities, 'flavor_data', text)
}

/** Who serves a load balancer with that flavor, and what the flavor says; `named` is the provider that the request
 *  names, if any. */
export function chosenFlavor(
  choice: Choice,
  named: string,
  providers: readonly Provider[],
): { provider: Provider; flavor: FlavorData } {
  const { key, enabled, provider_name, profiled } = choice
  if (!enabled) throw new Rejected('disabled_option', { option: 'flavor', value: key })
  const provider = providerNamed(providers, provider_name)
  if (named !== '' && providerNamed(providers, named) !== provider)
    throw new Rejected('flavor_provider', { flavor: key, provider: named })
  return { provider, flavor: checkFlavorData(provider, profiled) }
}
