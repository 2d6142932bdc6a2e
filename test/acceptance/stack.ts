/** A stack of a test's own: started and ended as a person would, through the command line alone. */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { State } from '../../src/cli/state.ts'
import { askControl } from '../../src/cli/world/control.ts'
import type { Status } from '../../src/cli/world/status.ts'

const repository = path.resolve(import.meta.dirname, '../..')

export type Ran = { status: number; stdout: string; stderr: string }

export class Stack {
  readonly dir: string
  #up: ChildProcess | null = null
  #output = ''

  #environments: Partial<Record<'admin' | 'demo', Record<string, string>>> = {}
  readonly #ottavia: string[]
  readonly #variables: Record<string, string>

  /** `checkout` is where ottavia itself lies: this repository, or a clone of it. `variables` join its environment;
   *  `command` starts it instead of the checkout's own executable. */
  constructor(
    dir = fs.mkdtempSync(path.join(os.tmpdir(), 'ottavia-stack-')),
    checkout = repository,
    variables: Record<string, string> = {},
    command = [path.join(checkout, 'ottavia')],
  ) {
    this.dir = dir
    this.#variables = variables
    this.#ottavia = command
  }

  /** `./ottavia up`; resolves with what it printed as JSON once everything answers. */
  async up(...options: string[]): Promise<Status> {
    const argv = [...this.#ottavia, 'up', '--state', this.dir, '--json', ...options]
    const up = spawn(argv[0]!, argv.slice(1), {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...this.#variables },
    })
    this.#up = up
    this.#output = ''
    this.#environments = {}
    let result = ''
    up.stderr!.on('data', chunk => (this.#output += chunk))
    return new Promise((resolve, reject) => {
      up.stdout!.on('data', chunk => {
        result += chunk
        if (result.includes('\n')) resolve(JSON.parse(result.slice(0, result.indexOf('\n'))) as Status)
      })
      up.once('exit', status =>
        reject(new Error(`ottavia up ended (${status}):\n${this.#output}\n${this.log('stack')}`)),
      )
    })
  }

  /** What the running `up` has told on standard error. */
  get output(): string {
    return this.#output
  }

  /** The launcher's process. */
  get pid(): number {
    return this.#up!.pid!
  }

  /** The stack's first process, as the machine sees it: the one that everything dies with. */
  firstProcess(): number {
    const { pid } = JSON.parse(fs.readFileSync(path.join(this.dir, 'world.json'), 'utf8')) as { pid: number }
    return Number(fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0])
  }

  /** Waits until the launcher has ended; answers with its status. */
  async ended(): Promise<number | null> {
    const up = this.#up!
    if (up.exitCode !== null || up.signalCode !== null) return up.exitCode
    return new Promise(resolve => up.once('exit', resolve))
  }

  /** Ctrl-C. */
  async interrupt(): Promise<number | null> {
    this.#up!.kill('SIGINT')
    return this.ended()
  }

  /** Ends the stack and forgets it. */
  async remove(): Promise<void> {
    if (this.#up && this.#up.exitCode === null && this.#up.signalCode === null) await this.interrupt()
    fs.rmSync(this.dir, { recursive: true, force: true })
  }

  /** `./ottavia COMMAND --state … ARGUMENTS`. */
  run(command: string, ...args: string[]): Promise<Ran> {
    return execute(this.command(command, ...args), this.#variables)
  }

  /** The same as the words of a command line. */
  command(command: string, ...args: string[]): string[] {
    return [...this.#ottavia, command, '--state', this.dir, ...args]
  }

  /** What `ottavia status --json` prints, without a process for each look. */
  status(): Promise<Status> {
    return askControl<Status>(new State(this.dir), 'GET', '/status')
  }

  /** What `ottavia explain` prints, likewise. */
  async explain(load_balancer: string): Promise<string> {
    const body = { name: load_balancer }
    return (await askControl<{ text: string }>(new State(this.dir), 'POST', '/explain', body)).text
  }

  /** A command as a host on the network private. */
  exec(...command: string[]): Promise<Ran> {
    return this.run('exec', '--', ...command)
  }

  /** What asking the URL `count` times, from a host on the network private, is answered: text to how often. */
  async answers(url: string, count: number): Promise<Record<string, number>> {
    const ask = `for i in $(seq ${count}); do curl -gsS --max-time 5 '${url}' || echo; done`
    const { stdout, stderr } = await this.exec('sh', '-c', ask)
    const counts: Record<string, number> = {}
    for (const line of stdout.trim().split('\n')) counts[line] = (counts[line] ?? 0) + 1
    if (stderr !== '') counts[stderr.trim()] = 1
    return counts
  }

  /** A genuine client's command as that user; rejects when it fails. */
  async client(user: 'admin' | 'demo', ...command: string[]): Promise<string> {
    const ran = await this.tryClient(user, ...command)
    if (ran.status !== 0) throw new Error(`${command.join(' ')}: ${ran.stderr}${ran.stdout}`)
    return ran.stdout
  }

  /** Commands of the genuine `openstack`, typed into one session of it; answers with what each said as JSON (`-f json` is
   *  added). Rejects when any of them complained. */
  async typed<T = Record<string, unknown>>(user: 'admin' | 'demo', ...commands: string[]): Promise<T[]> {
    const input = commands.map(command => `${command} -f json\n`).join('')
    const { stdout, stderr } = await execute(['openstack'], await this.environment(user), input)
    if (stderr !== '') throw new Error(`${input}: ${stderr}`)
    const documents = stdout.split(/^(?=[{[])/m).map(text => JSON.parse(text) as T)
    if (documents.length !== commands.length) throw new Error(`${input}: ${stdout}`)
    return documents
  }

  async tryClient(user: 'admin' | 'demo', ...command: string[]): Promise<Ran> {
    return execute(command, await this.environment(user))
  }

  /** Lines of shell as that user, as a person pastes them. */
  async shell(user: 'admin' | 'demo', lines: string, variables: Record<string, string> = {}): Promise<Ran> {
    return execute(['sh', '-ec', lines], { ...(await this.environment(user)), ...variables })
  }

  log(name: string): string {
    const file = path.join(this.dir, 'log', `${name}.log`)
    return fs.existsSync(file) ? fs.readFileSync(file, 'utf8').slice(-4_000) : ''
  }

  /** As the shell of that user has it; the same until the next start. */
  async environment(user: 'admin' | 'demo'): Promise<Record<string, string>> {
    const known = this.#environments[user]
    if (known) return known
    const { status, stdout, stderr } = await this.run('env', user)
    if (status !== 0) throw new Error(stderr)
    const exports = [...stdout.matchAll(/^export (\w+)='(.*)'$/gm)]
    const variables = Object.fromEntries(exports.map(match => [match[1]!, match[2]!]))
    this.#environments[user] = variables
    return variables
  }
}

/** Waits for a condition: asks until `ask` answers with something, generously long. */
export async function eventually<T>(
  what: string,
  ask: () => Promise<T | null | undefined | false>,
  limit_s = 120,
): Promise<T> {
  const deadline_ms = Date.now() + limit_s * 1000
  let last: unknown
  while (Date.now() < deadline_ms) {
    const answer = await ask().catch(error => {
      last = error
      return null
    })
    if (answer) return answer
    await new Promise(resolve => setTimeout(resolve, 200))
  }
  throw new Error(`${what}: not within ${limit_s} s${last ? `; ${String(last)}` : ''}`)
}

function execute(argv: string[], env: Record<string, string>, input: string | null = null): Promise<Ran> {
  return new Promise(resolve => {
    const options = { env: { ...process.env, ...env }, maxBuffer: 64 << 20 }
    const child = execFile(argv[0]!, argv.slice(1), options, (error, stdout, stderr) => {
      const status = error ? (typeof error.code === 'number' ? error.code : 1) : 0
      resolve({ status, stdout, stderr })
    })
    if (input !== null) child.stdin!.end(input)
  })
}
