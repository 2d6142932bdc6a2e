/** Who of a pair this amphora is at the moment: the VIP's presence tells, whatever died and came back meanwhile. */
import fs from 'node:fs'
import net from 'node:net'

/** MASTER if and only if the network namespace of that process has one of the addresses. Read from /proc: nothing is
 *  executed. */
export function roleOf(pid: number, vips: string[]): 'MASTER' | 'BACKUP' {
  return vips.some(vip => (net.isIPv6(vip) ? has6(pid, vip) : has4(pid, vip))) ? 'MASTER' : 'BACKUP'
}

/** The addresses in virtual_ipaddress and virtual_ipaddress_excluded of a keepalived.conf. */
export function vipsIn(configuration: string): string[] {
  const blocks = configuration.matchAll(/^\s*virtual_ipaddress(?:_excluded)?\s*\{([^}]*)\}/gm)
  const lines = [...blocks].flatMap(([, block]) => block!.split('\n'))
  const words = lines.map(line => line.trim().split(/[\s/]/)[0]!)
  return words.filter(each => net.isIP(each) !== 0)
}

function has4(pid: number, address: string): boolean {
  const pattern = new RegExp(`\\|-- ${address.replaceAll('.', '\\.')}\\n\\s+/32 host LOCAL`)
  return pattern.test(read(`/proc/${pid}/net/fib_trie`))
}

function has6(pid: number, address: string): boolean {
  const wanted = canonical(address)
  return read(`/proc/${pid}/net/if_inet6`)
    .split('\n')
    .some(line => /^[0-9a-f]{32} /.test(line) && canonical(line.slice(0, 32).match(/.{4}/g)!.join(':')) === wanted)
}

function canonical(address: string): string {
  return new net.SocketAddress({ address, family: 'ipv6' }).address
}

function read(file: string): string {
  try {
    return fs.readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
