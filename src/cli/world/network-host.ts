/** Network hosts of the stack: each in a network namespace that the cloud knows, with files of its own, as on a machine. */
import { type ChildProcess, spawn } from 'node:child_process'
import path from 'node:path'
import type { State } from '../state.ts'

/** Makes the host; its programs are to be started with `inside` before their command line, and find it unchanged however
 *  often they die. */
export async function makeNetworkHost(state: State, name: string): Promise<{ inside: string[]; end: () => void }> {
  const script = path.join(import.meta.dirname, 'network-host.sh')
  const argv = ['--mount', '--propagation', 'private', 'sh', script, state.path('network-hosts', name), state.dir]
  const stays = spawn('unshare', argv, { stdio: ['ignore', 'pipe', 'inherit'] })
  await ready(stays, name)
  return {
    inside: ['nsenter', `--net=/run/netns/${name}`, `--mount=/proc/${stays.pid}/ns/mnt`],
    end: () => void stays.kill('SIGKILL'),
  }
}

function ready(stays: ChildProcess, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    stays.once('error', reject)
    stays.once('exit', status => reject(new Error(`${name} could not be made (status ${status})`)))
    stays.stdout!.once('data', () => resolve())
  })
}
