/** Runs the machine's programs: argument vectors, never shell strings; what they complain about becomes a FabricError. */
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { FabricError } from './fabric.ts'

/** Runs a program to its end and answers with its output. */
export function run(argv: string[], options: { input?: string } = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(argv[0]!, argv.slice(1), { stdio: ['pipe', 'pipe', 'pipe'] })
    let out = ''
    let complaint = ''
    child.stdout.setEncoding('utf8').on('data', text => (out += text))
    child.stderr.setEncoding('utf8').on('data', text => (complaint += text))
    child.once('error', error => reject(new FabricError(`${argv[0]}: ${error.message}`)))
    child.once('close', (status, signal) => {
      if (status === 0) resolve(out)
      else reject(new FabricError(`${argv.slice(0, 6).join(' ')}: ${complaint.trim() || `status ${status ?? signal}`}`))
    })
    child.stdin.on('error', () => {}) // it may end before it has read everything
    child.stdin.end(options.input ?? '')
  })
}

/** Runs lines of `ip` commands in one process, in that namespace of the machine (null: ours). Stops at the first failure. */
export async function ipBatch(netns: string | null, lines: string[]): Promise<void> {
  if (lines.length === 0) return
  await run(['ip', ...(netns === null ? [] : ['-n', netns]), '-batch', '-'], { input: `${lines.join('\n')}\n` })
}

/** The links of a switch; none when there is no such switch. */
export async function linkNames(netns: string): Promise<Set<string>> {
  const text = await run(['ip', '-n', netns, '-brief', 'link']).catch(() => '')
  return new Set(text.split('\n').map(line => line.split(/[\s@]/)[0]!))
}

/** Loads an nftables script atomically. By a file: nft cannot read the socket that Node's children have as their input. */
export async function nftLoad(netns: string, script: string): Promise<void> {
  const file = path.join(os.tmpdir(), `nft-${process.pid}-${scripts++}`)
  fs.writeFileSync(file, script, { mode: 0o600 })
  try {
    await run(['nsenter', `--net=/run/netns/${netns}`, 'nft', '-f', file])
  } finally {
    fs.rmSync(file, { force: true })
  }
}

let scripts = 0
