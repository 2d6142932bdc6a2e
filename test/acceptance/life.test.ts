/** Stacks come, go, die and come back: two at once, kill -9 at either side, Ctrl-C, the same state again. */
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { eventually, Stack } from './stack.ts'

const first = new Stack()
const second = new Stack()
afterAll(async () => {
  await first.remove()
  await second.remove()
})

/** Processes of the machine that name the folder in their arguments. */
function processesOf(stack: Stack): string[] {
  const all = execFileSync('ps', ['ax', '-o', 'args'], { encoding: 'utf8' }).split('\n')
  return all.filter(line => line.includes(stack.dir) && !line.startsWith('ps '))
}

async function demo(stack: Stack): Promise<{ id: string; host_address: string }> {
  return eventually('demo-lb is published', async () => {
    const lb = (await stack.status()).load_balancers.find(l => l.name === 'demo-lb')
    return lb?.host_address ? { id: lb.id, host_address: lb.host_address } : null
  })
}

async function answers(stack: Stack): Promise<string> {
  const { host_address } = await demo(stack)
  return eventually('demo-lb answers', async () => {
    const response = await fetch(`http://${host_address}/`, { signal: AbortSignal.timeout(5_000) })
    return response.ok ? response.text() : null
  })
}

describe('stacks', () => {
  let id: string

  test('two run side by side: taken ports are replaced and told', async () => {
    await first.up()
    const two = await second.up()
    const one = await first.status()
    expect(new Set([...Object.values(one.endpoints), ...Object.values(two.endpoints)]).size).toBe(12)
    expect(second.output).toMatch(/is taken; using/)
    expect(await answers(first)).toMatch(/^hello from web/)
    expect(await answers(second)).toMatch(/^hello from web/)
    id = (await demo(first)).id
    expect((await demo(second)).id).not.toBe(id)
  })

  test('a second start on the same state says that it runs already, and where', async () => {
    const again = await first.run('up', '--json')
    expect(again.status).toBe(0)
    expect(JSON.parse(again.stdout).endpoints).toEqual((await first.status()).endpoints)
    expect((await first.run('up', '--fresh')).status).toBe(1)
  })

  test('Ctrl-C ends one in order and leaves the other alone', async () => {
    expect(await second.interrupt()).toBe(0)
    expect(processesOf(second)).toEqual([])
    expect(await answers(first)).toMatch(/^hello from web/)
    const status = await second.run('status', '--json')
    expect(status.status).toBe(3)
    expect(JSON.parse(status.stdout).ready).toBe(false)
    expect((await second.run('down')).status).toBe(0)
  })

  test('kill -9 of the first process leaves nothing behind; the next start serves the same load balancers', async () => {
    process.kill(first.firstProcess(), 'SIGKILL')
    await first.ended()
    await eventually('nothing is left', async () => processesOf(first).length === 0)
    await first.up()
    expect((await demo(first)).id).toBe(id)
    expect(await answers(first)).toMatch(/^hello from web/)
  })

  test('kill -9 of the launcher as well', async () => {
    process.kill(first.pid, 'SIGKILL')
    await first.ended()
    await eventually('nothing is left', async () => processesOf(first).length === 0)
    await first.up()
    expect((await demo(first)).id).toBe(id)
    expect(await answers(first)).toMatch(/^hello from web/)
  })

  test('down ends it from elsewhere; --fresh begins anew', async () => {
    expect((await first.run('down')).stdout).toContain('has ended')
    expect(await first.ended()).toBe(0)
    const status = await first.up('--fresh', '--no-demo')
    expect(status.load_balancers).toEqual([])
    expect(status.servers).toEqual([])
    await first.interrupt()
  })

  test('a folder that holds something else is refused', async () => {
    const foreign = fs.mkdtempSync('/tmp/ottavia-foreign-')
    fs.writeFileSync(`${foreign}/thesis.txt`, 'years of work')
    const refused = await new Stack(foreign).run('up', '--fresh')
    expect(refused.status).toBe(1)
    expect(refused.stderr).toContain('no state folder of ottavia')
    expect(fs.readFileSync(`${foreign}/thesis.txt`, 'utf8')).toBe('years of work')
    fs.rmSync(foreign, { recursive: true })
  })
})
