/** The outer namespace in which the whole stack lives, seen from outside: starts it, hands sockets in, sees it end. */
import { type ChildProcess, spawn } from 'node:child_process'
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import type { Duplex } from 'node:stream'

export type World = {
  /** The process outside whose namespaces are the world's: `nsenter --target` it. */
  pid: number
  /** Node's channel to the main program inside. */
  child: ChildProcess
  /** Resolves with the main program's status when all processes of the world are gone. */
  exited: Promise<number>
  /** Ends every process of the world at once. */
  kill: () => void
}

export type WorldOptions = {
  repository: string
  state: string
  command: string[]
  /** Listening sockets of the host's loopback; they become fds 6, 7, … of the command. Closed here afterwards. */
  sockets: net.Server[]
  env: Record<string, string>
  /** Where what the world's programs print goes. */
  log_file: string
}

/** Another ottavia holds the state folder. */
export class StateInUse extends Error {}

/** Starts `command` as the main program of a new user, network, mount, pid, ipc and uts namespace without a route out.
 *  As root its uids are shifted by 100000, so that root inside is nobody in particular outside. */
export async function startWorld(options: WorldOptions): Promise<World> {
  const { repository, state, command, sockets } = options
  const root = process.getuid!() === 0
  if (root) giveAway(state)
  const log = fs.openSync(options.log_file, 'a', 0o600)
  if (root) fs.fchownSync(log, shifted_uid, shifted_uid)
  const argv = argvOf(root, repository, state, command)
  // A session of its own, so that Ctrl-C reaches the launcher alone and the stack can end in order.
  const child = spawn(argv[0]!, argv.slice(1), {
    detached: true,
    stdio: ['ignore', log, log, 'ipc', 'pipe', 'pipe', ...sockets.map(socket => handleOf(socket).fd)],
    env: { ...process.env, ...options.env },
  })
  fs.closeSync(log)
  for (const socket of sockets) socket.close() // ours; the world's copies die with it
  const life = (child.stdio as (Duplex | null)[])[4]!
  life.on('error', () => {}) // the world may end first
  const exited = new Promise<number>(resolve => child.once('exit', code => resolve(code ?? 1)))
  await started(child, options.log_file)
  writeMaps(child.pid!, root)
  life.write('mapped\n')
  publishOnDemand(child)
  return { pid: child.pid!, child, exited, kill: () => life.destroy() }
}

/** What the launcher made in the state folder belongs to the uid that is root inside. */
function giveAway(state: string): void {
  fs.chownSync(state, shifted_uid, shifted_uid)
  for (const name of fs.readdirSync(state)) fs.lchownSync(path.join(state, name), shifted_uid, shifted_uid)
}

const shifted_uid = 100_000
const in_use_status = 75

function argvOf(root: boolean, repository: string, state: string, command: string[]): string[] {
  const here = import.meta.dirname
  const lock = ['flock', '--nonblock', '--no-fork', `--conflict-exit-code=${in_use_status}`, path.join(state, 'lock')]
  const namespaces = ['--user', '--keep-caps', '--net', '--mount', '--pid', '--ipc', '--uts']
  const script = root ? '/mnt/init.sh' : path.join(here, 'init.sh')
  const world = ['unshare', ...namespaces, '--fork', '--kill-child=KILL', '--propagation', 'private']
  world.push('sh', script, root ? 'root' : 'plain', repository, state, ...command)
  if (!root) return [...lock, ...world]
  const prepare = 'set -e; sh "$0/bind.sh" "$1" "$2"; cp "$0/init.sh" /mnt/init.sh; shift 2; exec "$@"'
  const bind = ['unshare', '--mount', '--propagation', 'private', 'sh', '-c', prepare, here, repository, state]
  return [...lock, ...bind, ...world]
}

async function started(child: ChildProcess, log_file: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const ready = (child.stdio as (Duplex | null)[])[5]!
    ready.once('data', () => resolve())
    child.once('error', reject)
    child.once('exit', code => {
      if (code === in_use_status) reject(new StateInUse('the state folder is in use by a running ottavia'))
      else reject(new Error(`the outer namespace did not start (status ${code}); see ${log_file}`))
    })
  })
}

/** unshare itself is in the new user namespace, so its maps are the world's. No newuidmap is needed for these. */
function writeMaps(pid: number, root: boolean): void {
  const map = (kind: 'uid' | 'gid', line: string) => fs.writeFileSync(`/proc/${pid}/${kind}_map`, line)
  if (root) {
    map('uid', `0 ${shifted_uid} 65536\n`)
    map('gid', `0 ${shifted_uid} 65536\n`)
  } else {
    fs.writeFileSync(`/proc/${pid}/setgroups`, 'deny')
    map('uid', `0 ${process.getuid!()} 1\n`)
    map('gid', `0 ${process.getgid!()} 1\n`)
  }
}

/** The inside asks `{publish: key, port}`; it gets a listening socket of the host's loopback, on that port if it is free. */
function publishOnDemand(child: ChildProcess): void {
  child.on('message', (message: { publish?: string; port?: number }) => {
    if (!message.publish) return
    const answer = (server: net.Server) => {
      const { port } = server.address() as net.AddressInfo
      child.send({ published: message.publish, port }, server, () => server.close())
    }
    listenOn(message.port ?? 0)
      .catch(() => listenOn(0))
      .then(answer, error => child.send({ published: message.publish, error: String(error.message) }))
  })
}

/** A listening socket on the host's 127.0.0.1; port 0 is any free one. */
export function listenOn(port: number): Promise<net.Server> {
  return new Promise((resolve, reject) => {
    const server = net.createServer()
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => resolve(server))
  })
}

/** The descriptor of a listening server: Node has no public way to it, spawn needs the number. */
function handleOf(server: net.Server): { fd: number } {
  return (server as unknown as { _handle: { fd: number } })._handle
}
