/** Where a server runs: pretended hosts, so that anti-affinity means something. Pure. */

/** The hosts that this cloud pretends to have. */
export const hosts = ['pocket-1', 'pocket-2', 'pocket-3']

export type Placed = { host: string; group_id: string | null }

/** The host with the fewest servers among those that the group's policy allows; null when there is none. */
export function chooseHost(
  up: string[],
  others: Placed[],
  group: { id: string; policy: string } | null,
): string | null {
  const load = (host: string) => others.filter(other => other.host === host).length
  const mates = new Set(others.filter(other => group && other.group_id === group.id).map(other => other.host))
  const apart = up.filter(host => !mates.has(host))
  const together = mates.size > 0 ? up.filter(host => mates.has(host)) : up
  const policy = group?.policy ?? ''
  const wanted = policy.endsWith('anti-affinity') ? apart : policy.endsWith('affinity') ? together : up
  const allowed = wanted.length === 0 && policy.startsWith('soft-') ? up : wanted
  return allowed.toSorted((a, b) => load(a) - load(b))[0] ?? null
}
