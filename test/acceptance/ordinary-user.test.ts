/** The same as an ordinary user: no root, no capabilities, one uid. */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { Stack } from './stack.ts'

const uid = 12_345
const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'ottavia-stack-'))
const root = process.getuid!() === 0
if (root) fs.chownSync(dir, uid, uid)
const stack = new Stack(dir, undefined, { HOME: dir }, root ? asOrdinaryUser() : undefined)
afterAll(() => stack.remove())

/** How root starts ottavia as that user. The checkout may lie where only root can walk, so it is shown under /srv, in a
 *  mount namespace of its own. */
function asOrdinaryUser(): string[] {
  const become = `mount --bind "$0" /srv; exec setpriv --reuid ${uid} --regid ${uid} --clear-groups --no-new-privs "$@"`
  const repository = path.resolve(import.meta.dirname, '../..')
  return ['unshare', '--mount', '--propagation', 'private', 'sh', '-ec', become, repository, '/srv/ottavia']
}

test('an ordinary user gets the same cloud, and a load balancer that carries traffic', async () => {
  const status = await stack.up()
  const lb = status.load_balancers.find(l => l.name === 'demo-lb')!
  expect(lb.provisioning_status).toBe('ACTIVE')
  expect(await (await fetch(`http://${lb.host_address}/`)).text()).toMatch(/^hello from web/)
  if (root) expect(fs.statSync(path.join(dir, 'postgres')).uid).toBe(uid)
  const answer = await stack.exec('curl', '-sS', '--max-time', '5', `http://${lb.vip_address}/`)
  expect(answer.stdout, answer.stderr).toMatch(/^hello from web/)
  const servers = await stack.client('demo', 'openstack', 'server', 'list')
  expect(servers).toContain('web1')
})

test('it ends, and the next start serves the same', async () => {
  const [before] = (await stack.status()).load_balancers
  expect(await stack.interrupt()).toBe(0)
  const again = await stack.up()
  expect(again.load_balancers.map(lb => lb.id)).toEqual([before!.id])
  expect(await (await fetch(`http://${again.load_balancers[0]!.host_address}/`)).text()).toMatch(/^hello from web/)
})
