/** What of a tree reaches the rendering. */
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { sampleId, sampleTree } from '../../lbaas/sample.ts'
import { digestOf } from '../digest.ts'
import { listenerInput } from './input.ts'
import { renderListener } from './listener.ts'

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'input-'))
afterAll(() => fs.rmSync(folder, { recursive: true }))

const inputOf = (tree = sampleTree()) => listenerInput(tree, tree.listeners[0]!)

test('the five commands make a configuration that haproxy accepts', () => {
  const text = renderListener(inputOf())
  expect(text).toContain(`frontend ${sampleId(2)}\n`)
  expect(text).toContain(`server ${sampleId(4)} 10.0.0.21:80 weight 1\n`)
  expect(text).toContain(`server ${sampleId(5)} 10.0.0.22:80 weight 1\n`)
  expect(text).not.toMatch(/listener1|pool1/)
  const file = path.join(folder, 'haproxy.cfg')
  fs.writeFileSync(file, text)
  const { status, stderr } = spawnSync('haproxy', ['-c', '-f', file], { encoding: 'utf8' })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
})

test('what is on its way out is left away', () => {
  const tree = sampleTree()
  tree.members[0] = { ...tree.members[0]!, provisioning_status: 'PENDING_DELETE' }
  expect(inputOf(tree).default_pool?.members.map(each => each.id)).toEqual([sampleId(5)])
  tree.pools[0] = { ...tree.pools[0]!, provisioning_status: 'PENDING_DELETE' }
  expect(inputOf(tree).default_pool).toBeNull()
})

test('names, statuses and times are of no account', () => {
  const tree = sampleTree()
  const before = digestOf(inputOf(tree))
  const settled = { name: 'other', provisioning_status: 'ACTIVE', operating_status: 'ONLINE', generation: 99 } as const
  tree.listeners = tree.listeners.map(each => ({ ...each, ...settled }))
  tree.pools = tree.pools.map(each => ({ ...each, ...settled }))
  tree.members = tree.members.map(each => ({ ...each, ...settled }))
  expect(digestOf(inputOf(tree))).toBe(before)
  // Kept as JSON on the listener, it is still the same.
  expect(digestOf(JSON.parse(JSON.stringify(inputOf(tree))))).toBe(before)
})
