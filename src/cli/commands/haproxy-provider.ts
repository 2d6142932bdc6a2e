/** Joins provider haproxy with its clients: Neutron, the network hosts, and the operator's options. */
import { randomUUID } from 'node:crypto'
import fs from 'node:fs'
import type pg from 'pg'
import { AgentError } from '../../amphora/agent-error.ts'
import { AmphoraClient, type Call } from '../../amphora/client.ts'
import { type HostedEntry, hostedPath, hostedPrefix } from '../../amphora/network-host.ts'
import { openCertificateStore } from '../../cloud/certificates/certificate-store.ts'
import { Neutron } from '../../cloud/neutron.ts'
import { CloudError, type OpenStack } from '../../cloud/openstack.ts'
import { Permanent, Transient } from '../../controller/outcome.ts'
import type { Provider } from '../../controller/reconcile.ts'
import type { Agent, Clients, NetworkHost, NetworkHosts, Place } from '../../providers/haproxy/clients.ts'
import { due } from '../../providers/haproxy/flows.ts'
import { type Options, OptionsError } from '../../service/options.ts'
import { loads } from '../../store/network-hosts.ts'
import { TlsVault } from '../../store/tls-vault.ts'

/** The provider as the engine wants it. Connections to hosts are kept between claims. */
export function haproxyProvider(
  os: OpenStack,
  pool: pg.Pool,
  options: Options,
): Provider<Clients> & { close: () => Promise<void> } {
  const known = networkHosts(options.haproxy.network_hosts)
  const connections = new Connections(options, known)
  const certificates = openCertificateStore(options.certificates, () => os)
  const vault = new TlsVault(pool, options.certificates.server_certs_key_passphrase)
  return {
    name: 'haproxy',
    due,
    classify,
    close: () => connections.close(),
    clients: (tree, value, { claim, step }) => {
      const call = { signal: step, token: { load_balancer_id: tree.load_balancer.id, value } }
      return {
        // what the cloud was asked for it may make even if we do not wait for the answer: so we do
        neutron: new Neutron(os, claim),
        certificates,
        vault,
        hosts: hostCalls(connections, known, () => loads(pool), call),
        agent: place => agentCalls(connections.agent(place), call),
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
  connections: Connections,
  known: readonly NetworkHost[],
  loads: () => Promise<Map<string, number>>,
  call: Call,
): NetworkHosts {
  const path = ({ load_balancer_id }: Place) => hostedPrefix(load_balancer_id!)
  const answers = async ({ name }: NetworkHost): Promise<boolean> => {
    const signal = AbortSignal.any([AbortSignal.timeout(patience_ms), ...(call.signal ? [call.signal] : [])])
    return connections
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
      const entries = await connections.host(place.network_host).own<HostedEntry[]>('GET', hostedPath, call)
      return entries.some(one => one.load_balancer_id === place.load_balancer_id && one.amphora_id === place.id)
    },
    take: async place => {
      await connections.host(place.network_host).own('PUT', path(place), call, { amphora_id: place.id })
    },
    drop: async place => {
      await connections.host(place.network_host).own('DELETE', path(place), call, { amphora_id: place.id })
    },
  }
}

/** Who does not answer in this time gets nothing new. */
const patience_ms = 3_000

function agentCalls(client: AmphoraClient, call: Call): Agent {
  return {
    interface: ip => client.interface(ip, call),
    listeners: () => client.listeners(call),
    listener: id => client.listener(id, call),
    listenerConfig: id => client.listenerConfig(id, call),
    uploadListener: (id, cfg) => client.uploadListener(id, cfg, call),
    datagramConfig: id => client.datagramConfig(id, call),
    uploadDatagrams: (id, text) => client.uploadDatagrams(id, text, call),
    uploadTlsFile: (id, name, pem) => client.uploadTlsFile(id, name, pem, call),
    startListener: id => client.startListener(id, call),
    reloadListener: id => client.reloadListener(id, call),
    deleteListener: id => client.deleteListener(id, call),
    plugVip: (vip, body) => client.plugVip(vip, body, call),
    plugNetwork: body => client.plugNetwork(body, call),
  }
}

/** One connection for each load balancer, and one for each host itself. The host's certificate bears its name. */
class Connections {
  readonly #options: Options
  readonly #known: readonly NetworkHost[]
  readonly #clients = new Map<string, AmphoraClient>()
  readonly #read: (option: 'ca_certificate' | 'client_cert') => string

  constructor(options: Options, known: readonly NetworkHost[]) {
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
    return this.#client(name, '', undefined)
  }

  agent({ id, load_balancer_id, network_host }: Place): AmphoraClient {
    return this.#client(network_host, id, hostedPrefix(load_balancer_id!))
  }

  async close(): Promise<void> {
    await Promise.all([...this.#clients.values()].map(client => client.close()))
  }

  #client(host_name: string | null, amphora_id: string, path_prefix: string | undefined): AmphoraClient {
    const host = this.#known.find(one => one.name === host_name)
    if (!host)
      throw new AgentError(0, 'unavailable', `there is no network host ${host_name} in [haproxy] network_hosts`)
    const key = `${host.name} ${amphora_id}`
    const known = this.#clients.get(key)
    if (known) return known
    if (this.#clients.size >= most_connections) this.#forgetOldest()
    const { rest_request_conn_timeout, rest_request_read_timeout } = this.#options.haproxy_amphora
    const client = new AmphoraClient({
      host: host.address,
      port: this.#options.haproxy.bind_port,
      amphora_id,
      server_name: host.name,
      ...(path_prefix === undefined ? {} : { path_prefix }),
      ca_pem: this.#read('ca_certificate'),
      client_cert_pem: this.#read('client_cert'),
      client_key_pem: this.#read('client_cert'),
      connect_timeout_ms: rest_request_conn_timeout * 1000,
      request_timeout_ms: rest_request_read_timeout * 1000,
    })
    this.#clients.set(key, client)
    return client
  }

  #forgetOldest(): void {
    const [key, client] = this.#clients.entries().next().value!
    this.#clients.delete(key)
    void client.close().catch(() => {})
  }
}

const most_connections = 1_000

/** The one place where errors of the cloud and of hosts are sorted. */
function classify(error: unknown): Transient | Permanent | null {
  if (error instanceof CloudError) {
    if (error.kind === 'unavailable' || error.kind === 'conflict')
      return new Transient(`waiting for ${error.message}`, { unsure: error.unsure })
    if (error.kind === 'over_quota') return new Permanent('A quota of the cloud has been met.', error.message)
    if (error.kind === 'forbidden') return new Permanent('The cloud forbids it to the service.', error.message)
    return new Permanent('The cloud refused what the load balancer needs.', error.message)
  }
  if (error instanceof AgentError) {
    const text = `the network host: ${error.message}${error.details ? `: ${error.details}` : ''}`
    if (error.kind === 'refused') return new Permanent('The network host refused its configuration.', text)
    return new Transient(`waiting for ${text}`)
  }
  return null
}
