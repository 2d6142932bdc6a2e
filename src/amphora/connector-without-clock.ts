/** Connects to an agent whose certificate may have ended: all else about it is verified as ever. */
import { X509Certificate } from 'node:crypto'
import tls from 'node:tls'
import type { buildConnector } from 'undici'

type Options = {
  amphora_id: string
  ca_pem: string
  client_cert_pem: string
  client_key_pem: string
  connect_timeout_ms?: number
}

/** For the one call that mends it. An expired certificate proves as well as ever who holds its key, as long as nobody
 *  else has got hold of it. */
export function connectorWithoutClock(options: Options): buildConnector.connector {
  return ({ hostname, port }, callback) => {
    const socket = tls.connect({
      host: hostname.replace(/^\[|\]$/g, ''),
      port: Number(port),
      servername: options.amphora_id,
      ca: options.ca_pem,
      cert: options.client_cert_pem,
      key: options.client_key_pem,
      rejectUnauthorized: false,
      timeout: options.connect_timeout_ms ?? 10_000,
    })
    socket.once('error', error => callback(error, null))
    socket.once('timeout', () => socket.destroy(new Error('the agent does not answer in time')))
    socket.once('secureConnect', () => {
      socket.setTimeout(0)
      const refusal = refusalOf(socket, options)
      if (refusal === null) return callback(null, socket)
      socket.destroy()
      callback(Object.assign(new Error(refusal), { code: 'ERR_TLS_CERT' }), null)
    })
  }
}

function refusalOf(socket: tls.TLSSocket, { ca_pem, amphora_id }: Options): string | null {
  const reason = socket.authorizationError as unknown
  const code = reason instanceof Error ? ((reason as NodeJS.ErrnoException).code ?? reason.message) : reason
  if (!socket.authorized && code !== 'CERT_HAS_EXPIRED')
    return `the agent's certificate is not accepted: ${String(code)}`
  const certificate = socket.getPeerX509Certificate()
  const authority = new X509Certificate(ca_pem)
  if (!certificate?.checkIssued(authority) || !certificate.verify(authority.publicKey))
    return "the agent's certificate was not signed by our authority"
  return certificate.checkHost(amphora_id) === undefined ? `the agent's certificate is not of ${amphora_id}` : null
}
