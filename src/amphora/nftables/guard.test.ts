/** The rules beside IPVS: a golden file per behaviour, each of which nft accepts. UPDATE_GOLDEN=1 writes them. */
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import type { ListenerInput } from '../haproxy/listener.ts'
import { guardOf } from './guard.ts'
import { rulesetOf } from './ruleset.ts'
import { input, listenerOf, member, pool } from './sample.ts'
import { ground, removal, scriptsOf } from './script.ts'

const cases: Record<string, ListenerInput> = {
  'one-vip': input(),
  'both-families': input({}, pool(), { additional_vips: ['fd00::10', '10.0.1.10'] }),
  'allowed-cidrs': input({ allowed_cidrs: ['10.0.0.0/8', 'fd00::/8'] }),
  'allowed-cidrs-of-one-family': input({ allowed_cidrs: ['fd00::/8'] }),
}
const golden = path.join(import.meta.dirname, 'golden-guard')

describe('golden', () => {
  test.each(Object.entries(cases))('%s', (name, of) => {
    const file = path.join(golden, `${name}.nft`)
    const text = scriptsOf(guardOf(listenerOf(of)), null, '0').join('')
    if (process.env.UPDATE_GOLDEN) fs.writeFileSync(file, text)
    expect(text).toBe(fs.readFileSync(file, 'utf8'))
    expect(checked(text)).toEqual({ status: 0, stderr: '' })
  })

  test('every file has its case', () => {
    expect(fs.readdirSync(golden).toSorted()).toEqual(
      Object.keys(cases)
        .map(name => `${name}.nft`)
        .toSorted(),
    )
  })
})

test('every change from one to another is accepted', () => {
  for (const before of Object.values(cases))
    for (const after of Object.values(cases)) {
      const [first, second] = [guardOf(listenerOf(before)), guardOf(listenerOf(after))]
      const text = [...scriptsOf(first, null, '0'), ...scriptsOf(second, first, '0')].join('')
      expect(checked(text)).toEqual({ status: 0, stderr: '' })
    }
})

test('the same listener may come to be rules alone, and back', () => {
  const [guard, rules] = [guardOf(listenerOf(input())), rulesetOf(listenerOf(input({}, pool([member(1)]))), new Set())]
  const text = [...scriptsOf(guard, null, '0'), ...scriptsOf(rules, null, '1'), removal(guard), removal(rules)].join('')
  expect(checked(ground + text)).toEqual({ status: 0, stderr: '' })
})

/** In a network of its own, where everybody may. */
function checked(text: string): { status: number | null; stderr: string } {
  const argv = ['--user', '--map-root-user', '--net', 'nft', '-f', '-']
  const { status, stderr } = spawnSync('unshare', argv, { input: text, encoding: 'utf8' })
  return { status, stderr }
}
