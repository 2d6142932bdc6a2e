/** The life of a load balancer through the genuine `openstack loadbalancer` commands; its VIP of either family. */
import { beforeAll, describe, expect, inject, test } from 'vitest'
import { Inside } from './inside.ts'
import { Stack } from './stack.ts'

const stack = new Stack(inject('stack_dir'))

/** Commands below `openstack loadbalancer`, in one session of the client, with what each answers. */
const typed = <T = Record<string, unknown>>(...commands: string[]) =>
  stack.typed<T>('demo', ...commands.map(command => `loadbalancer ${command}`))

/** A command that answers with nothing. */
const act = (...command: string[]) => stack.client('demo', 'openstack', 'loadbalancer', ...command)

let addresses: { web1: string[]; web2: string[] }
beforeAll(async () => {
  const { servers } = await stack.status()
  const of = (name: string) => servers.find(server => server.name === name)!.addresses
  addresses = { web1: of('web1'), web2: of('web2') }
})

/** `loadbalancer delete --cascade --wait`, and what it leaves: nothing. */
async function deleted(name: string, load_balancer_id: string): Promise<void> {
  const { amphora_id } = await Inside.of(stack, load_balancer_id)
  await act('delete', '--cascade', '--wait', name)
  const left = await stack.typed(
    'admin',
    ...['loadbalancer list', 'server list --all-projects', 'port list --long', 'security group list'],
  )
  const all = JSON.stringify(left)
  expect(all).not.toContain(load_balancer_id)
  expect(all).not.toContain(amphora_id)
}

const pool_of = '--protocol HTTP --lb-algorithm ROUND_ROBIN --listener'

describe('a load balancer with an IPv4 VIP', () => {
  let id: string
  let vip: string

  test('is made, object by object, and carries traffic', async () => {
    const member = 'member create --subnet-id private-subnet --protocol-port 80 --wait'
    const [lb] = await typed<{ id: string; vip_address: string; provisioning_status: string }>(
      'create --name o4 --vip-subnet-id private-subnet --wait',
      'listener create --name ol --protocol HTTP --protocol-port 80 o4',
      `pool create --name op ${pool_of} ol`,
      `${member} --name om1 --address ${addresses.web1[0]} op`,
      `${member} --name om2 --address ${addresses.web2[0]} op`,
    )
    expect(lb!.provisioning_status).toBe('ACTIVE') // --wait
    ;({ id, vip_address: vip } = lb!)
    expect(await stack.answers(`http://${vip}/`, 10)).toEqual({ 'hello from web1': 5, 'hello from web2': 5 })
  })

  test('is listed, with its listener, pool and members', async () => {
    const [all, listeners, pools, members] = await typed<Record<string, string>[]>(
      ...['list', 'listener list --loadbalancer o4', 'pool list --loadbalancer o4', 'member list op'],
    )
    expect(all!.find(one => one.id === id)).toMatchObject({ name: 'o4', vip_address: vip, provider: 'amphora' })
    expect(listeners!.map(one => one.name)).toEqual(['ol'])
    expect(pools!.map(one => one.name)).toEqual(['op'])
    expect(members!.map(one => one.address).toSorted()).toEqual([addresses.web1[0], addresses.web2[0]].toSorted())
  })

  test('is shown, with its tree of statuses and its statistics', async () => {
    const [lb, listener, pool, member, stats] = await typed(
      ...['show o4', 'listener show ol', 'pool show op', 'member show op om1', 'stats show o4'],
    )
    expect(lb).toMatchObject({ id, provisioning_status: 'ACTIVE', operating_status: 'ONLINE' })
    expect(listener).toMatchObject({ protocol: 'HTTP', protocol_port: 80, loadbalancers: id })
    expect(pool).toMatchObject({ lb_algorithm: 'ROUND_ROBIN', loadbalancers: id })
    expect(member).toMatchObject({ address: addresses.web1[0], protocol_port: 80, weight: 1 })
    expect(stats).toHaveProperty('total_connections')
    const tree = JSON.parse(await act('status', 'show', 'o4')) as {
      loadbalancer: { id: string; listeners: { pools: { members: unknown[] }[] }[] }
    }
    expect(tree.loadbalancer.id).toBe(id)
    expect(tree.loadbalancer.listeners[0]!.pools[0]!.members).toHaveLength(2)
  })

  test('each of its objects can be set', async () => {
    const set = [
      'set --name o4 --description fourth --tag blue o4',
      'listener set --connection-limit 99 --insert-headers X-Forwarded-For=true ol',
      'pool set --lb-algorithm LEAST_CONNECTIONS --description pool op',
      'member set --weight 0 --wait op om2',
    ]
    const ran = await stack.shell('demo', set.map(command => `openstack loadbalancer ${command}`).join('\n'))
    expect(ran.status, ran.stderr).toBe(0)
    const [lb, listener, pool, member] = await typed(
      'show o4',
      'listener show ol',
      'pool show op',
      'member show op om2',
    )
    expect(lb).toMatchObject({ description: 'fourth', tags: 'blue', provisioning_status: 'ACTIVE' })
    expect(listener).toMatchObject({ connection_limit: 99, insert_headers: 'X-Forwarded-For=true' })
    expect(pool).toMatchObject({ lb_algorithm: 'LEAST_CONNECTIONS', description: 'pool' })
    expect(member).toMatchObject({ weight: 0 })
    expect(await stack.answers(`http://${vip}/`, 6)).toEqual({ 'hello from web1': 6 })
  })

  test('goes with all it has', () => deleted('o4', id))
})

describe('a load balancer with an IPv6 VIP', () => {
  test('carries traffic to IPv6 members, and goes', async () => {
    const subnet = 'ipv6-private-subnet'
    const member = `member create --subnet-id ${subnet} --protocol-port 80 --wait`
    const [lb] = await typed<{ id: string; vip_address: string }>(
      `create --name o6 --vip-subnet-id ${subnet}`,
      'listener create --name ol6 --protocol HTTP --protocol-port 80 o6',
      `pool create --name op6 ${pool_of} ol6`,
      `${member} --address ${addresses.web1[1]} op6`,
      `${member} --address ${addresses.web2[1]} op6`,
    )
    expect(lb!.vip_address).toMatch(/^fd36:53a8:d962:/)
    const counts = await stack.answers(`http://[${lb!.vip_address}]/`, 10)
    expect(counts).toEqual({ 'hello from web1': 5, 'hello from web2': 5 })
    await deleted('o6', lb!.id)
  })
})
