/** Heartbeats on the wire: the described vector, what must come back, what must be refused. */
import { createHmac } from 'node:crypto'
import { deflateSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeHeartbeat, encodeHeartbeat, type Heartbeat } from './heartbeat.ts'

const key = 'insecure'

describe('the described vector', () => {
  const compressed = Buffer.from(
    '78daab56ca4c51b252504a313537344b3630d64d3532b3d435493134d6b54c01722d5252928d0c130d5292934d947414948a530b81ca0d80ac9ccce292d4bcd4a26220bfbab61600b8e1142e',
    'hex',
  )
  const digits = '97e801b3cda95122803a758aebe0ec64f848801e49968eb0af9f1da0f01b2e80'
  const message = { id: 'd5716c03-e269-4d13-9d03-8ddc21a0dcc4', seq: 0, listeners: {} }

  test.each([
    ['0.5', Buffer.from(digits, 'hex')],
    ['1.0', Buffer.from(digits, 'latin1')],
  ] as const)('%s is read, and written with the same trailer', (form, trailer) => {
    expect(decodeHeartbeat(Buffer.concat([compressed, trailer]), key)).toEqual({ ok: true, message })
    const frame = encodeHeartbeat(message, key, form)
    const signature = createHmac('sha256', key).update(frame.subarray(0, -trailer.length)).digest()
    expect(frame.subarray(-trailer.length).toString(form === '1.0' ? 'latin1' : 'hex')).toBe(signature.toString('hex'))
  })
})

const counter = fc.oneof(fc.nat(), fc.maxSafeNat())
const status = fc.constantFrom('OPEN', 'FULL', 'UP', 'DOWN', 'UP 1/2', 'no check', 'MAINT', 'DRAIN', 'señal')
const id = fc.uuid()
const members = fc.dictionary(id, status, { maxKeys: 5 })
const pool = fc.record({ status, members }, { noNullPrototype: true })
const digest = fc.stringMatching(/^[0-9a-f]{32}$/)
const stats = fc.record(
  { tx: counter, rx: counter, conns: counter, totconns: counter, ereq: counter },
  { requiredKeys: ['tx', 'rx', 'conns', 'totconns'], noNullPrototype: true },
)
const plain = <T>(keys: fc.Arbitrary<string>, values: fc.Arbitrary<T>, maxKeys = 4) =>
  fc.dictionary(keys, values, { maxKeys, noNullPrototype: true })
const heartbeat: fc.Arbitrary<Heartbeat> = fc.record(
  {
    id,
    seq: fc.nat(),
    ver: fc.nat(5),
    listeners: plain(
      id,
      fc.record(
        { status, stats, pools: plain(id, pool) },
        { requiredKeys: ['status', 'stats'], noNullPrototype: true },
      ),
    ),
    pools: plain(
      fc.tuple(id, fc.option(id)).map(([one, of]) => (of === null ? one : `${one}:${of}`)),
      pool,
    ),
    ottavia: fc.record(
      {
        start: fc.nat(),
        boot_id: id,
        role: fc.constantFrom('MASTER', 'BACKUP', null),
        counters: plain(
          id,
          fc.record({ tx: counter, rx: counter, totconns: counter, ereq: counter }, { noNullPrototype: true }),
        ),
        digests: plain(id, digest),
        keepalived: fc.option(digest),
      },
      { noNullPrototype: true },
    ),
  },
  { requiredKeys: ['id', 'seq', 'listeners'], noNullPrototype: true },
)
const form = fc.constantFrom('0.5' as const, '1.0' as const)

describe('any heartbeat', () => {
  test('comes back as it was sent', () => {
    fc.assert(
      fc.property(heartbeat, form, fc.string(), (message, form, key) => {
        expect(decodeHeartbeat(encodeHeartbeat(message, key, form), key)).toEqual({ ok: true, message })
      }),
    )
  })

  test('is refused when cut anywhere', () => {
    fc.assert(
      fc.property(heartbeat, form, (message, form) => {
        const frame = encodeHeartbeat(message, key, form)
        for (let length = 0; length < frame.length; length++) {
          const decoded = decodeHeartbeat(frame.subarray(0, length), key)
          expect(decoded).toEqual({ ok: false, why: length <= 32 ? 'truncated' : 'forged' })
        }
      }),
      { numRuns: 10 },
    )
  })

  test('is refused when a bit is another', () => {
    fc.assert(
      fc.property(heartbeat, form, (message, form) => {
        const frame = encodeHeartbeat(message, key, form)
        for (let bit = 0; bit < frame.length * 8; bit++) {
          const altered = Buffer.from(frame)
          altered[bit >> 3]! ^= 1 << (bit & 7)
          expect(decodeHeartbeat(altered, key)).toEqual({ ok: false, why: 'forged' })
        }
      }),
      { numRuns: 5 },
    )
  })

  test('is refused when signed with another key', () => {
    fc.assert(
      fc.property(heartbeat, form, (message, form) => {
        expect(decodeHeartbeat(encodeHeartbeat(message, 'other', form), key)).toEqual({ ok: false, why: 'forged' })
      }),
    )
  })
})

describe('what is no heartbeat', () => {
  test('bytes of any kind are refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), bytes => {
        expect(decodeHeartbeat(Buffer.from(bytes), key).ok).toBe(false)
      }),
    )
  })

  const bomb = deflateSync(Buffer.alloc(40 << 20), { level: 9 })

  test('a bomb without our signature is not even inflated', () => {
    const frame = Buffer.concat([bomb, Buffer.alloc(32)])
    const before = process.memoryUsage().arrayBuffers
    const begin_ms = performance.now()
    expect(decodeHeartbeat(frame, key)).toEqual({ ok: false, why: 'forged' })
    expect(performance.now() - begin_ms).toBeLessThan(20)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 20)
  })

  test('a bomb with our signature is inflated to the cap and no further', () => {
    const before = process.memoryUsage().arrayBuffers
    expect(decodeHeartbeat(signed(bomb), key)).toEqual({ ok: false, why: 'oversized' })
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 << 20)
  })

  test('more than a datagram carries is not looked at', () => {
    expect(decodeHeartbeat(Buffer.alloc(65_508), key)).toEqual({ ok: false, why: 'oversized' })
  })

  const good = { id: 'd5716c03-e269-4d13-9d03-8ddc21a0dcc4', seq: 0, listeners: {} }
  const listener = { status: 'OPEN', stats: { tx: 0, rx: 0, conns: 0, totconns: 0 } }
  const own = { start: 1, boot_id: 'x', role: null, counters: {}, digests: {}, keepalived: null }
  test.each([
    ['not compressed', null],
    ['a number', 7],
    ['a list', [good]],
    ['an id that is none', { ...good, id: 'amphora' }],
    ['an id in other letters', { ...good, id: good.id.toUpperCase() }],
    ['no sequence', { ...good, seq: undefined }],
    ['half a sequence', { ...good, seq: 0.5 }],
    ['a sequence before the first', { ...good, seq: -1 }],
    ['no listeners', { ...good, listeners: null }],
    ['a listener that has no uuid', { ...good, listeners: { web: listener } }],
    ['a listener without statistics', { ...good, listeners: { [good.id]: { status: 'OPEN' } } }],
    ['a counter beyond the database', { ...good, listeners: { [good.id]: changed(listener, { tx: 1e19 }) } }],
    ['a counter below zero', { ...good, listeners: { [good.id]: changed(listener, { rx: -1 }) } }],
    ['a pool of three', { ...good, pools: { [`${good.id}:${good.id}:${good.id}`]: { status: 'UP', members: {} } } }],
    ['a pool without members', { ...good, pools: { [good.id]: { status: 'UP' } } }],
    ['a member with a number', { ...good, pools: { [good.id]: { status: 'UP', members: { [good.id]: 1 } } } }],
    ['a role of its own', { ...good, ottavia: { ...own, role: 'KING' } }],
    ['a boot id with a zero byte', { ...good, ottavia: { ...own, boot_id: 'a\0' } }],
    ['a digest that is none', { ...good, ottavia: { ...own, digests: { [good.id]: 'md5' } } }],
  ])('%s is unreadable, though well signed', (_, message) => {
    const text = message === null ? Buffer.from('plain') : deflateSync(JSON.stringify(message))
    expect(decodeHeartbeat(signed(text), key)).toEqual({ ok: false, why: 'unreadable' })
  })
})

function signed(compressed: Buffer): Buffer {
  return Buffer.concat([compressed, createHmac('sha256', key).update(compressed).digest()])
}

function changed(listener: Heartbeat['listeners'][string], stats: object): object {
  return { ...listener, stats: { ...listener.stats, ...stats } }
}
