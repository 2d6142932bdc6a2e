/** Bandwidth limits of ports, kept at their switch, where a server cannot lift them: what a port may receive is shaped on
 *  its tap. What it sends arrives there, and arrivals can only be policed, for which many kernels have nothing: they are
 *  led through a link of their own (an ifb), which is shaped as if it sent them. */
import { ipBatch, linkNames, run } from './commands.ts'
import type { BandwidthLimit, FabricPort } from './fabric.ts'
import { tapName } from './filter.ts'

/** Remembers what it has shaped, so that ports without limits cost nothing. */
export class Shaping {
  readonly #log: Log
  readonly #shaped = new Set<string>()
  #refused = false

  constructor(log: Log) {
    this.#log = log
  }

  /** Brings the taps' limits about. A tap that was there before us may be shaped without our knowing: it is `unknown`.
   *  Never rejects: a port without its limit serves better than none. */
  async apply(netns: string, ports: FabricPort[], { unknown = false } = {}): Promise<void> {
    for (const port of ports) {
      const limited = port.bandwidth.egress !== null || port.bandwidth.ingress !== null
      if (!limited && !unknown && !this.#shaped.has(port.id)) continue
      const ifb = ifbName(port.id)
      const links = await linkNames(netns)
      try {
        const adding = port.bandwidth.egress !== null && !links.has(ifb)
        await ipBatch(netns, adding ? [`link add ${ifb} type ifb`, `link set ${ifb} up`] : [])
        await tcBatch(netns, shapingLines(port))
        if (limited) this.#shaped.add(port.id)
        if (port.bandwidth.egress === null && links.has(ifb)) await ipBatch(netns, [`link del ${ifb}`])
        if (!limited) this.#shaped.delete(port.id)
      } catch (error) {
        await this.#unshaped(netns, port.id)
        if (limited && !this.#refused)
          this.#log('this machine limits no bandwidth; QoS policies have no effect', { error: String(error) })
        if (limited) this.#refused = true
      }
    }
  }

  /** The tap is gone, and with it what was on it; its other link is not. */
  async forget(netns: string, port_id: string, links: Set<string>): Promise<void> {
    this.#shaped.delete(port_id)
    if (links.has(ifbName(port_id))) await ipBatch(netns, [`link del ${ifbName(port_id)}`]).catch(() => {})
  }

  /** Half a limit could hold everything up. */
  async #unshaped(netns: string, port_id: string): Promise<void> {
    const tap = tapName(port_id)
    this.#shaped.delete(port_id)
    for (const argv of [
      ['tc', '-n', netns, 'qdisc', 'del', 'dev', tap, 'ingress'],
      ['tc', '-n', netns, 'qdisc', 'del', 'dev', tap, 'root'],
      ['ip', '-n', netns, 'link', 'del', ifbName(port_id)],
    ])
      await run(argv).catch(() => {})
  }
}

type Log = (text: string, fields: Record<string, unknown>) => void

/** The name of the link that what a port sends is led through. */
function ifbName(port_id: string): string {
  return `ifb${port_id.slice(0, 11)}`
}

/** tc's lines for a port, the same whatever was there before. */
export function shapingLines(port: FabricPort): string[] {
  const { egress, ingress } = port.bandwidth
  const [tap, ifb] = [tapName(port.id), ifbName(port.id)]
  const arrival = `filter add dev ${tap} parent ffff:`
  return [
    `qdisc replace dev ${tap} root ${ingress === null ? 'noqueue' : bucket(ingress, port.mtu)}`,
    // only what is there can be deleted, and filters can only be added
    `qdisc replace dev ${tap} ingress`,
    `qdisc del dev ${tap} ingress`,
    ...(egress === null
      ? []
      : [
          `qdisc replace dev ${ifb} root ${bucket(egress, port.mtu)}`,
          `qdisc add dev ${tap} ingress`,
          ...lifeSigns.map((match, index) => `${arrival} pref ${index + 1} protocol ${match} flowid ffff:1`),
          `${arrival} pref 9 protocol all u32 match u32 0 0 action mirred egress redirect dev ${ifb}`,
        ]),
  ]
}

/** VRRP goes past the queue. A full one holds what comes for most of a second, and whoever hears nothing of a router for
 *  three twentieths of one takes its addresses over: a pair whose limit is reached would change places all the time. */
const lifeSigns = ['ip u32 match ip protocol 112 0xff', 'ipv6 u32 match ip6 protocol 112 0xff']

/** Neutron's own choices: a burst of 0.8 s where none is given, and 50 ms in the queue. The kernel counts in 32 bits: bytes,
 *  and 64 ns, of which it takes 274 s to wrap; and what is larger than the burst would never pass. */
function bucket({ max_kbps, max_burst_kbps }: BandwidthLimit, mtu: number): string {
  const rate_kbps = Math.min(max_kbps, fastest_kbps)
  const wanted_bytes = (max_burst_kbps || max_kbps * 0.8) * 125
  const most_bytes = Math.min(largest_burst_bytes, rate_kbps * 125 * 200)
  const burst_bytes = Math.max(Math.round(Math.min(wanted_bytes, most_bytes)), mtu + frame_overhead_bytes)
  return `tbf rate ${rate_kbps}kbit burst ${burst_bytes}b latency 50ms`
}

/** No link of a machine is faster. */
const fastest_kbps = 100_000_000
const largest_burst_bytes = 128 << 20
/** Ethernet's header and a VLAN's tag. */
const frame_overhead_bytes = 18

async function tcBatch(netns: string, lines: string[]): Promise<void> {
  await run(['tc', '-n', netns, '-batch', '-'], { input: `${lines.join('\n')}\n` })
}
