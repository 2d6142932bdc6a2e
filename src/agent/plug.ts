/** Plugging: an interface that the cloud has put into this machine goes into the namespace and gets its addresses. */
import fs from 'node:fs/promises'
import path from 'node:path'
import type { AgentSettings } from '../amphora/agent-config.ts'
import type { Rest } from '../amphora/rest.ts'
import { type Answer, Refusal } from './answer.ts'
import { CommandFailed, run, succeed } from './command.ts'
import { readIfThere, writeWhole } from './files.ts'
import { type Addressing, parseInterfaceFile, renderInterfaceFile } from './interface-file.ts'
import type { Log } from './log.ts'
import { ensureNamespace, interfacesIn, moveIn, NAMESPACE, type NetworkInterface } from './namespace.ts'
import { type PlugRequest, readNetworkRequest, readVipRequest } from './plug-request.ts'
import { readOwned, readPlugged, recordOwned, recordPlugged } from './plugged.ts'
import { Turn } from './turn.ts'

export class Plugs {
  readonly #settings: AgentSettings
  readonly #log: Log
  readonly #turn = new Turn()

  constructor(settings: AgentSettings, log: Log) {
    this.#settings = settings
    this.#log = log
  }

  /** POST /plug/vip/<vip>. Answers 409 when it was so already, and makes sure first that it really is. */
  async vip(vip: string, body: Buffer, rest: Rest = '0.5'): Promise<Answer> {
    const request = readVipRequest(vip, body)
    const { name, same } = await this.#plug(request, 'eth1', 'Error plugging VIP')
    if (same) throw new Refusal(409, { message: 'Interface already exists' })
    const all = [vip, ...request.further_vips].join(', ')
    const details =
      rest === '0.5' ? `VIP ${vip} plugged on interface ${name}` : `VIPs plugged on interface ${name}: ${all}`
    return { status: 202, body: { message: 'OK', details } }
  }

  /** POST /plug/network. To 1.0 it is no error that it was so already. */
  async network(body: Buffer, rest: Rest = '0.5'): Promise<Answer> {
    const request = readNetworkRequest(body)
    const { name, there, same } = await this.#plug(request, null, 'Error plugging network')
    if (same && rest === '0.5') throw new Refusal(409, { message: 'Interface already exists' })
    const details = there && rest === '1.0' ? `Updated existing interface ${name}` : `Plugged on interface ${name}`
    return { status: 202, body: { message: 'OK', details } }
  }

  /** Makes the namespace before the first call needs it. */
  prepare(): Promise<void> {
    return this.#turn.take(() => ensureNamespace(this.#namespace))
  }

  /** Puts every interface that was plugged back into the namespace, and returns the MACs that this machine lacks. */
  restore(): Promise<string[]> {
    return this.#turn.take(async () => {
      const missing: string[] = []
      for (const { mac_address, name } of await readPlugged(this.#plugged)) {
        const text = await readIfThere(this.#fileOf(name))
        if (text === null) continue
        try {
          await ensureNamespace(this.#namespace)
          const there = await this.#bringIn(mac_address, name)
          if (there) {
            await this.#configure(name, parseInterfaceFile(text), await this.#ownedOf(mac_address))
            this.#announce(name, mac_address)
          } else missing.push(mac_address)
        } catch (error) {
          this.#log('an interface could not be put back', { mac_address, name, error: String(error) })
          missing.push(mac_address)
        }
      }
      return missing
    })
  }

  #plug(
    request: PlugRequest,
    wanted_name: string | null,
    failure: string,
  ): Promise<{ name: string; there: boolean; same: boolean }> {
    const { mac_address, addressing, keepalived_owns } = request
    return this.#turn.take(async () => {
      try {
        await ensureNamespace(this.#namespace)
        const inside = await interfacesIn(this.#namespace)
        const isIt = this.#isIt(mac_address, request.interface_name)
        const there = inside.find(isIt)
        const outside = there === undefined ? await interfacesIn(null) : []
        const arrived = outside.find(isIt)
        if (there === undefined && arrived === undefined) {
          throw new Refusal(404, { details: 'No suitable network interface found' })
        }
        const name =
          there?.ifname ?? request.interface_name ?? (await this.#freeName(mac_address, wanted_name, inside, outside))
        const text = renderInterfaceFile(name, addressing)
        const owned = await this.#ownedOf(mac_address)
        const same =
          there !== undefined &&
          (await readIfThere(this.#fileOf(name))) === text &&
          owned.join() === keepalived_owns.join()
        // On disk before the machine changes: what is cut off here is completed by the next call, or after a reboot.
        await this.#copySystemConfiguration()
        await writeWhole(this.#fileOf(name), text, 0o644)
        await recordOwned(this.#owned, mac_address, keepalived_owns)
        await recordPlugged(this.#plugged, { mac_address, name })
        if (arrived !== undefined) await moveIn(arrived.ifname, name, this.#namespace)
        else if (!same) await this.#clear(name)
        await this.#configure(name, addressing, keepalived_owns)
        if (!same) this.#announce(name, mac_address)
        return { name, there: there !== undefined, same }
      } catch (error) {
        if (!(error instanceof CommandFailed)) throw error
        throw new Refusal(500, { message: failure, details: error.message })
      }
    })
  }

  /** The name it had before, else the wanted one, else the first that neither an interface nor a living record has. */
  async #freeName(
    mac_address: string,
    wanted_name: string | null,
    inside: NetworkInterface[],
    outside: NetworkInterface[],
  ): Promise<string> {
    const plugged = await readPlugged(this.#plugged)
    const living = new Set([...inside, ...outside].map(each => each.address))
    const others = plugged.filter(each => each.mac_address !== mac_address && living.has(each.mac_address))
    const taken = new Set([...inside.map(each => each.ifname), ...others.map(each => each.name)])
    const former = plugged.find(each => each.mac_address === mac_address)?.name
    for (const name of [former, wanted_name]) if (name && !taken.has(name)) return name
    for (let n = 2; ; n++) if (!taken.has(`eth${n}`)) return `eth${n}`
  }

  /** Whether it is in the namespace afterwards. */
  async #bringIn(mac_address: string, name: string): Promise<boolean> {
    const isIt = this.#isIt(mac_address, name)
    if ((await interfacesIn(this.#namespace)).some(isIt)) return true
    const arrived = (await interfacesIn(null)).find(isIt)
    if (arrived === undefined) return false
    await moveIn(arrived.ifname, name, this.#namespace)
    return true
  }

  /** Addresses come before the link is up, because it announces them when it comes up. A VIP of keepalived's is left as
   *  it is: two amphorae of a pair would answer for it. */
  async #configure(name: string, { addresses, gateways, routes, mtu }: Addressing, owned: string[]): Promise<void> {
    const own = addresses.filter(({ address }) => !owned.includes(address))
    const lines = [
      ...(mtu === null ? [] : [`link set dev ${name} mtu ${mtu}`]),
      ...own.map(({ address, prefix_length }) => {
        return `addr replace ${address}/${prefix_length} dev ${name}${address.includes(':') ? ' nodad' : ''}`
      }),
      `link set dev ${name} up`,
      ...gateways.map(gateway => `route replace ${everywhere(gateway)} via ${gateway} dev ${name} onlink`),
      ...routes.map(({ destination, nexthop }) => `route replace ${destination} via ${nexthop} dev ${name} onlink`),
    ]
    await succeed(['ip', '-n', this.#namespace, '-batch', '-'], { input: `${lines.join('\n')}\n` })
  }

  /** /etc/netns/amphora-haproxy/network: what `ip netns exec` shows as /etc/network inside. */
  async #copySystemConfiguration(): Promise<void> {
    if (this.#settings.namespace !== undefined) return // a network host's own configuration is not for its tenants
    const folder = path.dirname(this.#settings.agent_server_network_dir.replace(/\/+$/, ''))
    if ((await readIfThere(path.join(folder, 'interfaces'))) !== null) return
    // `ip netns exec` binds it over /etc/network, which has to be there.
    await fs.mkdir('/etc/network', { recursive: true }).catch(() => {})
    await fs.mkdir(this.#settings.agent_server_network_dir, { recursive: true })
    await fs.cp('/etc/network', folder, {
      recursive: true,
      filter: file => !/^(eth0|openssh)/.test(path.basename(file)),
    })
    const loopback = 'auto lo\niface lo inet loopback\n'
    const rest = `source ${path.join(this.#settings.agent_server_network_dir, '*.cfg')}\n`
    await writeWhole(path.join(folder, 'interfaces'), `${loopback}${rest}`, 0o644)
  }

  /** Addresses come and go with load balancers. What an interface says when it comes up may be lost (measured: the switch
   *  does not know yet that it is there), and neighbours would go on sending to whoever had the address before. To be given
   *  its own MAC address makes it say so again. */
  #announce(name: string, mac_address: string): void {
    const again = () => run(['ip', '-n', this.#namespace, 'link', 'set', 'dev', name, 'address', mac_address])
    for (const wait_ms of [20, 300, 2_000]) setTimeout(() => again().catch(() => {}), wait_ms).unref()
  }

  async #clear(name: string): Promise<void> {
    await succeed(['ip', '-n', this.#namespace, 'addr', 'flush', 'dev', name, 'scope', 'global'])
  }

  async #ownedOf(mac_address: string): Promise<string[]> {
    const all = await readOwned(this.#owned)
    return all.filter(each => each.mac_address === mac_address).map(each => each.address)
  }

  /** On a network host links are told apart, and keep their names: a tenant could give his port another's MAC address. */
  #isIt(mac_address: string, name: string | null): (each: NetworkInterface) => boolean {
    if (this.#settings.namespace === undefined) return each => each.address === mac_address
    return each => each.ifname === name
  }

  get #namespace(): string {
    return this.#settings.namespace ?? NAMESPACE
  }

  get #owned(): string {
    return path.join(this.#settings.base_path, 'keepalived_addresses')
  }

  get #plugged(): string {
    return path.join(this.#settings.base_path, 'plugged_interfaces')
  }

  #fileOf(name: string): string {
    return path.join(this.#settings.agent_server_network_dir, `${name}.cfg`)
  }
}

function everywhere(gateway: string): string {
  return gateway.includes(':') ? '::/0' : '0.0.0.0/0'
}
