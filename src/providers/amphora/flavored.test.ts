/** What a load balancer's flavor says of its servers, and what the deployment does where it says nothing. */
import { expect, test } from 'vitest'
import { Rig } from '../../../test/flow-rig.ts'
import { newAmphora } from '../../lbaas/amphora.ts'

test.each([
  [{ compute_flavor: null, amp_image_tag: null }, '65', 'amphora', 1],
  [{ compute_flavor: 'big', amp_image_tag: null }, 'big', 'amphora', 0],
  [{ compute_flavor: null, amp_image_tag: 'new' }, '65', 'new', 0],
])('%j', async (said, flavor, tag, spares_taken) => {
  const rig = new Rig()
  rig.tree = { ...rig.tree!, load_balancer: { ...rig.tree!.load_balancer, ...said } }
  const asked: string[] = []
  const clients = rig.world.clients.bind(rig.world)
  rig.world.clients = () => {
    const all = clients()
    return {
      ...all,
      nova: {
        ...all.nova,
        createServer: (body, hints) => {
          asked.push(body.flavorRef)
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
  expect(asked).toEqual([tag, flavor])
  expect(rig.tree!.amphorae).toMatchObject([{ status: 'ALLOCATED', compute_flavor: flavor }])

  // Spares are the deployment's servers: they serve those who want no other.
  const row = { load_balancer_id: null, role: null, created_at: '2026-01-01T00:00:00.000Z' }
  rig.world.spares.push({ ...newAmphora({ ...row, id: 'spare' }), status: 'READY' })
  rig.failover()
  await rig.run()
  expect(1 - rig.world.spares.length).toBe(spares_taken)
})
