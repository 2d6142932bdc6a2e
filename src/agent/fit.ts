/** Fits a configuration to this machine: what the process may open, and which users there are. */
import fs from 'node:fs'
import { words } from '../amphora/haproxy/language.ts'
import { isSection } from './configuration.ts'

/** Pure. Lines keep their numbers, so that what haproxy says of them is true of what was uploaded. `warnings`: what had
 *  to give way, in plain words. */
export function fitToMachine(uploaded: string, machine: Machine): { text: string; warnings: string[] } {
  const { base_path } = machine
  const text = base_path === undefined ? uploaded : uploaded.replaceAll('/var/lib/octavia/', `${base_path}/`)
  const limit = connectionsOf(machine.open_files_limit)
  const warnings: string[] = []
  const lower = (wanted: number) => {
    if (wanted <= limit) return wanted
    warnings.push(`maxconn ${wanted} lowered to ${limit}: a process may open ${machine.open_files_limit} files here`)
    return limit
  }
  let section = ''
  let global_maxconn = false
  let sum = 0
  const lines = text.split('\n').map(line => {
    const [first, value = ''] = words(line)
    if (first === undefined) return line
    if (isSection(first)) section = first
    else if (first === 'maxconn' && (section === 'frontend' || section === 'listen')) sum += Number(value)
    else if (section !== 'global') return line
    else if (first === 'maxconn') {
      global_maxconn = true
      return line.replace(value, String(lower(Number(value))))
    } else if (isAbsent(first, value, machine)) return `    # "${first}" left out: this machine has no such ${first}`
    return line
  })
  if (!global_maxconn) lines.push('global', `    maxconn ${lower(Math.max(sum, FEWEST_CONNECTIONS))}`, '')
  return { text: lines.join('\n'), warnings }
}

export type Machine = {
  /** The hard limit of open files. */
  open_files_limit: number
  /** Names of /etc/passwd and /etc/group whose ids exist in this user namespace. */
  users: Set<string>
  groups: Set<string>
  /** Where what is written for /var/lib/octavia lies on a network host. */
  base_path?: string
}

/** Reads what fitToMachine() needs to know. */
export function thisMachine(): Machine {
  const limits = fs.readFileSync('/proc/self/limits', 'utf8')
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(limits)?.[1]
  return {
    open_files_limit: hard === 'unlimited' ? 1_000_000 : Number(hard),
    users: namesOf('/etc/passwd', '/proc/self/uid_map'),
    groups: namesOf('/etc/group', '/proc/self/gid_map'),
  }
}

const FEWEST_CONNECTIONS = 2_000

/** A connection takes two files, and a pair for splicing is kept for every fourth; listeners, checks and the poller
 *  come on top. */
function connectionsOf(open_files_limit: number): number {
  return Math.max(1, Math.floor((open_files_limit - Math.min(1_000, open_files_limit / 10)) / 2.5))
}

function isAbsent(keyword: string, name: string, { users, groups }: Machine): boolean {
  if (keyword === 'user') return !users.has(name)
  if (keyword === 'group') return !groups.has(name)
  return false
}

function namesOf(file: string, map_file: string): Set<string> {
  const ranges = fs
    .readFileSync(map_file, 'utf8')
    .trim()
    .split('\n')
    .map(line => line.trim().split(/\s+/).map(Number))
  const mapped = (id: number) => ranges.some(([first, , count]) => id >= first! && id < first! + count!)
  const entries = fs
    .readFileSync(file, 'utf8')
    .split('\n')
    .map(line => line.split(':'))
  return new Set(entries.filter(([name, , id]) => name && id && mapped(Number(id))).map(([name]) => name!))
}
