/** What keepalived's configuration on one amphora depends on, taken from its tree. */
import { isIPv6 } from 'node:net'
import type { Amphora } from '../../lbaas/amphora.ts'
import type { Tree } from '../../lbaas/tree.ts'
import type { KeepalivedInput } from './vrrp.ts'

/** Where an amphora keeps what controllers gave it. */
const base_path = '/var/lib/octavia'

/** The rendering's input. Peers are all that have an address: of a dead one it stays, for its successor gets it. */
export function keepalivedInput({ load_balancer, amphorae }: Tree, amphora: Amphora): KeepalivedInput {
  const { id, vip_address, vip_subnet_cidr, vip_gateway, vrrp_group } = load_balancer
  const peers = amphorae.flatMap(a => (a.id === amphora.id || a.vrrp_ip === null ? [] : [a.vrrp_ip]))
  const host = `${vip_address}/${isIPv6(vip_address!) ? 128 : 32}`
  const others = load_balancer.additional_vips.map(({ subnet_id, ip_address }) => {
    const { cidr, gateway } = load_balancer.vip_subnets[subnet_id]!
    return { address: ip_address!, prefix: cidr, gateway, host_routes: [] }
  })
  return {
    base_path,
    load_balancer_id: id,
    interface: amphora.vrrp_interface ?? '',
    vrrp_ip: amphora.vrrp_ip ?? '',
    peers: peers.sort(),
    vrrp_id: amphora.vrrp_id ?? 1,
    priority: amphora.vrrp_priority ?? 1,
    advert_int_s: vrrp_group?.advert_int ?? 1,
    vips: [
      { address: vip_address!, prefix: vip_subnet_cidr ?? host, gateway: vip_gateway, host_routes: [] },
      ...others,
    ],
  }
}
