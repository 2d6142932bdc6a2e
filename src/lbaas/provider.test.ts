/** Which providers are enabled, and what each of them refuses. */
import { describe, expect, test } from 'vitest'
import { enabledProviders, haproxy_provider, providerNamed, refuseUnsupported } from './provider.ts'
import { sampleTree } from './sample.ts'

describe('enabled providers', () => {
  const names = (drivers: string) => enabledProviders(drivers).map(({ name, aliases }) => [name, ...aliases])

  test('are those that are listed, under the names that are listed', () => {
    expect(names('amphora, octavia')).toEqual([['amphora', 'octavia']])
    expect(names('haproxy,amphora')).toEqual([['amphora'], ['haproxy']])
    expect(names('octavia: The Octavia Amphora driver., haproxy:')).toEqual([['amphora', 'octavia'], ['haproxy']])
    expect(names('')).toEqual([])
  })

  test('have the words that the operator gives them, with their colons', () => {
    const [amphora, haproxy] = enabledProviders('amphora: Ours: the large ones, haproxy')
    expect(amphora!.description).toBe('Ours: the large ones')
    expect(haproxy!.description).toBe(haproxy_provider.description)
  })

  test('are refused where there is none of the name, with those that there are', () => {
    expect(() => enabledProviders('amphora, f5')).toThrow(
      'there is no provider f5; there are amphora, octavia, haproxy',
    )
    expect(() => providerNamed(enabledProviders('amphora'), 'octavia')).toThrow("Provider 'octavia' is not enabled.")
  })
})

test('the provider of network hosts refuses what it cannot serve', () => {
  const tree = sampleTree()
  expect(() => refuseUnsupported(haproxy_provider, tree)).not.toThrow()
  const datagrams = { ...tree, listeners: tree.listeners.map(one => ({ ...one, protocol: 'UDP' as const })) }
  expect(() => refuseUnsupported(haproxy_provider, datagrams)).toThrow(
    "Provider 'haproxy' does not support a requested option: listener protocol UDP",
  )
})
