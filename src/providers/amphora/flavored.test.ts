/** What a load balancer's flavor and availability zone say of its servers; where they say nothing, the deployment does. */
import { expect, test } from 'vitest'
import { listener, member, pool, Rig } from '../../../test/flow-rig.ts'
import { newAmphora } from '../../lbaas/amphora.ts'

test.each([
  [{}, ['amphora', '65', 'mgmt', undefined], 1],
  [{ compute_flavor: 'big' }, ['amphora', 'big', 'mgmt', undefined], 0],
  [{ amp_image_tag: 'new' }, ['new', '65', 'mgmt', undefined], 0],
  [{ compute_zone: 'edge' }, ['amphora', '65', 'mgmt', 'edge'], 0],
  [{ management_network: 'mgmt-edge' }, ['amphora', '65', 'mgmt-edge', undefined], 0],
])('%j', async (said, expected, spares_taken) => {
  const rig = new Rig()
  rig.tree = { ...rig.tree!, load_balancer: { ...rig.tree!.load_balancer, ...said } }
  const asked: unknown[] = []
  const clients = rig.world.clients.bind(rig.world)
  rig.world.clients = () => {
    const all = clients()
    return {
      ...all,
      nova: {
        ...all.nova,
        createServer: (body, hints) => {
          asked.push(body.flavorRef, ...body.networks.map(one => 'uuid' in one && one.uuid), body.availability_zone)
          return all.nova.createServer(body, hints)
        },
      },
      glance: {
        ...all.glance,
        imageTagged: (image_tag, owner) => {
          asked.push(image_tag)
          return all.glance.imageTagged(image_tag, owner)
        },
      },
    }
  }
  await rig.run()
  expect(asked).toEqual(expected)
  expect(rig.tree!.amphorae).toMatchObject([{ status: 'ALLOCATED', compute_flavor: expected[1] }])

  // Spares are the deployment's servers: they serve those who want no other.
  const row = { load_balancer_id: null, role: null, created_at: '2026-01-01T00:00:00.000Z' }
  rig.world.spares.push({ ...newAmphora({ ...row, id: 'spare' }), status: 'READY' })
  rig.failover()
  await rig.run()
  expect(1 - rig.world.spares.length).toBe(spares_taken)
})

test('ports are wired by SR-IOV where the flavor says, and where it lets members ask', async () => {
  const rig = new Rig()
  const wired = { vip_vnic_type: 'direct', allow_member_sriov: true } as const
  rig.tree = { ...rig.tree!, load_balancer: { ...rig.tree!.load_balancer, ...wired } }
  rig.change(listener, 'listener')
  rig.change(pool, 'pool')
  const asking = member('10.9.0.12', 'fast') as { fields: object }
  rig.change({ ...asking, fields: { ...asking.fields, request_sriov: true } } as never, 'fast')
  rig.change(member('10.8.0.12', 'usual'), 'usual')
  await rig.run()
  expect(rig.tree!.members.map(one => one.vnic_type)).toEqual(['direct', 'normal'])
  const ports = [...rig.world.ports.values()].filter(port => port.name.startsWith('octavia-lb-'))
  const named = (name: RegExp, network_id: string) =>
    ports.filter(port => name.test(port.name) && port.network_id === network_id).map(port => port['binding:vnic_type'])
  expect(named(/vrrp/, 'net')).toEqual(['direct'])
  expect(named(/member/, 'fast')).toEqual(['direct'])
  expect(named(/member/, 'usual')).toEqual([undefined])
  // the cloud's groups do not reach such a port: the amphora keeps out who is not to come
  const rules = () => [...rig.world.servers.values()].map(box => JSON.parse(box.rules ?? 'null'))
  expect(rules()).toEqual([[{ protocol: 'TCP', cidr: null, port: 80 }]])
  rig.change({ verb: 'update', resource: 'listener', id: 'listener', fields: { allowed_cidrs: ['10.0.0.0/16'] } })
  await rig.run()
  expect(rules()).toEqual([[{ protocol: 'TCP', cidr: '10.0.0.0/16', port: 80 }]])
  rig.failover()
  await rig.run()
  expect(rules()).toEqual([[{ protocol: 'TCP', cidr: '10.0.0.0/16', port: 80 }]])
  expect(rig.left).toEqual([])
})

test('of a pair each lets the other in, and nobody else where they meet', async () => {
  const rig = new Rig('ACTIVE_STANDBY')
  rig.tree = { ...rig.tree!, load_balancer: { ...rig.tree!.load_balancer, vip_vnic_type: 'direct' } }
  rig.change(listener, 'listener')
  await rig.run()
  const [first, second] = rig.tree!.amphorae.map(amphora => amphora.vrrp_ip)
  const said = [...rig.world.servers.values()].map(box => JSON.parse(box.rules ?? 'null'))
  const of = (ip: string | null | undefined) => [
    { protocol: 'VRRP', cidr: `${ip}/32`, port: 112 },
    { protocol: 'TCP', cidr: `${ip}/32`, port: 1025 },
    { protocol: 'TCP', cidr: null, port: 80 },
  ]
  expect(said).toEqual([of(second), of(first)])
  expect(rig.left).toEqual([])
})
