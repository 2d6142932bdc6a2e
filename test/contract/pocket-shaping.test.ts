/** Bandwidth limits on real traffic: the machine's fabric in namespaces of its own. What comes through differs by hundreds
 *  of times, so that no other load can turn it. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import readline from 'node:readline'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Order, Told } from './shaped-machine.ts'

/** A machine that is told things line by line; `bin_dir` comes before all other programs. */
class Machine {
  readonly #child: ChildProcessWithoutNullStreams
  readonly #lines: AsyncIterator<string>
  #complaints = ''

  constructor(bin_dir = '/usr/sbin') {
    // a sysfs beside the one that is seen lets `ip netns exec` mount its own
    const ready = 'mount -t tmpfs run /run; mount -t sysfs sys /sys; mount --bind /sys /sys; exec "$@"'
    const namespaces = ['--user', '--map-root-user', '--net', '--mount', '--pid', '--fork', '--kill-child']
    const program = [process.execPath, path.join(import.meta.dirname, 'shaped-machine.ts')]
    this.#child = spawn('unshare', [...namespaces, 'sh', '-ec', ready, 'sh', ...program], {
      env: { ...process.env, PATH: `${bin_dir}:${process.env.PATH}` },
    })
    this.#child.stderr.on('data', chunk => (this.#complaints += chunk))
    this.#lines = readline.createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }

  async tell(order: Order): Promise<Told> {
    this.#child.stdin.write(`${JSON.stringify(order)}\n`)
    const { value, done } = await this.#lines.next()
    if (done) throw new Error(this.#complaints)
    return JSON.parse(value) as Told
  }

  moved = async (way: 'to' | 'from') => (await this.tell({ move: way })).received_bytes!

  async end(): Promise<void> {
    const ended = new Promise(resolve => this.#child.once('close', resolve))
    this.#child.stdin.end()
    await ended
  }
}

const free = { egress: null, ingress: null }
const two = { max_kbps: 2_000, max_burst_kbps: 0 }
const both = { egress: two, ingress: two }
/** Five times more than a second of two megabits and their first burst, and half a second of delay; far below what an unlimited link moves. */
const much_bytes = 5 * 600_000

describe('a limit', () => {
  let machine: Machine
  beforeAll(() => {
    machine = new Machine()
  })
  afterAll(() => machine.end())

  test('holds in its own direction, and nothing holds without one', async () => {
    expect(await machine.moved('to')).toBeGreaterThan(much_bytes)
    expect(await machine.moved('from')).toBeGreaterThan(much_bytes)
    expect(await machine.tell({ update: { egress: two, ingress: null } })).toEqual({ log: [] })
    const [sent, received] = [await machine.moved('from'), await machine.moved('to')]
    expect(sent).toBeLessThan(much_bytes / 5)
    expect(sent).toBeGreaterThan(0)
    expect(received).toBeGreaterThan(much_bytes)
    await machine.tell({ update: { egress: null, ingress: two } })
    expect(await machine.moved('from')).toBeGreaterThan(much_bytes)
    expect(await machine.moved('to')).toBeLessThan(much_bytes / 5)
  })

  test('is changed, and taken away with all that it needed', async () => {
    await machine.tell({ update: both })
    const wide = { max_kbps: 200_000, max_burst_kbps: 20_000 }
    await machine.tell({ update: { egress: wide, ingress: wide } })
    expect(await machine.moved('from')).toBeGreaterThan(much_bytes)
    expect((await machine.tell('look')).links).toMatch(/\bifb/)
    await machine.tell({ update: free })
    expect(await machine.moved('to')).toBeGreaterThan(much_bytes)
    expect((await machine.tell('look')).links).not.toMatch(/\bifb/)
  })

  test('is there again with a port that is plugged again, and goes with it', async () => {
    await machine.tell({ update: both })
    await machine.tell({ replug: both })
    expect(await machine.moved('from')).toBeLessThan(much_bytes / 5)
    await machine.tell({ replug: free })
    expect(await machine.moved('from')).toBeGreaterThan(much_bytes)
    expect((await machine.tell('look')).links).not.toMatch(/\bifb/)
  })

  test('that a cloud before had left is what the next one says', async () => {
    await machine.tell({ update: both })
    await machine.tell({ restart: free })
    expect(await machine.moved('from')).toBeGreaterThan(much_bytes)
    expect(await machine.moved('to')).toBeGreaterThan(much_bytes)
    await machine.tell({ restart: both })
    expect(await machine.moved('to')).toBeLessThan(much_bytes / 5)
  })

  test.each([
    [1, 0],
    [1, 2_147_483_647],
    [2_147_483_647, 0],
    [2_147_483_647, 2_147_483_647],
    [2_147_483_647, 1],
  ])('of %i kbit/s with a burst of %i is one that the kernel takes', async (max_kbps, max_burst_kbps) => {
    const limit = { max_kbps, max_burst_kbps }
    expect(await machine.tell({ update: { egress: limit, ingress: limit } })).toEqual({ log: [] })
    expect((await machine.tell('look')).links).toMatch(/\bifb/)
  })
})

test('a machine that cannot limit says so once, and all goes through', async () => {
  const bin_dir = fs.mkdtempSync(path.join(os.tmpdir(), 'no-tc-'))
  fs.writeFileSync(path.join(bin_dir, 'tc'), '#!/bin/sh\necho "RTNETLINK answers: No such file" >&2\nexit 2\n', {
    mode: 0o755,
  })
  const machine = new Machine(bin_dir)
  try {
    await machine.tell({ update: both })
    const { log } = await machine.tell({ update: { egress: two, ingress: null } })
    expect(log).toEqual(['this machine limits no bandwidth; QoS policies have no effect'])
    expect(await machine.moved('from')).toBeGreaterThan(much_bytes)
    expect((await machine.tell('look')).links).not.toMatch(/\bifb/)
  } finally {
    await machine.end()
    fs.rmSync(bin_dir, { recursive: true })
  }
})
