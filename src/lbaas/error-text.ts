/** An entry in the table of errors, and the forms that their texts have in both dialects. */

export type Entry = {
  /** What was violated and, where it is not plain, what to do about it. */
  rule: string
  octavia: readonly [status: number, text: Text]
  /** The type is a Text where it depends on the values. */
  neutron: readonly [status: number, type: string | Text, text: Text]
}
export type Values = Readonly<Record<string, string | number>>
type Text = (values: Values) => string

export const bad = (text: Text) => [400, 'HTTPBadRequest', text] as const
export const alike = (type: string, text: Text) => ({ octavia: invalid(text), neutron: [400, type, text] }) as const
export const comeAgain = (text: Text) => ({ octavia: [503, text], neutron: [503, 'ServiceUnavailable', text] }) as const
export const invalid = (text: Text) => [400, (v: Values) => `Validation failure: ${text(v)}`] as const

/** How the neutron dialect calls a resource in a sentence. */
export const inNeutron = (title: unknown) => neutron_names[String(title)] ?? String(title)

const neutron_names: Readonly<Record<string, string>> = {
  'Load Balancer': 'loadbalancer',
  Listener: 'listener',
  Pool: 'pool',
  Member: 'member',
  'Health Monitor': 'healthmonitor',
  Amphora: 'amphora',
  'L7 Policy': 'l7policy',
  'L7 Rule': 'rule',
}
