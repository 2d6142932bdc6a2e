/** The network namespace in which haproxy lives. The management interface stays outside, so their addresses may overlap. */
import fs from 'node:fs/promises'
import { run, succeed } from './command.ts'
import { Turn } from './turn.ts'

export const NAMESPACE = 'amphora-haproxy'

/** Makes the namespace if it is missing (as after a reboot), with its loopback up. */
export function ensureNamespace(namespace = NAMESPACE): Promise<void> {
  return making.take(() => make(namespace))
}

/** Takes the namespace away, with the interfaces in it; it must be empty of processes. */
export function removeNamespace(namespace: string): Promise<void> {
  return making.take(async () => {
    furnished.delete(namespace)
    if (await isNamespace(namespace)) await succeed(['ip', 'netns', 'del', namespace])
    else await fs.rm(`/run/netns/${namespace}`, { force: true })
  })
}

const making = new Turn()
/** Whose settings are known to be made: an agent that was killed may have left a namespace without them. */
const furnished = new Set<string>()

async function make(namespace: string): Promise<void> {
  const there = await isNamespace(namespace)
  if (there && furnished.has(namespace)) return
  furnished.delete(namespace)
  if (!there) {
    // An `ip netns add` that was killed leaves a plain file of that name, which the next one would stumble over.
    await fs.rm(`/run/netns/${namespace}`, { force: true }).catch(() => {})
    await succeed(['ip', 'netns', 'add', namespace])
  }
  await succeed(inside(['sh', '-c', furnish], namespace))
  furnished.add(namespace)
}

/** In one process, because to start one costs this program more than what it does. Settings that this kernel does not have
 *  are passed over. */
const furnish = `ip link set lo up || exit 1
set_to() { value=$1; shift; for name; do [ -e /proc/sys/net/$name ] && echo "$value" > /proc/sys/net/$name; done; }
# haproxy may start before its address is there
set_to 1 ipv4/ip_nonlocal_bind ipv6/ip_nonlocal_bind
# an interface that comes up announces its addresses, so that neighbours forget where they were before
set_to 1 ipv4/conf/default/arp_notify ipv6/conf/default/ndisc_notify
# the cloud gives addresses out once; waiting for a duplicate would only delay the first request
set_to 0 ipv6/conf/default/accept_dad ipv6/conf/all/accept_dad
# every group may ping: haproxy's user has no capability; a user namespace takes only what it maps
for groups in '0 2147483647' '0 65534' '0 0'; do
  echo "$groups" 2> /dev/null > /proc/sys/net/ipv4/ping_group_range && break
done
exit 0
`

async function isNamespace(namespace: string): Promise<boolean> {
  const { type } = await fs.statfs(`/run/netns/${namespace}`).catch(() => ({ type: 0 }))
  return type === NSFS
}

/** Another one for each namespace that there was under that name: its number, which the kernel gives out again, and when it
 *  was made. Empty while there is none. */
export async function namespaceNumber(namespace: string): Promise<string> {
  if (!(await isNamespace(namespace))) return ''
  const { ino, ctimeMs } = await fs.stat(`/run/netns/${namespace}`)
  return `${ino}.${Math.round(ctimeMs)}`
}

/** The kernel's number of the file system that namespaces are files of. */
const NSFS = 0x6e_73_66_73

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
export async function moveIn(ifname: string, new_name: string, namespace = NAMESPACE): Promise<void> {
  await succeed(['ip', 'link', 'set', 'dev', ifname, 'netns', namespace, 'name', new_name])
}

/** A command line that runs inside. */
export function inside(argv: string[], namespace = NAMESPACE): string[] {
  return ['ip', 'netns', 'exec', namespace, ...argv]
}
