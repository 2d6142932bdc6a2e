/** The certificate by which an amphora's agent is known: its name is the amphora's id. */
import { amphoraStep } from '../../../controller/flow.ts'
import type { Clients } from '../clients.ts'

export const certificate = amphoraStep<Clients>({
  title: 'issue certificate',
  upstream: 'GenerateServerPEM',
  deadline_s: 30,
  done: amphora => amphora.certificate !== null,
  ensure: async (amphora, _tree, { clients }) => {
    const { pem, expires_at } = await clients.issueCertificate(amphora.id)
    return { certificate: pem, cert_expiration: expires_at.toISOString() }
  },
})

/** Housekeeping has seen that it ends soon. The agent gets another while it serves; one that has ended is renewed too. */
export const renewCertificate = amphoraStep<Clients>({
  title: 'renew certificate',
  upstream: 'AmphoraCertRotate',
  deadline_s: 60,
  done: amphora => !amphora.cert_busy,
  ensure: async (amphora, _tree, { clients }) => {
    const { pem, expires_at } = await clients.issueCertificate(amphora.id)
    await clients.agent(amphora).renewCertificate(pem)
    return { certificate: pem, cert_expiration: expires_at.toISOString(), cert_busy: false }
  },
})
