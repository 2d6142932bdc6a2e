/** What the options say of TLS, in the words of the domain. */
import { type TlsTerms, usual_tls } from '../lbaas/tls.ts'
import type { Options } from '../service/options.ts'

export function tlsTerms({ api_settings: settings }: Options): TlsTerms {
  return {
    terminate: settings.allow_tls_terminated_listeners,
    minimum_version: settings.minimum_tls_version || null,
    prohibited_ciphers: settings.tls_cipher_prohibit_list,
    listener: {
      tls_ciphers: settings.default_listener_ciphers || usual_tls.listener.tls_ciphers,
      tls_versions: [...settings.default_listener_tls_versions],
      alpn_protocols: [...settings.default_listener_alpn_protocols],
    },
    pool: {
      tls_ciphers: settings.default_pool_ciphers || usual_tls.pool.tls_ciphers,
      tls_versions: [...settings.default_pool_tls_versions],
      alpn_protocols: [...settings.default_pool_alpn_protocols],
    },
  }
}
