/** The state folder: where everything of one stack lies that survives a restart. */
import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'

export type Secrets = { admin: string; demo: string; octavia: string; heartbeat_key: string; sealing_key: string }

/** Ports of the host's loopback, which are the same inside. */
export type Ports = {
  identity: number
  image: number
  compute: number
  network: number
  load_balancer: number
  key_manager: number
}

/** Paths of the state folder, and the few small files that are read and written whole. */
export class State {
  readonly dir: string

  constructor(dir: string) {
    this.dir = path.resolve(dir)
  }

  /** Makes the folder. Refuses one that holds something else. */
  create(): void {
    const names = fs.existsSync(this.dir) ? fs.readdirSync(this.dir) : []
    if (names.length > 0 && !names.includes(marker))
      throw new Error(`${this.dir} is not empty and no state folder of ottavia; name another one with --state`)
    fs.mkdirSync(this.path('log'), { recursive: true })
    fs.chmodSync(this.dir, 0o700)
    fs.writeFileSync(this.path(marker), 'The state of one ottavia. Remove the whole folder to forget it.\n')
  }

  /** Forgets everything in it; only a folder that we made. */
  clear(): void {
    if (!fs.existsSync(this.path(marker))) return
    for (const name of fs.readdirSync(this.dir))
      if (name !== marker) fs.rmSync(this.path(name), { recursive: true, force: true })
  }

  path(...names: string[]): string {
    return path.join(this.dir, ...names)
  }

  ports(): Ports | null {
    return this.#read('ports.json')
  }

  savePorts(ports: Ports): void {
    this.#write('ports.json', ports)
  }

  /** Passwords and keys of this stack: random, made once, readable by the owner only. */
  secrets(): Secrets {
    const known = this.#read<Partial<Secrets>>('secrets.json') ?? {}
    const names = ['admin', 'demo', 'octavia', 'heartbeat_key', 'sealing_key'] as const
    const missing = names.filter(name => known[name] === undefined)
    const fresh = missing.map(name => [name, randomBytes(18).toString('base64url')])
    const secrets: Secrets = { ...known, ...Object.fromEntries(fresh) }
    if (missing.length) this.#write('secrets.json', secrets)
    return secrets
  }

  /** The process outside whose namespaces are the running world's; null when none was noted. */
  worldPid(): number | null {
    return this.#read<{ pid: number }>('world.json')?.pid ?? null
  }

  saveWorldPid(pid: number): void {
    this.#write('world.json', { pid })
  }

  #read<T>(name: string): T | null {
    try {
      return JSON.parse(fs.readFileSync(this.path(name), 'utf8')) as T
    } catch (error) {
      if ((error as { code?: string }).code === 'ENOENT') return null
      throw new Error(`${this.path(name)} cannot be read: ${(error as Error).message}`)
    }
  }

  /** Whole or not at all: a cut-short write leaves the old file. */
  #write(name: string, value: unknown): void {
    const draft = this.path(`${name}.new`)
    fs.writeFileSync(draft, `${JSON.stringify(value)}\n`, { mode: 0o600 })
    fs.renameSync(draft, this.path(name))
  }
}

const marker = 'ottavia-state'

/** The folder of this checkout's own stack. */
export const defaultStateDir = path.resolve(import.meta.dirname, '../../.ottavia')

/** The root of the checkout. */
export const repositoryDir = path.resolve(import.meta.dirname, '../..')
