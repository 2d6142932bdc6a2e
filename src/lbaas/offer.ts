/** What administrators offer tenants to choose, and the profiles behind it: what flavors and zones have in common. */
import { isRecord, isStorable } from './check.ts'
import { Rejected } from './errors.ts'
import type { Capability, Provider } from './provider.ts'
import { boolean, string, time, uuid } from './resource.ts'

/** An offer with its profile, as a load balancer that is to be made finds them. `key` is what it is chosen by. */
export type Choice = { key: string; enabled: boolean; provider_name: string; profiled: string }

/** The kinds of offers, and of their profiles. */
export type OfferKind = 'flavor' | 'availability_zone'
export type ProfileKind = `${OfferKind}_profile`

/** A profile's data as the provider understands them; Rejected when it does not. */
export function checkProfiled(
  provider: Provider,
  capabilities: readonly Capability[],
  field: string,
  text: string,
): Record<string, unknown> {
  const refuse = (detail: string) => new Rejected('provider_unsupported', { provider: provider.name, detail })
  const parsed = parsedJson(field, text)
  if (!isRecord(parsed)) throw refuse(`${JSON.stringify(parsed)} is not of type 'object'`)
  for (const [key, value] of Object.entries(parsed)) {
    const capability = capabilities.find(one => one.name === key)
    if (!capability) throw refuse(`Additional properties are not allowed ('${key}' was unexpected)`)
    const wrong = (of: unknown, type: string) => refuse(`${key} ${JSON.stringify(of)} is not of type '${type}'`)
    if (capability.truth) {
      if (typeof value !== 'boolean') throw wrong(value, 'boolean')
      continue
    }
    if (capability.several && !Array.isArray(value)) throw wrong(value, 'array')
    for (const one of capability.several ? (value as unknown[]) : [value]) {
      if (typeof one !== 'string' || !isStorable(one)) throw wrong(one, 'string')
      const { values } = capability
      if (values && !values.includes(one))
        throw refuse(`${key} '${one}' is not one of [${values.map(known => `'${known}'`).join(', ')}]`)
    }
  }
  return parsed
}

export const offer_fields = {
  description: string({ null: true, max_length: 255, change: true, doc: 'A description for people.' }),
  enabled: boolean({ default: true, change: true, doc: 'Whether tenants may choose it.' }),
} as const

export const profile_fields = {
  id: uuid({ post: false, doc: 'The object.' }),
  name: string({ max_length: 255, change: true, doc: 'A name for people.' }),
  provider_name: string({ max_length: 255, change: true, doc: 'The provider that understands it.' }),
} as const

export const made_at = time({ state: 'bookkeeping', shown: false, doc: 'When it was made: the order of lists.' })

function parsedJson(field: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Rejected('invalid_option', { value: text.slice(0, 200), option: field, field })
  }
}
