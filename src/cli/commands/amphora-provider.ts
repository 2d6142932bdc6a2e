/** Joins the amphora provider with its clients: the cloud, agents, certificates and the operator's options. */
import { randomBytes, randomUUID } from 'node:crypto'
import fs from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { bootConfig } from '../../amphora/agent-config.ts'
import { issueAmphora, makeKeys, serverPem } from '../../amphora/certificates.ts'
import type { Call } from '../../amphora/client.ts'
import { openCertificateStore } from '../../cloud/certificates/certificate-store.ts'
import { Glance } from '../../cloud/glance.ts'
import { Neutron } from '../../cloud/neutron.ts'
import { Nova } from '../../cloud/nova.ts'
import type { OpenStack } from '../../cloud/openstack.ts'
import type { StepContext } from '../../controller/flow.ts'
import type { Provider } from '../../controller/reconcile.ts'
import type { SpareMaker } from '../../housekeeping/spares.ts'
import type { Amphora } from '../../lbaas/amphora.ts'
import type { Agent, Clients } from '../../providers/amphora/clients.ts'
import { due } from '../../providers/amphora/flows.ts'
import { makeSpare, unmakeSpare } from '../../providers/amphora/spares.ts'
import type { Options } from '../../service/options.ts'
import * as rollouts from '../../store/rollouts.ts'
import * as spares from '../../store/spares.ts'
import { TlsVault } from '../../store/tls-vault.ts'
import { AgentConnections, agentCalls, classifier, restOf } from './agent-connections.ts'

/** The provider as the engine wants it. Connections to agents are kept between claims. */
export function amphoraProvider(
  os: OpenStack,
  pool: pg.Pool,
  options: Options,
): Provider<Clients> & { close: () => Promise<void>; spares: SpareMaker } {
  const files = readCertificates(options)
  const connections = new AgentConnections(options)
  const certificates = openCertificateStore(options.certificates, () => os)
  const vault = new TlsVault(pool, options.certificates.server_certs_key_passphrase)
  const { keepalived_vrrp, nova, controller_worker } = options
  const ways = { failover_order: controller_worker.failover_order, anti_affinity: nova.enable_anti_affinity }
  const clients = (
    call: Omit<Call, 'signal'>,
    { claim, step }: { claim: AbortSignal; step: AbortSignal },
  ): Clients => ({
    // what the cloud was asked for it may make even if we do not wait for the answer: so we do
    nova: new Nova(os, claim),
    neutron: new Neutron(os, claim),
    glance: new Glance(os, claim),
    agent: amphora => agentOf(connections, options, files, amphora, { signal: step, ...call }),
    issueCertificate: async amphora_id => {
      const now = Date.now()
      const expires_at = new Date(now + options.certificates.cert_validity_time * 1000)
      const serial = `00${randomBytes(15).toString('hex')}`
      const validity = { not_before: new Date(now - 3_600_000), not_after: expires_at, serial }
      return {
        pem: serverPem(await issueAmphora(amphora_id, await makeKeys(), files.server_ca, validity)),
        expires_at,
      }
    },
    bootFiles: (amphora_id, certificate_pem) => bootFiles(options, files.client_ca_pem, amphora_id, certificate_pem),
    agentConfig: amphora_id => agentConfig(options, amphora_id),
    choices: {
      image_owner_id: options.controller_worker.amp_image_owner_id || null,
      flavor_id: options.controller_worker.amp_flavor_id,
      network_ids: list(options.controller_worker.amp_boot_network_list),
      security_group_ids: list(options.controller_worker.amp_secgroup_list),
      ssh_key_name: options.controller_worker.amp_ssh_key_name || null,
      unit: options.haproxy_amphora.unit,
      boot_patience_s: controller_worker.amp_active_retries * controller_worker.amp_active_wait_sec,
      anti_affinity_policy: nova.anti_affinity_policy,
      vrrp: {
        advert_int_s: keepalived_vrrp.vrrp_advert_int,
        priority: { MASTER: keepalived_vrrp.vrrp_priority_master, BACKUP: keepalived_vrrp.vrrp_priority_backup },
      },
    },
    certificates,
    vault,
    imageTag: async () => (await rollouts.imageTag(pool)) ?? options.controller_worker.amp_image_tag,
    adoptSpare: (place, not_on_hosts) => spares.adopt(pool, place, not_on_hosts),
    newId: randomUUID,
  })
  const forSpare = (signal: AbortSignal): StepContext<Clients> => ({
    clients: clients({}, { claim: signal, step: signal }),
    say: () => {},
    signal,
    pause: async wait_ms => void (await sleep(wait_ms, undefined, { signal })),
    now: () => new Date(),
  })
  return {
    name: 'amphora',
    due: tree => due(tree, ways),
    classify: classifier("the amphora's agent", 'The amphora'),
    close: () => connections.close(),
    clients: (tree, token, signals) =>
      clients({ token: { load_balancer_id: tree.load_balancer.id, value: token } }, signals),
    spares: {
      make: (spare, record, signal) => makeSpare(spare, record, forSpare(signal)),
      unmake: (spare, signal) => unmakeSpare(spare, forSpare(signal)),
    },
  }
}

/** The agent of an amphora, with what only amphorae have. */
function agentOf(
  connections: AgentConnections,
  options: Options,
  files: ReturnType<typeof readCertificates>,
  { id: amphora_id, lb_network_ip, unit }: Pick<Amphora, 'id' | 'lb_network_ip' | 'unit'>,
  call: Call,
): Agent {
  const host = lb_network_ip!
  const client = connections.client(`${amphora_id} ${host} ${unit}`, () => ({
    host,
    port: options.haproxy_amphora.bind_port,
    amphora_id,
    rest: restOf(unit),
    ca_pem: files.server_ca.certificate_pem,
    client_cert_pem: files.client_pem,
    client_key_pem: files.client_pem,
  }))
  return {
    ...agentCalls(client, call),
    info: () => client.info(call),
    details: () => client.details(call),
    interfaceRules: (ip, rules) => client.interfaceRules(ip, rules, call),
    stopUnit: id => client.stopUnit(id, call),
    uploadVrrp: conf => client.uploadVrrp(conf, call),
    startVrrp: () => client.startVrrp(call),
    stopVrrp: () => client.stopVrrp(call),
    renewCertificate: pem => client.renewCertificate(pem, call),
    configure: conf => client.configure(conf, call),
  }
}

function agentConfig(options: Options, amphora_id: string): string {
  const { controller_ip_port_list, heartbeat_interval, heartbeat_key } = options.health_manager
  return bootConfig({
    amphora_id,
    bind_port: options.haproxy_amphora.bind_port,
    controller_ip_port_list: list(controller_ip_port_list),
    heartbeat_interval,
    heartbeat_key: heartbeat_key.reveal(),
    amphora_udp_driver: options.amphora_agent.amphora_udp_driver,
  })
}

function bootFiles(options: Options, client_ca_pem: string, amphora_id: string, certificate_pem: string) {
  const file = (path: string, text: string) => ({ path, contents: Buffer.from(text).toString('base64') })
  return [
    file('/etc/octavia/amphora-agent.conf', agentConfig(options, amphora_id)),
    file('/etc/octavia/certs/server.pem', certificate_pem),
    file('/etc/octavia/certs/client_ca.pem', client_ca_pem),
  ]
}

function readCertificates(options: Options) {
  const { ca_certificate, ca_private_key, client_ca, client_cert } = options.certificates
  const read = (option: string, file: string) => {
    if (file === '') throw new Error(`[certificates] ${option} is empty; it must name a file`)
    return fs.readFileSync(file, 'utf8')
  }
  return {
    server_ca: {
      certificate_pem: read('ca_certificate', ca_certificate),
      private_key_pem: read('ca_private_key', ca_private_key),
    },
    client_ca_pem: read('client_ca', client_ca),
    client_pem: read('client_cert', client_cert),
  }
}

function list(text: string): string[] {
  return text
    .split(',')
    .map(item => item.trim())
    .filter(item => item !== '')
}
