/** For tests: two machines with an agent each, whose cables lead to one network, with a keepalived of a pair. */
import type { AmphoraClient } from '../amphora/client.ts'
import { renderKeepalived } from '../amphora/keepalived/vrrp.ts'
import { succeed } from './command.ts'
import { Sandbox, serving, until, VIP_MAC } from './sandbox.ts'

export const VIP = '10.0.0.10'
export const VIP6 = 'fd00::10'

/** `lan` (inside the first machine) bridges both cables: 10.0.0.1, .11, .12, .13, fd00::1 and fd00::11 are on it. */
export class SandboxPair {
  readonly first = new Sandbox('57865deb-b8b6-45bc-a2d2-d231c7e011ae')
  readonly second = new Sandbox('d5716c03-e269-4d13-9d03-8ddc21a0dcc4', this.first)
  clients: AmphoraClient[] = []

  get machines(): Sandbox[] {
    return [this.first, this.second]
  }

  async open(): Promise<void> {
    await this.first.open()
    await this.second.open()
    const addresses = ['10.0.0.1/24', '10.0.0.11/24', '10.0.0.12/24', '10.0.0.13/24']
    const lines = [
      'link add vips type bridge forward_delay 0 mcast_snooping 0',
      ...addresses.map(each => `addr add ${each} dev vips`),
      ...['fd00::1/64', 'fd00::11/64'].map(each => `addr add ${each} dev vips nodad`),
      'link set vips up',
    ]
    await this.#lan(lines)
    await this.plugCable(0)
    await this.plugCable(1)
    for (const machine of this.machines) machine.startAgent()
    this.clients = await Promise.all(this.machines.map(machine => machine.client()))
    await Promise.all(this.clients.map(serving))
  }

  async close(): Promise<void> {
    for (const client of this.clients) await client.close()
    await this.second.close()
    await this.first.close()
  }

  /** The former cable vanishes with the namespace that it is in, a while after that was deleted. */
  async plugCable(n: number): Promise<void> {
    const links = () => this.first.exec(['ip', '-n', 'lan', 'link'])
    await until(async () => !new RegExp(`\\bto-${n}@`).test(await links()), 'the former cable to go')
    const cable = ['type', 'veth', 'peer', `to-${n}`, 'netns', 'lan']
    await this.machines[n]!.exec(['ip', 'link', 'add', 'eth7', 'address', MACS[n]!, ...cable])
    await this.#lan([`link set to-${n} master vips up`])
  }

  /** As a controller does it for amphora n. */
  async plugVip(n: number): Promise<void> {
    const topology = 'ACTIVE_STANDBY'
    const request = {
      subnet_cidr: '10.0.0.0/24',
      gateway: '10.0.0.1',
      mac_address: MACS[n]!,
      vrrp_ip: vrrpIp(n),
      topology,
    } as const
    await this.clients[n]!.plugVip(VIP, request)
  }

  async startVrrp(n: number): Promise<void> {
    await this.clients[n]!.uploadVrrp(this.keepalivedConfig(n))
    await this.clients[n]!.startVrrp()
  }

  keepalivedConfig(n: number, advert_int_s = 0.05): string {
    return renderKeepalived({
      base_path: '/var/lib/octavia',
      load_balancer_id: '1bbbbbbb-0000-4000-8000-000000000001',
      interface: 'eth1',
      vrrp_ip: vrrpIp(n),
      peers: [vrrpIp(1 - n)],
      vrrp_id: 1,
      priority: 254 - n,
      advert_int_s,
      vips: [
        { address: VIP, prefix: '10.0.0.0/24', gateway: '10.0.0.1', host_routes: [] },
        { address: VIP6, prefix: 'fd00::/64', gateway: 'fd00::1', host_routes: [] },
      ],
    })
  }

  /** Which machines have the VIP on their interface, by their numbers. */
  async holders(vip = VIP): Promise<number[]> {
    const texts = await Promise.all(
      this.machines.map(each => each.exec(['ip', '-n', 'amphora-haproxy', 'addr']).catch(() => '')),
    )
    return texts.flatMap((text, n) => (text.includes(` ${vip}/`) ? [n] : []))
  }

  async awaitHolder(n: number): Promise<void> {
    await until(async () => (await this.holders()).join() === String(n), `machine ${n} to have the VIP`)
  }

  async #lan(lines: string[]): Promise<void> {
    await succeed(this.first.inside(['ip', '-n', 'lan', '-batch', '-']), { input: `${lines.join('\n')}\n` })
  }
}

const MACS = [VIP_MAC, 'fa:16:3e:00:00:11']

export function vrrpIp(n: number): string {
  return `10.0.0.${5 + n}`
}
