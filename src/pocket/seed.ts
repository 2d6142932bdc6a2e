/** What lies in a new cloud: as the described system's devstack leaves it. Idempotent, by names. */
import { newImage } from './glance/glance.ts'
import { hexId, newAssignment, newProject, newUser } from './keystone/documents.ts'
import { type Assignment, hashPassword, type Project, passwordFits, type Role, type User } from './keystone/tokens.ts'
import { poolsOf } from './neutron/addresses.ts'
import { type Network, newNetwork, newSubnet } from './neutron/documents.ts'
import { type Change, keep, type Store } from './store.ts'

export type Passwords = { admin: string; demo: string; service: string }

/** Makes what is missing, in one commit. A password that was changed in the state folder takes effect. */
export async function seed(store: Store, passwords: Passwords): Promise<void> {
  const changes: Change[] = []
  const named = <D extends { id: string; name: unknown }>(kind: string, name: string, make: () => D): D => {
    const known = store.all(kind).find(document => document.name === name) as D | undefined
    if (known) return known
    const made = make()
    changes.push(keep(kind, made as never))
    return made
  }
  const projects = Object.fromEntries(
    ['admin', 'demo', 'service'].map(name => [name, named<Project>('project', name, () => newProject(name, ''))]),
  )
  const roles = Object.fromEntries(
    [
      'admin',
      'member',
      'reader',
      'service',
      'creator',
      'observer',
      'key-manager:service-admin',
      'load-balancer_member',
      'load-balancer_observer',
      'load-balancer_global_observer',
      'load-balancer_quota_admin',
      'load-balancer_admin',
    ].map(name => [
      name,
      named<Role>('role', name, () => ({
        id: hexId(),
        name,
        domain_id: null,
        description: null,
        options: ['admin', 'member', 'reader'].includes(name) ? { immutable: true } : {},
      })),
    ]),
  )
  const grants: Record<string, [password: string, project: string, roles: string[]][]> = {
    admin: [
      [passwords.admin, 'admin', ['admin', 'member', 'reader']],
      [passwords.admin, 'demo', ['admin', 'member', 'reader']],
      [passwords.admin, 'service', ['admin', 'member', 'reader']],
    ],
    demo: [[passwords.demo, 'demo', ['member', 'reader', 'creator', 'load-balancer_member']]],
    octavia: [
      [passwords.service, 'service', ['admin', 'member', 'reader', 'service', 'creator']],
      [passwords.service, 'admin', ['admin', 'member', 'reader', 'service']],
    ],
  }
  for (const [name, given] of Object.entries(grants)) {
    const default_project_id = projects[given[0]![1]]!.id
    const user = named<User>('user', name, () => ({ ...newUser(name, given[0]![0]), default_project_id }))
    if (!passwordFits(given[0]![0], user._password))
      changes.push(keep('user', { ...user, _password: hashPassword(given[0]![0]) }))
    for (const [, project, granted] of given)
      for (const role of granted) {
        const assignment = newAssignment({
          user_id: user.id,
          project_id: projects[project]!.id,
          role_id: roles[role]!.id,
        })
        if (!store.get<Assignment>('assignment', assignment.id)) changes.push(keep('assignment', assignment))
      }
  }
  const subnet = (network: Network, name: string, cidr: string, more: Record<string, unknown> = {}) => {
    const v6 = cidr.includes(':')
    const gateway_ip = (more.gateway_ip as string | null | undefined) ?? null
    const made = newSubnet(network.project_id, {
      name,
      cidr,
      ip_version: v6 ? 6 : 4,
      network_id: network.id,
      allocation_pools: poolsOf(cidr, gateway_ip),
      ...more,
    })
    network.subnets.push(made.id)
    changes.push(keep('subnet', made))
  }
  named<Network>('network', 'lb-mgmt-net', () => {
    const network = newNetwork(projects.service!.id, { name: 'lb-mgmt-net' })
    subnet(network, 'lb-mgmt-subnet', '192.168.0.0/24', { enable_dhcp: false })
    return network
  })
  named<Network>('network', 'private', () => {
    const network = newNetwork(projects.demo!.id, { name: 'private' })
    subnet(network, 'private-subnet', '10.0.0.0/24', { gateway_ip: '10.0.0.1' })
    subnet(network, 'ipv6-private-subnet', 'fd36:53a8:d962::/64', {
      gateway_ip: 'fd36:53a8:d962::1',
      ipv6_ra_mode: 'slaac',
      ipv6_address_mode: 'slaac',
    })
    return network
  })
  named('image', 'debian', () => ({
    ...newImage(projects.admin!.id, {
      name: 'debian',
      visibility: 'public',
      disk_format: 'raw',
      container_format: 'bare',
    }),
    status: 'active',
    size: 0,
    pocket_boots_as: "the machine's own root",
  }))
  if (changes.length > 0) await store.commit(...changes)
}
