/** Runs another program, by a list of arguments and never through a shell. */
import { spawn } from 'node:child_process'

/** Resolves whatever the exit code is; rejects when the program cannot be started or takes longer than the time-out. */
export function run(argv: string[], options: { input?: string; timeout_ms?: number } = {}): Promise<Outcome> {
  const [program, ...args] = argv
  const child = spawn(program!, args, { stdio: ['pipe', 'pipe', 'pipe'], timeout: options.timeout_ms ?? 30_000 })
  const texts = { stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      texts[stream] += text
    })
  }
  child.stdin.on('error', () => {})
  child.stdin.end(options.input ?? '')
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      if (signal !== null) reject(new CommandFailed(argv, `ended by ${signal}`))
      else resolve({ code: code!, ...texts })
    })
  })
}

/** The same, but rejects with CommandFailed unless the program exits with 0. */
export async function succeed(argv: string[], options: { input?: string; timeout_ms?: number } = {}): Promise<string> {
  const { code, stdout, stderr } = await run(argv, options)
  if (code !== 0) throw new CommandFailed(argv, stderr.trim() || stdout.trim() || `exit code ${code}`)
  return stdout
}

export type Outcome = { code: number; stdout: string; stderr: string }

export class CommandFailed extends Error {
  constructor(argv: string[], said: string) {
    super(`${argv.join(' ')}: ${said}`)
    this.name = 'CommandFailed'
  }
}
