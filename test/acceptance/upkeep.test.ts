/** Housekeeping and rollouts while traffic flows: spares, certificates, a new image for every amphora. */
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startLoad } from './load.ts'
import { eventually, Stack } from './stack.ts'

let stack = new Stack(undefined, undefined, {
  OTTAVIA_HOUSE_KEEPING_SPARE_AMPHORA_POOL_SIZE: '1',
  OTTAVIA_HOUSE_KEEPING_SPARE_CHECK_INTERVAL: '1',
})
let url: string

type Shown = { id: string; compute_id: string; cert_expiration: string; cert_busy: boolean; image_id: string }
const shown = async (id: string) => (await stack.typed<Shown>('admin', `loadbalancer amphora show ${id}`))[0]!
const demo = async () => (await stack.status()).load_balancers.find(lb => lb.name === 'demo-lb')!
const amphorae = async () => (await demo()).amphorae.map(one => one.id)
const hostOf = async (id: string) => {
  const { compute_id } = await shown(id)
  const [server] = await stack.typed<Record<string, string>>('admin', `server show ${compute_id}`)
  return server!['OS-EXT-SRV-ATTR:host']!
}
const spares = async () => {
  const all = await stack.typed<{ id: string; status: string; loadbalancer_id: string | null }[]>(
    'admin',
    'loadbalancer amphora list',
  )
  return all[0]!.filter(one => one.status === 'READY')
}
/** Both serve and are heard, and one of them has the VIP. */
const whole = () =>
  eventually('a whole pair', async () => {
    const { amphorae, provisioning_status } = await demo()
    const good = amphorae.every(one => one.status === 'ALLOCATED' && (one.silent_s ?? 99) < 4)
    const masters = amphorae.filter(one => one.role_now === 'MASTER').length
    return provisioning_status === 'ACTIVE' && amphorae.length === 2 && good && masters === 1
  })

beforeAll(async () => {
  await stack.up()
  url = `http://${(await demo()).vip_address}/`
})
afterAll(() => stack.remove())

describe('the spare pool', () => {
  test('has its size, and a spare on another host than its partner takes the place of a dead amphora', async () => {
    const [spare] = await eventually('a spare', async () => {
      const found = await spares()
      return found.length === 1 && found
    })
    expect(spare!.loadbalancer_id).toBe(null)
    const [first, second] = await amphorae()
    const spare_host = await hostOf(spare!.id)
    // whom it may replace is who stands beside a partner on another host
    const victim = (await hostOf(first!)) === spare_host ? first! : second!
    const partner = victim === first ? second! : first!
    await stack.client('admin', 'openstack', 'server', 'delete', '--wait', (await shown(victim)).compute_id)
    await eventually(
      'the replacement',
      async () => !(await amphorae()).includes(victim) && (await amphorae()).length === 2,
    )
    await whole()
    const now = await amphorae()
    expect(now).toEqual(expect.arrayContaining([partner, spare!.id]))
    expect(await hostOf(spare!.id)).not.toBe(await hostOf(partner))
    expect((await stack.run('explain', 'demo-lb')).stdout).toContain(`took spare ${spare!.id}`)
    await eventually('another spare', async () => (await spares()).length === 1)
  })
})

describe('a rollout', () => {
  test('of an image that is not there stops with the reason, and is begun again', async () => {
    const ran = await stack.run('rollout', '--image', 'nothing')
    expect(ran.status).toBe(1)
    expect(ran.stdout).toContain('no active image carries the tag nothing')
    await image('nothing')
    expect((await stack.run('rollout')).status).toBe(0)
    await whole()
  })

  test('gives every amphora the new image while all requests are answered', async () => {
    const id = await image('next')
    const before = await amphorae()
    const load = await startLoad(stack, url)
    const ran = await stack.run('rollout', '--image', 'next', '--batch', '2')
    expect(ran.stdout).toContain('done: 1 of 1 load balancers have amphorae of image next')
    expect(ran.status).toBe(0)
    await whole()
    const seen = await load.stop()
    expect(seen).toMatchObject({ failed: 0, errors: {} })
    expect(seen.requests).toBeGreaterThan(200)
    const now = await amphorae()
    expect(now.filter(one => before.includes(one))).toEqual([])
    for (const one of now) expect((await shown(one)).image_id).toBe(id)
    await eventually('a spare of the image', async () => {
      const [spare] = await spares()
      return spare && (await shown(spare.id)).image_id === id
    })
  })
})

describe('certificates', () => {
  test('are renewed before they end, without dropping anything', async () => {
    await stack.interrupt()
    stack = new Stack(stack.dir, undefined, {
      OTTAVIA_HOUSE_KEEPING_CERT_INTERVAL: '1',
      OTTAVIA_HOUSE_KEEPING_CERT_EXPIRY_BUFFER: String(30 * 86_400 - 5), // of their 30 days: due after 5 s
    })
    await stack.up()
    await whole()
    const [one] = await amphorae()
    const before = await shown(one!)
    const load = await startLoad(stack, url)
    await eventually('a new certificate', async () => {
      const now = await shown(one!)
      return now.cert_expiration > before.cert_expiration && !now.cert_busy
    })
    expect(await load.stop()).toMatchObject({ failed: 0 })
    // the controller trusts it: a change reaches the amphorae
    await stack.client(
      'demo',
      'openstack',
      'loadbalancer',
      'listener',
      'set',
      '--name',
      'renamed',
      'demo-listener',
      '--wait',
    )
    await whole()
  })
})

/** The amphora image once more, under another tag. Answers with its id. */
async function image(tag: string): Promise<string> {
  const file = path.join(stack.dir, 'build', 'amphora.tar.gz')
  const make = ['--tag', tag, '--file', file, '--disk-format', 'raw', '--container-format', 'bare', `amphora-${tag}`]
  return (await stack.client('admin', 'openstack', 'image', 'create', ...make, '-f', 'value', '-c', 'id')).trim()
}
