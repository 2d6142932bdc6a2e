/** Who may reach an amphora whose VIP port bypasses the cloud's own firewall (SR-IOV): rules inside, as nft's text. */
import { expected, network, whole } from '../checked.ts'
import type { InterfaceRule } from '../rest.ts'
import { familyOf } from './listener-table.ts'

/** A table of its own, made anew as a whole. What is on other interfaces was asked for from inside; on this one the rules
 *  say what else may come. Throws RangeError for a rule that is none; `interface_name` is the kernel's word. */
export function vipRulesScript(interface_name: string, rules: readonly InterfaceRule[]): string {
  return `table inet ${TABLE} {}
delete table inet ${TABLE}
table inet ${TABLE} {
    chain amphora_chain {
        type filter hook input priority filter; policy drop;
        iif lo accept
        ip saddr 127.0.0.0/8 drop
        ip6 saddr ::1 drop
        ct state vmap { established : accept, related : accept, invalid : drop }
        icmp type destination-unreachable accept
        icmpv6 type { ${neighbours.join(', ')} } accept
        udp sport . udp dport { 67 . 68, 547 . 546 } accept
        iifname "${interface_name}" goto amphora_vip_chain
    }
    chain amphora_vip_chain {
${rules.map(rule => `        ${line(rule)}\n`).join('')}    }
}
`
}

const protocols = { TCP: 'tcp', UDP: 'udp', SCTP: 'sctp', VRRP: 'meta l4proto 112' } as const

/** The described name. */
const TABLE = 'amphora_table'

/** Without these there is no IPv6, and no path whose packets are smaller. */
const neighbours = [
  'nd-neighbor-solicit',
  'nd-neighbor-advert',
  'nd-router-advert',
  'packet-too-big',
  'destination-unreachable',
]

function line({ protocol, cidr, port }: InterfaceRule): string {
  const from = cidr === null ? '' : `${familyOf(cidr.split('/')[0]!)} saddr ${network(cidr)} `
  expected(Object.hasOwn(protocols, protocol), protocol, 'a protocol')
  expected(whole(port) >= 1 && port <= 65_535, String(port), 'a port')
  return `${from}${protocols[protocol]}${protocol === 'VRRP' ? '' : ` dport ${port}`} accept`
}
