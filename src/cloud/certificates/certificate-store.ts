/** Where tenants' certificates lie: one interface, and the store that the operator chose. */
import type { Options } from '../../service/options.ts'
import { Barbican } from '../barbican.ts'
import type { OpenStack } from '../openstack.ts'
import { BarbicanStore } from './barbican-store.ts'
import type { Authority, CertificateBundle } from './bundle.ts'
import { CertificateError } from './certificate-error.ts'
import { LocalStore } from './local-store.ts'

/** Rejects with CertificateError for what is wrong with a certificate, with CloudError when the key manager does not
 *  answer. */
export interface CertificateStore {
  /** A server's certificate with its key. */
  read(ref: string, reading?: Reading): Promise<CertificateBundle>
  /** What others' certificates are checked against: certificates of authorities, or their lists of the revoked. */
  readAuthority(ref: string, reading?: Reading): Promise<Authority>
  /** Lets the service user read it from now on, in the name of the tenant, whose token it takes. Once more changes
   *  nothing. */
  grant(ref: string, tenant: { token: string; signal?: AbortSignal }): Promise<void>
}

export type Reading = {
  /** A tenant's token: read with his rights instead of the service user's. */
  token?: string
  signal?: AbortSignal
  /** An expired certificate is refused to whoever brings it, and served on where it is in use already: a load balancer
   *  whose certificate has expired must still fail over. */
  accept_expired?: boolean
}

/** What a tenant brings, checked for him: with his own token first, or he could name another's certificate that the service
 *  may read; then with the service's, which is let in by his token where it is not yet. `read` is one of the store's. */
export async function admitted<T>(
  store: CertificateStore,
  ref: string,
  tenant: { token: string; signal?: AbortSignal },
  read: (ref: string, reading: Reading) => Promise<T>,
): Promise<T> {
  const seen = await read(ref, tenant)
  try {
    await read(ref, { signal: tenant.signal })
  } catch (error) {
    if (!(error instanceof CertificateError && error.kind === 'closed')) throw error
    await store.grant(ref, tenant)
    await read(ref, { signal: tenant.signal })
  }
  return seen
}

/** The store of [certificates] certificate_store. `os` is opened for barbican only. */
export function openCertificateStore(options: Options['certificates'], os: () => OpenStack): CertificateStore {
  return options.certificate_store === 'local'
    ? new LocalStore(options.storage_path)
    : new BarbicanStore(new Barbican(os()))
}
