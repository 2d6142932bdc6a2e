/** What the kernel has and does for UDP listeners: their rules, the flows that it remembers, what it has counted. */
import { isIPv6 } from 'node:net'
import { type DatagramListener, type DatagramMember, vipsOf } from '../amphora/nftables/datagram-listener.ts'
import { type Ruleset, TABLE_PREFIX } from '../amphora/nftables/listener-table.ts'
import { BORN_PREFIX, FORCE_PREFIX, GROUND_TABLE, ground, removal } from '../amphora/nftables/script.ts'
import { placeOf } from './address.ts'
import { run, succeed } from './command.ts'
import { ensureNamespace, NAMESPACE } from './namespace.ts'
import { Turn } from './turn.ts'

/** One for all listeners of this amphora. */
export class DatagramKernel {
  readonly #turn = new Turn()
  /** The ground is known to be laid for these families. */
  readonly #prepared = new Set<Ruleset['family']>()
  #counting: Promise<Map<string, Counted>> | null = null
  #flows: Flow[] = []
  readonly #families = new Set<string>()
  #ask_flows_after_ms = 0

  /** Rejects with nft's words unless the scripts could be applied. Of several, nothing but the first can be tried. */
  async check([script]: string[]): Promise<void> {
    await ensureNamespace()
    await succeed(inside(['nft', '-c', '-f', '-']), { input: script! })
  }

  /** Each script is applied as a whole or not at all. `anew`: who makes a table trusts nothing to be there. */
  apply(scripts: string[], family: Ruleset['family'], anew: boolean): Promise<void> {
    return this.#turn.take(async () => {
      await ensureNamespace()
      if (anew) this.#prepared.clear()
      const laid = this.#prepared.has(family)
      if (!laid) await succeed(inside(['sh', '-c', forwarding]))
      for (const script of laid ? scripts : [ground, ...scripts]) {
        await succeed(inside(['nft', '-f', '-']), { input: script })
      }
      this.#prepared.add(family)
    })
  }

  /** Takes a listener's table away, and with the last one the ground. */
  remove(ruleset: Pick<Ruleset, 'family' | 'table'>): Promise<void> {
    return this.#turn.take(async () => {
      await ensureNamespace()
      await succeed(inside(['nft', '-f', '-']), { input: removal(ruleset) })
      const left = await succeed(inside(['nft', 'list', 'tables']))
      if (left.split('\n').some(line => line.split(' ')[2]?.startsWith(TABLE_PREFIX))) return
      this.#prepared.clear()
      await succeed(inside(['nft', '-f', '-']), {
        input: `add table inet ${GROUND_TABLE}\ndelete table inet ${GROUND_TABLE}\n`,
      })
      await succeed(inside(['sh', '-c', no_forwarding]))
    })
  }

  /** By table. Who asks while an answer is under way shares it. */
  counted(): Promise<Map<string, Counted>> {
    this.#counting ??= (async () => countersIn(await succeed(inside(['nft', '-j', 'list', 'counters']))))().finally(
      () => {
        this.#counting = null
      },
    )
    return this.#counting
  }

  /** How many flows of the listener are remembered: as of a moment ago, because with many flows the answer takes long. */
  async sessions(listener: DatagramListener): Promise<number> {
    const now_ms = performance.now()
    const families = vipsOf(listener).map(trackedFamily)
    if (now_ms > this.#ask_flows_after_ms || families.some(each => !this.#families.has(each))) {
      for (const each of families) this.#families.add(each)
      this.#ask_flows_after_ms = Number.POSITIVE_INFINITY
      try {
        this.#flows = (await Promise.all([...this.#families].map(each => flowsIn(['-f', each])))).flat()
      } finally {
        const end_ms = performance.now()
        this.#ask_flows_after_ms = end_ms + Math.max(PAUSE_MS, (end_ms - now_ms) * PAUSE_FACTOR)
      }
    }
    const fronts = new Set(frontsOf(listener))
    return this.#flows.filter(each => fronts.has(placeOf(each.vip, each.port))).length
  }

  /** Ends all flows of the listener but those to the members that keep theirs: what their clients send next is sent to
   *  another member. Flows that began before there was a listener lead nowhere, and end too. */
  async forget(listener: DatagramListener, keeping: DatagramMember[]): Promise<void> {
    for (const vip of vipsOf(listener)) {
      const own = keeping.filter(each => isIPv6(each.address) === isIPv6(vip))
      await this.#forgetAt(vip, listener.protocol_port, own)
    }
  }

  /** Ends all flows to where the listener was, and is not any more. */
  async abandon(former: DatagramListener, listener: DatagramListener): Promise<void> {
    const fronts = frontsOf(listener)
    for (const vip of vipsOf(former)) {
      const there = fronts.includes(placeOf(vip, former.protocol_port))
      if (!there) await this.#forgetAt(vip, former.protocol_port, [])
    }
  }

  async #forgetAt(vip: string, port: number, keeping: DatagramMember[]): Promise<void> {
    const toListener = ['-f', trackedFamily(vip), '-d', vip, '--orig-port-dst', String(port)]
    if (keeping.length === 0) {
      await run(inside(['conntrack', '-D', '-p', 'udp', ...toListener]))
      return
    }
    const kept = new Set(keeping.map(each => placeOf(each.address, each.protocol_port)))
    const stale = new Map<string, Flow>()
    for (const flow of await flowsIn(toListener)) {
      const place = placeOf(flow.member, flow.member_port)
      if (!kept.has(place)) stale.set(place, flow)
    }
    for (const { member, member_port } of stale.values()) {
      // it says 1 when there was none, as when the last of them has just ended
      const toMember = ['-r', member, '--reply-port-src', String(member_port)]
      await run(inside(['conntrack', '-D', '-p', 'udp', ...toListener, ...toMember]))
    }
  }
}

/** What was counted since the table was `born`; `force`: the fingerprint of the rules. */
export type Counted = { born: string; force: string; received: number; sent: number; flows: number }

type Flow = { vip: string; port: number; member: string; member_port: number }

/** Asking for flows takes a twentieth of the time at most. Each question costs 5 ms of a core even when there are none. */
const PAUSE_FACTOR = 20
const PAUSE_MS = 3_000

/** Reads the answer to `nft -j list counters`. What is not said to be in force is a table that another is still to give
 *  way to. */
function countersIn(json: string): Map<string, Counted> {
  const found = new Map<string, Counted & { table: string }>()
  const { nftables } = JSON.parse(json) as { nftables: { counter?: Counter }[] }
  for (const { counter } of nftables) {
    if (counter === undefined || !counter.table.startsWith(TABLE_PREFIX)) continue
    const { family, table, name, packets, bytes } = counter
    const at = `${family} ${table}`
    const counted = found.get(at) ?? { table, born: '', force: '', received: 0, sent: 0, flows: 0 }
    found.set(at, counted)
    if (name.startsWith(BORN_PREFIX)) counted.born = name.slice(BORN_PREFIX.length)
    else if (name.startsWith(FORCE_PREFIX)) counted.force = name.slice(FORCE_PREFIX.length)
    else if (name === 'received' || name === 'sent') counted[name] = bytes
    else if (name === 'flows') counted.flows = packets
  }
  const inForce = [...found.values()].filter(each => each.force !== '')
  return new Map(inForce.map(({ table, ...counted }) => [table, counted]))
}

type Counter = { family: string; table: string; name: string; packets: number; bytes: number }

async function flowsIn(words: string[]): Promise<Flow[]> {
  return parseFlows(await succeed(inside(['conntrack', '-L', '-p', 'udp', ...words])))
}

/** Reads lines of `conntrack -L`: first what a client sent, then what is expected to come back. */
function parseFlows(text: string): Flow[] {
  return text.split('\n').flatMap(line => {
    const found = /dst=(\S+) sport=\d+ dport=(\d+) .*src=(\S+) dst=\S+ sport=(\d+) dport=\d+/.exec(line)
    if (found === null) return []
    return [{ vip: found[1]!, port: Number(found[2]), member: found[3]!, member_port: Number(found[4]) }]
  })
}

/** Where clients find the listener. */
function frontsOf(listener: DatagramListener): string[] {
  return vipsOf(listener).map(vip => placeOf(vip, listener.protocol_port))
}

function trackedFamily(address: string): string {
  return isIPv6(address) ? 'ipv6' : 'ipv4'
}

/** Without the mounts that `ip netns exec` makes, which cost more than nft. */
function inside(argv: string[]): string[] {
  return ['nsenter', `--net=/run/netns/${NAMESPACE}`, ...argv]
}

/** Whose datagram leaves by where it came is not to be told of a shorter way: it would miss this machine. */
const forwarding = `cd /proc/sys/net || exit 1
echo 1 > ipv4/ip_forward || exit 1
[ ! -e ipv6 ] || echo 1 > ipv6/conf/all/forwarding || exit 1
for file in ipv4/conf/*/send_redirects; do echo 0 > $file; done
`
const no_forwarding = `cd /proc/sys/net || exit 1
echo 0 > ipv4/ip_forward
[ ! -e ipv6 ] || echo 0 > ipv6/conf/all/forwarding
`
