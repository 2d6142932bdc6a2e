/** The five commands of the described system, verbatim, with Debian's neutron client; and what they leave behind. */
import { beforeAll, describe, expect, inject, test } from 'vitest'
import { eventually, Stack } from './stack.ts'

const stack = new Stack(inject('stack_dir'))

const five_commands = `
neutron lbaas-loadbalancer-create --name lb1 private-subnet
neutron lbaas-listener-create --loadbalancer lb1 --protocol HTTP --protocol-port 80 --name listener1
neutron lbaas-pool-create --lb-algorithm ROUND_ROBIN --listener listener1 --protocol HTTP --name pool1
neutron lbaas-member-create --subnet private-subnet --address \${IP1} --protocol-port 80 pool1
neutron lbaas-member-create --subnet private-subnet --address \${IP2} --protocol-port 80 pool1
`

type Lb = {
  id: string
  vip_address: string
  vip_port_id: string
  provisioning_status: string
  operating_status: string
}

describe('the five commands', () => {
  let lb: Lb
  let addresses: string[]

  const show = async (): Promise<Lb> =>
    JSON.parse(await stack.client('demo', 'neutron', 'lbaas-loadbalancer-show', '-f', 'json', 'lb1')) as Lb
  const neutron = async (...command: string[]) => stack.client('demo', 'neutron', ...command)
  const settled = () => eventually('lb1 ACTIVE', async () => (await show()).provisioning_status === 'ACTIVE')

  beforeAll(async () => {
    const { servers } = await stack.status()
    addresses = servers.filter(server => server.name.startsWith('web')).map(server => server.addresses[0]!)
    const ran = await stack.shell('demo', five_commands, { IP1: addresses[0]!, IP2: addresses[1]! })
    expect(ran.status, ran.stderr).toBe(0)
  })

  test('pasted in one go, they make a load balancer that becomes ACTIVE', async () => {
    await settled()
    lb = await show()
    expect(lb.operating_status).toBe('ONLINE')
    expect(lb.vip_address).toMatch(/^10\.0\.0\./)
  })

  test('100 requests through the VIP are shared by both members', async () => {
    const ask = `for i in $(seq 100); do curl -sS --max-time 5 http://${lb.vip_address}/; done`
    const { stdout, status, stderr } = await stack.exec('sh', '-c', ask)
    expect(status, stderr).toBe(0)
    const counts: Record<string, number> = {}
    for (const line of stdout.trim().split('\n')) counts[line] = (counts[line] ?? 0) + 1
    expect(counts).toEqual({ 'hello from web1': 50, 'hello from web2': 50 })
  })

  test('the host reaches the VIP under the address that status shows', async () => {
    const found = await eventually(
      'a host address',
      async () => (await stack.status()).load_balancers.find(l => l.id === lb.id)?.host_address,
    )
    expect(await (await fetch(`http://${found}/`)).text()).toMatch(/^hello from web/)
  })

  test('lists, statuses and statistics answer', async () => {
    expect(await neutron('lbaas-loadbalancer-list')).toContain('lb1')
    expect(await neutron('lbaas-listener-list')).toContain('listener1')
    expect(await neutron('lbaas-pool-list')).toContain('pool1')
    const members = await neutron('lbaas-member-list', 'pool1')
    for (const address of addresses) expect(members).toContain(address)
    const tree = JSON.parse(await neutron('lbaas-loadbalancer-status', 'lb1'))
    expect(tree.loadbalancer.listeners[0].pools[0].members).toHaveLength(2)
    expect(tree.loadbalancer.provisioning_status).toBe('ACTIVE')
    expect(await neutron('lbaas-loadbalancer-stats', 'lb1')).toContain('total_connections')
  })

  test('an administrator sees the amphora, its addresses and its ports; the tenant sees neither', async () => {
    const all = await stack.client('admin', 'nova', 'list')
    const row = all.split('\n').filter(line => line.includes('amphora-') && line.includes('192.168.0.'))
    expect(row.length).toBeGreaterThan(0)
    const explained = (await stack.run('explain', lb.id)).stdout
    const amphora = /amphora ([0-9a-f-]{36}): ALLOCATED \w+, server ([0-9a-f-]{36})/.exec(explained)!
    const own = row.find(line => line.includes(`amphora-${amphora[1]}`))!
    expect(own).toMatch(/lb-mgmt-net=192\.168\.0\.\d+/)
    expect(own).toMatch(/private=.*10\.0\.0\.\d+/)
    expect(own).toMatch(/private=.*fd36:53a8:d962:/)
    const ports = JSON.parse(
      await stack.client('admin', 'neutron', 'port-list', '-f', 'json', '--', '--device-id', amphora[2]!),
    ) as { id: string }[]
    expect(ports).toHaveLength(2)
    expect(await stack.client('admin', 'neutron', 'port-show', ports[0]!.id)).toContain(amphora[2])
    expect(await stack.client('demo', 'nova', 'list')).not.toContain('amphora-')
    expect((await stack.tryClient('demo', 'nova', 'show', amphora[2]!)).status).not.toBe(0)
    const seen = await stack.client('demo', 'neutron', 'port-list')
    expect(seen).toContain(lb.vip_port_id)
  })

  test('each object can be updated', async () => {
    await neutron('lbaas-loadbalancer-update', 'lb1', '--description', 'a description')
    await neutron('lbaas-listener-update', 'listener1', '--connection-limit', '100')
    await neutron('lbaas-pool-update', 'pool1', '--lb-algorithm', 'LEAST_CONNECTIONS')
    const members = JSON.parse(await neutron('lbaas-member-list', '-f', 'json', 'pool1')) as {
      id: string
      address: string
    }[]
    const first = members.find(member => member.address === addresses[0])!
    await neutron('lbaas-member-update', first.id, 'pool1', '--weight', '0')
    await settled()
    const ask = `for i in $(seq 20); do curl -sS --max-time 5 http://${lb.vip_address}/; done`
    const answers = new Set((await stack.exec('sh', '-c', ask)).stdout.trim().split('\n'))
    expect(answers.size).toBe(1) // a weight of 0 takes nothing new
  })

  test('each object can be deleted, and nothing is left of them', async () => {
    const { stdout } = await stack.run('explain', lb.id)
    const amphora_id = /amphora ([0-9a-f-]{36}):/.exec(stdout)![1]!
    const members = JSON.parse(await neutron('lbaas-member-list', '-f', 'json', 'pool1')) as { id: string }[]
    for (const { id } of members) await neutron('lbaas-member-delete', id, 'pool1')
    await neutron('lbaas-pool-delete', 'pool1')
    await neutron('lbaas-listener-delete', 'listener1')
    await neutron('lbaas-loadbalancer-delete', 'lb1')
    await eventually('lb1 gone', async () => !(await neutron('lbaas-loadbalancer-list')).includes('lb1'))
    expect(await stack.client('admin', 'nova', 'list', '--all-tenants')).not.toContain(amphora_id)
    const ports = await stack.client('admin', 'neutron', 'port-list')
    expect(ports).not.toContain(amphora_id)
    expect(ports).not.toContain(lb.id)
    expect(await stack.client('admin', 'neutron', 'security-group-list')).not.toContain(lb.id)
    const processes = await stack.exec('sh', '-c', `ps ax -o args | grep -c "[a]mphora-${amphora_id}" || true`)
    expect(processes.stdout.trim()).toBe('0')
  })
})
