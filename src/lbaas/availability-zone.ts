/** Availability zones: where load balancers may be, as administrators offer it, and the profiles that say what it means. */
import { Rejected } from './errors.ts'
import { type Choice, checkProfiled, made_at, offer_fields, profile_fields } from './offer.ts'
import { type Provider, providerNamed } from './provider.ts'
import { type Row, resource, string, uuid } from './resource.ts'

export const availabilityZone = resource({
  name: 'availability_zone',
  title: 'Availability Zone',
  singular: 'availability_zone',
  plural: 'availability_zones',
  path: 'availabilityzones',
  key: 'name',
  fields: {
    name: string({ max_length: 255, doc: 'Its name, by which it is chosen.' }),
    ...offer_fields,
    availability_zone_profile_id: uuid({ of: 'availability_zone_profile', doc: 'The profile that says where it is.' }),
    created_at: made_at,
  },
})

export const availabilityZoneProfile = resource({
  name: 'availability_zone_profile',
  title: 'Availability Zone Profile',
  singular: 'availability_zone_profile',
  plural: 'availability_zone_profiles',
  path: 'availabilityzoneprofiles',
  links: 'availability_zone_profile_links',
  fields: {
    ...profile_fields,
    availability_zone_data: string({
      max_length: 4096,
      change: true,
      doc: "A JSON object; its keys are the provider's availability zone capabilities.",
    }),
    created_at: made_at,
  },
})

export type AvailabilityZone = Row<typeof availabilityZone>
export type AvailabilityZoneProfile = Row<typeof availabilityZoneProfile>

/** What the amphora provider makes of a profile. `volume_zone` is kept for providers with volumes; amphorae have none. */
export type ZoneData = {
  compute_zone?: string
  volume_zone?: string
  management_network?: string
  valid_vip_networks?: string[]
}

/** The profile's data as the provider understands them; Rejected when it does not. */
export function checkZoneData(provider: Provider, text: string): ZoneData {
  return checkProfiled(provider, provider.availability_zone_capabilities, 'availability_zone_data', text)
}

/** What the zone says to the load balancer's provider. */
export function chosenZone(choice: Choice, provider: Provider, providers: readonly Provider[]): ZoneData {
  const { key, enabled, provider_name, profiled } = choice
  if (!enabled) throw new Rejected('disabled_option', { option: 'availability_zone', value: key })
  if (providerNamed(providers, provider_name) !== provider)
    throw new Rejected('zone_provider', { zone: key, provider: provider.name })
  return checkZoneData(provider, profiled)
}

/** Refuses VIPs on networks that the zone does not have, where it says which it has. */
export function refuseForeignNetwork({ valid_vip_networks = [] }: ZoneData, network_id: string): void {
  const known = valid_vip_networks.map(id => id.toLowerCase())
  if (known.length > 0 && !known.includes(network_id.toLowerCase())) throw new Rejected('vip_network_not_allowed', {})
}
