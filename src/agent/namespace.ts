/** The network namespace in which haproxy lives. The management interface stays outside, so their addresses may overlap. */
import fs from 'node:fs/promises'
import { run, succeed } from './command.ts'
import { Turn } from './turn.ts'

export const NAMESPACE = 'amphora-haproxy'

/** Makes the namespace if it is missing (as after a reboot), with its loopback up. */
export function ensureNamespace(): Promise<void> {
  return making.take(make)
}

const making = new Turn()

async function make(): Promise<void> {
  const { code } = await run(['ip', '-n', NAMESPACE, 'link', 'set', 'lo', 'up'])
  if (code === 0) return
  // An `ip netns add` that was killed leaves a plain file of that name, which the next one would stumble over.
  await fs.rm(`/run/netns/${NAMESPACE}`, { force: true }).catch(() => {})
  await succeed(['ip', 'netns', 'add', NAMESPACE])
  await succeed(['ip', '-n', NAMESPACE, 'link', 'set', 'lo', 'up'])
  await setKernel('1', [
    // haproxy may start before its address is there.
    'ipv4/ip_nonlocal_bind',
    'ipv6/ip_nonlocal_bind',
    // An interface that comes up announces its addresses, so that neighbours forget where they were before.
    'ipv4/conf/default/arp_notify',
    'ipv6/conf/default/ndisc_notify',
  ])
  // The cloud gives addresses out once; waiting for a duplicate would only delay the first request.
  await setKernel('0', ['ipv6/conf/default/accept_dad', 'ipv6/conf/all/accept_dad'])
  // Every group may ping: haproxy's user has no capability. A user namespace takes only what it maps.
  for (const groups of ['0 2147483647', '0 65534', '0 0']) {
    const { code } = await run(inside(['tee', '/proc/sys/net/ipv4/ping_group_range']), { input: groups })
    if (code === 0) break
  }
}

/** Interfaces of the namespace, or, for null, of the machine outside. */
export async function interfacesIn(namespace: string | null): Promise<NetworkInterface[]> {
  const inside = namespace === null ? [] : ['-n', namespace]
  const { code, stdout } = await run(['ip', '-j', '-s', ...inside, 'addr'])
  if (code !== 0) return []
  return (JSON.parse(stdout || '[]') as NetworkInterface[]).filter(each => each.ifname !== undefined)
}

/** What `ip -j -s addr` tells of one interface. */
export type NetworkInterface = {
  ifname: string
  address?: string
  addr_info: { family: string; local: string; prefixlen: number }[]
  stats64?: { rx: { bytes: number }; tx: { bytes: number } }
}

/** Moves an interface from outside into the namespace under its new name, in one go. It arrives without addresses, down. */
export async function moveIn(ifname: string, new_name: string): Promise<void> {
  await succeed(['ip', 'link', 'set', 'dev', ifname, 'netns', NAMESPACE, 'name', new_name])
}

/** A command line that runs inside. */
export function inside(argv: string[]): string[] {
  return ['ip', 'netns', 'exec', NAMESPACE, ...argv]
}

/** Settings that this kernel does not have are passed over. */
async function setKernel(value: string, names: string[]): Promise<void> {
  const there: string[] = []
  for (const name of names.map(each => `/proc/sys/net/${each}`)) {
    if (await fs.stat(name).then(Boolean, () => false)) there.push(name)
  }
  if (there.length > 0) await run(inside(['tee', ...there]), { input: value })
}
