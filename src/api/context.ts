/** What every request of the API works with. */
import type { FastifyBaseLogger } from 'fastify'
import type pg from 'pg'
import type { CertificateStore } from '../cloud/certificates/certificate-store.ts'
import type { Glance } from '../cloud/glance.ts'
import type { Neutron } from '../cloud/neutron.ts'
import type { Nova } from '../cloud/nova.ts'
import type { Topology } from '../lbaas/load-balancer.ts'
import type { Provider } from '../lbaas/provider.ts'
import type { Locking } from '../lbaas/provisioning.ts'
import type { TlsTerms } from '../lbaas/tls.ts'
import type { Limits } from '../store/quotas.ts'
import type { AuthStrategy, Identity } from './identity.ts'

export type ApiOptions = {
  auth_strategy: AuthStrategy
  locking: Locking
  topology: Topology
  providers: readonly Provider[]
  default_provider: string
  /** Per project; -1 is no limit. */
  quotas: Limits
  /** Addresses that no member may have, e.g. the metadata service's. */
  reserved_ips: readonly string[]
  /** May members be asked by an echo (PING)? */
  ping_allowed: boolean
  tls: TlsTerms
  /** The most rows of one page of a list. */
  pagination_max_limit: number
  /** Only images of this project count; null: of any. */
  amp_image_owner_id: string | null
  /** Rules of the operator's own, over the defaults; null: none. */
  policy_file: string | null
}

export type Context = {
  pool: pg.Pool
  neutron: Neutron
  nova: Nova
  glance: Glance
  certificates: CertificateStore
  identity: Identity
  options: ApiOptions
  log: FastifyBaseLogger
  clock: () => Date
}
