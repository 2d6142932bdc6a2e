/** What an operator prepares in a cloud before ottavia can run on it: groups, the controllers' port, the amphora image. */
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { create } from 'tar'
import { uploadImage } from '../../cloud/glance.ts'
import { Neutron, type SecurityGroupRule } from '../../cloud/neutron.ts'
import { OpenStack } from '../../cloud/openstack.ts'
import type { State } from '../state.ts'

export type PreparedCloud = {
  management_network_id: string
  amphora_group_id: string
  /** The controllers' own address inside lb-mgmt-net. */
  controller_address: string
  /** Where provider haproxy has its load balancers. */
  network_hosts: { name: string; address: string }[]
}

/** Names of what lies in the pocket cloud from its first start. */
const management_network = 'lb-mgmt-net'
const amphora_group = 'lb-mgmt-sec-grp'
const controller_group = 'lb-health-mgr-sec-grp'

/** Who owns amphorae: the administrators' project, as in the described system, so that `nova list` shows them to admin. */
export const service_project = 'admin'

/** How cloud and ottavia call a network host of the machine: a namespace of that name. */
function hostName(number: number): string {
  return `network-host-${number}`
}

export const agent_port = 9876
export const heartbeat_port = 5555

/** A session of one of the stack's users. */
export function session(auth_url: string, username: string, password: string, project_name: string): OpenStack {
  const domains = { user_domain_name: 'Default', project_domain_name: 'Default' }
  return new OpenStack({
    auth_url,
    username,
    password,
    project_name,
    ...domains,
    region_name: null,
    interface: 'public',
  })
}

/** Brings the groups, the controllers' port on lb-mgmt-net and the current amphora image about. Idempotent. */
export async function prepareCloud(service: OpenStack, state: State, hosts: number): Promise<PreparedCloud> {
  const neutron = new Neutron(service)
  const [network] = await neutron.networks({ name: management_network })
  if (!network) throw new Error(`the cloud has no network ${management_network}`)
  const amphora_group_id = await ensureGroup(neutron, amphora_group, [
    { protocol: 'tcp', port_range_min: agent_port, port_range_max: agent_port },
    { protocol: 'icmp' },
  ])
  const controller_group_id = await ensureGroup(neutron, controller_group, [
    { protocol: 'udp', port_range_min: heartbeat_port, port_range_max: heartbeat_port },
  ])
  const controller_address = await ensureHostPort(neutron, {
    name: 'octavia-health-manager-ottavia-listen-port',
    network_id: network.id,
    security_groups: [controller_group_id],
    device_owner: 'pocket:host',
    device_id: 'world',
    'binding:profile': { interface: 'o-hm0' },
  })
  const network_hosts: PreparedCloud['network_hosts'] = []
  for (let number = 1; number <= hosts; number++) {
    const name = hostName(number)
    const address = await ensureHostPort(neutron, {
      name: `network host ${name}`,
      network_id: network.id,
      security_groups: [amphora_group_id], // it answers on the agents' port
      device_owner: 'pocket:host',
      device_id: name,
      'binding:profile': { interface: 'eth0' },
    })
    network_hosts.push({ name, address })
  }
  await ensureImage(service, state)
  return { management_network_id: network.id, amphora_group_id, controller_address, network_hosts }
}

/** A host of ours on a network, for people and for VIPs' publication. Answers with the name of its namespace. */
export async function ensureHost(admin: OpenStack, network_id: string): Promise<string> {
  const neutron = new Neutron(admin)
  const network = await neutron.network(network_id)
  if (!network) throw new Error(`the cloud has no network ${network_id}`)
  const device_id = `host-${network_id.slice(0, 8)}`
  const [group] = await neutron.securityGroups({ name: 'default', project_id: network.project_id })
  await ensureHostPort(neutron, {
    name: `a host on ${network.name}`,
    network_id,
    project_id: network.project_id,
    ...(group ? { security_groups: [group.id] } : {}),
    device_owner: 'pocket:host',
    device_id,
    'binding:profile': { interface: 'eth0' },
  })
  return device_id
}

/** Lets ping, ssh and HTTP into servers that are in the project's default group, as people do first in a new project. */
export async function openDefaultGroup(user: OpenStack): Promise<void> {
  const neutron = new Neutron(user)
  const [group] = await neutron.securityGroups({ name: 'default' })
  if (!group) throw new Error('the project has no security group default')
  await ensureRules(neutron, group, [
    { protocol: 'icmp' },
    { protocol: 'tcp', port_range_min: 22, port_range_max: 22 },
    { protocol: 'tcp', port_range_min: 80, port_range_max: 80 },
  ])
}

type Opening = { protocol: string; port_range_min?: number; port_range_max?: number }

async function ensureGroup(neutron: Neutron, name: string, openings: Opening[]): Promise<string> {
  const group = (await neutron.securityGroups({ name }))[0] ?? (await neutron.createSecurityGroup({ name }))
  await ensureRules(neutron, group, openings)
  return group.id
}

async function ensureRules(
  neutron: Neutron,
  group: { id: string; security_group_rules: SecurityGroupRule[] },
  openings: Opening[],
): Promise<void> {
  for (const opening of openings)
    for (const ethertype of ['IPv4', 'IPv6'] as const) {
      const protocol = ethertype === 'IPv6' && opening.protocol === 'icmp' ? 'ipv6-icmp' : opening.protocol
      const there = group.security_group_rules.some(
        rule =>
          rule.direction === 'ingress' &&
          rule.ethertype === ethertype &&
          rule.protocol === protocol &&
          rule.port_range_min === (opening.port_range_min ?? null) &&
          rule.remote_group_id === null,
      )
      if (there) continue
      await neutron.createSecurityGroupRule({
        ...opening,
        security_group_id: group.id,
        direction: 'ingress',
        ethertype,
        protocol,
      })
    }
}

type HostPort = Parameters<Neutron['createPort']>[0] & { name: string; network_id: string }

async function ensureHostPort(neutron: Neutron, body: HostPort): Promise<string> {
  const [known] = await neutron.ports({ name: body.name, network_id: body.network_id })
  const port = known ?? (await neutron.createPort(body))
  const first = port.fixed_ips[0]
  if (!first) throw new Error(`${body.name} got no address`)
  return first.ip_address
}

/** Uploads the amphora image anew when what is in it has changed. Amphorae of earlier images go on as they are. */
async function ensureImage(service: OpenStack, state: State): Promise<void> {
  const agent = fs.readFileSync(state.path('build', 'agent.mjs'))
  const start = fs.readFileSync(path.join(import.meta.dirname, 'amphora-boot.sh'))
  const digest = createHash('sha256').update(agent).update(start).digest('hex')
  const { body } = await service.request('image', 'GET', '/images', { query: { tag: 'amphora', status: 'active' } })
  const images = (body as { images: { ottavia_digest?: string }[] }).images
  if (images.some(image => image.ottavia_digest === digest)) return
  const tree = state.path('build', 'image')
  fs.rmSync(tree, { recursive: true, force: true })
  fs.mkdirSync(path.join(tree, 'opt/ottavia'), { recursive: true })
  fs.mkdirSync(path.join(tree, 'etc'))
  fs.writeFileSync(path.join(tree, 'opt/ottavia/agent.mjs'), agent)
  fs.writeFileSync(path.join(tree, 'etc/rc.local'), start, { mode: 0o755 })
  const archive = state.path('build', 'amphora.tar.gz')
  await create({ file: archive, cwd: tree, gzip: true, portable: true }, ['opt', 'etc'])
  const record = { name: 'amphora-haproxy', tags: ['amphora'], ottavia_digest: digest, os_version: 'this machine' }
  await uploadImage(service, record, fs.readFileSync(archive))
}
