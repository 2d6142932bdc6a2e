/** What the pocket cloud's APIs ask of the machine: switches, ports and servers. Everything in here may be called again. */

/** The machine's side of the cloud. Each call is idempotent: it brings about what it names and leaves what is already so.
 *  A call rejects with FabricError when the machine refuses; nothing half-made is left to the caller. */
export type Fabric = {
  /** A network is a switch in a namespace of its own that has no addresses. */
  ensureNetwork: (network_id: string) => Promise<void>
  removeNetwork: (network_id: string) => Promise<void>
  /** Boots a server with its ports in the order of its interfaces (eth0, eth1, …), whose addresses it configures, as
   *  cloud-init does from a config drive. Resolves when its first process is up. A server that runs is left alone. */
  boot: (server: FabricServer, ports: FabricPort[]) => Promise<void>
  /** Ends the server's processes by one kill; its disk stays. */
  shutdown: (server_id: string) => Promise<void>
  /** Ends the server and deletes its disk. */
  destroy: (server_id: string) => Promise<void>
  /** Puts a port into a running server: an interface that is down and has no addresses, as hot-plugged hardware. */
  plug: (server_id: string, port: FabricPort) => Promise<void>
  /** Takes the port's link away wherever it is plugged. */
  unplug: (port_id: string) => Promise<void>
  /** Applies rules, allowed pairs, addresses that may be used, bandwidth limits, and the state of the link. */
  update: (port: FabricPort) => Promise<void>
  /** Plugs a port, with its addresses, into a network namespace of the machine that is no server ("world" is the one in
   *  which the cloud itself runs): how a controller reaches lb-mgmt-net, and how a person tries things on a network. */
  plugHost: (netns: string, interface_name: string, port: FabricPort) => Promise<void>
  /** Puts a port's link, tap<port>, into a network namespace of the machine that is a host of the network: down and without
   *  addresses, for whoever is to have it there. It is there until it is unplugged, whatever namespace it is moved to. */
  wire: (netns: string, port: FabricPort) => Promise<void>
  /** Ids of the servers whose first process is alive. */
  running: () => Promise<Set<string>>
  /** The last bytes of what the server wrote on its console. */
  console: (server_id: string, length_bytes: number) => Promise<string>
  /** Calls back when a server's first process ends without having been told to. */
  onExit: (listener: (server_id: string) => void) => void
}

export type FabricServer = {
  id: string
  /** Its host name inside. */
  name: string
  /** The unpacked image: its top-level folders etc, root, var are copied before the first boot; opt and srv are shown
   *  read-only. Null: the machine's own root alone. */
  image_dir: string | null
  /** Files put in before the first boot (Nova's personality), absolute paths below /etc, /root or /var. */
  files: { path: string; contents: Uint8Array; mode?: number }[]
  /** What its config drive holds, by paths below it; shown read-only at /media/config-2. Empty: it has none. */
  config_drive: { path: string; contents: Uint8Array }[]
  /** An executable script (it begins with #!). It runs at every boot: nothing else in there would start what it started. */
  user_data: Uint8Array | null
  memory_mb: number
}

export type FabricPort = {
  id: string
  network_id: string
  mac_address: string
  mtu: number
  fixed_ips: { ip_address: string; prefix_length: number; gateway_ip: string | null }[]
  allowed_address_pairs: { ip_address: string; mac_address: string }[]
  /** false cuts the link: no carrier at the server. */
  admin_state_up: boolean
  /** false lifts anti-spoofing and the rules. */
  port_security_enabled: boolean
  /** Of all its security groups, with remote groups already resolved to addresses. Stateful: answers always pass. */
  rules: FabricRule[]
  /** How much it may send (egress) and receive (ingress); null is as much as it can. */
  bandwidth: { egress: BandwidthLimit | null; ingress: BandwidthLimit | null }
}

/** A rate in kilobits a second, and the kilobits that may pass at once after a rest; 0 of those is the usual measure. */
export type BandwidthLimit = { max_kbps: number; max_burst_kbps: number }

export type FabricRule = {
  direction: 'ingress' | 'egress'
  ethertype: 'IPv4' | 'IPv6'
  /** tcp, udp, icmp, ipv6-icmp, sctp or a number as text; null is any. */
  protocol: string | null
  /** Ports, or type and code for icmp. */
  port_range_min: number | null
  port_range_max: number | null
  /** Prefixes of the other side, one of which must match; null is anyone, [] is no one. */
  remote_ip_prefixes: string[] | null
}

/** The machine refused: `message` is what it said. */
export class FabricError extends Error {}
