/** What Nova's objects look like, by microversion. */
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import type { Port } from '../neutron/documents.ts'
import { timestamp } from '../service.ts'
import type { Document } from '../store.ts'

export type Server = Document & {
  name: string
  project_id: string
  user_id: string
  image_id: string
  flavor_id: string
  status: 'BUILD' | 'ACTIVE' | 'SHUTOFF' | 'ERROR' | 'HARD_REBOOT' | 'REBOOT'
  task_state: string | null
  /** The pretended host. */
  host: string | null
  fault: { code: number; created: string; message: string; details?: string } | null
  group_id: string | null
  key_name: string | null
  security_groups: string[]
  created: string
  updated: string
  launched_at: string | null
  user_data: string | null
  personality: { path: string; contents: string }[]
  config_drive: boolean
  zone: string | null
  metadata: Record<string, string>
  reservation_id: string
  number: number
  /** Of its key pair, put into the server before its first boot. */
  public_key: string | null
  /** Network ids and port ids as they were asked for, in order. */
  wanted_networks: ({ uuid: string; fixed_ip?: string } | { port: string })[]
}

export type ServerGroup = Document & { name: string; project_id: string; user_id: string; policy: string }

export function newServer(
  fields: Partial<Server> & Pick<Server, 'name' | 'project_id' | 'user_id' | 'image_id' | 'flavor_id'>,
): Server {
  const now = timestamp()
  return {
    id: randomUUID(),
    status: 'BUILD',
    task_state: 'scheduling',
    host: null,
    fault: null,
    group_id: null,
    key_name: null,
    security_groups: [],
    created: now,
    updated: now,
    launched_at: null,
    user_data: null,
    personality: [],
    config_drive: false,
    zone: null,
    metadata: {},
    reservation_id: `r-${randomBytes(4).toString('hex')}`,
    number: 0,
    public_key: null,
    wanted_networks: [],
    ...fields,
  }
}

/** A server as GET shows it. `minor` is the microversion's second number. */
export function shownServer(
  server: Server,
  ports: Port[],
  networkName: (id: string) => string,
  groupName: (id: string) => string,
  url: string,
  minor: number,
  admin: boolean,
) {
  const spawned = server.status !== 'BUILD' && server.status !== 'ERROR'
  const addresses: Record<string, object[]> = {}
  if (spawned)
    for (const port of ports) {
      const name = networkName(port.network_id)
      const own = port.fixed_ips.map(ip => ({
        version: ip.ip_address.includes(':') ? 6 : 4,
        addr: ip.ip_address,
        'OS-EXT-IPS:type': 'fixed',
        'OS-EXT-IPS-MAC:mac_addr': port.mac_address,
      }))
      addresses[name] = [...(addresses[name] ?? []), ...own]
    }
  const bookmark = (path: string) => [{ rel: 'bookmark', href: `${url}/${path}` }]
  const groups = [...new Set(ports.flatMap(port => port.security_groups))].map(id => ({ name: groupName(id) }))
  const vm_state = {
    BUILD: 'building',
    ACTIVE: 'active',
    SHUTOFF: 'stopped',
    ERROR: 'error',
    HARD_REBOOT: 'active',
    REBOOT: 'active',
  }[server.status]
  return {
    id: server.id,
    name: server.name,
    status: server.status,
    tenant_id: server.project_id,
    user_id: server.user_id,
    metadata: server.metadata,
    hostId: server.host
      ? createHash('sha224')
          .update(server.project_id + server.host)
          .digest('hex')
      : '',
    image: { id: server.image_id, links: bookmark(`images/${server.image_id}`) },
    flavor: { id: server.flavor_id, links: bookmark(`flavors/${server.flavor_id}`) },
    created: server.created,
    updated: server.updated,
    addresses,
    accessIPv4: '',
    accessIPv6: '',
    links: serverLinks(server.id, url),
    'OS-DCF:diskConfig': 'MANUAL',
    ...(server.fault && { fault: admin ? server.fault : { ...server.fault, details: undefined } }),
    ...((server.status === 'ACTIVE' || server.status === 'BUILD') && { progress: 0 }),
    'OS-EXT-AZ:availability_zone': server.host ? (server.zone ?? 'nova') : '',
    config_drive: server.config_drive ? 'True' : '',
    key_name: server.key_name,
    'OS-SRV-USG:launched_at': server.launched_at,
    'OS-SRV-USG:terminated_at': null,
    ...(spawned && { security_groups: groups }),
    ...(admin && {
      'OS-EXT-SRV-ATTR:host': server.host,
      'OS-EXT-SRV-ATTR:instance_name':
        server.task_state === 'scheduling' ? '' : `instance-${server.number.toString(16).padStart(8, '0')}`,
      'OS-EXT-SRV-ATTR:hypervisor_hostname': server.host,
      ...(minor >= 3 && {
        'OS-EXT-SRV-ATTR:reservation_id': server.reservation_id,
        'OS-EXT-SRV-ATTR:launch_index': 0,
        'OS-EXT-SRV-ATTR:hostname': server.name,
        'OS-EXT-SRV-ATTR:kernel_id': '',
        'OS-EXT-SRV-ATTR:ramdisk_id': '',
        'OS-EXT-SRV-ATTR:root_device_name': spawned || server.task_state === 'spawning' ? '/dev/sda' : null,
        'OS-EXT-SRV-ATTR:user_data': server.user_data,
      }),
    }),
    'OS-EXT-STS:task_state': server.task_state,
    'OS-EXT-STS:vm_state': vm_state,
    'OS-EXT-STS:power_state': { ACTIVE: 1, SHUTOFF: 4, HARD_REBOOT: 1, REBOOT: 1, BUILD: 0, ERROR: 0 }[server.status],
    'os-extended-volumes:volumes_attached': [],
    ...(minor >= 9 && { locked: false }),
  }
}

export function serverLinks(id: string, url: string) {
  return [
    { rel: 'self', href: `${url}/v2.1/servers/${id}` },
    { rel: 'bookmark', href: `${url}/servers/${id}` },
  ]
}
