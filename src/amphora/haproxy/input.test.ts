/** What of a tree reaches the rendering. */
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { newAmphora } from '../../lbaas/amphora.ts'
import { sampleId, sampleTree } from '../../lbaas/sample.ts'
import type { Tree } from '../../lbaas/tree.ts'
import { digestOf } from '../digest.ts'
import { peerName } from '../rest.ts'
import { listenerInput } from './input.ts'
import { renderListener } from './unit.ts'

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

const sourceIp = {
  type: 'SOURCE_IP',
  cookie_name: null,
  persistence_timeout: null,
  persistence_granularity: null,
} as const

describe('peers', () => {
  const pair = (): Tree => {
    const tree = sampleTree()
    tree.load_balancer = { ...tree.load_balancer, topology: 'ACTIVE_STANDBY' }
    tree.pools[0] = { ...tree.pools[0]!, session_persistence: sourceIp }
    const created_at = '2026-01-01T00:00:00Z'
    tree.amphorae = [5, 6, 7].map(n => ({
      ...newAmphora({ id: sampleId(100 + n), load_balancer_id: sampleId(1), role: 'MASTER', created_at }),
      status: 'ALLOCATED' as const,
      vrrp_ip: n === 7 ? null : `10.0.0.${n}`,
    }))
    return tree
  }
  const peersOf = (tree: Tree) =>
    inputOf(tree)
      .peers?.peers.map(each => each.address)
      .toSorted()

  test('are the amphorae of a pair that have an address', () => {
    const { peers } = inputOf(pair())
    expect(peers).toMatchObject({ section: `${sampleId(2).replaceAll('-', '')}_peers`, listener_peer_port: 1025 })
    expect(peers?.peers).toContainEqual({ name: peerName(sampleId(105)), address: '10.0.0.5' })
    expect(peersOf(pair())).toEqual(['10.0.0.5', '10.0.0.6'])
  })

  test('change once when one takes the place of another', () => {
    const tree = pair()
    tree.amphorae[1] = { ...tree.amphorae[1]!, status: 'PENDING_DELETE' }
    expect(inputOf(tree).peers).toEqual(inputOf(pair()).peers)
    tree.amphorae[2] = { ...tree.amphorae[2]!, vrrp_ip: '10.0.0.6' }
    expect(inputOf(tree).peers?.peers.map(each => each.name)).not.toContain(peerName(sampleId(106)))
    const replaced = inputOf(tree).peers
    tree.amphorae.splice(1, 1)
    expect(inputOf(tree).peers).toEqual(replaced)
  })

  test('are not needed without a table, or alone', () => {
    const tree = pair()
    tree.pools[0] = { ...tree.pools[0]!, session_persistence: null }
    expect(inputOf(tree).peers).toBeNull()
    const alone = pair()
    alone.load_balancer = { ...alone.load_balancer, topology: 'SINGLE' }
    expect(inputOf(alone).peers).toBeNull()
  })
})

test('a monitor is its pool’s, unless it is on its way out', () => {
  const monitor = {
    id: sampleId(8),
    pool_id: sampleId(3),
    provisioning_status: 'ACTIVE',
    admin_state_up: true,
    type: 'TCP',
    delay: 5,
    timeout: 2,
    max_retries: 2,
    max_retries_down: 3,
    http_method: null,
    url_path: null,
    expected_codes: null,
    domain_name: null,
    http_version: null,
  }
  const withMonitor = (change: object) =>
    inputOf({ ...sampleTree(), health_monitors: [{ ...monitor, ...change }] } as unknown as Tree)
  const { pool_id: _, provisioning_status: __, ...rest } = monitor
  expect(withMonitor({}).default_pool?.health_monitor).toEqual(rest)
  expect(withMonitor({ provisioning_status: 'PENDING_DELETE' }).default_pool?.health_monitor).toBeNull()
  expect(withMonitor({ pool_id: sampleId(9) }).default_pool?.health_monitor).toBeNull()
  expect(inputOf().default_pool?.health_monitor).toBeNull()
})
