/** What the steps that providers share work with: Neutron, tenants' certificates, and the agent of an amphora. */
import type { AmphoraClient } from '../../amphora/client.ts'
import type { CertificateStore } from '../../cloud/certificates/certificate-store.ts'
import type { Neutron } from '../../cloud/neutron.ts'
import type { Amphora } from '../../lbaas/amphora.ts'
import type { Secret } from '../../service/secret.ts'

/** The calls of a class, without its private parts: what a test's world has to offer. */
export type Calls<T> = { [K in keyof T]: T[K] }

export type SharedClients = {
  neutron: Calls<Neutron>
  certificates: Pick<CertificateStore, 'read' | 'readAuthority'>
  vault: Vault
  /** The agent of an amphora, wherever that is. */
  agent: (amphora: Amphora) => ListenerAgent
}

/** What is asked of an agent for listeners. */
export type ListenerAgent = Pick<
  Calls<AmphoraClient>,
  | 'listeners'
  | 'listener'
  | 'unitConfig'
  | 'uploadUnit'
  | 'uploadDatagrams'
  | 'datagramConfig'
  | 'uploadTlsFile'
  | 'startUnit'
  | 'reloadUnit'
  | 'deleteUnit'
>

/** Tenants' certificates and keys, kept sealed beside the tree: neither a key manager that is away nor a secret that is
 *  gone keeps a load balancer from being served by another amphora. Names are digests of what is in the files. */
export type Vault = {
  keep: (load_balancer_id: string, name: string, pem: Secret) => Promise<void>
  /** Null: it is not there. */
  fetch: (load_balancer_id: string, name: string) => Promise<Secret | null>
  names: (load_balancer_id: string) => Promise<string[]>
  forget: (load_balancer_id: string, names: string[]) => Promise<void>
}
