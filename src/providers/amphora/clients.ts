/** What the steps of this provider work with: the cloud's calls, agents, certificates, and the operator's choices. */
import type { AmphoraClient } from '../../amphora/client.ts'
import type { CertificateStore } from '../../cloud/certificates/certificate-store.ts'
import type { Glance } from '../../cloud/glance.ts'
import type { Neutron } from '../../cloud/neutron.ts'
import type { Nova } from '../../cloud/nova.ts'
import type { Amphora, UnitKind } from '../../lbaas/amphora.ts'
import type { Calls, Vault } from '../shared/clients.ts'

export type Clients = {
  nova: Calls<Nova>
  neutron: Calls<Neutron>
  glance: Calls<Glance>
  /** The agent of an amphora at its management address. */
  agent: (amphora: Pick<Amphora, 'id' | 'lb_network_ip' | 'unit'>) => Agent
  /** A new certificate and key for an amphora, in one PEM, and when it ends. */
  issueCertificate: (amphora_id: string) => Promise<{ pem: string; expires_at: Date }>
  /** The configuration and the files with which an amphora boots (Nova's personality). */
  bootFiles: (amphora_id: string, certificate_pem: string) => { path: string; contents: string }[]
  /** The text from which an agent learns who it is, as it is now for that amphora. */
  agentConfig: (amphora_id: string) => string
  choices: Choices
  certificates: Pick<CertificateStore, 'read' | 'readAuthority'>
  vault: Vault
  /** The tag of the image that amphorae boot from now. */
  imageTag: () => Promise<string>
  /** Gives the place to a spare that is not on one of these hosts, and answers with it as it is now; null: there is none.
   *  It is written when this resolves. */
  adoptSpare: (place: Place, not_on_hosts: (string | null)[]) => Promise<Amphora | null>
  newId: () => string
}

export type Agent = Pick<
  Calls<AmphoraClient>,
  | 'info'
  | 'details'
  | 'interface'
  | 'interfaceRules'
  | 'listeners'
  | 'listener'
  | 'unitConfig'
  | 'datagramConfig'
  | 'uploadUnit'
  | 'uploadDatagrams'
  | 'uploadTlsFile'
  | 'startUnit'
  | 'stopUnit'
  | 'reloadUnit'
  | 'deleteUnit'
  | 'plugVip'
  | 'plugNetwork'
  | 'uploadVrrp'
  | 'startVrrp'
  | 'stopVrrp'
  | 'renewCertificate'
  | 'configure'
>

/** The place in a load balancer that an amphora fills. */
export type Place = Pick<Amphora, 'load_balancer_id' | 'role' | 'replaces' | 'vrrp_id' | 'vrrp_priority' | 'unit'>

/** What the operator chose for amphorae. */
export type Choices = {
  image_owner_id: string | null
  flavor_id: string
  /** The first one is asked for the management address. */
  network_ids: string[]
  security_group_ids: string[]
  ssh_key_name: string | null
  /** How long a server and its agent may take to come up. */
  boot_patience_s: number
  /** Where no flavor says. */
  unit: UnitKind
  /** Of the server groups of pairs. */
  anti_affinity_policy: string
  vrrp: { advert_int_s: number; priority: { MASTER: number; BACKUP: number } }
}
