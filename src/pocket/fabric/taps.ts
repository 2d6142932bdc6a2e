/** Taps: the ports' links at their switches, and the rules that stand before them. */
import { ipBatch, linkNames, nftLoad, run } from './commands.ts'
import type { FabricPort } from './fabric.ts'
import { portChains, portChainsGone, tapName } from './filter.ts'
import type { Shaping } from './shaping.ts'

/** Plugs, updates and unplugs. What happens to one port happens in order; updates of a switch that are asked for while one
 *  runs are made together: a change of a group touches every port that has it. */
export class Taps {
  readonly #queues = new Map<string, Promise<unknown>>()
  readonly #shaping: Shaping
  readonly #batches = new Map<string, { ports: Map<string, FabricPort>; done: Promise<void> }>()

  constructor(shaping: Shaping) {
    this.#shaping = shaping
  }

  /** Puts the link between the switch and the namespace of `target` (a pid, or a name), and its rules before it. */
  plug(port: FabricPort, target: string, interface_name: string): Promise<void> {
    return this.#inOrder(port.id, async () => {
      const netns = switchName(port.network_id)
      const tap = tapName(port.id)
      const peer = `peer name ${interface_name} address ${port.mac_address} mtu ${port.mtu} netns ${target}`
      let unknown = false
      try {
        await ipBatch(null, [`link add ${tap} netns ${netns} mtu ${port.mtu} type veth ${peer}`])
      } catch (error) {
        if (!(await linkNames(netns)).has(tap)) throw error // else: plugged already
        unknown = true
      }
      await nftLoad(netns, portChains(port))
      await this.#shaping.apply(netns, [port], { unknown })
      await ipBatch(netns, [`link set ${tap} master bridge ${port.admin_state_up ? 'up' : 'down'}`])
    })
  }

  /** Brings rules and state of a plugged port up to date; a port that is plugged nowhere is left alone. */
  update(port: FabricPort): Promise<void> {
    return this.#inOrder(port.id, () => {
      const netns = switchName(port.network_id)
      const batch = this.#batches.get(netns) ?? this.#newBatch(netns)
      batch.ports.set(port.id, port)
      return batch.done
    })
  }

  /** Takes the link away wherever it is. */
  unplug(port_id: string, switches: string[]): Promise<void> {
    return this.#inOrder(port_id, async () => {
      for (const netns of switches) {
        // the link goes by itself when its server ends, and its chains stay then
        const links = await linkNames(netns)
        if (links.has(tapName(port_id))) await run(['ip', '-n', netns, 'link', 'del', tapName(port_id)]).catch(() => {})
        await nftLoad(netns, portChainsGone(port_id)).catch(() => {})
        await this.#shaping.forget(netns, port_id, links)
      }
    })
  }

  #newBatch(netns: string) {
    const ports = new Map<string, FabricPort>()
    const done = this.#inOrder(netns, async () => {
      this.#batches.delete(netns)
      const links = await linkNames(netns)
      const plugged = [...ports.values()].filter(port => links.has(tapName(port.id)))
      if (plugged.length === 0) return
      await nftLoad(netns, plugged.map(portChains).join(''))
      const state = (port: FabricPort) => `link set ${tapName(port.id)} ${port.admin_state_up ? 'up' : 'down'}`
      await ipBatch(netns, plugged.map(state))
      await this.#shaping.apply(netns, plugged)
    })
    const batch = { ports, done }
    this.#batches.set(netns, batch)
    return batch
  }

  #inOrder<T>(key: string, work: () => Promise<T>): Promise<T> {
    const next = (this.#queues.get(key) ?? Promise.resolve()).then(work, work)
    const settled = next.then(
      () => {},
      () => {},
    )
    this.#queues.set(key, settled)
    void settled.then(() => {
      if (this.#queues.get(key) === settled) this.#queues.delete(key)
    })
    return next
  }
}

export function switchName(network_id: string): string {
  return `sw-${network_id}`
}
