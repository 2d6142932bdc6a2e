/** Joins provider haproxy with its clients: Neutron, the network hosts, and the operator's options. */
import { randomUUID } from 'node:crypto'
import fs from 'node:fs'
import type pg from 'pg'
import { AgentError } from '../../amphora/agent-error.ts'
import type { AmphoraClient, Call } from '../../amphora/client.ts'
import { type HostedEntry, hostedPath, hostedPrefix } from '../../amphora/network-host.ts'
import type { Rest } from '../../amphora/rest.ts'
import { openCertificateStore } from '../../cloud/certificates/certificate-store.ts'
import { Neutron } from '../../cloud/neutron.ts'
import type { OpenStack } from '../../cloud/openstack.ts'
import type { Provider } from '../../controller/reconcile.ts'
import type { Clients, NetworkHost, NetworkHosts, Place } from '../../providers/haproxy/clients.ts'
import { due } from '../../providers/haproxy/flows.ts'
import { type Options, OptionsError } from '../../service/options.ts'
import { loads } from '../../store/network-hosts.ts'
import { TlsVault } from '../../store/tls-vault.ts'
import { AgentConnections, agentCalls, classifier, restOf } from './agent-connections.ts'

/** The provider as the engine wants it. Connections to hosts are kept between claims. */
export function haproxyProvider(
  os: OpenStack,
  pool: pg.Pool,
  options: Options,
): Provider<Clients> & { close: () => Promise<void> } {
  const known = networkHosts(options.haproxy.network_hosts)
  const hosts = new Hosts(options, known)
  const certificates = openCertificateStore(options.certificates, () => os)
  const vault = new TlsVault(pool, options.certificates.server_certs_key_passphrase)
  return {
    name: 'haproxy',
    due,
    classify: classifier('the network host', 'The network host'),
    close: () => hosts.close(),
    clients: (tree, value, { claim, step }) => {
      const call = { signal: step, token: { load_balancer_id: tree.load_balancer.id, value } }
      return {
        // what the cloud was asked for it may make even if we do not wait for the answer: so we do
        neutron: new Neutron(os, claim),
        certificates,
        vault,
        hosts: hostCalls(hosts, known, () => loads(pool), call),
        agent: place => agentCalls(hosts.agent(place), call),
        unit: options.haproxy_amphora.unit,
        newId: randomUUID,
      }
    },
  }
}

/** `name@address`, comma separated. */
function networkHosts(text: string): NetworkHost[] {
  return text
    .split(',')
    .map(host => host.trim())
    .filter(host => host !== '')
    .map(host => {
      const [, name, address] = /^([A-Za-z0-9][A-Za-z0-9.-]{0,62})@([0-9a-fA-F.:]+)$/.exec(host) ?? []
      if (!name || !address) throw new OptionsError(`[haproxy] network_hosts has ${host}; it must be name@address`)
      return { name, address }
    })
}

function hostCalls(
  hosts: Hosts,
  known: readonly NetworkHost[],
  loads: () => Promise<Map<string, number>>,
  call: Call,
): NetworkHosts {
  const path = ({ load_balancer_id }: Place) => hostedPrefix(load_balancer_id!)
  const answers = async ({ name }: NetworkHost): Promise<boolean> => {
    const signal = AbortSignal.any([AbortSignal.timeout(patience_ms), ...(call.signal ? [call.signal] : [])])
    return hosts
      .host(name)
      .own('GET', '/info', { signal })
      .then(
        () => true,
        () => false,
      )
  }
  return {
    known,
    answering: async () => {
      const [load, ...answered] = await Promise.all([loads(), ...known.map(answers)])
      const loadOf = ({ name }: NetworkHost) => load.get(name) ?? 0
      return known.filter((_, n) => answered[n]).sort((a, b) => loadOf(a) - loadOf(b))
    },
    has: async place => {
      const entries = await hosts.host(place.network_host).own<HostedEntry[]>('GET', hostedPath, call)
      return entries.some(one => one.load_balancer_id === place.load_balancer_id && one.amphora_id === place.id)
    },
    take: async place => {
      await hosts.host(place.network_host).own('PUT', path(place), call, { amphora_id: place.id })
    },
    drop: async place => {
      await hosts.host(place.network_host).own('DELETE', path(place), call, { amphora_id: place.id })
    },
  }
}

/** Who does not answer in this time gets nothing new. */
const patience_ms = 3_000

/** One connection for each load balancer, and one for each host itself. The host's certificate bears its name. */
class Hosts {
  readonly #connections: AgentConnections
  readonly #options: Options
  readonly #known: readonly NetworkHost[]
  readonly #read: (option: 'ca_certificate' | 'client_cert') => string

  constructor(options: Options, known: readonly NetworkHost[]) {
    this.#connections = new AgentConnections(options)
    this.#options = options
    this.#known = known
    const files = new Map<string, string>()
    this.#read = option => {
      const file = options.certificates[option]
      if (file === '') throw new OptionsError(`[certificates] ${option} is empty; it must name a file`)
      const text = files.get(option) ?? fs.readFileSync(file, 'utf8')
      files.set(option, text)
      return text
    }
  }

  host(name: string | null): AmphoraClient {
    return this.#client(name, '', {})
  }

  agent({ id, load_balancer_id, network_host, unit }: Place): AmphoraClient {
    return this.#client(network_host, id, { path_prefix: hostedPrefix(load_balancer_id!), rest: restOf(unit) })
  }

  close(): Promise<void> {
    return this.#connections.close()
  }

  #client(host_name: string | null, amphora_id: string, more: { path_prefix?: string; rest?: Rest }): AmphoraClient {
    const host = this.#known.find(one => one.name === host_name)
    if (!host)
      throw new AgentError(0, 'unavailable', `there is no network host ${host_name} in [haproxy] network_hosts`)
    return this.#connections.client(`${host.name} ${amphora_id}`, () => ({
      host: host.address,
      port: this.#options.haproxy.bind_port,
      amphora_id,
      server_name: host.name,
      ...more,
      ca_pem: this.#read('ca_certificate'),
      client_cert_pem: this.#read('client_cert'),
      client_key_pem: this.#read('client_cert'),
    }))
  }
}
