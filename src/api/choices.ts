/** What a load balancer that is to be made has chosen of what administrators offer. */
import { chosenZone, type ZoneData } from '../lbaas/availability-zone.ts'
import { Rejected } from '../lbaas/errors.ts'
import { chosenFlavor, type FlavorData } from '../lbaas/flavor.ts'
import type { LoadBalancerPost } from '../lbaas/load-balancer.ts'
import { type Provider, providerNamed } from '../lbaas/provider.ts'
import type { Dialect } from '../lbaas/resource.ts'
import { choiceOf } from '../store/offers.ts'
import type { Context } from './context.ts'
import { isBrokenBy } from './write.ts'

export type Chosen = { provider: Provider; flavor: FlavorData; zone: ZoneData }

/** Who is to serve it, and what its flavor and its availability zone say; Rejected when one of them is not for it. */
export async function chosenFor(context: Context, dialect: Dialect, fields: LoadBalancerPost): Promise<Chosen> {
  const { pool, options } = context
  const { provider, flavor } = await providerFor(context, dialect, fields)
  const { availability_zone } = fields
  if (availability_zone === null) return { provider, flavor, zone: {} }
  const choice = await choiceOf(pool, 'availability_zone', availability_zone)
  if (!choice) throw new Rejected('zone_unknown', {})
  return { provider, flavor, zone: chosenZone(choice, provider, options.providers) }
}

/** What was chosen is gone meanwhile; null: the error is another. */
export function goneChoice(error: unknown, { flavor_id }: LoadBalancerPost): Rejected | null {
  if (isBrokenBy(error, 'load_balancer_flavor')) return new Rejected('flavor_unknown', { id: flavor_id! })
  return isBrokenBy(error, 'load_balancer_availability_zone') ? new Rejected('zone_unknown', {}) : null
}

async function providerFor(
  { pool, options }: Context,
  dialect: Dialect,
  { provider, flavor_id }: LoadBalancerPost,
): Promise<Omit<Chosen, 'zone'>> {
  const { providers, default_provider } = options
  if (flavor_id === null) return { provider: providerNamed(providers, provider || default_provider), flavor: {} }
  const choice = await choiceOf(pool, 'flavor', flavor_id)
  if (!choice) throw new Rejected('flavor_unknown', { id: flavor_id })
  if (dialect === 'neutron' && provider !== '') throw new Rejected('flavor_provider', { flavor: flavor_id, provider })
  return chosenFlavor(choice, provider, providers)
}
