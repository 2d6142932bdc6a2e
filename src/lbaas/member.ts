/** The member: its declaration and its rules. */
import { contains, family, parseCidr } from './address.ts'
import { Rejected } from './errors.ts'
import {
  admin_state_up,
  boolean,
  cidr,
  enumeration,
  identity,
  integer,
  ip,
  lifecycle,
  type Post,
  type Put,
  type Row,
  resource,
  uuid,
} from './resource.ts'
import type { Tree } from './tree.ts'

export const member = resource({
  name: 'member',
  title: 'Member',
  singular: 'member',
  plural: 'members',
  path: 'members',
  parent: { field: 'pool_id', of: 'pool', in_path: true },
  fields: {
    ...identity,
    pool_id: uuid({ post: false, shown: false, rendered: false, of: 'pool', doc: 'The pool that it belongs to.' }),
    admin_state_up,
    address: ip({ doc: 'Where it is.' }),
    protocol_port: integer({ min: 1, max: 65535, doc: 'The port that it answers on.' }),
    weight: integer({
      default: 1,
      min: 0,
      max: 256,
      change: true,
      doc: 'Its share of the requests; 0 keeps what it has and gives it nothing new.',
    }),
    backup: boolean({
      default: false,
      change: true,
      neutron: false,
      since: '2.1',
      doc: 'Serves only while no other member can.',
    }),
    subnet_id: uuid({
      null: true,
      rendered: false,
      of: 'subnet',
      doc: "The subnet that it is reached through; the VIP's network if none is given.",
    }),
    monitor_address: ip({
      null: true,
      change: true,
      neutron: false,
      doc: 'Where its health is asked for, if not at its address.',
    }),
    monitor_port: integer({
      null: true,
      min: 1,
      max: 65535,
      change: true,
      neutron: false,
      doc: 'Which port its health is asked for on, if not its own.',
    }),
    request_sriov: boolean({
      state: 'request',
      default: false,
      neutron: false,
      since: '2.30',
      doc: 'Whether it is to be reached through a port by SR-IOV; its flavor has to allow it.',
    }),
    vnic_type: enumeration({
      state: 'bookkeeping',
      default: 'normal',
      values: ['normal', 'direct'],
      neutron: false,
      since: '2.30',
      doc: 'How the port is wired that it is reached through; direct is by SR-IOV.',
    }),
    network_id: uuid({ null: true, state: 'fact', doc: 'The network of its subnet.' }),
    subnet_cidr: cidr({ null: true, state: 'fact', doc: "Its subnet's range." }),
    ...lifecycle,
  },
})

export type Member = Row<typeof member>
export type MemberPost = Post<typeof member>
export type MemberPut = Put<typeof member>

/** What the network service said of a member's subnet. */
export type MemberSubnet = { network_id: string; cidr: string }

/** Refuses a member that does not fit into its pool. `reserved_ips` are the deployment's, e.g. the metadata service. */
export function checkMember(tree: Tree, row: Member, reserved_ips: readonly string[]): void {
  if (reserved_ips.includes(row.address))
    throw new Rejected('invalid_option', { value: row.address, option: 'member address', field: 'address' })
  const subnet = row.subnet_cidr === null ? null : parseCidr(row.subnet_cidr)
  if (subnet && subnet.version !== family(row.address))
    throw new Rejected('family_mismatch', { address: row.address, subnet_id: row.subnet_id ?? '' })
  const twin = tree.members.find(
    other =>
      other.id !== row.id &&
      other.pool_id === row.pool_id &&
      other.provisioning_status !== 'PENDING_DELETE' &&
      other.address === row.address &&
      other.protocol_port === row.protocol_port &&
      other.monitor_port === row.monitor_port,
  )
  if (twin)
    throw new Rejected('duplicate_member', {
      address: row.address,
      protocol_port: row.protocol_port,
      pool_id: row.pool_id,
    })
}

/** What the tenant should know about an accepted member; null when nothing is odd about it. */
export function memberWarning(row: Member): string | null {
  if (row.subnet_cidr === null || contains(row.subnet_cidr, row.address)) return null
  return `Warning: the address ${row.address} is not in the member's subnet ${row.subnet_cidr}, so it is reached only if that subnet routes to it. Delete the member and make it again with the right address or subnet.`
}
