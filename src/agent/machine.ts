/** What the agent tells of the machine it runs on, read from /proc. */
import fs from 'node:fs/promises'
import os from 'node:os'
import type { Details } from '../amphora/rest.ts'
import { run } from './command.ts'
import { interfacesIn, NAMESPACE } from './namespace.ts'

/** Versions are what stands between the words of programs; empty where there is no such program. */
export async function aboutMachine(haproxy_cmd: string): Promise<About> {
  const haproxy = run([haproxy_cmd, '-v']).catch(() => ({ stdout: '' }))
  const keepalived = run(['keepalived', '--version']).catch(() => ({ stderr: '' }))
  const haproxy_version = /version (\S+)/.exec((await haproxy).stdout)?.[1] ?? ''
  const keepalived_version = /v(\d[\d.]*)/.exec((await keepalived).stderr)?.[1] ?? ''
  return { hostname: os.hostname(), haproxy_version, keepalived_version }
}

export type About = { hostname: string; haproxy_version: string; keepalived_version: string }

/** Everything of the details document that is the machine's. */
export async function machineDetails(
  namespace = NAMESPACE,
): Promise<Pick<Details, 'networks' | 'cpu' | 'memory' | 'disk'> & { load: string[][] }> {
  const parts = [networksOf(namespace), cpuOf(), memoryOf(), diskOf(), loadOf()] as const
  const [networks, cpu, memory, disk, load] = await Promise.all(parts)
  return { networks, cpu, memory, disk, load }
}

async function networksOf(namespace: string): Promise<Details['networks']> {
  const all = (await interfacesIn(namespace)).filter(each => /^(eth|tap)/.test(each.ifname))
  return Object.fromEntries(
    all.map(({ ifname, stats64 }) => [
      ifname,
      { network_tx: stats64?.tx.bytes ?? 0, network_rx: stats64?.rx.bytes ?? 0 },
    ]),
  )
}

async function cpuOf(): Promise<Details['cpu']> {
  const stat = await fs.readFile('/proc/stat', 'utf8')
  const [, user = '0', , system = '0', , , , soft_irq = '0'] = stat.split('\n')[0]!.split(/\s+/)
  const total = stat
    .split('\n')[0]!
    .split(/\s+/)
    .slice(1)
    .reduce((sum, each) => sum + Number(each), 0)
  return { total, user, system, soft_irq }
}

async function memoryOf(): Promise<Details['memory']> {
  const lines = (await fs.readFile('/proc/meminfo', 'utf8')).split('\n').map(line => line.split(/:\s+/))
  const amounts = new Map(lines.map(([name, amount]) => [name, Number.parseInt(amount ?? '0', 10)]))
  const of = (name: string) => amounts.get(name) ?? 0
  return {
    total: of('MemTotal'),
    free: of('MemFree'),
    buffers: of('Buffers'),
    cached: of('Cached'),
    swap_used: of('SwapCached'),
    shared: of('Shmem'),
    slab: of('Slab'),
  }
}

async function diskOf(): Promise<Details['disk']> {
  const { bsize, blocks, bfree, bavail } = await fs.statfs('/')
  return { used: (blocks - bfree) * bsize, available: bavail * bsize }
}

async function loadOf(): Promise<string[][]> {
  return [(await fs.readFile('/proc/loadavg', 'utf8')).split(' ').slice(0, 3)]
}
