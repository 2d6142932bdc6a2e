/** UDP listeners of a pair: both have the rules, whoever has the VIP serves, and both choose alike. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { datagramText } from '../amphora/nftables/datagram-listener.ts'
import { input, member, pool } from '../amphora/nftables/sample.ts'
import { until } from './sandbox.ts'
import { Datagrams } from './sandbox-datagrams.ts'
import { SandboxPair } from './sandbox-pair.ts'

const pair = new SandboxPair()
let lan: Datagrams
beforeAll(async () => {
  await pair.open()
  for (const n of [0, 1]) {
    await pair.plugVip(n)
    await pair.startVrrp(n)
  }
  await pair.awaitHolder(0)
  for (let n = 100; n < 120; n++)
    await pair.first.exec(['ip', '-n', 'lan', 'addr', 'add', `10.0.0.${n}/24`, 'dev', 'vips'])
  lan = new Datagrams(pair.first)
  await lan.answer(['10.0.0.11', '10.0.0.12'])
})
afterAll(() => pair.close())

const of = input({}, pool([member(1), member(2)], { lb_algorithm: 'SOURCE_IP' }))
const sources = Array.from({ length: 20 }, (_, n) => `10.0.0.${100 + n}`)
const names = sources.map(each => `from-${each}`)

test('flows go on when the VIP moves, and every client finds the member that it had', async () => {
  for (const client of pair.clients) {
    await client.uploadDatagrams(of.listener.id, datagramText(of))
    await client.startUnit(of.listener.id)
  }
  const before = await lan.ask(names, { sources })
  expect(new Set(Object.values(before))).toEqual(new Set(['10.0.0.11', '10.0.0.12']))
  await pair.clients[0]!.stopVrrp()
  await pair.awaitHolder(1)
  await until(
    async () => Object.values(await lan.ask(names)).every(who => who.startsWith('10.')),
    'answers by the other',
  )
  expect(await lan.ask(names)).toEqual(before)
  // it can have the VIP again: nothing of what it remembers leads astray
  await pair.startVrrp(0)
  await until(async () => (await pair.clients[0]!.details()).vrrp?.role === 'BACKUP', 'the first to stand by')
  await pair.clients[1]!.stopVrrp()
  await pair.awaitHolder(0)
  await until(
    async () => Object.values(await lan.ask(names)).every(who => who.startsWith('10.')),
    'answers by the first',
  )
  expect(await lan.ask(names)).toEqual(before)
})
