/** `ottavia exec -- CMD`: runs a command as a host on a network of the cloud. */
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import { State } from '../state.ts'
import { askControl } from '../world/control.ts'

/** Resolves with the command's exit status. Input, output and the terminal are the caller's. */
export async function exec(dir: string, network: string, command: string[]): Promise<number> {
  const state = new State(dir)
  const { netns } = await askControl<{ netns: string }>(state, 'POST', '/host', { network })
  const pid = state.worldPid()
  if (pid === null) throw new Error(`${state.path('world.json')} is missing; start the stack again`)
  // unshare's own pid namespace is not the world's: its child's is
  const first = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0]!
  const namespaces = ['--user', '--mount', '--net', '--pid', '--ipc', '--uts']
  // A plain user is uid 0 in there already and may not set groups; root is nobody in there until it becomes uid 0.
  const identity = process.getuid!() === 0 ? ['--setuid', '0', '--setgid', '0'] : ['--preserve-credentials']
  // the working directory becomes the world's / by itself
  const enter = ['--target', first, ...namespaces, ...identity]
  const child = spawn('nsenter', [...enter, 'ip', 'netns', 'exec', netns, ...command], {
    stdio: 'inherit',
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin` },
  })
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {}) // the command decides
  return new Promise((resolve, reject) => {
    child.once('error', error => reject(new Error(`nsenter did not start: ${error.message}`)))
    child.once('exit', (code, signal) => resolve(code ?? (signal ? 128 : 1)))
  })
}
