/** The amphora: what serves a load balancer, a server of the cloud or a namespace on a network host. Its row is a table of
 *  facts, as the described system has it. */
import { boolean, enumeration, fact, integer, ip, type Row, resource, string, time, uuid } from './resource.ts'

const described = { state: 'fact', shown: true, null: true } as const
const inner = { state: 'fact', shown: false } as const

export const amphora = resource({
  name: 'amphora',
  title: 'Amphora',
  singular: 'amphora',
  plural: 'amphorae',
  path: 'amphorae',
  fields: {
    id: uuid({ state: 'fact', shown: true, doc: 'The amphora; its server is called amphora-<id>.' }),
    load_balancer_id: uuid({
      ...described,
      wire: 'loadbalancer_id',
      of: 'load_balancer',
      doc: 'Whom it serves; null for a spare.',
    }),
    status: enumeration({
      state: 'fact',
      shown: true,
      values: ['PENDING_CREATE', 'BOOTING', 'ALLOCATED', 'READY', 'PENDING_DELETE', 'DELETED', 'ERROR'],
      doc: 'Where it is in its life; READY is a spare.',
    }),
    role: enumeration({
      ...described,
      values: ['STANDALONE', 'MASTER', 'BACKUP'],
      doc: 'What it is in its load balancer.',
    }),
    compute_id: uuid({ ...described, doc: 'Its server.' }),
    lb_network_ip: ip({ ...described, doc: 'Its address on the management network.' }),
    vrrp_ip: ip({ ...described, doc: 'Its own address on the VIP network.' }),
    vrrp_mac_address: string({ ...inner, null: true, doc: 'The MAC address of its own port on the VIP network.' }),
    ha_ip: ip({ ...described, doc: 'The VIP.' }),
    vrrp_port_id: uuid({ ...described, of: 'port', doc: 'Its own port on the VIP network.' }),
    ha_port_id: uuid({ ...described, of: 'port', doc: "The VIP's port." }),
    vrrp_interface: string({ ...described, doc: 'What its interface on the VIP network is called inside.' }),
    vrrp_id: integer({ ...described, doc: 'The virtual router.' }),
    vrrp_priority: integer({ ...described, doc: 'Who of a pair is preferred.' }),
    cert_expiration: time({ ...described, doc: 'Until when its certificate is good.' }),
    cert_busy: boolean({ state: 'fact', shown: true, doc: 'Whether its certificate is being renewed.' }),
    cached_zone: string({ ...described, doc: 'The availability zone that it is in.' }),
    image_id: uuid({ ...described, doc: 'The image that it was booted from.' }),
    compute_flavor: string({ ...described, doc: 'The size of its server.' }),
    certificate: string({ ...inner, secret: true, null: true, doc: 'Its certificate and key, PEM.' }),
    vip_plugged: boolean({ ...inner, doc: 'Whether its agent has the VIP.' }),
    member_ports: fact<MemberPort[]>()({ ...inner, doc: "Its ports on members' networks." }),
    applied: fact<Readonly<Record<string, Applied>>>()({
      ...inner,
      doc: 'Per unit, the configuration that its agent confirmed.',
    }),
    vip_rules: string({
      ...inner,
      null: true,
      doc: 'The digest of the rules that its agent has for a VIP port by SR-IOV.',
    }),
    vrrp_applied: string({
      ...inner,
      null: true,
      doc: "The digest of the keepalived's input that its agent confirmed.",
    }),
    host_id: string({ ...inner, null: true, doc: 'The host of its server, as far as Nova tells them apart.' }),
    network_host: string({
      ...inner,
      null: true,
      doc: 'The network host that it is a namespace on; null for a server.',
    }),
    unit: enumeration({
      ...inner,
      default: 'listener',
      values: ['listener', 'load_balancer'],
      doc: 'What one haproxy of it serves: each listener has its own, or all of the load balancer share one.',
    }),
    replaces: uuid({ ...inner, null: true, doc: 'Whose place it is to take; null once it has.' }),
    replace: boolean({
      state: 'bookkeeping',
      shown: false,
      doc: 'Whether its failover was asked for: it serves on until it is its turn.',
    }),
    config_due: boolean({
      state: 'bookkeeping',
      shown: false,
      doc: 'Whether its agent is to be given its own configuration again.',
    }),
    created_at: time({ state: 'fact', shown: true, doc: 'When its row was made.' }),
    updated_at: time({ ...described, doc: 'When its row was last changed.' }),
  },
})

export type Amphora = Row<typeof amphora>
export type AmphoraStatus = Amphora['status']
export type UnitKind = Amphora['unit']

/** `input`: the digest of what the text was rendered from. `etag`: the MD5 of the text, by which the agent's heartbeats
 *  name it; null when the agent did not say. */
export type Applied = { input: string; etag: string | null }

export type MemberPort = {
  network_id: string
  port_id: string
  mac_address: string
  ip_address: string
  plugged: boolean
}

/** The row of an amphora of which nothing exists yet. */
export function newAmphora(row: Pick<Amphora, 'id' | 'created_at'> & Partial<Amphora>): Amphora {
  return {
    load_balancer_id: null,
    role: null,
    status: 'PENDING_CREATE',
    compute_id: null,
    lb_network_ip: null,
    vrrp_ip: null,
    vrrp_mac_address: null,
    ha_ip: null,
    vrrp_port_id: null,
    ha_port_id: null,
    vrrp_interface: null,
    vrrp_id: null,
    vrrp_priority: null,
    cert_expiration: null,
    cert_busy: false,
    cached_zone: null,
    image_id: null,
    compute_flavor: null,
    certificate: null,
    vip_plugged: false,
    member_ports: [],
    applied: {},
    vip_rules: null,
    vrrp_applied: null,
    host_id: null,
    network_host: null,
    unit: 'listener',
    replaces: null,
    replace: false,
    config_due: false,
    updated_at: null,
    ...row,
  }
}
