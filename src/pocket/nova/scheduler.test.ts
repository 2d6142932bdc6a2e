/** Tests of where servers run. */
import { describe, expect, test } from 'vitest'
import { chooseHost, hosts } from './scheduler.ts'

const on = (host: string, group_id: string | null = null) => ({ host, group_id })

describe('a server runs', () => {
  test('where the fewest are', () => {
    expect(chooseHost(hosts, [on('pocket-1'), on('pocket-1'), on('pocket-3')], null)).toBe('pocket-2')
  })
  test('apart from its group, or nowhere', () => {
    const group = { id: 'g', policy: 'anti-affinity' }
    expect(chooseHost(hosts, [on('pocket-1', 'g'), on('pocket-2', 'g')], group)).toBe('pocket-3')
    expect(
      chooseHost(
        hosts,
        hosts.map(host => on(host, 'g')),
        group,
      ),
    ).toBeNull()
    expect(chooseHost(hosts, [on('pocket-1', 'other')], group)).toBe('pocket-2')
  })
  test('apart from its group as far as that can be', () => {
    const group = { id: 'g', policy: 'soft-anti-affinity' }
    expect(chooseHost(hosts, [on('pocket-1', 'g'), on('pocket-2', 'g')], group)).toBe('pocket-3')
    expect(chooseHost(['pocket-1'], [on('pocket-1', 'g')], group)).toBe('pocket-1')
  })
  test('beside its group', () => {
    const group = { id: 'g', policy: 'affinity' }
    expect(chooseHost(hosts, [on('pocket-3', 'g'), on('pocket-3', 'g')], group)).toBe('pocket-3')
    expect(chooseHost(['pocket-1'], [on('pocket-3', 'g')], group)).toBeNull()
    expect(chooseHost(['pocket-1'], [on('pocket-3', 'g')], { id: 'g', policy: 'soft-affinity' })).toBe('pocket-1')
  })
})
