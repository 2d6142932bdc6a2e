/** The kernel's table of virtual servers, in the form in which it shows it, and what becomes of it in heartbeats. */
import { describe, expect, test } from 'vitest'
import type { MemberInput, PoolInput } from '../amphora/haproxy/listener.ts'
import type { Change } from '../amphora/haproxy/sample.ts'
import { input, listenerOf, member, monitor, pool } from '../amphora/nftables/sample.ts'
import { isNewEnough } from './ipvs.ts'
import { flowsOf, isServed, parseVirtualServers, poolsIn } from './ipvs-table.ts'

const head = `IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
`
/** 10.0.0.10:53 with .11 and .12, a TCP service on the same port, another listener, one by a mark, and IPv6. */
const text = `${head}TCP  0A00000A:0035 wlc  
  -> 0A00000C:14B4      Masq    9      7          7         
UDP  0A00000A:0035 wrr  persistent 90000 FFFFFFFF
  -> 0A00000C:14B4      Masq    0      0          4         
  -> 0A00000B:14B4      Masq    3      12         1         
UDP  0A00000A:0036 sh  
  -> 0A00000D:14B4      Masq    1      0          0         
UDP  [fd00:0000:0000:0000:0000:0000:0000:0010]:0035 lc 
  -> [fd00:0000:0000:0000:0000:0000:0000:0011]:14B4      Masq    1      2          0         
FWM  00000001 wlc 
  -> 0A00000E:14B4      Masq    1      5          5         
`
const table = parseVirtualServers(text)
const of = (members: MemberInput[], change: Change<PoolInput> = {}, additional_vips: string[] = []) =>
  listenerOf(input({}, pool(members, { health_monitor: monitor(), ...change }), { additional_vips }))
const words = (members: MemberInput[], change: Change<PoolInput> = {}, of_table = table, vips: string[] = []) => {
  const [one] = Object.values(poolsIn(of(members, change, vips), of_table))
  return { status: one!.status, words: Object.values(one!.members) }
}

describe('the table', () => {
  test('is read, whatever the family', () => {
    expect(table.map(({ protocol, place, scheduler }) => [protocol, place, scheduler])).toEqual([
      ['TCP', '10.0.0.10 53', 'wlc'],
      ['UDP', '10.0.0.10 53', 'wrr'],
      ['UDP', '10.0.0.10 54', 'sh'],
      ['UDP', 'fd00::10 53', 'lc'],
    ])
    expect(table[1]!.members).toEqual([
      { place: '10.0.0.12 5300', weight: 0, flows: 4 },
      { place: '10.0.0.11 5300', weight: 3, flows: 13 },
    ])
    expect(table[3]!.members).toEqual([{ place: 'fd00::11 5300', weight: 1, flows: 2 }])
  })

  test.each([
    ['', 'no module'],
    [head, 'nothing yet'],
  ])('%j is empty', empty => {
    expect(parseVirtualServers(empty)).toEqual([])
  })

  test('tells when all of a listener is there', () => {
    expect(isServed(of([member(1)]), table)).toBe(true)
    expect(isServed(of([member(1)]), parseVirtualServers(head))).toBe(false)
    const both = of([member(1), member(3, { address: 'fd00::11' })], {}, ['fd00::10'])
    expect(isServed(both, table)).toBe(true)
    expect(isServed(both, table.slice(0, 2))).toBe(false)
    // keepalived makes no virtual server for a family without members
    expect(isServed(of([member(1)], {}, ['fd00::99']), table)).toBe(true)
    expect(isServed(of([]), [])).toBe(true)
  })
})

describe('members', () => {
  test('are in it, or do not answer', () => {
    expect(words([member(1), member(2), member(3)])).toEqual({ status: 'UP', words: ['UP', 'DRAIN', 'DOWN'] })
    expect(words([member(1, { admin_state_up: false }), member(2)])).toEqual({
      status: 'UP',
      words: ['MAINT', 'DRAIN'],
    })
  })

  test('of both families are found at their VIPs', () => {
    const six = member(3, { address: 'fd00::11' })
    expect(words([member(1), six], {}, table, ['fd00::10']).words).toEqual(['UP', 'UP'])
    // without a VIP of its family nothing gets there
    expect(words([member(1), six]).words).toEqual(['UP', 'DOWN'])
  })

  test('that nobody asks are not judged', () => {
    expect(words([member(1), member(3)], { health_monitor: null })).toEqual({
      status: 'UP',
      words: ['no check', 'no check'],
    })
  })

  test('are not judged before keepalived has made the virtual server', () => {
    expect(words([member(1)], {}, [])).toEqual({ status: 'UP', words: ['RESTARTING'] })
  })

  test('that are all gone leave the pool down', () => {
    const bare = parseVirtualServers(`${head}UDP  0A00000A:0035 wrr  \n`)
    expect(words([member(1), member(2)], {}, bare)).toEqual({ status: 'DOWN', words: ['DOWN', 'DOWN'] })
    expect(words([member(1, { admin_state_up: false })], {}, [])).toEqual({ status: 'DOWN', words: ['MAINT'] })
    expect(words([], {}, [])).toEqual({ status: 'UP', words: [] })
  })

  test('of no pool are none', () => {
    expect(poolsIn(listenerOf(input({}, null)), table)).toEqual({})
  })
})

test('flows are those of the listener, and full is when every member is', () => {
  const limited = (connection_limit: number) => listenerOf(input({ connection_limit }))
  expect(flowsOf(limited(-1), table)).toEqual({ sessions: 17, full: false })
  expect(flowsOf(limited(14), table)).toEqual({ sessions: 17, full: false })
  expect(flowsOf(limited(13), table)).toEqual({ sessions: 17, full: true })
})

test.each([
  ['Keepalived v2.2.7 (01/16,2022)\n\nCopyright(C) 2001-2022 Alexandre Cassen', true],
  ['Keepalived v2.0.14 (03/26,2019)', true],
  ['Keepalived v2.0.13 (02/05,2019)', false],
  ['Keepalived v1.3.9 (10/21,2017)', false],
  ['sh: keepalived: not found', false],
])('a keepalived that says %j may read anew what it knows: %s', (said, reloads) => {
  expect(isNewEnough(said)).toBe(reloads)
})
