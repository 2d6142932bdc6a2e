/** What the steps of this provider work with: the cloud's calls, agents, certificates, and the operator's choices. */
import type { AmphoraClient } from '../../amphora/client.ts'
import type { Glance } from '../../cloud/glance.ts'
import type { Neutron } from '../../cloud/neutron.ts'
import type { Nova } from '../../cloud/nova.ts'

/** The calls of a class, without its private parts: what a test's world has to offer. */
type Calls<T> = { [K in keyof T]: T[K] }

export type Clients = {
  nova: Calls<Nova>
  neutron: Calls<Neutron>
  glance: Calls<Glance>
  /** The agent of an amphora at its management address. */
  agent: (amphora: { id: string; lb_network_ip: string | null }) => Agent
  /** A new certificate and key for an amphora, in one PEM, and when it ends. */
  issueCertificate: (amphora_id: string) => Promise<{ pem: string; expires_at: Date }>
  /** The configuration and the files with which an amphora boots (Nova's personality). */
  bootFiles: (amphora_id: string, certificate_pem: string) => { path: string; contents: string }[]
  choices: Choices
  newId: () => string
}

export type Agent = Pick<
  Calls<AmphoraClient>,
  | 'info'
  | 'interface'
  | 'listeners'
  | 'listener'
  | 'uploadListener'
  | 'startListener'
  | 'reloadListener'
  | 'deleteListener'
  | 'plugVip'
  | 'plugNetwork'
>

/** What the operator chose for amphorae. */
export type Choices = {
  image_tag: string
  image_owner_id: string | null
  flavor_id: string
  /** The first one is asked for the management address. */
  network_ids: string[]
  security_group_ids: string[]
  ssh_key_name: string | null
}
