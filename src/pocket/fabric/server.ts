/** A server is a tree of processes: starting its first one, finding it again, ending it by one kill. */
import { type ChildProcess, spawn } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import readline from 'node:readline'
import { configDriveOf } from './disk.ts'
import { FabricError, type FabricServer } from './fabric.ts'

export type StartedServer = {
  /** Its first process: pid 1 in there, this number for us. */
  pid: number
  /** Lets the boot go on: to be called once the ports are plugged. */
  proceed: () => void
  exited: Promise<void>
}

/** Starts a server's first process in namespaces of its own and waits until its root is ready. */
export async function startServer(options: {
  server: FabricServer
  disk: string
  runtime_dir: string
}): Promise<StartedServer> {
  const { server, disk, runtime_dir } = options
  const console_file = fs.openSync(path.join(path.dirname(disk), 'console.log'), 'a', 0o600)
  const script = path.join(import.meta.dirname, 'server-init.sh')
  const argv = [
    '--mount',
    '--propagation',
    'private',
    'sh',
    script,
    server.name,
    disk,
    runtime_dir,
    server.image_dir ?? '-',
    server.config_drive.length > 0 ? configDriveOf(disk) : '-',
  ]
  const child = spawn('unshare', argv, {
    detached: true,
    stdio: ['pipe', 'pipe', console_file],
    // nothing of ours: neither the cloud's configuration nor its secrets
    env: { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root', LANG: 'C.UTF-8' },
  })
  fs.closeSync(console_file)
  child.stdin!.on('error', () => {}) // it may end first
  const exited = new Promise<void>(resolve => child.once('exit', () => resolve()))
  try {
    const told = lines(child)
    await told('born')
    writeMaps(child.pid!)
    child.stdin!.write('mapped\n')
    await told('up')
    const pid = firstChild(child.pid!)
    fs.mkdirSync(pids_dir, { recursive: true })
    fs.writeFileSync(path.join(pids_dir, server.id), `${pid} ${startTime(pid)}`)
    child.unref()
    const proceed = () => {
      child.stdin!.end('plugged\n')
      child.stdout!.destroy()
    }
    return { pid, proceed, exited }
  } catch (error) {
    child.kill('SIGKILL')
    await exited
    throw new FabricError(`server ${server.id} did not boot: ${(error as Error).message}`)
  }
}

/** The servers that an earlier fabric on this machine has started and that run still: id → pid. */
export function findServers(): [server_id: string, pid: number][] {
  if (!fs.existsSync(pids_dir)) return []
  return fs.readdirSync(pids_dir).flatMap((server_id): [string, number][] => {
    const [pid, start_time] = fs.readFileSync(path.join(pids_dir, server_id), 'utf8').split(' ')
    return startTime(Number(pid)) === start_time ? [[server_id, Number(pid)]] : []
  })
}

/** Ends every process of a server: they die with the first one of their pid namespace. Waits until it is gone. */
export async function endServer(pid: number): Promise<void> {
  const start_time = startTime(pid)
  if (start_time === null) return
  process.kill(pid, 'SIGKILL')
  while (startTime(pid) === start_time) await new Promise(resolve => setTimeout(resolve, 5))
}

/** The end of what the server wrote on its console: our file, which it cannot replace by a link. */
export function consoleTail(servers_dir: string, server_id: string, length_bytes: number): string {
  const file = path.join(servers_dir, server_id, 'console.log')
  if (!fs.existsSync(file)) return ''
  const fd = fs.openSync(file, 'r')
  try {
    const { size } = fs.fstatSync(fd)
    const wanted = Math.min(size, length_bytes)
    const bytes = Buffer.alloc(wanted)
    fs.readSync(fd, bytes, 0, wanted, size - wanted)
    return bytes.toString('utf8')
  } finally {
    fs.closeSync(fd)
  }
}

/** Forgotten with the machine's power, as the processes are. */
const pids_dir = '/run/pocket/servers'

/** As many uids as we have ourselves: 65536 below root, one below a plain user. */
function writeMaps(pid: number): void {
  const count = fs
    .readFileSync('/proc/self/uid_map', 'utf8')
    .trim()
    .split('\n')
    .reduce((sum, line) => sum + Number(line.trim().split(/\s+/)[2]), 0)
  if (count === 1) fs.writeFileSync(`/proc/${pid}/setgroups`, 'deny')
  fs.writeFileSync(`/proc/${pid}/uid_map`, `0 0 ${count}\n`)
  fs.writeFileSync(`/proc/${pid}/gid_map`, `0 0 ${count}\n`)
}

/** Answers with a function that waits for the next line to be the expected one. */
function lines(child: ChildProcess): (expected: string) => Promise<void> {
  const iterator = readline.createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
  return async expected => {
    const { value, done } = await iterator.next()
    if (done) throw new Error('it ended; its console tells why')
    if (value !== expected) throw new Error(`it said ${JSON.stringify(value)} instead of ${expected}`)
  }
}

function firstChild(pid: number): number {
  const child = fs.readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0]
  if (!child) throw new Error('it has no first process')
  return Number(child)
}

/** The kernel's start time of a process, which tells it from a later one with the same pid. Null: gone, or a zombie. */
function startTime(pid: number): string | null {
  try {
    const fields = fs
      .readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    return fields[0] === 'Z' || fields[0] === 'X' ? null : fields[19]!
  } catch {
    return null
  }
}
