/** Finds running haproxy masters in /proc: pid files go stale and pids repeat, a command line does not lie. */
import fs from 'node:fs'

/** The process that leads its session and was started with this pid file, or null. Workers that outlived their master
 *  have the same command line, and lead no session. `namespace`: only one that is in this network namespace: hosts that
 *  share a machine have the same names of files. */
export function masterOf(pid_file: string, namespace?: string): number | null {
  for (const entry of fs.readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    const argv = read(`/proc/${entry}/cmdline`)?.split('\0') ?? []
    const flag = argv.indexOf(pid_file)
    if (flag < 1 || argv[flag - 1] !== '-p') continue
    const pid = Number(entry)
    if (namespace !== undefined && !isIn(pid, namespace)) continue
    if (alive(pid) && statOf(pid)?.session === pid) return pid
  }
  return null
}

function isIn(pid: number, namespace: string): boolean {
  try {
    return fs.statSync(`/proc/${pid}/ns/net`).ino === fs.statSync(`/run/netns/${namespace}`).ino
  } catch {
    return false
  }
}

/** Ends what was started with files of this folder in the network namespace of that number (namespaceNumber): the name may
 *  be another's by now, while processes keep the namespace, and what is plugged into it, for themselves. */
export function endThoseIn(number: string, folder: string): void {
  const [ino] = number.split('.')
  for (const entry of fs.readdirSync('/proc')) {
    if (!/^\d+$/.test(entry) || !read(`/proc/${entry}/cmdline`)?.includes(`${folder}/`)) continue
    try {
      if (String(fs.statSync(`/proc/${entry}/ns/net`).ino) === ino) process.kill(Number(entry), 'SIGKILL')
    } catch {
      // It has just ended.
    }
  }
}

/** Running, and no zombie. */
export function alive(pid: number): boolean {
  const stat = statOf(pid)
  return stat !== null && stat.state !== 'Z' && stat.state !== 'X'
}

export function parentOf(pid: number): number | null {
  return statOf(pid)?.parent ?? null
}

function statOf(pid: number): { state: string; parent: number; session: number } | null {
  const text = read(`/proc/${pid}/stat`)
  if (text === null) return null
  // The second field is the program's name in parentheses, which may hold anything.
  const [state, parent, , session] = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return { state: state!, parent: Number(parent), session: Number(session) }
}

function read(file: string): string | null {
  try {
    return fs.readFileSync(file, 'utf8')
  } catch {
    return null
  }
}
