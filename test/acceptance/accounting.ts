/** Accounting: what of load balancers exists in the cloud and on the machine, to be compared with what should. */
import fs from 'node:fs'
import type { Answer, Api } from './api.ts'
import type { Stack } from './stack.ts'

/** What there is of load balancers in a cloud, by the names of what it was made for. Each list is sorted and keeps twins. */
export type Account = {
  /** Of the servers amphora-<id>: the ids. */
  servers: string[]
  /** Of the ports octavia-lb-vrrp-<id>: the ids. */
  vrrp_ports: string[]
  /** Of the ports on which amphorae are managed: the ids of the amphorae. */
  management_ports: string[]
  /** Of the ports octavia-lb-<id>: the ids. */
  vip_ports: string[]
  /** Of the security groups lb-<id>: the ids. */
  groups: string[]
  /** Of the server groups octavia-lb-<id>: the ids. */
  server_groups: string[]
  /** Of the ports octavia-lb-member-<id>: the ids, each of which is one of `servers`. */
  member_ports: string[]
}

type Named = { id: string; name: string; device_id: string }

/** As an administrator sees it: of all projects. */
export async function account(admin: Api): Promise<Account> {
  type Lists = Record<string, Named[]>
  const list = async (answer: Promise<Answer<Lists>>, key: string): Promise<Named[]> => {
    const { status, body } = await answer
    if (status !== 200) throw new Error(`${key}: status ${status}`)
    return body[key]!
  }
  const [servers, ports, groups, server_groups] = await Promise.all([
    list(admin.compute<Lists>('GET', 'v2.1/servers/detail?all_tenants=1'), 'servers'),
    list(admin.network<Lists>('GET', 'ports'), 'ports'),
    list(admin.network<Lists>('GET', 'security-groups'), 'security_groups'),
    list(admin.compute<Lists>('GET', 'v2.1/os-server-groups?all_projects=True'), 'server_groups'),
  ])
  const behind = (prefix: string, named: Named[]) => {
    const uuid = /^[0-9a-f]{8}-[0-9a-f-]{27}$/
    return named
      .filter(({ name }) => name.startsWith(prefix) && uuid.test(name.slice(prefix.length)))
      .map(({ name }) => name.slice(prefix.length))
      .sort()
  }
  const owners = new Map(servers.map(server => [server.id, server]))
  const managed = ports.flatMap(({ name, device_id }) => (name === '' ? (owners.get(device_id) ?? []) : []))
  return {
    servers: behind('amphora-', servers),
    vrrp_ports: behind('octavia-lb-vrrp-', ports),
    management_ports: behind('amphora-', managed),
    vip_ports: behind('octavia-lb-', ports),
    groups: behind('lb-', groups),
    server_groups: behind('octavia-lb-', server_groups),
    member_ports: behind('octavia-lb-member-', ports),
  }
}

/** What a load balancer should consist of: the ids of its amphorae, of those that have a port on a member network once
 *  for each, and whether they are a pair by design. */
export type Parts = { amphorae: string[]; members?: string[]; pair: boolean }

/** What there must be of these load balancers: exactly one of all. */
export function rightAccount(parts: Map<string, Parts>): Account {
  const load_balancers = [...parts.keys()].sort()
  const servers = [...parts.values()].flatMap(({ amphorae }) => amphorae).sort()
  return {
    servers,
    vrrp_ports: servers,
    management_ports: servers,
    vip_ports: load_balancers,
    groups: load_balancers,
    server_groups: load_balancers.filter(id => parts.get(id)!.pair),
    member_ports: [...parts.values()].flatMap(({ members = [] }) => members).sort(),
  }
}

/** What there must be by the rows of the amphorae, as an administrator lists them. `members`: on how many member networks
 *  a load balancer has ports, where that is any. */
export async function recordedAccount(admin: Api, members: Record<string, number> = {}): Promise<Account> {
  type Row = { id: string; loadbalancer_id: string; status: string; role: string }
  const [lbs, rows] = await Promise.all([
    admin.octavia<{ loadbalancers: { id: string }[] }>('GET', 'loadbalancers'),
    admin.amphorae<{ amphorae: Row[] }>('GET'),
  ])
  const parts = lbs.body.loadbalancers.map(({ id }): [string, Parts] => {
    const own = rows.body.amphorae.filter(row => row.loadbalancer_id === id)
    const amphorae = own.map(row => row.id)
    const on_networks = Array.from({ length: members[id] ?? 0 }, () => amphorae).flat()
    return [id, { amphorae, members: on_networks, pair: own.some(row => row.role !== 'STANDALONE') }]
  })
  return rightAccount(new Map(parts))
}

export type ListedProcess = { pid: number; args: string; userns: string }

/** All processes of a stack, as the machine sees them. */
export function processesOf(stack: Stack): ListedProcess[] {
  return processesBelow(stack.firstProcess())
}

/** Those that it has started, and those that they have. */
export function processesBelow(pid: number): ListedProcess[] {
  return pidsBelow(pid).flatMap(one => {
    try {
      const args = fs.readFileSync(`/proc/${one}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
      return [{ pid: one, args, userns: fs.readlinkSync(`/proc/${one}/ns/user`) }]
    } catch {
      return []
    }
  })
}

function pidsBelow(pid: number): number[] {
  try {
    const tasks = fs.readdirSync(`/proc/${pid}/task`)
    const children = tasks.flatMap(task => fs.readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' '))
    return children.filter(child => child !== '').flatMap(child => [Number(child), ...pidsBelow(Number(child))])
  } catch {
    return [] // it has just ended
  }
}

/** The user namespaces in which processes of the stack run: each server has one of its own. */
export function namespacesOf(stack: Stack): number {
  return new Set(processesOf(stack).map(({ userns }) => userns)).size
}

/** The process id of a daemon of the stack (`ottavia serve ROLE`). */
export function daemonOf(stack: Stack, role: 'all' | 'pocket' | 'network-host'): number {
  const daemon = processesOf(stack).find(({ args }) => args.endsWith(`src/cli/ottavia.ts serve ${role}`))
  if (!daemon) throw new Error(`no process serves ${role}`)
  return daemon.pid
}

/** Kills a daemon of the stack as the machine would when it runs out of memory. */
export function killDaemon(stack: Stack, role: 'all' | 'pocket' | 'network-host'): void {
  process.kill(daemonOf(stack, role), 'SIGKILL')
}
