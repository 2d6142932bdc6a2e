/** Traffic that flows while something happens: the load client on a host of the network private, and what it saw. */
import { spawn } from 'node:child_process'
import path from 'node:path'
import type { Seen } from './load-client.ts'
import type { Stack } from './stack.ts'

/** Starts the client; the answer stops it and tells what it saw. */
export async function startLoad(stack: Stack, url: string, rate = 100): Promise<{ stop: () => Promise<Seen> }> {
  const client = path.join(import.meta.dirname, 'load-client.ts')
  const [program, ...args] = stack.command('exec', '--', process.execPath, client, url, String(rate))
  const child = spawn(program!, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  let output = ''
  child.stdout!.on('data', chunk => (output += chunk))
  const ended = new Promise(resolve => child.once('close', resolve))
  while (!output.includes('started\n')) {
    if (child.exitCode !== null) throw new Error('the load client did not start')
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  const stop = async () => {
    child.stdin!.end()
    await ended
    return JSON.parse(output.slice(output.indexOf('{'))) as Seen
  }
  return { stop }
}
