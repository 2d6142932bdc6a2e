/** The fabric on a Linux machine: a switch is a namespace with a bridge, a server a tree of processes in its own. */
import fs from 'node:fs'
import path from 'node:path'
import { ipBatch, linkNames, nftLoad, run } from './commands.ts'
import { ensureDisk } from './disk.ts'
import { type Fabric, FabricError, type FabricPort } from './fabric.ts'
import { switchTables, tapName } from './filter.ts'
import { consoleTail, endServer, findServers, startServer } from './server.ts'
import { Shaping } from './shaping.ts'
import { switchName, Taps } from './taps.ts'

export type MachineOptions = {
  /** Where the servers' disks and consoles lie; survives restarts. */
  servers_dir: string
  /** Shown to servers, read-only, as /opt/runtime. */
  runtime_dir: string
  log: (text: string, fields: Record<string, unknown>) => void
}

/** The fabric of this machine. Only one may exist at a time. Servers outlive it: the next one finds them again. */
export function machineFabric(options: MachineOptions): Fabric {
  fs.mkdirSync(options.servers_dir, { recursive: true, mode: 0o700 })
  /** Process ids of the servers' first processes. */
  const servers = new Map<string, number>(findServers())
  const taps = new Taps(new Shaping(options.log))
  /** Networks whose switch is known to be whole. */
  const whole = new Set<string>()
  const listeners: ((server_id: string) => void)[] = []
  /** Changes of one network or port run one after another. */
  const queues = new Map<string, Promise<unknown>>()
  const inOrder = <T>(key: string, work: () => Promise<T>): Promise<T> => {
    const next = (queues.get(key) ?? Promise.resolve()).then(work, work)
    queues.set(
      key,
      next.catch(() => {}),
    )
    return next
  }

  const ensureNetwork = (network_id: string) =>
    inOrder(network_id, async () => {
      if (!whole.has(network_id)) await makeSwitch(switchName(network_id))
      whole.add(network_id)
    })

  const plugInto = async (port: FabricPort, target: string, interface_name: string) => {
    await ensureNetwork(port.network_id)
    await taps.plug(port, target, interface_name)
  }

  const ended = (server_id: string, pid: number) => {
    // endServer forgets the pid first, so what is still known here ended by itself
    if (servers.get(server_id) !== pid) return
    servers.delete(server_id)
    for (const listener of listeners) listener(server_id)
  }
  // whose parent we are not: their end is only seen by looking
  for (const [server_id, pid] of servers) {
    const watch = setInterval(() => {
      if (alive(pid)) return
      clearInterval(watch)
      ended(server_id, pid)
    }, 1_000).unref()
  }

  const fabric: Fabric = {
    ensureNetwork,
    removeNetwork: network_id =>
      inOrder(network_id, async () => {
        whole.delete(network_id)
        if (netnsExists(switchName(network_id))) await run(['ip', 'netns', 'del', switchName(network_id)])
      }),
    boot: (server, ports) =>
      inOrder(server.id, async () => {
        if (alive(servers.get(server.id))) return
        const disk = ensureDisk(options.servers_dir, server)
        const started = await startServer({ server, disk, runtime_dir: options.runtime_dir })
        servers.set(server.id, started.pid)
        void started.exited.then(() => ended(server.id, started.pid))
        try {
          for (const [index, port] of ports.entries()) await plugInto(port, String(started.pid), `eth${index}`)
          await configure(started.pid, ports)
        } catch (error) {
          servers.delete(server.id)
          await endServer(started.pid)
          throw error
        }
        started.proceed()
      }),
    shutdown: server_id =>
      inOrder(server_id, async () => {
        const pid = servers.get(server_id)
        servers.delete(server_id)
        if (alive(pid)) await endServer(pid)
      }),
    destroy: async server_id => {
      await fabric.shutdown(server_id)
      fs.rmSync(path.join(options.servers_dir, server_id), { recursive: true, force: true })
    },
    plug: async (server_id, port) => {
      const pid = servers.get(server_id)
      if (!alive(pid)) throw new FabricError(`server ${server_id} does not run`)
      await plugInto(port, String(pid), 'eth%d')
    },
    unplug: port_id => taps.unplug(port_id, switches()),
    update: port => taps.update(port),
    plugHost: async (netns, interface_name, port) => {
      if (netns !== 'world' && !netnsExists(netns)) {
        await run(['ip', 'netns', 'add', netns])
        await ipBatch(netns, ['link set lo up'])
      }
      await plugInto(port, netns === 'world' ? String(process.pid) : netns, interface_name)
      await ipBatch(netns === 'world' ? null : netns, addressLines(interface_name, port))
    },
    wire: async (netns, port) => {
      if (!netnsExists(netns)) throw new FabricError(`there is no host ${netns}`)
      await plugInto(port, netns, tapName(port.id))
    },
    running: async () => new Set([...servers].filter(([, pid]) => alive(pid)).map(([id]) => id)),
    console: async (server_id, length_bytes) => consoleTail(options.servers_dir, server_id, length_bytes),
    onExit: listener => void listeners.push(listener),
  }
  return fabric
}

async function makeSwitch(netns: string): Promise<void> {
  if (netnsExists(netns)) {
    if ((await linkNames(netns)).has('bridge')) return
    await run(['ip', 'netns', 'del', netns]) // a start that was cut short
  }
  await run(['ip', 'netns', 'add', netns])
  const settings = [
    'bridge/bridge-nf-call-iptables=1',
    'bridge/bridge-nf-call-ip6tables=1',
    'ipv6/conf/all/disable_ipv6=1',
  ]
  await ipBatch(netns, [
    'link set lo up',
    'link add draft type bridge forward_delay 0 mcast_snooping 0',
    'link set draft up',
  ])
  await run(['ip', 'netns', 'exec', netns, 'sysctl', '-qw', ...settings.map(setting => `net/${setting}`)])
  await nftLoad(netns, switchTables)
  await ipBatch(netns, ['link set draft down', 'link set draft name bridge', 'link set bridge up']) // its name says: whole
}

/** Gives a booted server's interfaces their addresses, as cloud-init does. Duplicate address detection is left out: the
 *  addresses are Neutron's, and it would delay the first packet by a second. */
async function configure(pid: number, ports: FabricPort[]): Promise<void> {
  const lines = ports.flatMap((port, index) => addressLines(`eth${index}`, port))
  const argv = ['nsenter', '--target', String(pid), '--user', '--preserve-credentials', '--net', 'ip', '-batch', '-']
  if (lines.length > 0) await run(argv, { input: `${lines.join('\n')}\n` })
}

function addressLines(name: string, port: FabricPort): string[] {
  const addresses = port.fixed_ips.map(ip => {
    const nodad = ip.ip_address.includes(':') ? ' nodad' : ''
    return `address replace ${ip.ip_address}/${ip.prefix_length} dev ${name}${nodad}`
  })
  const routes = port.fixed_ips
    .filter(ip => ip.gateway_ip !== null)
    .map(
      ip =>
        `route replace default via ${ip.gateway_ip} dev ${name} metric ${100 + Number(name.replace(/\D/g, '') || 0)}`,
    )
  return [`link set ${name} up`, ...addresses, ...routes]
}

function switches(): string[] {
  return fs.existsSync('/run/netns') ? fs.readdirSync('/run/netns').filter(name => name.startsWith('sw-')) : []
}

function netnsExists(name: string): boolean {
  return fs.existsSync(`/run/netns/${name}`)
}

function alive(pid: number | undefined): pid is number {
  if (pid === undefined) return false
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
