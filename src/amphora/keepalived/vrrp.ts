/** keepalived.conf of one amphora of a pair, as a pure function: who holds the VIP, and when it is to let go. */
import { isIPv6 } from 'node:net'
import { address, expected, network, whole } from '../checked.ts'
import { type Block, name, path, written } from './language.ts'

/** The text. Throws RangeError for a value that is no address, so that nothing can end a word or a block.
 *  VRRPv3, because version 2 knows whole seconds only; no `state`, because `state MASTER` clears `nopreempt`; adverts by
 *  unicast, because clouds filter multicast and other load balancers of the network have the same virtual router id. */
export function renderKeepalived(input: KeepalivedInput): string {
  const { base_path, interval_s, fall, rise } = { ...described, ...input }
  const down_file = `${path(base_path)}/vrrp/haproxy_down`
  const sections: Block[] = [
    ['global_defs', 'enable_script_security', 'script_user root', 'vrrp_version 3'],
    [
      'vrrp_script check_script',
      `script ${path(base_path)}/vrrp/check_script.sh`,
      `interval ${whole(interval_s)}`,
      `fall ${whole(fall)}`,
      `rise ${whole(rise)}`,
    ],
    // Its supervisor writes 1 there when haproxy dies: the script above would notice after seconds.
    ['track_file haproxy_down', `file ${down_file}`, 'weight -254'],
    instance(input),
  ]
  return sections.map(section => `${written(section)}\n`).join('\n')
}

export type KeepalivedInput = {
  base_path: string
  load_balancer_id: string
  /** What the interface that has `vrrp_ip` is called inside. */
  interface: string
  vrrp_ip: string
  /** The vrrp_ip of every other amphora. */
  peers: string[]
  vrrp_id: number
  priority: number
  /** Centiseconds count. */
  advert_int_s: number
  /** The first is the load balancer's own. */
  vips: VipInput[]
  /** The check of haproxy by its sockets; the described figures where left out. */
  interval_s?: number
  fall?: number
  rise?: number
  garp_refresh_s?: number
  garp_repeat?: number
}

export type VipInput = {
  address: string
  /** The subnet's cidr. */
  prefix: string
  gateway: string | null
  host_routes: { destination: string; nexthop: string }[]
}

const described = { interval_s: 5, fall: 2, rise: 2, garp_refresh_s: 5, garp_repeat: 2 }

function instance(input: KeepalivedInput): Block {
  const { garp_refresh_s, garp_repeat } = { ...described, ...input }
  const device = name(input.interface)
  const inFamily = (address: string) => isIPv6(address) === isIPv6(input.vrrp_ip)
  const hosts = (vips: VipInput[]) => vips.map(vip => host(vip.address))
  const excluded = input.vips.filter(vip => !inFamily(vip.address))
  const peers = input.peers.length > 0 ? input.peers.toSorted().map(address) : [nobody(input.vrrp_ip)]
  return [
    `vrrp_instance ${name(input.load_balancer_id.replaceAll('-', ''))}`,
    `interface ${device}`,
    `virtual_router_id ${whole(input.vrrp_id)}`,
    `priority ${whole(input.priority)}`,
    'nopreempt',
    'accept',
    `advert_int ${seconds(input.advert_int_s)}`,
    `garp_master_refresh ${whole(garp_refresh_s)}`,
    `garp_master_refresh_repeat ${whole(garp_repeat)}`,
    `unicast_src_ip ${address(input.vrrp_ip)}`,
    ['unicast_peer', ...peers],
    ['virtual_ipaddress', ...hosts(input.vips.filter(vip => inFamily(vip.address)))],
    ...(excluded.length > 0 ? [['virtual_ipaddress_excluded', ...hosts(excluded)] satisfies Block] : []),
    ['virtual_routes', ...routes(device, input.vips)],
    ['virtual_rules', ...hosts(input.vips).map(each => `from ${each} table 1 priority 100`)],
    ['track_script', 'check_script'],
    ['track_file', 'haproxy_down weight -254'],
  ]
}

/** What comes from a VIP leaves by the VIP's interface, also to those on members' networks, where the cloud would drop
 *  it: no other port may send from that address. */
function routes(device: string, vips: VipInput[]): string[] {
  const lines = vips.flatMap(vip => [
    `${network(vip.prefix)} dev ${device} src ${address(vip.address)} scope link table 1`,
    ...(vip.gateway === null ? [] : [`${everywhere(vip)} via ${address(vip.gateway)} dev ${device} onlink table 1`]),
    ...vip.host_routes.map(
      ({ destination, nexthop }) => `${network(destination)} via ${address(nexthop)} dev ${device} onlink table 1`,
    ),
  ])
  // Two VIPs of one subnet share its routes.
  const seen = new Set<string>()
  return lines.filter(line => {
    const what = line.replace(/ src \S+/, '')
    if (seen.has(what)) return false
    seen.add(what)
    return true
  })
}

function everywhere({ address }: VipInput): string {
  return isIPv6(address) ? '::/0' : '0.0.0.0/0'
}

/** Without any peer keepalived would turn to multicast, and hear other load balancers. */
function nobody(vrrp_ip: string): string {
  return isIPv6(vrrp_ip) ? '::1' : '127.0.0.1'
}

function host(value: string): string {
  return `${address(value)}/${isIPv6(value) ? 128 : 32}`
}

/** VRRPv3 counts centiseconds, in 12 bits. */
function seconds(value: number): string {
  const centiseconds = Math.round(value * 100)
  return expected(centiseconds >= 1 && centiseconds <= 4_095, String(centiseconds / 100), 'an interval of adverts')
}
