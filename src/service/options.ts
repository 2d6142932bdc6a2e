/** ottavia's configuration: every option once, with its default and its meaning; from a TOML file and the environment. */
import fs from 'node:fs'
import { parse } from 'smol-toml'
import { Secret } from './secret.ts'

const tls_versions = ['SSLv3', 'TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const
const alpn_names = ['h2', 'http/1.1', 'http/1.0'] as const

/** The options, by section, under the names that octavia.conf gives them where it has them. */
export const declarations = {
  database: {
    connection: text('', 'URL of PostgreSQL (15 or later), e.g. postgres://ottavia@/ottavia?host=/run/postgresql.'),
  },
  service_auth: {
    auth_url: text('', "Keystone's URL with its version, e.g. http://controller:5000/v3."),
    username: text('octavia', 'The service user. It needs role admin on its project.'),
    password: secret('Its password.'),
    project_name: text('service', 'The project that owns amphorae, their ports and security groups.'),
    user_domain_name: text('Default', 'Domain of the user.'),
    project_domain_name: text('Default', 'Domain of the project.'),
    region_name: text('', 'Region of the catalogue; empty: the first.'),
    endpoint_type: choice(['public', 'internal', 'admin'], 'public', "Which of the catalogue's URLs to use."),
  },
  api_settings: {
    bind_host: text('127.0.0.1', 'Where the Octavia dialect listens.'),
    bind_port: number(9876, 1, 65535, 'Its port.'),
    neutron_bind_host: text('127.0.0.1', "Where the neutron-lbaas dialect listens, behind Neutron's /v2.0/lbaas."),
    neutron_bind_port: number(9877, 1, 65535, 'Its port.'),
    auth_strategy: choice(
      ['keystone', 'noauth'],
      'keystone',
      'noauth trusts everyone, so it listens on loopback only.',
    ),
    locking: choice(
      ['queue', 'conflict'],
      'queue',
      'queue accepts writes while an earlier one is applied; conflict answers 409.',
    ),
    enabled_provider_drivers: text(
      'amphora, octavia',
      'Who may serve: name or name: description, comma separated; of amphora, octavia (its alias), haproxy.',
    ),
    default_provider_driver: text('amphora', 'Who serves where a request names nobody.'),
    allow_ping_health_monitors: flag(true, 'Whether members may be asked by an echo (type PING).'),
    allow_tls_terminated_listeners: flag(true, 'Whether listeners may terminate TLS.'),
    minimum_tls_version: choice(['', ...tls_versions], '', 'The oldest version that may be asked for; empty: any.'),
    tls_cipher_prohibit_list: list(null, [], 'Ciphers that may not be asked for.'),
    default_listener_ciphers: text('', "Of listeners that name none, in OpenSSL's notation; empty: a broad list."),
    default_listener_tls_versions: list(tls_versions, ['TLSv1.2', 'TLSv1.3'], 'Of listeners that name none.'),
    default_listener_alpn_protocols: list(alpn_names, alpn_names, 'Of listeners that name none.'),
    default_pool_ciphers: text('', "Of pools that name none, in OpenSSL's notation; empty: a broad list."),
    default_pool_tls_versions: list(tls_versions, ['TLSv1.2', 'TLSv1.3'], 'Of pools that name none.'),
    default_pool_alpn_protocols: list(alpn_names, alpn_names, 'Of pools that name none.'),
    pagination_max_limit: number(1000, 1, 100_000, 'The most rows that one page of a list has.'),
  },
  oslo_policy: {
    policy_file: text('', "File: who may, in oslo.policy's YAML, over the defaults; empty: the defaults alone."),
  },
  quotas: {
    default_load_balancer_quota: number(-1, -1, 1e9, 'Per project; -1 is unlimited.'),
    default_listener_quota: number(-1, -1, 1e9, 'Per project; -1 is unlimited.'),
    default_pool_quota: number(-1, -1, 1e9, 'Per project; -1 is unlimited.'),
    default_member_quota: number(-1, -1, 1e9, 'Per project; -1 is unlimited.'),
    default_health_monitor_quota: number(-1, -1, 1e9, 'Per project; -1 is unlimited.'),
    default_l7policy_quota: number(-1, -1, 1e9, 'Per project; -1 is unlimited.'),
    default_l7rule_quota: number(-1, -1, 1e9, 'Per project; -1 is unlimited.'),
  },
  controller_worker: {
    amp_image_tag: text('amphora', 'Amphorae boot from the newest active image that carries this tag.'),
    amp_image_owner_id: text('', 'Only images of this project count; empty: of any that the service user sees.'),
    amp_flavor_id: text('', 'Flavor of the amphorae.'),
    amp_boot_network_list: text(
      '',
      'Networks of their management ports, comma separated ids; the first is asked for the address.',
    ),
    amp_secgroup_list: text('', 'Security groups of their management ports, comma separated ids.'),
    amp_ssh_key_name: text('', "Nova's key pair for them; empty: none."),
    loadbalancer_topology: choice(
      ['SINGLE', 'ACTIVE_STANDBY'],
      'SINGLE',
      'One amphora for each load balancer, or a pair of which one stands by.',
    ),
    failover_order: choice(
      ['replace_first', 'delete_first'],
      'replace_first',
      'Whether an amphora is deleted after its successor is ready, or before (for clouds without room for both).',
    ),
    amp_active_retries: number(
      30,
      1,
      100_000,
      'With amp_active_wait_sec: how long a server and its agent may take to come up; then another server is made.',
    ),
    amp_active_wait_sec: number(10, 1, 3600, 'Seconds, times amp_active_retries.'),
    max_workers: number(5, 1, 1000, 'How many load balancers this controller works on side by side.'),
    lease_s: number(15, 2, 3600, 'How long a claim lasts without a sign of life of its controller.'),
    late_effect_s: number(
      60,
      1,
      3600,
      'How long after a call without an answer the cloud may still carry it out; what came late is deleted then.',
    ),
    look_again_s: number(600, 1, 86_400, 'How often a settled load balancer is compared with the world.'),
  },
  haproxy_amphora: {
    bind_port: number(9443, 1, 65535, "The agents' port."),
    unit: choice(
      ['listener', 'load_balancer'],
      'listener',
      'What one haproxy of an amphora serves; of amphorae that are made from now on, where no flavor says otherwise.',
    ),
    rest_request_conn_timeout: number(10, 1, 600, 'Seconds to connect to an agent.'),
    rest_request_read_timeout: number(60, 1, 3600, 'Seconds for an agent to answer.'),
  },
  amphora_agent: {
    amphora_udp_driver: choice(
      ['nftables', 'keepalived_lvs'],
      'nftables',
      'Who forwards datagrams in new amphorae; keepalived_lvs where their kernel has IPVS, and nftables elsewhere.',
    ),
  },
  haproxy: {
    network_hosts: text(
      '',
      'The network hosts of provider haproxy, as controllers reach them: name@address, comma separated. One that is gone for good is taken out.',
    ),
    bind_port: number(9442, 1, 65535, "The network hosts' port."),
    host: text('', 'Of a network host: its own name, as it stands in network_hosts and in its certificate.'),
    bind_host: text('0.0.0.0', 'Of a network host: where it listens, on the management network.'),
    server_cert: text(
      '',
      'Of a network host: file with its certificate and key, signed by [certificates] ca_certificate.',
    ),
    loadbalancer_state_path: text('/var/lib/octavia', 'Of a network host: where it keeps its load balancers.'),
    haproxy_cmd: text('/usr/sbin/haproxy', 'Of a network host: the program.'),
  },
  health_manager: {
    bind_ip: text('127.0.0.1', 'Where heartbeats are received: an address inside lb-mgmt-net.'),
    bind_port: number(5555, 1, 65535, 'Its UDP port.'),
    controller_ip_port_list: text('', 'Where amphorae send their heartbeats: ip:port, comma separated.'),
    heartbeat_key: secret('Signs the heartbeats; the same for all.'),
    heartbeat_interval: number(10, 0.1, 3600, 'Seconds between two heartbeats of an amphora.'),
    heartbeat_timeout: number(60, 1, 86_400, 'After how many seconds without a heartbeat an amphora is silent.'),
    health_check_interval: number(3, 0.1, 3600, 'Seconds between two looks for silent amphorae.'),
    failover_threshold: number(
      0,
      0,
      1e9,
      'From how many amphorae on that fall silent within heartbeat_timeout none is replaced; 0: three, or more than a third.',
    ),
  },
  keepalived_vrrp: {
    vrrp_advert_int: number(1, 0.01, 40, 'Seconds between two advertisements of a pair; decimals are good.'),
    vrrp_priority_master: number(254, 1, 254, 'Priority of the MASTER of a pair.'),
    vrrp_priority_backup: number(253, 1, 254, 'Priority of its BACKUP; lower.'),
    vrrp_check_interval: number(5, 1, 3600, 'Seconds between two runs of the check scripts.'),
    vrrp_fail_count: number(2, 1, 100, 'How many must fail for an amphora to step down.'),
    vrrp_success_count: number(2, 1, 100, 'How many must succeed for it to be good again.'),
    vrrp_garp_refresh_interval: number(5, 0, 3600, 'Seconds between two announcements of the VIP by the MASTER.'),
    vrrp_garp_refresh_count: number(2, 1, 100, 'How often each is sent.'),
  },
  nova: {
    enable_anti_affinity: flag(true, "Whether a pair's servers are to run on different hosts (a server group each)."),
    anti_affinity_policy: choice(
      ['anti-affinity', 'soft-anti-affinity'],
      'soft-anti-affinity',
      'Whether they must, or should where there is more than one host.',
    ),
  },
  house_keeping: {
    spare_amphora_pool_size: number(0, 0, 10_000, 'How many amphorae are kept booted for whoever needs one next.'),
    spare_check_interval: number(30, 1, 86_400, 'Seconds between two looks at the spares.'),
    cleanup_interval: number(30, 1, 86_400, 'Seconds between two purges.'),
    amphora_expiry_age: number(604_800, 0, 1e9, 'Seconds that the row of a deleted amphora is kept.'),
    cert_interval: number(3_600, 1, 86_400, 'Seconds between two looks at the certificates.'),
    cert_expiry_buffer: number(0, 0, 1e9, 'Seconds before its end that a certificate is renewed; 0: half of its life.'),
  },
  metrics: {
    bind_host: text('127.0.0.1', 'Where Prometheus finds GET /metrics.'),
    bind_port: number(0, 0, 65535, 'Its port; 0: nowhere.'),
  },
  certificates: {
    ca_certificate: text('', "File: the CA that signs amphorae's certificates."),
    ca_private_key: text('', 'File: its key.'),
    client_ca: text('', "File: the CA that signed the controller's certificate; amphorae accept no other."),
    client_cert: text('', "File: the controller's certificate and key."),
    server_certs_key_passphrase: secret(
      "Seals the keys of tenants' certificates in the database: a long random text, the same for all.",
    ),
    cert_validity_time: number(2_592_000, 60, 1e9, 'Seconds that an amphora’s certificate is valid.'),
    certificate_store: choice(
      ['barbican', 'local'],
      'barbican',
      "Where tenants' certificates lie: in the cloud's key manager, or in a folder of this machine.",
    ),
    storage_path: text(
      '/var/lib/octavia/certificates/',
      'That folder, for local: REF.crt, REF.key and, where there are, REF.int and REF.pass.',
    ),
  },
} as const satisfies Record<
  string,
  Record<string, { preset: unknown; doc: string; read: (value: unknown, name: string) => unknown }>
>

type Declarations = typeof declarations
type ValueOf<D> = D extends OptionDeclaration<infer V> ? V : never

/** All options with their values. Values of secrets are of a type that prints as ***. */
export type Options = {
  [S in keyof Declarations]: { [O in keyof Declarations[S]]: ValueOf<Declarations[S][O]> }
}

/** Something an operator must correct; the message says what. */
export class OptionsError extends Error {}

/** Reads the file (none is fine), then the environment: OTTAVIA_<SECTION>_<OPTION> wins over the file. Unknown names and
 *  values out of range are refused with what to change. */
export function loadOptions(file: string | null, environment: Record<string, string | undefined>): Options {
  const given = file === null ? {} : readFile(file)
  const place = file ?? 'the environment'
  for (const [section, options] of Object.entries(given)) {
    const known = (declarations as Record<string, Record<string, unknown>>)[section]
    if (!known) throw new OptionsError(`${place}: there is no section [${section}]`)
    for (const option of Object.keys(options))
      if (!(option in known)) throw new OptionsError(`${place}: section [${section}] has no option ${option}`)
  }
  const values = Object.entries(declarations).map(([section, options]) => {
    const inside = Object.entries(options).map(([option, declaration]) => {
      const variable = `OTTAVIA_${section}_${option}`.toUpperCase()
      const value = environment[variable] ?? given[section]?.[option]
      if (value === undefined) return [option, declaration.preset]
      const name = environment[variable] === undefined ? `${file}: [${section}] ${option}` : variable
      return [option, declaration.read(value, name)]
    })
    return [section, Object.fromEntries(inside)]
  })
  return Object.fromEntries(values) as Options
}

type OptionDeclaration<V> = { preset: V; doc: string; read: (value: unknown, name: string) => V }

function text(preset: string, doc: string): OptionDeclaration<string> {
  const read = (value: unknown, name: string) => {
    if (typeof value === 'string') return value
    throw new OptionsError(`${name} must be a text in quotes`)
  }
  return { preset, doc, read }
}

function secret(doc: string): OptionDeclaration<Secret> {
  const plain = text('', doc)
  return { preset: new Secret(''), doc, read: (value, name) => new Secret(plain.read(value, name)) }
}

function number(preset: number, min: number, max: number, doc: string): OptionDeclaration<number> {
  const read = (value: unknown, name: string) => {
    const n = typeof value === 'string' && value.trim() !== '' ? Number(value) : value
    if (typeof n === 'number' && n >= min && n <= max) return n
    throw new OptionsError(`${name} must be a number from ${min} to ${max}, not ${String(value)}`)
  }
  return { preset, doc, read }
}

function flag(preset: boolean, doc: string): OptionDeclaration<boolean> {
  const read = (value: unknown, name: string) => {
    const found = { true: true, false: false }[String(value).toLowerCase()]
    if (found !== undefined) return found
    throw new OptionsError(`${name} must be true or false, not ${String(value)}`)
  }
  return { preset, doc, read }
}

function choice<const C extends string>(choices: readonly C[], preset: NoInfer<C>, doc: string): OptionDeclaration<C> {
  const read = (value: unknown, name: string) => {
    const found = choices.find(c => c === value)
    if (found !== undefined) return found
    throw new OptionsError(`${name} must be one of ${choices.join(', ')}, not ${String(value)}`)
  }
  return { preset, doc, read }
}

/** Written as a list, or as one text with commas or colons between. */
function list<const C extends string>(
  choices: readonly C[] | null,
  preset: readonly NoInfer<C>[],
  doc: string,
): OptionDeclaration<readonly C[]> {
  const read = (value: unknown, name: string) => {
    const words = typeof value === 'string' ? value.split(/[,:]/).map(word => word.trim()) : value
    if (!Array.isArray(words)) throw new OptionsError(`${name} must be a list`)
    const found = words.filter(word => word !== '')
    const wrong = found.find(word => typeof word !== 'string' || (choices && !choices.includes(word as C)))
    if (wrong === undefined) return found as C[]
    throw new OptionsError(`${name} must be of ${choices?.join(', ') ?? 'texts'}, not ${String(wrong)}`)
  }
  return { preset, doc, read }
}

function readFile(file: string): Record<string, Record<string, unknown>> {
  try {
    return parse(fs.readFileSync(file, 'utf8')) as Record<string, Record<string, unknown>>
  } catch (error) {
    throw new OptionsError(`${file} cannot be read: ${(error as Error).message}`)
  }
}
