/** The settings of one machine's stack: the pocket cloud's, and ottavia's own configuration file. */
import fs from 'node:fs'
import type { Ports, Secrets, State } from '../state.ts'
import { ensureAuthorities, equipHost } from './authorities.ts'
import { agent_port, heartbeat_port, type PreparedCloud, service_project } from './cloud-setup.ts'

/** The inner port of the neutron-lbaas dialect, to which the pocket Neutron forwards. Nothing outside reaches it. */
const neutron_dialect_port = 9877

/** What `serve pocket` reads from OTTAVIA_POCKET. Its sockets are fds 4 to 8: identity, image, compute, network, key manager. */
export type PocketSettings = {
  database_url: string
  state_dir: string
  runtime_dir: string
  endpoints: Record<keyof Ports, string>
  ports: Ports
  lbaas_url: string
  passwords: { admin: string; demo: string; service: string }
}

export function pocketSettings(state: State, ports: Ports, database_url: string, secrets: Secrets): PocketSettings {
  const at = (port: number) => `http://127.0.0.1:${port}`
  return {
    database_url,
    state_dir: state.path('pocket'),
    runtime_dir: process.execPath.replace(/\/node$/, ''),
    endpoints: {
      identity: at(ports.identity),
      image: at(ports.image),
      compute: at(ports.compute),
      network: at(ports.network),
      key_manager: at(ports.key_manager),
      load_balancer: at(ports.load_balancer),
    },
    ports,
    lbaas_url: at(neutron_dialect_port),
    passwords: { admin: secrets.admin, demo: secrets.demo, service: secrets.octavia },
  }
}

/** Writes ottavia.toml, and one file for each network host, as an operator would for a cloud of theirs. They hold secrets:
 *  readable by the owner only. */
export async function writeOptions(
  state: State,
  stack: { ports: Ports; database_url: string; secrets: Secrets; cloud: PreparedCloud },
): Promise<void> {
  const { ports, database_url, secrets, cloud } = stack
  const files = await ensureAuthorities(state.path('certificates'))
  const heartbeats = {
    controller_ip_port_list: `${cloud.controller_address}:${heartbeat_port}`,
    heartbeat_key: secrets.heartbeat_key,
    heartbeat_interval: 1,
  }
  for (const { name, address } of cloud.network_hosts) {
    const etc = state.path('network-hosts', name, 'etc') // it sees it as /mnt
    await equipHost(state.path('certificates'), name, etc)
    write(`${etc}/network-host.toml`, {
      haproxy: { host: name, bind_host: address, bind_port: agent_port, server_cert: '/mnt/server.pem' },
      health_manager: heartbeats,
      certificates: { client_ca: '/mnt/client-ca.pem' },
    })
  }
  write(state.path('ottavia.toml'), {
    database: { connection: database_url },
    service_auth: {
      auth_url: `http://127.0.0.1:${ports.identity}/v3`,
      password: secrets.octavia,
      project_name: service_project,
    },
    api_settings: {
      bind_port: ports.load_balancer,
      neutron_bind_port: neutron_dialect_port,
      enabled_provider_drivers: 'amphora, octavia, haproxy',
    },
    controller_worker: {
      amp_flavor_id: amphora_flavor_id,
      amp_boot_network_list: cloud.management_network_id,
      amp_secgroup_list: cloud.amphora_group_id,
      loadbalancer_topology: 'ACTIVE_STANDBY',
      late_effect_s: 10, // the pocket cloud is quick
    },
    haproxy_amphora: { bind_port: agent_port },
    haproxy: {
      network_hosts: cloud.network_hosts.map(({ name, address }) => `${name}@${address}`).join(', '),
      bind_port: agent_port,
    },
    keepalived_vrrp: { vrrp_advert_int: 0.05 },
    health_manager: {
      ...heartbeats,
      bind_ip: cloud.controller_address,
      heartbeat_timeout: 6,
      health_check_interval: 1,
    },
    certificates: { ...files, server_certs_key_passphrase: secrets.sealing_key },
  })
}

function write(file: string, sections: Record<string, Record<string, string | number>>): void {
  const text = Object.entries(sections).map(([section, options]) =>
    [`[${section}]`, ...Object.entries(options).map(([key, value]) => `${key} = ${JSON.stringify(value)}`), ''].join(
      '\n',
    ),
  )
  const head = '# Written by `ottavia up` at every start; your changes would be lost.\n'
  fs.writeFileSync(file, `${head}${text.join('\n')}`, { mode: 0o600 })
}

/** The pocket cloud's flavor for amphorae. */
const amphora_flavor_id = '65'
