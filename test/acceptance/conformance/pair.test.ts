/** What a client has of a pair when the VIP moves: both its addresses, and the member that it was given. */
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { Api, type Made } from '../api.ts'
import { curl, names, type Servers, startEcho } from '../echo.ts'
import { Failing, Ground } from '../failing.ts'
import { Inside } from '../inside.ts'
import { eventually, Stack } from '../stack.ts'

const stack = new Stack(inject('stack_dir'))
type Pair = Made & {
  additional_vips: { ip_address: string }[]
  listeners: { id: string; default_pool_id: string }[]
}

describe.each(['listener', 'load_balancer'] as const)('one haproxy for each %s', unit => {
  let api: Api
  let servers: Servers
  let lb: Pair

  beforeAll(async () => {
    api = await Api.of(stack, 'demo')
    servers = await startEcho(stack, api, {
      ...{ 8101: { name: 'a', cookie: 'app=1a; Path=/' }, 8102: { name: 'b', cookie: 'app=2b; Path=/' } },
      ...{ 8083: { name: 'c' } },
    })
    const subnet_id = await api.subnet('private-subnet')
    const additional_vips = [{ subnet_id: await api.subnet('ipv6-private-subnet') }]
    const flavor_id = await (await Api.of(stack, 'admin')).flavor(`unit-${unit}`, { unit })
    const pool = (name: string, type: string, cookie_name?: string) => ({
      ...{ name, protocol: 'HTTP', lb_algorithm: 'ROUND_ROBIN', session_persistence: { type, cookie_name } },
      members: [8101, 8102, 8083].map(protocol_port => ({ address: servers.address, protocol_port, subnet_id })),
    })
    const made = await api.made('loadbalancers', 'loadbalancer', {
      ...{ name: `pair-${unit}`, vip_subnet_id: subnet_id, additional_vips, flavor_id },
      listeners: [
        { name: 'cookie', protocol: 'HTTP', protocol_port: 80, default_pool: pool('cookie', 'APP_COOKIE', 'app') },
        { name: 'source', protocol: 'HTTP', protocol_port: 81, default_pool: pool('source', 'SOURCE_IP') },
      ],
    })
    lb = made as unknown as Pair
    await api.settled(lb.id)
  })
  afterAll(async () => {
    await api.removed(lb.id)
    await servers.stop()
  })

  test('VIPs of both families move together, and persistence by cookie and by source outlives it', async () => {
    const ground = await Ground.of(stack)
    const pair = new Failing(ground, lb, lb, lb)
    const first = await pair.whole()
    const four = `http://${lb.vip_address}`
    const six = `http://[${lb.additional_vips[0]!.ip_address}]`
    await eventually('both addresses answer', async () => {
      const all = await Promise.all([curl(stack, `${four}/`), curl(stack, `${six}/`)])
      return all.every(({ status }) => status === 200)
    })
    const cookies = await eventually('both members gave their cookie', async () => {
      const replies = [await curl(stack, `${four}/`), await curl(stack, `${four}/`), await curl(stack, `${four}/`)]
      const given = replies.flatMap(({ headers, echo }) => (headers['set-cookie'] ? [echo!.name] : []))
      return given.includes('a') && given.includes('b')
    })
    expect(cookies).toBe(true)
    const kept = async () => ({
      a: await names(stack, four, 4, '-b', 'app=1a'),
      b: await names(stack, six, 4, '-b', 'app=2b'),
      four: await names(stack, `${four}:81/`, 4),
      six: await names(stack, `${six}:81/`, 4),
    })
    const before = await kept()
    expect(before).toMatchObject({ a: Array(4).fill('a'), b: Array(4).fill('b') })
    expect([new Set(before.four).size, new Set(before.six).size]).toEqual([1, 1])

    // two haproxies that began in the same moment may have missed each other, and try again after some seconds
    const standby = await Inside.of(stack, lb.id, 'BACKUP')
    for (const { id, default_pool_id } of lb.listeners) {
      const [of, backend] = unit === 'listener' ? [id, default_pool_id] : [lb.id, `${default_pool_id}:${id}`]
      await eventually('the one that stands by knows both clients', async () =>
        (await standby.askHaproxy(of, `show table ${backend}`)).includes('used:2'),
      )
    }
    await (await Inside.of(stack, lb.id, 'MASTER')).end('everything')
    await eventually('the other one answers on both', async () => {
      const all = await Promise.all([curl(stack, `${four}/`), curl(stack, `${six}/`)])
      return all.every(({ status }) => status === 200)
    })
    expect(await kept()).toEqual(before)

    // and the one that takes its place learns what its partner knows
    const second = await pair.whole(first.MASTER)
    expect((await ground.admin.octavia('PUT', `loadbalancers/${lb.id}/failover`)).status).toBe(202)
    await pair.whole(...Object.values(second))
    expect(await kept()).toEqual(before)
  })
})
